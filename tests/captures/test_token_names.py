"""What tokens without a place are called, and where tokens lie that are put elsewhere each time."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import nlviz
from nlviz import InputSpec
from tests.nets import noise_clip

SPEC = InputSpec(sides=(24, 40), layout="frames")
WIDTH = 12


class Tokens(nn.Module):
    """Two layers of attention over patches and tokens, in an order that is told.

    Attributes:
        order: ``c`` the class token, ``r`` two registers, ``p`` three prompts, ``x`` the patches.
    """

    def __init__(self, order: str) -> None:
        super().__init__()
        self.order = order
        self.patches = nn.Conv2d(3, WIDTH, 8, 8)
        self.cls_token = nn.Parameter(torch.randn(1, 1, WIDTH))
        self.reg_token = nn.Parameter(torch.randn(1, 2, WIDTH))
        self.prompts = nn.Parameter(torch.randn(1, 3, WIDTH))
        self.place = nn.Parameter(torch.randn(1, 1, WIDTH))
        self.layers = nn.ModuleList(
            nn.MultiheadAttention(WIDTH, 3, batch_first=True) for _ in range(2)
        )

    def forward(self, x: Tensor) -> Tensor:
        patches = self.patches(x).flatten(2).mT
        parts = {"x": patches, "c": self.cls_token + self.place, "r": self.reg_token}
        parts["p"] = self.prompts
        x = torch.cat([parts[kind].expand(len(patches), -1, -1) for kind in self.order], 1)
        for layer in self.layers:
            x = x + layer(x, x, x)[0]
        return x


NAMES = {
    "c": ("cls",),
    "r": ("registers.0", "registers.1"),
    "p": ("prompts.0", "prompts.1", "prompts.2"),
    "x": (),
}


@pytest.mark.parametrize("order", ["crx", "rcx", "xrc", "pcrx", "xpcr", "pcx", "rpx"])
def test_tokens_are_called_as_their_parameters_in_whatever_order(order: str) -> None:
    torch.manual_seed(0)
    net = Tokens(order).eval()
    found = nlviz.capture(net, noise_clip(2, 24, 40), input_spec=SPEC).affinities
    wanted = [name for kind in order for name in NAMES[kind]]
    for affinity in found.values():
        each = affinity.token_names[: len(wanted)]
        assert list(each) == wanted
        assert affinity.token_names == each * 2  # those of the second frame behind the first's


class ReadsItsToken(Tokens):
    """Computes a plain number of its class token, which no mark can stand in for."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x * float(self.cls_token.detach().abs().mean()))


def test_where_marks_are_not_followed_tokens_have_numbers_and_blocks_their_maps() -> None:
    torch.manual_seed(7)
    net = ReadsItsToken("rcx").eval()
    found = nlviz.capture(net, noise_clip(1, 24, 40), input_spec=SPEC)
    assert not found.refused
    for affinity in found.affinities.values():
        assert affinity.token_names == ("token.0", "token.1", "token.2")
    assert isinstance(net.cls_token, nn.Parameter)


def test_the_row_of_a_token_is_its_own() -> None:
    torch.manual_seed(1)
    net = Tokens("prcx").eval()
    kept: list[Tensor] = []
    net.layers[0].register_forward_pre_hook(lambda m, args: kept.append(args[0]))
    found = nlviz.capture(net, noise_clip(1, 24, 40), input_spec=SPEC)
    rows = net.layers[0](*kept[:1] * 3, average_attn_weights=False)[1][0]
    ours = found.affinities["layers.0"].map(token="cls", head=1).weights
    torch.testing.assert_close(torch.from_numpy(ours).flatten(), rows[1, 5, 6:])


class Pooled(nn.Module):
    """Attention that pools as CLIP's residual networks do: the mean of all, and all."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, WIDTH, 8, 8)
        self.attend = nn.MultiheadAttention(WIDTH, 3, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).mT
        x = torch.cat([x.mean(1, keepdim=True), x], 1)
        pooled: Tensor = self.attend(x, x, x)[0][:, 0]
        return pooled


def test_the_mean_of_all_patches_is_a_token_without_a_place() -> None:
    torch.manual_seed(4)
    net, clip = Pooled().eval(), noise_clip(1, 24, 40)
    x = nlviz.Model(net, input_spec=SPEC).prepared(clip).tensor
    patches = net.patches(x).flatten(2).mT
    tokens = torch.cat([patches.mean(1, keepdim=True), patches], 1)
    rows = net.attend(*[tokens] * 3, average_attn_weights=False)[1][0]
    found = nlviz.capture(net, clip, input_spec=SPEC).affinities["attend"]
    assert found.token_names == ("mean",)
    torch.testing.assert_close(found.dense(), rows[:, 1:])
    ours = torch.from_numpy(found.map(token="mean", head=2).weights).flatten()
    torch.testing.assert_close(ours, rows[2, 0, 1:])


class Jumbo(nn.Module):
    """One parameter that is three tokens, and a layer whose softmax is a module in a container."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, WIDTH, 8, 8)
        self.wide_token = nn.Parameter(torch.randn(1, 1, 3 * WIDTH))
        self.attend = nn.Sequential(nn.Softmax(-1), nn.Dropout(0.3))

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).mT
        wide = self.wide_token.unflatten(-1, (3, WIDTH)).flatten(1, 2)
        x = torch.cat([wide.expand(len(x), -1, -1), x], 1)
        return self.attend(x @ x.mT) @ x


def test_tokens_of_one_parameter_are_numbered() -> None:
    torch.manual_seed(5)
    found = nlviz.capture(Jumbo().eval(), noise_clip(1, 24, 40), input_spec=SPEC).affinities
    names = next(iter(found.values())).token_names
    assert names == ("wide_token.0", "wide_token.1", "wide_token.2")


class Timed(nn.Module):
    """A network that makes an embedding in the type of what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.embed = nn.Conv2d(3, WIDTH, 8, 8), nn.Linear(4, WIDTH)
        self.attend = nn.MultiheadAttention(WIDTH, 3, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).mT
        x = x + self.embed(torch.arange(4, dtype=x.dtype, device=x.device).sin())
        found: Tensor = self.attend(x, x, x)[0]
        return found


@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.bfloat16])
def test_positions_pass_for_numbers_of_the_networks_own_type(kind: torch.dtype) -> None:
    torch.manual_seed(6)
    net = Timed().eval().to(kind)
    found = nlviz.capture(net, noise_clip(1, 24, 40), input_spec=SPEC).affinities["attend"]
    assert found.queries.shape == (1, 3, 5)


class Shuffled(nn.Module):
    """Attention over patches that are put into another order in every pass."""

    def __init__(self, kept: int) -> None:
        super().__init__()
        self.kept = kept
        self.patches = nn.Conv2d(3, WIDTH, 8, 8)
        self.attend = nn.MultiheadAttention(WIDTH, 3, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).mT
        order = torch.rand(x.shape[:2], device=x.device).argsort(1)[:, : self.kept]
        x = torch.gather(x, 1, order[..., None].expand(-1, -1, WIDTH))
        x = x + self.attend(x, x, x)[0]
        return x.mean(1)


def test_tokens_that_are_shuffled_lie_where_this_pass_put_them() -> None:
    torch.manual_seed(2)
    net, clip = Shuffled(15).eval(), noise_clip(1, 24, 40)
    x = nlviz.Model(net, input_spec=SPEC).prepared(clip).tensor
    patches = net.patches(x).flatten(2).mT
    rows = net.attend(*[patches] * 3, average_attn_weights=False)[1][0]
    state = torch.get_rng_state()
    for _ in range(3):
        found = nlviz.capture(net, clip, input_spec=SPEC).affinities["attend"].dense()
        torch.testing.assert_close(found, rows)
    # What finds the places draws nothing itself: the passes drew three times, and no more.
    after = torch.get_rng_state()
    torch.set_rng_state(state)
    for _ in range(3):
        torch.rand(1, 15)
    assert torch.equal(torch.get_rng_state(), after)


def test_patches_that_are_dropped_at_random_are_told() -> None:
    torch.manual_seed(3)
    with pytest.raises(nlviz.errors.BlockRefused, match="drops, merges or moves patches"):
        nlviz.capture(Shuffled(7).eval(), noise_clip(1, 24, 40), input_spec=SPEC)
