"""Properties of maps: strongest keys, mass per frame, entropy, distance, leaving out."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nlviz.affinity.attention_map import AttentionMap
from nlviz.affinity.grid import TokenGrid
from nlviz.errors import NlvizError

shapes = st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 6))


@st.composite
def maps(draw: st.DrawFn, signed: bool = False, masked: bool = False) -> AttentionMap:
    shape = draw(shapes)
    low = -3.0 if signed else 0.0
    raw = draw(hnp.arrays(np.float64, shape, elements=st.floats(low, 3.0, width=32)))
    reachable = None
    if masked:
        reachable = draw(hnp.arrays(np.bool_, shape))
        reachable[0, 0, 0] = True
        raw = np.where(reachable, raw, 0.0)
    off_grid = 0.0
    if not signed:
        if raw.sum() < 1e-3:
            raw[0, 0, 0] = 1.0
        off_grid = draw(st.floats(0, 0.5))
        raw = raw / raw.sum() * (1 - off_grid)
    keys = TokenGrid(shape, (1, 8, 6), (0, 3.5, 2.5))
    query = keys.centre(draw(st.integers(0, keys.size - 1)))
    return AttentionMap(
        raw.astype(np.float32),
        query,
        keys,
        off_grid=off_grid,
        reachable=reachable,
        signed=signed,
        normalised=not signed,
    )


@given(maps(masked=True), st.integers(0, 40))
def test_top_are_the_largest_reachable_in_order(m: AttentionMap, k: int) -> None:
    links = m.top(k)
    reachable = np.ones(m.keys.size, bool) if m.reachable is None else m.reachable.ravel()
    assert len(links) == min(k, int(reachable.sum()))
    assert all(reachable[link.index] for link in links)
    order = [(-link.weight, link.index) for link in links]
    assert order == sorted(order)
    rest = set(np.flatnonzero(reachable)) - {link.index for link in links}
    if links and rest:
        assert max(m.weights.ravel()[i] for i in rest) <= links[-1].weight
    for link in links:
        assert (link.frame, link.y, link.x) == m.keys.centre(link.index)
        assert link.multiple == pytest.approx(link.weight / m.uniform)


@given(maps(signed=True))
def test_top_of_signed_rows_are_the_most_positive(m: AttentionMap) -> None:
    assert m.top(1)[0].weight == m.weights.max()


def test_top_can_leave_keys_out() -> None:
    m = AttentionMap(np.array([[[0.1, 0.6, 0.3]]], np.float32), (0, 0, 1), TokenGrid((1, 1, 3)))
    assert [link.index for link in m.top(5, without=[m.own])] == [2, 0]


@given(maps())
def test_mass_per_frame_is_all_the_mass(m: AttentionMap) -> None:
    assert m.per_frame().shape == (m.keys.shape[0],)
    assert m.per_frame().sum() + m.off_grid == pytest.approx(1, abs=1e-5)


@given(maps())
def test_entropy_lies_between_one_cell_and_all_cells(m: AttentionMap) -> None:
    cells = m.keys.size + (1 if m.off_grid > 0 else 0)
    assert -1e-6 <= m.entropy() <= math.log(cells) + 1e-5
    assert m.effective() == pytest.approx(math.exp(m.entropy()))


def test_entropy_of_uniform_and_of_one_cell() -> None:
    keys = TokenGrid((2, 3, 5))
    uniform = AttentionMap(np.full(keys.shape, 1 / 30, np.float32), (0, 0, 0), keys)
    assert uniform.effective() == pytest.approx(30, rel=1e-5)
    one = np.zeros(keys.shape, np.float32)
    one[1, 2, 3] = 1
    assert AttentionMap(one, (0, 0, 0), keys).effective() == pytest.approx(1)


def test_rows_that_are_no_distribution_have_no_entropy() -> None:
    keys = TokenGrid((1, 1, 2))
    m = AttentionMap(np.array([[[-1.0, 2.0]]], np.float32), (0, 0, 0), keys, normalised=False)
    with pytest.raises(NlvizError, match="sum to 1"):
        m.entropy()


@given(maps())
def test_mean_distance_is_the_weighted_mean(m: AttentionMap) -> None:
    frame, y, x = m.query
    p = m.weights.ravel().astype(np.float64)
    pixels = seconds = 0.0
    for i, weight in enumerate(p / p.sum()):
        f, cy, cx = m.keys.centre(i)
        pixels += weight * math.hypot(cy - y, cx - x)
        seconds += weight * abs(f - frame)
    got = m.mean_distance()
    assert got == (pytest.approx(pixels, abs=1e-6), pytest.approx(seconds, abs=1e-6))


@pytest.mark.parametrize("what", ["cell", "frame"])
@given(m=maps(masked=True))
def test_without_renormalises_the_rest(what: str, m: AttentionMap) -> None:
    rest = m.without(what)  # type: ignore[arg-type]
    a, b, c = m.keys.unravel(m.own)
    out = np.zeros(m.keys.shape, bool)
    out[(a, b, c) if what == "cell" else a] = True
    assert (rest.weights[out] == 0).all()
    assert rest.reachable is not None
    assert not rest.reachable[out].any()
    assert rest.left_out == pytest.approx(float(m.weights[out].sum()), abs=1e-6)
    kept = m.weights[~out].sum() + m.off_grid
    if kept > 1e-4:
        assert rest.weights.sum() + rest.off_grid == pytest.approx(1, abs=1e-4)
        np.testing.assert_allclose(rest.weights[~out], m.weights[~out] / kept, rtol=1e-3, atol=1e-6)
    repr(rest)


@given(maps(signed=True))
def test_without_does_not_rescale_signed_rows(m: AttentionMap) -> None:
    rest = m.without("cell")
    kept = np.delete(m.weights.ravel(), m.own)
    np.testing.assert_array_equal(np.delete(rest.weights.ravel(), m.own), kept)


def test_a_picture_without_its_only_frame_is_empty_but_can_be_shown() -> None:
    m = AttentionMap(np.full((1, 2, 2), 0.25, np.float32), (0, 0, 0), TokenGrid((1, 2, 2)))
    rest = m.without("frame")
    assert rest.top() == []
    assert rest.left_out == 1
    assert "AttentionMap" in repr(rest)
    assert "<img" in rest._repr_html_()


@given(maps(masked=True))
def test_the_colour_scale_clips_at_most_the_ranked_keys(m: AttentionMap) -> None:
    top = m.top_of_scale()
    assert top > 0
    reachable = np.ones(m.keys.size, bool) if m.reachable is None else m.reachable.ravel().copy()
    reachable[m.own] = False
    strongest = np.abs(m.weights.ravel()[reachable])
    assert (strongest > top * (1 + 1e-6)).sum() <= 24


def test_maps_show_themselves() -> None:
    weights: npt.NDArray[np.float32] = np.array([[[0.7, 0.3]]], np.float32)
    m = AttentionMap(weights, (0, 0, 0), TokenGrid((1, 1, 2)), title="stage4, from <here>")
    assert "strongest 1x uniform" in repr(m)
    html = m._repr_html_()
    assert "&lt;here&gt;" in html
    assert "<here>" not in html
