"""The exact split and the mean row, against plain tensors written from the formulas."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from nlviz.affinity import base
from nlviz.affinity.base import Affinity
from nlviz.affinity.bias import KeyBias, OffsetBias
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import Pairwise, PairwiseName
from nlviz.affinity.split import minus_mean, split, unary_normaliser
from nlviz.affinity.support import Support
from nlviz.errors import NlvizError

QUERIES = TokenGrid((5, 4, 7), (1, 8, 8))
KEYS = TokenGrid((5, 2, 3), (1, 16, 16))
HEADS, D = 3, 11


def affinity(
    pairwise: PairwiseName = "embedded_gaussian",
    *,
    dtype: torch.dtype = torch.float64,
    prefix: int = 0,
    group: int | None = None,
    bias: bool = False,
    scale: float = 0.7,
) -> EmbeddedAffinity:
    """Return an affinity whose means are far from zero, with a bias by key on request."""
    seed = torch.Generator().manual_seed(1)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=seed, dtype=torch.float64).to(dtype)

    width = 1 if pairwise == "concatenation" else D
    return EmbeddedAffinity(
        "block",
        Pairwise(pairwise, 1.0 if pairwise == "concatenation" else scale),
        drawn(HEADS, prefix + QUERIES.size, width) + drawn(HEADS, 1, width),
        drawn(HEADS, prefix + KEYS.size, width) + 2 * drawn(HEADS, 1, width),
        TokenGrid(QUERIES.shape, QUERIES.stride, prefix=prefix),
        TokenGrid(KEYS.shape, KEYS.stride, prefix=prefix),
        support=Support(group),
        bias=KeyBias(drawn(1, prefix + KEYS.size)) if bias else None,
    )


CASES = [
    {"pairwise": "gaussian"},
    {"scale": 1.0},
    {"prefix": 2},
    {"group": 2},
    {"group": 2, "prefix": 1},
    {"bias": True, "prefix": 3},
    {"bias": True, "group": 3},
]


def plain(a: EmbeddedAffinity, group: int | None) -> tuple[Tensor, Tensor, Tensor]:
    """Return (full, pairwise, unary) rows from the formula, one group of frames at a time."""
    full, pairwise, unary = (
        torch.zeros(HEADS, QUERIES.size, a.phi.shape[1], dtype=torch.float64) for _ in range(3)
    )
    p, size = a.keys.prefix, group or QUERIES.shape[0]
    theta, phi, s = a.theta.double()[:, p:], a.phi.double(), a.pairwise.scale
    for first in range(0, QUERIES.shape[0], size):
        frames = range(first, min(first + size, QUERIES.shape[0]))
        q = torch.tensor([f * 28 + n for f in frames for n in range(28)])
        k = torch.tensor([*range(p), *(p + f * 6 + n for f in frames for n in range(6))])
        own, keys = theta[:, q], phi[:, k]
        bias = torch.zeros(1, 1, len(k), dtype=torch.float64)
        if a.bias is not None:
            bias = a.bias.tensor.double()[..., k]
        mu_q, mu_k = own.mean(1, keepdim=True), keys.mean(1, keepdim=True)
        mean_bias = bias.mean(1, keepdim=True)
        at = (slice(None), q[:, None], k[None])
        full[at] = (s * own @ keys.mT + bias).softmax(-1)
        pairwise[at] = (s * (own - mu_q) @ (keys - mu_k).mT + bias - mean_bias).softmax(-1)
        unary[at] = (s * mu_q @ keys.mT + mean_bias).softmax(-1).expand(-1, len(q), -1)
    return full, pairwise, unary


@pytest.mark.parametrize("options", CASES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_parts_are_the_formulas_and_together_the_rows(
    options: dict[str, object], dtype: torch.dtype
) -> None:
    a = affinity(dtype=dtype, **options)  # type: ignore[arg-type]
    full, pairwise, unary = plain(a, a.support.frames_per_group)
    parts = split(a)
    tolerance = 1e-12 if dtype == torch.float64 else 2e-6
    for part, wanted in ((a, full), (parts.pairwise, pairwise), (parts.unary, unary)):
        assert float((part.dense().double() - wanted).abs().max()) < tolerance
    index = torch.arange(QUERIES.size)
    together = (parts.pairwise.logits(index) + parts.unary.logits(index)).softmax(-1)
    assert float((together.double() - full).abs().max()) < (1e-6 if tolerance < 1e-9 else 3e-6)


def test_a_bias_by_offset_is_about_the_query() -> None:
    whole = affinity()
    seed = torch.Generator().manual_seed(2)
    table = torch.randn(HEADS, 9, 7, 13, generator=seed, dtype=torch.float64)
    a = replace(whole, keys=whole.queries, phi=whole.theta.flip(1), bias=OffsetBias(table))
    parts = split(a)
    index = torch.arange(QUERIES.size)
    both = parts.pairwise.logits(index) + parts.unary.logits(index)
    torch.testing.assert_close(both.softmax(-1), a.rows(index))
    bare = split(replace(a, bias=None))
    assert torch.equal(parts.unary.rows(index), bare.unary.rows(index))
    added = parts.pairwise.logits(index) - bare.pairwise.logits(index)
    torch.testing.assert_close(added, a.bias.at(a.queries, a.keys, index))


def test_the_parts_differ_from_the_rows_and_from_each_other() -> None:
    parts = split(affinity())
    rows = [part.dense() for part in (affinity(), *parts)]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert float((rows[one] - rows[other]).abs().max()) > 0.05


def test_the_unary_row_is_the_same_for_every_query_of_a_group() -> None:
    rows = split(affinity(group=2)).unary.dense()
    group = affinity(group=2).query_groups
    assert group.tolist() == [0] * 56 + [1] * 56 + [2] * 28
    for g in range(3):
        of_group = rows[:, group == g]
        assert torch.equal(of_group, of_group[:, :1].expand_as(of_group))
    assert not torch.allclose(rows[:, 0], rows[:, -1])


def test_rows_do_not_depend_on_the_mean_key_that_is_subtracted() -> None:
    a = affinity()
    pairwise = split(a).pairwise
    shifted = EmbeddedAffinity(
        "x", pairwise.pairwise, pairwise.theta, a.phi + 3.0, a.queries, a.keys
    )
    assert torch.allclose(pairwise.rows([0, 31]), shifted.rows([0, 31]), atol=1e-12)


def test_tokens_without_a_place_of_each_group_keep_to_it() -> None:
    a = replace(affinity(group=2, prefix=6), support=Support(2, own_prefix=True))
    rows, parts = a.dense(), split(a)
    index = torch.arange(QUERIES.size)
    together = (parts.pairwise.logits(index) + parts.unary.logits(index)).softmax(-1)
    assert float((together - rows).abs().max()) < 1e-12
    # Groups of 2, 2 and 1 frames have two tokens each.
    assert float(parts.unary.rows([60])[..., [0, 1, 4, 5]].abs().max()) == 0
    rest = minus_mean(a)
    wanted = rows[:, 56:112] - rows[:, 56:112].mean(1, keepdim=True)
    assert float((rest.rows(range(56, 112)) - wanted).abs().max()) < 1e-6


def test_half_precision_is_centred_in_float32() -> None:
    a = affinity(dtype=torch.bfloat16)
    parts = split(a)
    assert parts.pairwise.theta.dtype == parts.unary.phi.dtype == torch.float32
    wanted = plain(a, None)[1]
    assert float((parts.pairwise.dense() - wanted).abs().max()) < 1e-5


@pytest.mark.parametrize("pairwise", ["dot_product", "concatenation"])
def test_rows_that_are_no_softmax_do_not_split(pairwise: PairwiseName) -> None:
    with pytest.raises(NlvizError, match=f"block is {pairwise}"):
        split(affinity(pairwise))


@pytest.mark.parametrize(
    "options",
    [*CASES, {"pairwise": "dot_product"}, {"pairwise": "concatenation", "group": 2}],
    ids=str,
)
def test_minus_mean_is_the_row_minus_the_mean_of_its_group(options: dict[str, object]) -> None:
    a = affinity(**options)  # type: ignore[arg-type]
    rest = minus_mean(a)
    assert isinstance(rest, Affinity)
    rows, group = a.dense(), a.query_groups
    wanted = rows.clone()
    for g in set(group.tolist()):
        wanted[:, group == g] -= rows[:, group == g].mean(1, keepdim=True)
    assert float((rest.dense() - wanted).abs().max()) < 1e-6
    assert float((rest.column(13) - wanted[..., 13 + a.keys.prefix]).abs().max()) < 1e-6
    assert rest.counted == QUERIES.size
    assert rest.pairwise.signed
    assert not rest.pairwise.softmax
    sums = rest.dense().sum(-1).abs().max()
    assert (float(sums) < 1e-5) == rest.balanced == a.pairwise.softmax


def test_maps_of_minus_mean_are_signed_and_balanced() -> None:
    rest = minus_mean(affinity(prefix=2))
    attention = rest.map(frame=3, y=8, x=16)
    assert attention.signed
    assert attention.balanced
    assert not attention.normalised
    assert attention.title == "block, from this query, minus the mean row"
    assert abs(float(attention.weights.sum()) + attention.off_grid) < 1e-6
    assert float(attention.weights.min()) < -0.01 < 0.01 < float(attention.weights.max())
    assert not rest.map(frame=3, y=8, x=16, head="max").balanced
    column = rest.map_to(frame=3, y=8, x=16)
    assert abs(float(column.weights.sum())) < 1e-5
    assert not column.balanced
    assert not minus_mean(affinity("dot_product")).map(frame=0, y=0, x=0).balanced


def test_many_pairs_are_sampled_evenly_and_a_chunk_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []
    rows = EmbeddedAffinity.rows

    def counted(self: EmbeddedAffinity, indices: Tensor) -> Tensor:
        asked.append(len(indices))
        return rows(self, indices)

    monkeypatch.setattr(EmbeddedAffinity, "rows", counted)
    whole, n = affinity().mean_rows
    assert (n, sum(asked)) == (QUERIES.size, QUERIES.size)
    monkeypatch.setattr(base, "CHUNK", 90 * 17)
    asked.clear()
    again, _ = affinity().mean_rows
    assert max(asked) == 17
    assert torch.allclose(whole, again, atol=1e-7)
    monkeypatch.setattr(base, "PAIRS", 90 * 50)
    monkeypatch.setattr(base, "LEAST", 8)
    part, n = affinity().mean_rows
    assert n == 50
    assert 1e-4 < float((part - whole).abs().max()) < 0.1


def test_concatenation_ranks_the_keys_alike_for_every_query() -> None:
    rows = affinity("concatenation").dense()
    for head in rows:
        order = head.sum(0).argsort(descending=True)
        for row in head:
            steps = row[order].diff()
            assert bool((steps <= 1e-12).all())  # never larger: equal only where the ReLU cuts off
        assert bool((head > 0).any(0).any())
    other = affinity("dot_product").dense()[0]
    assert len({tuple(row.argsort().tolist()) for row in other}) > 1


@pytest.mark.parametrize("options", CASES, ids=str)
def test_the_unary_normaliser_needs_one_row_a_group(options: dict[str, object]) -> None:
    unary = split(affinity(**options)).unary  # type: ignore[arg-type]
    assert unary.log_normaliser is not None
    assert torch.allclose(unary_normaliser(unary), unary.log_normaliser, atol=1e-12)
