"""Products that share one softmax: one affinity, its rows those of the formula and summing to 1."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import nlviz
from nlviz.affinity.lines import Lines
from tests.nets import noise_clip

T, H, W, D, HEADS = 3, 4, 5, 6, 2
N = T * H * W
CLIP = noise_clip(T, 4 * H, 4 * W)
SPEC = nlviz.InputSpec(sides=(4 * H, 4 * W), layout="clip")
TABLE = torch.randn(HEADS, 7, generator=torch.Generator().manual_seed(5))

Parts = tuple[Tensor, ...]
Attend = Callable[["SelfAttention", Tensor], Tensor]


class SelfAttention(nn.Module):
    """q, k and v of (1, heads, T, H, W, d), two of each, and what a form makes of them."""

    def __init__(self, attend: Attend) -> None:
        super().__init__()
        self.attend = attend
        self.layers = nn.ModuleList(nn.Linear(HEADS * D, HEADS * D) for _ in range(5))
        self.tokens = nn.Parameter(torch.randn(1, 2, HEADS * D))

    def of(self, layer: int, x: Tensor) -> Tensor:
        y: Tensor = self.layers[layer](x)
        return y.unflatten(-1, (HEADS, D)).movedim(-2, 1) * (D**-0.5 if layer % 2 == 0 else 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.attend(self, x).movedim(1, -2).flatten(-2)


class Net(nn.Module):
    """A stem, a block and a head; dimensions of a clip."""

    def __init__(self, attend: Attend) -> None:
        super().__init__()
        self.stem = nn.Conv3d(3, HEADS * D, (1, 4, 4), (1, 4, 4))
        self.block = SelfAttention(attend)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block(self.stem(x).movedim(1, -1))
        return x.mean((1, 2, 3))


def three_lines(block: SelfAttention, x: Tensor) -> Tensor:
    """Time, column and row, with one q and one k; the query three times but for two masks."""
    q, k, v = (block.of(n, x) for n in (0, 1, 3))
    along_t = torch.einsum("nhtyxd,nhsyxd->nhtyxs", q, k)
    along_y = torch.einsum("nhtyxd,nhtzxd->nhtyxz", q, k)
    along_x = torch.einsum("nhtyxd,nhtyzd->nhtyxz", q, k)
    along_y = along_y.masked_fill(torch.eye(H, dtype=torch.bool)[:, None], -torch.inf)
    along_x = along_x.masked_fill(torch.eye(W, dtype=torch.bool), -torch.inf)
    t, y, z = torch.cat([along_t, along_y, along_x], -1).softmax(-1).split([T, H, W], -1)
    return (
        torch.einsum("nhtyxs,nhsyxd->nhtyxd", t, v)
        + torch.einsum("nhtyxz,nhtzxd->nhtyxd", y, v)
        + torch.einsum("nhtyxz,nhtyzd->nhtyxd", z, v)
    )


def own_projections(block: SelfAttention, x: Tensor) -> Tensor:
    """Time with a q and k of its own beside space, scaled and moved behind the softmax."""
    frames = torch.cat(
        [
            (
                block.of(0, x).flatten(3, 4).transpose(2, 3)
                @ block.of(1, x).flatten(3, 4).movedim(2, -1)
            ).transpose(2, 3),
            block.of(2, x).flatten(3, 4) @ block.of(3, x).flatten(3, 4).mT,
        ],
        dim=-1,
    )
    weights = F.softmax(frames * 0.7, dim=-1).transpose(2, 3)  # (1, heads, places, frames, ...)
    v = block.of(3, x).flatten(3, 4)
    over_time = weights[..., :T] @ v.transpose(2, 3)
    over_space = weights[..., T:].transpose(2, 3) @ v
    return (over_time.transpose(2, 3) + over_space).unflatten(3, (H, W))


def beside_global_tokens(block: SelfAttention, x: Tensor) -> Tensor:
    """All places of the own frame beside two tokens without a place."""
    q, k, v = (block.of(n, x).flatten(3, 4) for n in (0, 1, 3))
    tokens = [
        block.layers[n](block.tokens).unflatten(-1, (HEADS, D)).transpose(1, 2) for n in (1, 3)
    ]
    logits = torch.cat((q.flatten(2, 3) @ tokens[0].mT, (q @ k.mT).flatten(2, 3)), -1)
    weights = logits.softmax(-1)
    y = (weights[..., 2:].unflatten(2, (T, H * W)) @ v).flatten(2, 3)
    return (y + weights.narrow(-1, 0, 2) @ tokens[1]).reshape(1, HEADS, T, H, W, D)


def with_a_table(block: SelfAttention, x: Tensor) -> Tensor:
    """A number for each offset along the row is added to one part alone."""
    q, k, v = (block.of(n, x) for n in (0, 1, 3))
    along_y = torch.einsum("nhtyxd,nhtzxd->nhtyxz", q, k)
    along_x = torch.einsum("nhtyxd,nhtyzd->nhtyxz", q, k)
    near = (torch.arange(W) - torch.arange(W)[:, None]).clamp(-3, 3) + 3
    along_x = along_x + TABLE[:, near][:, None, None]
    y, z = torch.cat([along_y, along_x], -1).softmax(-1).tensor_split([H], dim=-1)
    return torch.einsum("nhtyxz,nhtzxd->nhtyxd", y, v) + torch.einsum("nhtyxz,nhtyzd->nhtyxd", z, v)


def a_third_logit(block: SelfAttention, x: Tensor) -> Tensor:
    """Column and row beside a sink, which takes a share of every row."""
    q, k, v = (block.of(n, x) for n in (0, 1, 3))
    along_y = torch.einsum("nhtyxd,nhtzxd->nhtyxz", q, k)
    along_x = torch.einsum("nhtyxd,nhtyzd->nhtyxz", q, k)
    sink = along_x.new_ones(*along_x.shape[:-1], 1)
    weights = torch.cat([along_y, along_x, sink], -1).softmax(-1)[..., :-1]
    y, z = weights[..., :H], weights[..., H:]
    return torch.einsum("nhtyxz,nhtzxd->nhtyxd", y, v) + torch.einsum("nhtyxz,nhtyzd->nhtyxd", z, v)


def coarse_keys_beside(block: SelfAttention, x: Tensor) -> Tensor:
    """The own row beside the means of all 2 x 2 places."""
    q, k, v = (block.of(n, x) for n in (0, 1, 3))
    coarse = [
        F.avg_pool3d(t[0].flatten(0, 0).movedim(-1, 1), (1, 2, 2)).flatten(2).mT for t in (k, v)
    ]
    along_x = torch.einsum("nhtyxd,nhtyzd->nhtyxz", q, k)
    far = torch.einsum("nhtyxd,hzd->nhtyxz", q, coarse[0])
    near, rest = torch.cat([along_x, far], -1).softmax(-1).split([W, far.shape[-1]], -1)
    y = torch.einsum("nhtyxz,nhtyzd->nhtyxd", near, v)
    return y + torch.einsum("nhtyxz,hzd->nhtyxd", rest, coarse[1])


def values_beside_each_other(block: SelfAttention, x: Tensor) -> Tensor:
    """Two tokens without a place before the keys and before the values: one product for both."""
    q, k, v = (block.of(n, x).flatten(2, 4) for n in (0, 1, 3))
    far_k, far_v = (
        block.layers[n](block.tokens).unflatten(-1, (HEADS, D)).transpose(1, 2) for n in (1, 3)
    )
    weights = torch.cat([q @ far_k.mT, q @ k.mT], -1).softmax(-1)
    return (weights @ torch.cat([far_v, v], 2)).unflatten(2, (T, H, W))


def captured(attend: Attend) -> tuple[Net, nlviz.Capture, Tensor]:
    torch.manual_seed(0)
    net = Net(attend).eval()
    found = nlviz.capture(net, CLIP, input_spec=SPEC)
    with torch.no_grad():
        x = nlviz.Model(net, input_spec=SPEC).prepared(CLIP).tensor
        assert found.logits is not None
        assert torch.equal(found.logits, net(x)[0])
        return net, found, net.stem(x).movedim(1, -1)


def same(axis: int) -> Tensor:
    """Return (N, N) whether two places are the same along an axis."""
    place = torch.cartesian_prod(*(torch.arange(n) for n in (T, H, W)))[:, axis]
    return place[:, None] == place


def products(block: SelfAttention, x: Tensor, first: int, second: int) -> Tensor:
    q, k = (block.of(n, x).double().flatten(2, 4)[0] for n in (first, second))
    return torch.einsum("hqd,hkd->hqk", q, k)


def softmax(logits: Tensor, reach: Tensor) -> Tensor:
    return logits.masked_fill(~reach, -torch.inf).softmax(-1)


def test_lines_of_three_axes_with_one_q_and_k() -> None:
    net, capture, x = captured(three_lines)
    (affinity,) = capture.affinities.values()
    away = sum((~same(axis)).int() for axis in range(3))
    wanted = softmax(products(net.block, x, 0, 1), away <= 1)
    assert affinity.support == Lines(("t", "y", "x"))
    assert isinstance(affinity, nlviz.EmbeddedAffinity)
    assert (affinity.dense() - wanted).abs().max() < 1e-5
    assert (affinity.column(7) - wanted[..., 7]).abs().max() < 1e-5


def test_time_and_space_with_a_q_and_a_k_of_their_own() -> None:
    net, capture, x = captured(own_projections)
    (affinity,) = capture.affinities.values()
    over_time, over_space = (0.7 * products(net.block, x, n, n + 1) for n in (0, 2))
    place, frame = same(1) & same(2), same(0)
    both = torch.cat([softmax_all(over_time, place), softmax_all(over_space, frame)], -1)
    both = both.softmax(-1)
    assert (affinity.dense() - both[..., :N] - both[..., N:]).abs().max() < 1e-5
    assert affinity.distributes
    assert "2 products share its softmax" in affinity.note


def softmax_all(logits: Tensor, reach: Tensor) -> Tensor:
    return logits.masked_fill(~reach, -torch.inf)


def test_places_beside_tokens_that_have_none() -> None:
    net, capture, x = captured(beside_global_tokens)
    (affinity,) = capture.affinities.values()
    tokens = net.block.layers[1](net.block.tokens).double().unflatten(-1, (HEADS, D))[0]
    q = net.block.of(0, x).double().flatten(2, 4)[0]
    far = torch.einsum("hqd,khd->hqk", q, tokens)
    logits = torch.cat([far, products(net.block, x, 0, 1).masked_fill(~same(0), -torch.inf)], -1)
    assert affinity.keys.prefix == 2
    assert isinstance(affinity, nlviz.EmbeddedAffinity)
    assert (affinity.dense() - logits.softmax(-1)).abs().max() < 1e-5


def test_values_put_side_by_side_as_their_weights_are() -> None:
    net, capture, x = captured(values_beside_each_other)
    (affinity,) = capture.affinities.values()
    tokens = net.block.layers[1](net.block.tokens).double().unflatten(-1, (HEADS, D))[0]
    q = net.block.of(0, x).double().flatten(2, 4)[0]
    far = torch.einsum("hqd,khd->hqk", q, tokens)
    wanted = torch.cat([far, products(net.block, x, 0, 1)], -1).softmax(-1)
    assert isinstance(affinity, nlviz.EmbeddedAffinity)
    assert (affinity.keys.prefix, affinity.support.kind) == (2, "all")
    assert (affinity.dense() - wanted).abs().max() < 1e-5
    assert affinity.map(frame=1, y=8, x=8).off_grid > 0


def test_what_is_added_to_one_part_alone() -> None:
    net, capture, x = captured(with_a_table)
    (affinity,) = capture.affinities.values()
    logits = products(net.block, x, 0, 1)
    assert "keys that several of them reach count in each" in affinity.note
    near = (torch.arange(W) - torch.arange(W)[:, None]).clamp(-3, 3) + 3
    added = TABLE.double()[:, near].repeat(1, T * H, T * H)
    column, row = same(0) & same(2), same(0) & same(1)
    parts = softmax_all(logits, column), softmax_all(logits + added, row)
    both = torch.cat(parts, -1).softmax(-1)  # the query itself has two logits
    assert (affinity.dense() - both[..., :N] - both[..., N:]).abs().max() < 1e-5
    assert affinity.support == Lines(("y", "x"))


def test_a_sink_beside_them_leaves_rows_that_sum_to_less() -> None:
    _, capture, _ = captured(a_third_logit)
    (affinity,) = capture.affinities.values()
    assert float(affinity.dense().sum(-1).max()) < 0.99
    assert not affinity.distributes
    assert "rows sum to less than 1" in affinity.note


def test_keys_on_different_grids_stay_apart_and_say_so() -> None:
    _, capture, _ = captured(coarse_keys_beside)
    assert [*capture.affinities] == ["block", "block/2"]
    for affinity in capture.affinities.values():
        assert "its keys lie on different grids (3x4x5 and 3x2x2)" in affinity.note
        assert "sum to less than 1" in affinity.note
    sums = sum(a.dense().sum(-1) for a in capture.affinities.values())
    assert (sums - 1).abs().max() < 1e-5


def largest_taken_away(block: SelfAttention, x: Tensor) -> Tensor:
    """Column and row, their largest logit taken from both before the softmax."""
    q, k, v = (block.of(n, x) for n in (0, 1, 3))
    along_y = torch.einsum("nhtyxd,nhtzxd->nhtyxz", q, k)
    along_x = torch.einsum("nhtyxd,nhtyzd->nhtyxz", q, k)
    along_x = along_x.masked_fill(torch.eye(W, dtype=torch.bool), -torch.inf)
    logits = torch.cat([along_y, along_x], -1)
    weights = (logits - logits.amax(-1, keepdim=True)).softmax(-1)
    y, z = weights[..., :H], weights[..., H:]
    return torch.einsum("nhtyxz,nhtzxd->nhtyxd", y, v) + torch.einsum("nhtyxz,nhtyzd->nhtyxd", z, v)


def a_number_for_a_part(block: SelfAttention, x: Tensor) -> Tensor:
    """Column and row, the row's logits larger by 1."""
    q, k, v = (block.of(n, x) for n in (0, 1, 3))
    along_y = torch.einsum("nhtyxd,nhtzxd->nhtyxz", q, k)
    along_x = torch.einsum("nhtyxd,nhtyzd->nhtyxz", q, k) + torch.ones(1)
    along_x = along_x.masked_fill(torch.eye(W, dtype=torch.bool), -torch.inf)
    y, z = torch.cat([along_y, along_x], -1).softmax(-1).split([H, W], -1)
    return torch.einsum("nhtyxz,nhtzxd->nhtyxd", y, v) + torch.einsum("nhtyxz,nhtyzd->nhtyxd", z, v)


@pytest.mark.parametrize(("attend", "more"), [(largest_taken_away, 0), (a_number_for_a_part, 1)])
def test_what_is_added_to_all_keys_of_a_part(attend: Attend, more: int) -> None:
    net, capture, x = captured(attend)
    (affinity,) = capture.affinities.values()
    column, row = same(0) & same(2), same(0) & same(1)
    logits = products(net.block, x, 0, 1) + more * (row & ~column)
    assert (affinity.dense() - softmax(logits, column | row)).abs().max() < 1e-5
    assert isinstance(affinity, nlviz.EmbeddedAffinity) == (more == 0)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_q_and_k_are_kept_in_any_type(kind: torch.dtype) -> None:
    torch.manual_seed(0)
    net = Net(largest_taken_away).eval().to(kind)
    (affinity,) = nlviz.capture(net, CLIP, input_spec=SPEC).affinities.values()
    assert isinstance(affinity, nlviz.EmbeddedAffinity)
    assert affinity.support == Lines(("y", "x"))


@pytest.mark.parametrize("attend", [three_lines, with_a_table])
def test_what_was_joined_is_kept_in_a_file(attend: Attend, tmp_path: object) -> None:
    _, capture, _ = captured(attend)
    path = capture.save(f"{tmp_path}/joined.nlviz")
    again = nlviz.read_capture(path)
    (one,), (two,) = capture.affinities.values(), again.affinities.values()
    assert one.support == two.support
    assert torch.equal(one.dense(), two.dense())
