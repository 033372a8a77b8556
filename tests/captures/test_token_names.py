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
    "p": ("token", "token", "token"),
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
        assert [n.partition(".")[0] if n.startswith("token") else n for n in each] == wanted
        assert affinity.token_names == each * 2  # those of the second frame behind the first's


def test_the_row_of_a_token_is_its_own() -> None:
    torch.manual_seed(1)
    net = Tokens("prcx").eval()
    kept: list[Tensor] = []
    net.layers[0].register_forward_pre_hook(lambda m, args: kept.append(args[0]))
    found = nlviz.capture(net, noise_clip(1, 24, 40), input_spec=SPEC)
    rows = net.layers[0](*kept[:1] * 3, average_attn_weights=False)[1][0]
    ours = found.affinities["layers.0"].map(token="cls", head=1).weights
    torch.testing.assert_close(torch.from_numpy(ours).flatten(), rows[1, 5, 6:])


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
