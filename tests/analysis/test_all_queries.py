"""Statistics of all queries against the same numbers written out for one query at a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import nlviz
from nlviz.affinity.base import Affinity
from nlviz.affinity.bias import KeyBias, OffsetBias
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import Pairwise, PairwiseName
from nlviz.affinity.position_terms import AxisBias, PairBias
from nlviz.affinity.stored import StoredAffinity
from nlviz.affinity.support import Support
from nlviz.analysis import all_queries, row_streams
from nlviz.analysis.all_queries import AllQueries, query_statistics
from nlviz.analysis.statistics import row_statistics
from nlviz.errors import NlvizError
from tests.affinity.test_support import CASES, GRID
from tests.fixtures import make_capture, make_clip
from tests.words_and_boxes import of_boxes, of_film_and_words, of_nodes, of_words

HEADS, D = 2, 5


def embedded(
    support: Support,
    queries: TokenGrid,
    keys: TokenGrid,
    pairwise: PairwiseName = "embedded_gaussian",
    **more: object,
) -> EmbeddedAffinity:
    generator = torch.Generator().manual_seed(queries.size)
    theta, phi = (
        torch.randn(HEADS, grid.size + grid.prefix, D, generator=generator)
        for grid in (queries, keys)
    )
    f = Pairwise(pairwise, 0.8)
    return EmbeddedAffinity("b", f, theta, phi, queries, keys, support, **more)  # type: ignore[arg-type]


def asked(affinity: Affinity, number: int) -> dict[str, float]:
    """How the map of a query with a place is asked for, wherever boxes cover each other."""
    if affinity.queries.kind == "boxes":
        return {"box": number}
    place = affinity.queries.centre(number)._asdict()
    return {axis: max(at, 0.0) for axis, at in place.items()}  # a padded cell may begin before it


def check(affinity: Affinity, *, tolerance: float = 1e-5) -> AllQueries:
    """Compare with what a map says of each query, and columns with the sum of all rows."""
    found = query_statistics(affinity)
    frames = int(affinity.clip_shape[0]) if affinity.clip_shape else 16
    prefix = affinity.queries.prefix
    for head in range(affinity.heads):
        for number in affinity.evenly(9).tolist():
            row = affinity.map(head=head, **asked(affinity, number))  # type: ignore[arg-type]
            s = row_statistics(row, np.arange(frames))
            at = head, prefix + number
            wanted = [*s.per_frame, s.own_frame, row.weights.max(), row.off_grid]
            got = [*found.per_frame[at], found.own_frame[at], found.peak[at], found.off_grid[at]]
            np.testing.assert_allclose(got, wanted, atol=tolerance)
            assert float(found.pixels[at]) == pytest.approx(s.pixels, rel=1e-5, abs=1e-4)
            if affinity.distributes:
                assert found.entropy is not None
                assert float(found.entropy[at]) == pytest.approx(row.entropy(), abs=tolerance)
    rows = affinity.dense().double().sum(1)
    if prefix:
        rows = rows + affinity.token_rows().double().sum(1)
    np.testing.assert_allclose(found.columns, rows, atol=1e-4)
    assert (found.entropy is None) == (not affinity.distributes)
    return found


@pytest.mark.parametrize("pairwise", ["embedded_gaussian", "dot_product"])
@pytest.mark.parametrize("case", CASES)
def test_every_number_is_that_of_the_map(
    case: str, pairwise: PairwiseName, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_streams, "PAIRS", 700)  # several chunks of unequal size
    monkeypatch.setattr(all_queries, "PAIRS", 900)
    support, queries, keys = CASES[case]
    affinity = embedded(support, queries, keys, pairwise)
    found = check(affinity)
    # What is even: every query gives the same to each key that it reaches.
    masks = [support.mask_all(queries, keys, torch.arange(queries.size))]
    masks.append(support.mask_apart(queries, keys) if queries.prefix else None)
    even = torch.zeros(keys.size + keys.prefix, dtype=torch.float64)
    for mask, n in zip(masks, (queries.size, queries.prefix), strict=True):
        reached = torch.ones(n, len(even)) if mask is None else mask.double()
        even += (reached / reached.sum(1, keepdim=True).clamp(min=1)).sum(0)
    np.testing.assert_allclose(found.even, even, atol=1e-4)


def test_rows_that_are_uniform_have_one_in_every_column() -> None:
    for case in ("everything, pooled", "frames alone, class tokens", "causal"):
        support, queries, keys = CASES[case]
        affinity = embedded(support, queries, keys)
        found = query_statistics(replace(affinity, phi=torch.zeros_like(affinity.phi)))
        np.testing.assert_allclose(found.mass, 1, atol=1e-5)


BIASES = {
    "key": lambda g: KeyBias(torch.randn(HEADS, g.size + g.prefix)),
    "offset": lambda g: OffsetBias(torch.randn(1, *(2 * n - 1 for n in g.shape))),
    "axes": lambda g: AxisBias(*(torch.randn(HEADS, g.size, n) for n in g.shape)),
    "pairs": lambda g: PairBias(
        torch.randn(HEADS, 6, 8),
        torch.randint(0, 6, (g.size,)),
        torch.randint(0, 8, (g.size + g.prefix,)),
    ),
    "pairs, some hidden": lambda g: PairBias(
        torch.tensor([0.0, -torch.inf, 1.0]).expand(1, 4, 3),
        torch.randint(0, 4, (g.size,)),
        torch.randint(0, 3, (g.size + g.prefix,)),
    ),
}


@pytest.mark.parametrize("kind", BIASES)
@pytest.mark.parametrize("support", ["everything", "frames alone", "sets: far cells", "window"])
def test_terms_of_position_count(kind: str, support: str) -> None:
    torch.manual_seed(3)
    check(embedded(CASES[support][0], GRID, GRID, bias=BIASES[kind](GRID)))


def test_words_boxes_and_nodes_have_numbers_too() -> None:
    for capture in (of_words(), of_boxes(), of_nodes()):
        for affinity in capture.affinities.values():
            check(affinity)
    (both,) = of_film_and_words().affinities.values()
    found = check(both)
    words = both.queries.prefix
    assert bool(found.pixels[:, :words].isnan().all())
    assert found.entropy is not None
    row = both.map(token=4, head=1)
    wanted = row.per_frame()
    np.testing.assert_allclose(found.per_frame[1, 4], wanted, atol=1e-5)
    assert float(found.entropy[1, 4]) == pytest.approx(row.entropy(), abs=1e-5)


def test_every_kind_of_affinity_has_numbers() -> None:
    clip = make_clip()
    for pairwise in ("gaussian", "dot_product", "concatenation"):
        capture = make_capture(clip, pairwise=pairwise, pool=2)
        check(capture.affinities["1"])
    first = make_capture(clip, pool=2).affinities["1"]
    rows = first.dense()
    size = first.queries.size
    stored = StoredAffinity(
        "kept", Pairwise("embedded_gaussian"), rows[None], torch.zeros(size, dtype=torch.long),
        torch.arange(size), torch.arange(rows.shape[2])[None], first.queries, first.keys,
    )  # fmt: skip
    a, b = check(stored), query_statistics(first)
    torch.testing.assert_close(a.columns, b.columns, atol=1e-4, rtol=1e-4)
    for control in nlviz.controls(make_capture(clip, pool=2), "1").values():
        if control.row_values != "difference":
            check(control)


def test_half_precision_is_summed_in_full() -> None:
    support, queries, keys = CASES["everything, pooled"]
    whole = embedded(support, queries, keys)
    half = replace(whole, theta=whole.theta.bfloat16(), phi=whole.phi.bfloat16())
    a, b = query_statistics(half), query_statistics(half.in_full())
    torch.testing.assert_close(a.pixels, b.pixels, equal_nan=True)
    double = replace(whole, theta=whole.theta.double(), phi=whole.phi.double())
    check(double)


def test_a_query_that_reaches_nothing_gives_nothing() -> None:
    grid = TokenGrid((1, 2, 3))
    table = torch.zeros(1, 6, 6)
    table[:, 2] = -torch.inf
    bias = PairBias(table, torch.arange(6), torch.arange(6))
    affinity = embedded(CASES["everything"][0], grid, grid, bias=bias)
    found = query_statistics(affinity)
    assert found.entropy is not None
    assert found.per_frame[:, 2].tolist() == [[0.0]] * HEADS
    assert found.entropy[:, 2].tolist() == found.pixels[:, 2].tolist() == [0.0] * HEADS


def test_a_network_that_gives_no_numbers_is_not_hidden() -> None:
    support, queries, keys = CASES["everything, pooled"]
    affinity = embedded(support, queries, keys)
    theta = affinity.theta.clone()
    theta[0, queries.prefix + 4] = torch.nan
    found = query_statistics(replace(affinity, theta=theta))
    assert found.entropy is not None
    assert bool(found.entropy[0, queries.prefix + 4].isnan())
    assert int(found.entropy.isnan().sum()) == 1


def test_rows_that_are_differences_are_refused() -> None:
    support, queries, keys = CASES["everything, pooled"]
    rest = nlviz.minus_mean(embedded(support, queries, keys))
    with pytest.raises(NlvizError, match="statistics are of rows of weights"):
        query_statistics(rest)


def test_progress_is_told_in_order() -> None:
    support, queries, keys = CASES["everything"]
    heard: list[float] = []
    query_statistics(embedded(support, queries, keys), progress=lambda _, at: heard.append(at))
    assert heard == sorted(heard)
    assert heard[-1] == 1
