"""Two views side by side: the difference on the common grid, one scale, and what cannot be told."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest
import torch

from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.split import minus_mean
from nlviz.affinity.support import FrameGroups
from nlviz.analysis.common_grid import common_grid, in_frame_of, laid_on, point_in
from nlviz.analysis.common_ground import common_ground
from nlviz.analysis.compare import Side, compare_views
from nlviz.captures.capture import About, Affinities, Capture
from nlviz.clips.clip import Clip
from nlviz.errors import InvalidView, NlvizError, OutsideClip, UnknownBlock
from nlviz.interventions.crossed import crossed
from tests import words_and_boxes

SHAPE = (4, 40, 56)
FINE = TokenGrid((4, 5, 7), (1, 8, 8), (0, 3.5, 3.5))
COARSE = TokenGrid((2, 5, 3), (2, 8, 24), (0.5, 3.5, 3.5))
AT = (2, 20, 30)


def affinity(
    name: str, keys: TokenGrid, pairwise: str = "embedded_gaussian", **more: object
) -> EmbeddedAffinity:
    generator = torch.Generator().manual_seed(sum(map(ord, name)))
    queries = replace(FINE, prefix=keys.prefix)
    theta, phi = (
        torch.randn(3, grid.size + grid.prefix, 6, generator=generator) for grid in (queries, keys)
    )
    names = ("cls",) if keys.prefix else ()
    return EmbeddedAffinity(
        name, Pairwise(pairwise, 0.9), theta, phi, queries, keys,
        clip_shape=SHAPE, token_names=names, **more,
    )  # fmt: skip


def capture(
    *affinities: EmbeddedAffinity, shape: tuple[int, int, int] = SHAPE, name: str = "a.mp4"
) -> Capture:
    frames = np.random.default_rng(3).integers(0, 255, (*shape, 3), dtype=np.uint8)
    return Capture(
        clip=Clip.from_frames(frames, name=name),
        logits=None,
        affinities=Affinities({a.name: a for a in affinities}),
        features=MappingProxyType({}),
        blocks=MappingProxyType({}),
        about=About("net", "not trained"),
    )


BOTH = capture(affinity("fine", FINE), affinity("coarse", COARSE), affinity("other", FINE))


def test_on_one_grid_the_difference_is_that_of_the_rows() -> None:
    found = compare_views((BOTH, "fine"), (BOTH, "other"), query=AT)
    rows = [BOTH.affinities[n].map(frame=2, y=20, x=30).weights for n in ("fine", "other")]
    np.testing.assert_allclose(found.difference.weights, rows[1] - rows[0], atol=1e-7)
    assert found.difference.balanced
    assert abs(float(found.difference.weights.sum())) < 1e-6
    twin = compare_views((BOTH, "other"), (BOTH, "fine"), query=AT)
    np.testing.assert_allclose(twin.difference.weights, -found.difference.weights, atol=1e-7)
    same = common_ground(BOTH.affinities["fine"], BOTH.affinities["other"], frame=2, y=20, x=30)
    assert found.ground == same
    assert found.correlation == same.correlation.value


def test_the_same_view_twice_differs_in_nothing() -> None:
    found = compare_views((BOTH, "fine"), (BOTH, "fine"), query=AT)
    assert not found.difference.weights.any()
    assert found.correlation == pytest.approx(1)
    assert found.ground.mass.value == pytest.approx(1)


def test_other_grids_are_laid_on_the_coarser_axis_each_and_keep_their_mass() -> None:
    found = compare_views((BOTH, "fine"), (BOTH, "coarse"), query=AT)
    assert found.difference.keys.shape == (2, 5, 3)
    fine = found.one.weights.astype(np.float64)
    # Cells of 24 pixels around 3.5, 27.5 and 51.5; each column goes to them by its share in each.
    edges = [(-np.inf, 15.5), (15.5, 39.5), (39.5, np.inf)]
    expected = np.zeros((2, 5, 3))
    for frame in range(4):
        for column in range(7):
            low, high = 8 * column - 0.5, 8 * column + 7.5
            for n, (a, b) in enumerate(edges):
                share = max(min(high, b) - max(low, a), 0) / 8
                expected[frame // 2, :, n] += share * fine[frame, :, column]
    np.testing.assert_allclose(found.difference.weights, found.other.weights - expected, atol=1e-6)


def test_laying_keeps_the_sum_and_goes_both_ways() -> None:
    values = np.random.default_rng(0).normal(size=FINE.shape)
    there = laid_on(values, FINE, COARSE)
    assert there.sum() == pytest.approx(values.sum())
    np.testing.assert_allclose(there.sum((0, 2)), values.sum((0, 2)))
    assert laid_on(values, FINE, FINE) is values
    back = laid_on(there, COARSE, FINE)
    assert back.sum() == pytest.approx(values.sum())
    assert common_grid(COARSE, FINE).shape == common_grid(FINE, COARSE).shape


def test_a_larger_clip_is_stretched_over_the_first_and_the_query_goes_with_it() -> None:
    large = TokenGrid(FINE.shape, (2, 16, 16), (0.5, 7.5, 7.5))
    assert in_frame_of(large, (8, 80, 112), SHAPE) == FINE
    assert point_in((2.0, 19.5, 27.5), SHAPE, (8, 80, 112)) == (4.5, 39.5, 55.5)
    made = affinity("fine", FINE)
    grown = replace(made, queries=large, keys=large, clip_shape=(8, 80, 112))
    other = capture(grown, shape=(8, 80, 112), name="b.mp4")
    found = compare_views((BOTH, "fine"), (other, "fine"), query=AT)
    assert not found.difference.weights.any()
    assert found.query_b == point_in(AT, SHAPE, (8, 80, 112))
    assert any("stretched" in note for note in found.notes)


def test_heads_sources_columns_and_tokens_are_sides() -> None:
    heads = compare_views(Side(BOTH, "fine", head=0), Side(BOTH, "fine", head=2), query=AT)
    rows = BOTH.affinities["fine"].rows(
        [BOTH.affinities["fine"].queries.nearest(frame=2, y=20, x=30)]
    )
    np.testing.assert_allclose(
        heads.difference.weights.ravel(), (rows[2] - rows[0])[0].numpy(), atol=1e-6
    )
    assert "head 1" in heads.a.label
    assert "head 3" in heads.b.label
    position = compare_views((BOTH, "fine"), Side(BOTH, "fine", source="position"), query=17)
    assert position.one.query == FINE.centre(17)
    column = compare_views(
        Side(BOTH, "fine", direction="to"), Side(BOTH, "other", direction="to"), query=AT
    )
    assert not column.one.normalised
    keys = replace(FINE, prefix=1)
    tokens = capture(affinity("a", keys), affinity("bc", keys))
    found = compare_views((tokens, "a"), (tokens, "bc"), query="cls")
    assert found.one.token == "cls"
    assert found.difference.off_grid == pytest.approx(found.other.off_grid - found.one.off_grid)
    off = next(row for row in found.table if row.get("figure") == "off_grid")
    assert off["difference"] == pytest.approx(found.difference.off_grid)


def test_one_scale_reaches_the_strongest_of_both() -> None:
    found = compare_views((BOTH, "fine"), (BOTH, "coarse"), query=AT)
    tops = [m.top_of_scale() / m.uniform for m in (found.one, found.other)]
    assert found.top == max(tops)


def test_weights_of_two_kinds_are_compared_as_shares_and_said_so() -> None:
    mixed = capture(affinity("fine", FINE), affinity("dots", FINE, "dot_product"))
    found = compare_views((mixed, "fine"), (mixed, "dots"), query=AT)
    assert any("sum of its magnitudes" in note for note in found.notes)
    dots = found.other.weights / np.abs(found.other.weights).sum()
    np.testing.assert_allclose(found.difference.weights, dots - found.one.weights, atol=1e-6)
    assert not found.difference.balanced
    two = compare_views((mixed, "dots"), Side(mixed, "dots", head=1), query=AT)
    assert not two.notes
    np.testing.assert_allclose(
        two.difference.weights, two.other.weights - two.one.weights, atol=1e-6
    )


def test_values_of_two_kinds_have_no_difference_and_no_scale() -> None:
    row = BOTH.affinities["fine"]
    found = compare_views((BOTH, "fine"), Side(BOTH, "fine", affinity=minus_mean(row)), query=AT)
    assert found.difference is None
    assert found.top is None
    assert any("no difference" in note for note in found.notes)
    assert found.ground is not None


def test_where_one_reaches_less_it_is_said() -> None:
    held = capture(affinity("fine", FINE), affinity("held", FINE, support=FrameGroups(1)))
    found = compare_views((held, "fine"), (held, "held"), query=AT)
    assert any("reach other keys" in note for note in found.notes)
    assert found.difference.reachable is None
    own = compare_views((held, "held"), (held, "held"), query=AT)
    assert not own.notes
    assert own.difference.reachable.sum() == 35


def test_queries_of_one_clip_over_keys_of_another_are_a_side() -> None:
    other = capture(affinity("fine", FINE), name="b.mp4")
    side = Side(BOTH, "fine", keys_of=other)
    found = compare_views((BOTH, "fine"), side, query=AT)
    assert not found.difference.weights.any()  # both clips have the same embeddings here
    assert not found.other.has_own
    assert side.clip is other.clip
    assert "keys of b.mp4" in side.label
    assert torch.equal(side.shown.dense(), crossed(BOTH, other, "fine").dense())
    with pytest.raises(InvalidView, match="leave one of the two out"):
        Side(BOTH, "fine", keys_of=other, source="features")


@pytest.mark.parametrize(
    ("make", "block", "query"),
    [
        (words_and_boxes.of_words, "causal", 4),
        (words_and_boxes.of_words, "both ways", 4),
        (words_and_boxes.of_film_and_words, "layer", (1, 20, 30)),
        (words_and_boxes.of_boxes, "boxes", (0, 12, 15)),
        (words_and_boxes.of_nodes, "edges", 2),
    ],
)
def test_words_boxes_and_nodes_are_compared_by_number(make, block, query) -> None:  # type: ignore[no-untyped-def]
    made = make()
    found = compare_views(Side(made, block, head=0), Side(made, block, head=1), query=query)
    np.testing.assert_allclose(
        found.difference.weights, found.other.weights - found.one.weights, atol=1e-6
    )
    if found.one.off_weights is not None:
        apart = found.other.off_weights - found.one.off_weights
        np.testing.assert_allclose(found.difference.off_weights, apart)
    assert {row["figure"] for row in found.table if "figure" in row} >= {"cells", "off_grid"}


def test_what_cannot_be_compared_is_refused() -> None:
    words, nodes = words_and_boxes.of_words(), words_and_boxes.of_nodes()
    with pytest.raises(NlvizError, match="one kind"):
        compare_views((words, "causal"), (BOTH, "fine"), query=3)
    with pytest.raises(NlvizError, match="one kind"):
        compare_views((words, "causal"), (nodes, "edges"), query=3)
    with pytest.raises(UnknownBlock, match="fine"):
        compare_views((BOTH, "fin"), (BOTH, "fine"))
    with pytest.raises(OutsideClip):
        compare_views((BOTH, "fine"), (BOTH, "other"), query=(9, 0, 0))
    with pytest.raises(OutsideClip, match="head"):
        compare_views(Side(BOTH, "fine", head=7), (BOTH, "fine"), query=AT)
    with pytest.raises(NlvizError, match="of one"):
        crossed(BOTH, replace(BOTH, about=About("net", "not trained", "ab" * 32)), "fine")


def test_too_few_cells_to_rank_are_told() -> None:
    grid = TokenGrid((1, 1, 3), (1, 40, 16), (0, 19.5, 7.5))
    few = capture(affinity("ab", grid), affinity("cd", grid), shape=(1, 40, 48))
    sides = [replace(a, clip_shape=None) for a in few.affinities.values()]
    found = compare_views(*(Side(few, a.name, affinity=a) for a in sides), query=(0, 0, 0))
    assert found.ground is None
    assert found.correlation is None
    assert any("at least 4 cells" in note for note in found.notes)


def test_every_cell_is_asked_by_number_though_its_centre_lies_beside_the_picture() -> None:
    keys = replace(FINE, origin=(0, -0.4, 3.5))
    made = replace(affinity("fine", keys), queries=keys)
    beside = capture(made)
    for number in (3, FINE.size - 1):
        found = compare_views((beside, "fine"), (beside, "fine"), query=number)
        assert found.one.query == keys.centre(number)
        assert found.other.query == keys.centre(number)
