"""Operators as networks have them: outlook attention, shared contexts, handed queries."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import nlviz
from nlviz.captures.capture import Capture
from nlviz.captures.model import Model
from nlviz.errors import NlvizError
from nlviz.families.reading.attention_adapter import AttentionAdapter
from tests.nets import noise_clip

T, H, W, C, HEADS = 2, 6, 9, 12, 3
D = C // HEADS
CLIP = noise_clip(T, 4 * H, 4 * W)
SPEC = nlviz.InputSpec(sides=(4 * H, 4 * W), layout="frames")


class Around(nn.Module):
    """Patches, a layer on (frames, H, W, C), and the head of a classifier."""

    def __init__(self, block: nn.Module, *, residual: bool = True) -> None:
        super().__init__()
        self.stem, self.block, self.head = nn.Conv2d(3, C, 4, 4), block, nn.Linear(C, 5)
        self.residual = residual

    def entering(self, x: Tensor) -> Tensor:
        return self.stem(x).permute(0, 2, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.entering(x)
        y = self.block(x)
        return self.head((x + y if self.residual else y).mean((0, 1, 2)))[None]


def captured(block: nn.Module, *, residual: bool = True) -> tuple[Capture, Tensor]:
    """Return a capture, and what entered the block."""
    torch.manual_seed(2)
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.4)
    net = Around(block, residual=residual).eval()
    model = Model(net, adapter=AttentionAdapter(), input_spec=SPEC)
    with torch.no_grad():
        picture = model.prepared(CLIP).tensor
        plain, x = net(picture)[0], net.entering(picture)
    capture = model.capture(CLIP)
    assert capture.logits is not None
    assert torch.equal(capture.logits, plain)
    return capture, x


class Given(nn.Module):
    """A layer that returns what it was given beforehand."""

    value: Tensor

    def forward(self, x: Tensor) -> Tensor:
        return self.value


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("residual", [True, False])
def test_outlook_attention_of_timm_is_its_operator_through_the_fold(
    stride: int, residual: bool
) -> None:
    volo = pytest.importorskip("timm.models.volo")
    block = volo.OutlookAttention(C, HEADS, kernel_size=3, padding=1, stride=stride)
    capture, x = captured(block, residual=residual)
    affinity = capture.affinities["block"]
    block.v, block.proj, wanted = Given(), nn.Identity(), []
    for j in range(H * W):  # one value after another, the weights held
        one = torch.zeros(T, H * W, HEADS, D)
        one[:, j, :, 0] = 1
        block.v.value = one.reshape(T, H, W, C)
        with torch.no_grad():
            wanted.append(block(x).reshape(T, H * W, HEADS, D)[..., 0])
    each = torch.stack(wanted, -1).permute(2, 0, 1, 3)
    right = torch.stack([torch.block_diag(*of_head) for of_head in each])
    assert (affinity.rows(range(T * H * W)) - right).abs().max() < 1e-6 * right.max()
    assert affinity.pairwise.name == "effective_operator"
    assert not affinity.distributes
    assert "Effective operator" in affinity.note
    assert "summed over all windows that hold both places" in affinity.note
    reached = affinity.map(frame=1, y=10, x=14).reachable
    assert reached is not None
    assert not reached[0].any()
    assert reached[1].sum() == (25 if stride == 1 else 15)


class Contexts(nn.Module):
    """Separable attention of Mehta & Rastegari 2022: one context for each place in a patch."""

    def __init__(self) -> None:
        super().__init__()
        self.made = nn.Linear(C, 2 * C + 1)

    def parts(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        made = self.made(x).reshape(T, H // 2, 2, W // 3, 3, -1).permute(0, 5, 2, 4, 1, 3)
        score, k, v = made.reshape(T, 2 * C + 1, 6, -1).split((1, C, C), 1)
        return score.softmax(-1), k, v

    def forward(self, x: Tensor) -> Tensor:
        score, k, v = self.parts(x)
        context = (k * score).sum(dim=-1, keepdim=True)
        y = (F.relu(v) * context.expand_as(v)).reshape(T, C, 2, 3, H // 2, W // 3)
        return y.permute(0, 4, 2, 5, 3, 1).reshape(T, H, W, C)


def test_a_context_that_places_share_is_the_row_of_each_of_them() -> None:
    block = Contexts()
    capture, x = captured(block)
    affinity = capture.affinities["block"]
    with torch.no_grad():
        score = block.parts(x)[0][:, 0]  # frames, places in a patch, patches
    place = torch.arange(H * W).reshape(H // 2, 2, W // 3, 3).permute(1, 3, 0, 2).reshape(6, -1)
    right = torch.zeros(T, H * W, T, H * W)
    for t in range(T):
        for p in range(6):
            right[t, place[p][:, None], t, place[p]] = score[t, p]
    rows = affinity.rows(range(T * H * W))[0]
    assert (rows - right.reshape(rows.shape)).abs().max() < 1e-6
    assert affinity.distributes
    assert "Many places share one row" in affinity.note


class HandedQueries(nn.Module):
    """Global queries of Hatamizadeh et al. 2023: every window has the same, made of the picture."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.kv = nn.Linear(C, C), nn.Linear(C, 2 * C)

    def parts(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return q, k and v, (frames times windows, heads, tokens, d)."""
        pooled = F.adaptive_avg_pool2d(x.permute(0, 3, 1, 2), (3, 3)).flatten(2).mT
        windows = x.reshape(T, H // 3, 3, W // 3, 3, C).transpose(2, 3).reshape(-1, 9, C)
        q = self.q(pooled).repeat_interleave(len(windows) // T, 0)
        k, v = self.kv(windows).chunk(2, -1)
        return tuple(z.reshape(-1, 9, HEADS, D).transpose(1, 2) for z in (q, k, v))  # type: ignore[return-value]

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.parts(x)
        y = ((q * D**-0.5 @ k.mT).softmax(-1) @ v).transpose(1, 2).reshape(-1, 9, C)
        return y.reshape(T, H // 3, W // 3, 3, 3, C).transpose(2, 3).reshape(T, H, W, C)


def test_queries_that_every_window_is_handed_lie_where_their_output_goes() -> None:
    block = HandedQueries()
    capture, x = captured(block)
    affinity = capture.affinities["block"]
    assert affinity.pairwise.name == "embedded_gaussian"
    assert "what is computed for it is added to" in affinity.note
    with torch.no_grad():
        q, k, _ = block.parts(x)
    rows = (q * D**-0.5 @ k.mT).softmax(-1)
    index = torch.arange(T * H * W).reshape(T, H // 3, 3, W // 3, 3).transpose(2, 3).reshape(-1, 9)
    right = torch.zeros(HEADS, T * H * W, T * H * W)
    for window, places in zip(rows, index, strict=True):
        right[:, places[:, None], places] = window
    assert (affinity.rows(range(T * H * W)) - right).abs().max() < 1e-6


class Both(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = HandedQueries(), Contexts()

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.one(x)
        return self.two(x)


def test_what_comes_behind_lies_where_it_lay() -> None:
    capture, _ = captured(Both())
    assert not capture.refused
    one, two = (capture.affinities[name] for name in ("block.one", "block.two"))
    assert one.queries == two.queries == two.keys


class Convolution(nn.Module):
    """A convolution by unfolded patches: its weights are fixed, not of this pass."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(C, 9 * C))
        self.attention = nn.MultiheadAttention(C, HEADS, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        around = F.unfold(x.permute(0, 3, 1, 2), 3, padding=1)
        x = x + (self.weight.reshape(C, -1) @ around).mT.reshape(x.shape)
        tokens = x.flatten(1, 2)
        return self.attention(tokens, tokens, tokens)[0].reshape(x.shape)


def test_fixed_weights_are_no_operator_of_a_pass() -> None:
    capture, _ = captured(Convolution())
    assert [*capture.affinities] == ["block.attention"]
    assert not capture.refused


class Branches(nn.Module):
    """Selective kernels of Li et al. 2019: a softmax over branches weighs them, place by place."""

    def __init__(self) -> None:
        super().__init__()
        self.branches = nn.ModuleList(nn.Conv2d(C, C, 3, padding=d, dilation=d) for d in (1, 2))
        self.choose = nn.Linear(C, 2 * C)

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 3, 1, 2)
        each = torch.stack([branch(x) for branch in self.branches], 1)
        weights = self.choose(each.sum(1).mean((2, 3))).reshape(-1, 2, C, 1, 1).softmax(1)
        return (each * weights).sum(1).permute(0, 2, 3, 1)


def test_a_choice_between_branches_is_a_gate_and_no_map() -> None:
    with pytest.raises(NlvizError, match="a gate between channels or branches"):
        captured(Branches())


class Reflected(nn.Module):
    """A kernel for each place on a picture whose border mirrors it."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Linear(C, 9)

    def forward(self, x: Tensor) -> Tensor:
        kernel = self.kernel(x).permute(0, 3, 1, 2)[:, None]
        wide = F.pad(x.permute(0, 3, 1, 2), (1, 1, 1, 1), mode="reflect")
        around = F.unfold(wide, 3).reshape(T, C, 9, H, W)
        return (kernel * around).sum(2).permute(0, 2, 3, 1)


def test_a_border_that_holds_values_is_said() -> None:
    with pytest.raises(NlvizError, match="what fills up its border is not zero"):
        captured(Reflected())


class Lambdas(nn.Module):
    """The content part of Bello 2021: what keys gather is handed on with each query."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v = nn.Linear(C, 5), nn.Linear(C, 5), nn.Linear(C, C)

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(1, 2)
        gathered = self.k(tokens).softmax(1).mT @ self.v(tokens)
        return (self.q(tokens) @ gathered).reshape(x.shape)


def test_what_is_gathered_and_handed_on_is_no_row_of_a_query_and_says_so() -> None:
    capture, _ = captured(Lambdas())
    affinity = capture.affinities["block"]
    assert affinity.queries.shape == (T, 1, 1)
    assert "handed on by another product" in affinity.note
    two = captured(Contexts())[0].affinities["block"]
    assert "handed on" not in two.note


class Gated(nn.Module):
    """Squeeze-and-excitation, a gate of places (Woo et al. 2018), and attention or none."""

    def __init__(self, *, attends: bool) -> None:
        super().__init__()
        self.squeeze, self.excite = nn.Linear(C, 2), nn.Linear(2, C)
        self.place = nn.Conv2d(2, 1, 3, padding=1)
        self.attention = nn.MultiheadAttention(C, HEADS, batch_first=True) if attends else None

    def forward(self, x: Tensor) -> Tensor:
        x = x * self.excite(F.relu(self.squeeze(x.mean((1, 2), keepdim=True)))).sigmoid()
        both = torch.stack([x.mean(-1), x.amax(-1)], 1)
        x = x.permute(0, 3, 1, 2) * self.place(both).sigmoid()
        tokens = x.flatten(2).mT
        if self.attention is not None:
            tokens = self.attention(tokens, tokens, tokens)[0]
        return tokens.reshape(T, H, W, C)


def test_gates_of_channels_and_of_places_are_said_and_never_drawn() -> None:
    capture, _ = captured(Gated(attends=True))
    assert [*capture.affinities] == ["block.attention"]
    assert not capture.refused
    said = " ".join(capture.notes)
    assert "block scales each place by one number of its own" in said
    with pytest.raises(NlvizError, match="block scales each place"):
        captured(Gated(attends=False))


class Squeezed(Gated):
    def forward(self, x: Tensor) -> Tensor:
        return x * self.excite(F.relu(self.squeeze(x.mean((1, 2), keepdim=True)))).sigmoid()


def test_a_gate_of_channels_is_said() -> None:
    with pytest.raises(NlvizError, match="block scales whole channels by one number each"):
        captured(Squeezed(attends=False))
