"""Tokens to pixels and back."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from nlviz.affinity.grid import Axis, TokenGrid
from nlviz.errors import OutsideClip

sizes = st.integers(1, 9)
strides = st.floats(0.25, 40, allow_nan=False)
origins = st.floats(-20, 60, allow_nan=False)
grids = st.builds(
    TokenGrid,
    st.tuples(sizes, sizes, sizes),
    st.tuples(strides, strides, strides),
    st.tuples(origins, origins, origins),
    prefix=st.integers(0, 3),
)


@given(grids, st.data())
def test_the_nearest_token_to_a_centre_is_that_token(grid: TokenGrid, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, grid.size - 1))
    frame, y, x = grid.centre(index)
    assert grid.nearest(frame=frame, y=y, x=x) == index


@given(grids, st.data())
def test_places_inside_a_cell_belong_to_it(grid: TokenGrid, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, grid.size - 1))
    inside = [data.draw(st.floats(-0.49, 0.49)) for _ in range(3)]
    frame, y, x = (
        c + s * i for c, s, i in zip(grid.centre(index), grid.stride, inside, strict=True)
    )
    assert grid.nearest(frame=frame, y=y, x=x) == index
    top, left, bottom, right = grid.box(index)
    assert top <= y + 0.5 <= bottom
    assert left <= x + 0.5 <= right


@given(grids, st.tuples(*[st.floats(-200, 500)] * 3))
def test_nearest_is_nearest(grid: TokenGrid, place: tuple[float, float, float]) -> None:
    frame, y, x = place
    found = grid.centre(grid.nearest(frame=frame, y=y, x=x))
    for axis in range(3):
        centres = grid.origin[axis] + grid.stride[axis] * np.arange(grid.shape[axis])
        best = np.abs(centres - place[axis]).min()
        assert abs(found[axis] - place[axis]) == pytest.approx(best, abs=1e-9)


@given(strides, origins, sizes, st.lists(st.floats(-200, 500), max_size=7))
def test_an_axis_finds_the_nearest_cell_of_every_place(
    stride: float, origin: float, count: int, places: list[float]
) -> None:
    axis = Axis(stride, origin)
    away = np.abs(np.array(places)[:, None] - axis.centres(count)[None])
    found = away[np.arange(len(places)), axis.nearest(places, count)]
    np.testing.assert_allclose(found, away.min(1), atol=1e-9)


def test_ties_go_to_the_lower_index() -> None:
    grid = TokenGrid((1, 1, 4), (1, 8, 8), (0, 3.5, 3.5))
    assert [grid.nearest(frame=0, y=0, x=x) for x in (7, 7.5, 8, 15.5)] == [0, 0, 1, 1]


def test_flat_indices_run_over_t_then_y_then_x() -> None:
    grid = TokenGrid((2, 3, 5))
    assert [grid.unravel(i) for i in (0, 4, 5, 15, 29)] == [
        (0, 0, 0), (0, 0, 4), (0, 1, 0), (1, 0, 0), (1, 2, 4),
    ]  # fmt: skip
    assert [grid.nearest(frame=a, y=b, x=c) for a, b, c in np.ndindex(2, 3, 5)] == list(range(30))


@given(grids, st.tuples(*[st.integers(1, 3)] * 3))
def test_a_pooled_key_lies_in_the_middle_of_the_tokens_it_came_from(
    grid: TokenGrid, kernel: tuple[int, int, int]
) -> None:
    if any(k > n for k, n in zip(kernel, grid.shape, strict=True)):
        return
    pooled = grid.pooled(kernel)
    index = np.arange(grid.size).reshape(1, 1, *grid.shape)
    assert pooled.shape == tuple(
        nn.functional.max_pool3d(torch.from_numpy(index).float(), kernel).shape[2:]
    )
    for key in (0, pooled.size - 1):
        a, b, c = pooled.unravel(key)
        (kt, ky, kx) = kernel
        block = index[
            0, 0, a * kt : (a + 1) * kt, b * ky : (b + 1) * ky, c * kx : (c + 1) * kx
        ].ravel()
        middle = np.mean([grid.centre(int(i)) for i in block], axis=0)
        assert pooled.centre(key) == pytest.approx(tuple(middle), abs=1e-6)


@pytest.mark.parametrize("index", [-1, 30])
def test_indices_off_the_grid_are_refused(index: int) -> None:
    with pytest.raises(OutsideClip, match="between 0 and 29"):
        TokenGrid((2, 3, 5)).centre(index)


@pytest.mark.parametrize("place", [math.nan, math.inf, -math.inf])
def test_a_place_must_be_a_number(place: float) -> None:
    with pytest.raises(OutsideClip, match="finite"):
        TokenGrid((2, 3, 5)).nearest(frame=0, y=place, x=0)


def test_a_placed_axis_is_in_the_other_frame_of_reference() -> None:
    # An input half as large as the clip: pixel i covers clip pixels 2i and 2i + 1.
    assert Axis(8.0, 3.5).placed(scale=2.0, offset=0.5) == Axis(16.0, 7.5)
