from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlviz.affinity.attention_map import AttentionMap
from nlviz.affinity.by_frame import key_planes, masses, nothing_there
from nlviz.affinity.grid import TokenGrid
from nlviz.picture import overlay_frame
from nlviz.render.colour_scale import scale_of
from nlviz.render.frame_maps import Look, map_frame, spread
from tests.fixtures import make_clip

CLIP = make_clip(5, 36, 60)
KEYS = TokenGrid((5, 3, 5), (1, 12, 12), (0, 5.5, 5.5))


def attention_on(keys: TokenGrid, **where: float) -> AttentionMap:
    weights = np.zeros(keys.shape, np.float32)
    for place, value in where.items():
        weights[tuple(int(d) for d in place[1:])] = value
    return AttentionMap(weights, (2, 17.5, 29.5), keys)


def drawn(attention: AttentionMap, frame: int) -> np.ndarray:
    return map_frame(CLIP.frames[frame], CLIP, attention, frame, Look(scale_of(attention)))


def test_a_weight_is_coloured_where_its_key_lies() -> None:
    weighty = drawn(attention_on(KEYS, k124=0.5), 1)
    empty = drawn(attention_on(KEYS, k000=0.5), 1)
    changed = (weighty != empty).any(-1)
    expected = np.zeros((36, 60), bool)
    expected[24:36, 48:60] = True
    np.testing.assert_array_equal(changed, expected)


def test_the_own_cell_is_the_ground_without_colour_as_on_the_screen() -> None:
    out = drawn(attention_on(KEYS, k212=0.9, k000=0.1), 2)
    ground = drawn(attention_on(KEYS, k000=0.1), 2)
    np.testing.assert_array_equal(out[12:24, 24:36], ground[12:24, 24:36])
    np.testing.assert_array_equal(
        ground[12:24, 24:36],
        overlay_frame(CLIP.frames[2], np.zeros(CLIP.frames[2].shape[:2], np.float32))[12:24, 24:36],
    )
    assert (out[12:24, 24:36] != CLIP.frames[2][12:24, 24:36]).any()


def test_unreachable_keys_look_unlike_zero() -> None:
    attention = attention_on(KEYS, k000=0.5)
    reachable = np.ones(KEYS.shape, bool)
    reachable[3] = False
    hatched = AttentionMap(attention.weights, attention.query, KEYS, reachable=reachable)
    assert (drawn(hatched, 3) != drawn(attention, 3)).any()
    np.testing.assert_array_equal(drawn(hatched, 1), drawn(attention, 1))
    assert nothing_there(hatched, 3, 5) == "not reachable"
    assert nothing_there(hatched, 1, 5) is None
    assert nothing_there(attention.without("frame"), 2, 5) == "left out"


def test_a_narrow_margin_goes_to_the_outermost_cells_and_a_wide_one_is_hatched() -> None:
    shifted = TokenGrid((5, 3, 5), (1, 11, 11), (0, 8.5, 8.5))  # cells cover 3.5 to 36 and 58
    attention = attention_on(shifted, k100=0.5)
    out = drawn(attention, 1)
    assert (out[0, 0] == drawn(attention_on(KEYS, k100=0.5), 1)[0, 0]).all()
    small = TokenGrid((5, 1, 2), (1, 6, 6), (0, 17.5, 26.5))
    lone = attention_on(small, k100=0.5)
    assert (drawn(lone, 1)[:10] != drawn(attention_on(KEYS, k000=0.5), 1)[:10]).any()


def test_a_map_on_a_larger_copy_of_the_frame_covers_the_same_part() -> None:
    attention = attention_on(KEYS, k124=0.5)
    look = Look(scale_of(attention), smooth=False)
    big = np.repeat(np.repeat(CLIP.frames[1], 3, 0), 3, 1)
    out = map_frame(big, CLIP, attention, 1, look)
    ground = map_frame(big, CLIP, attention_on(KEYS, k000=0.5), 1, look)
    ys, xs = np.nonzero((out != ground).any(-1))
    assert (ys.min(), ys.max(), xs.min(), xs.max()) == (72, 107, 144, 179)


@pytest.mark.parametrize(
    ("stride", "origin", "expected"),
    [(1, 0, [0, 1, 2, 3, 4]), (2, 0.5, [0, 0, 1, 1, -1]), (4, 1.5, [0, 0, 0, 0, 1])],
)
def test_frames_show_the_nearest_frame_of_the_key_grid(
    stride: float, origin: float, expected: list[int]
) -> None:
    count = 5 if stride == 1 else 2
    assert key_planes(TokenGrid((count, 3, 5), (stride, 8, 8), (origin, 0, 0)), 5) == expected


def test_masses_of_shown_frames_sum_to_one() -> None:
    rng = np.random.default_rng(3)
    weights = rng.normal(size=(2, 3, 5)).astype(np.float32)
    attention = AttentionMap(weights, (0, 0, 0), TokenGrid((2, 3, 5), (3, 8, 8), (1, 0, 0)))
    shares = masses(attention, 6)
    assert shares.sum() == pytest.approx(1)
    assert shares[0] == pytest.approx(np.abs(weights[0]).sum() / np.abs(weights).sum() / 3)


@given(
    st.tuples(st.integers(1, 5), st.integers(1, 6)),
    st.tuples(st.integers(4, 40), st.integers(4, 40)),
    st.tuples(st.floats(1, 12), st.floats(1, 12)),
    st.tuples(st.floats(-3, 8), st.floats(-3, 8)),
)
def test_each_pixel_takes_the_weight_of_its_nearest_key(
    shape: tuple[int, int],
    size: tuple[int, int],
    stride: tuple[float, float],
    origin: tuple[float, float],
) -> None:
    grid = TokenGrid((1, *shape), (1.0, *stride), (0.0, *origin))
    weights = np.arange(grid.size, dtype=np.float32).reshape(shape)
    laid = spread(weights, size=size, stride=stride, origin=origin)
    assert laid.shape == size
    for y in range(0, size[0], 3):
        for x in range(0, size[1], 3):
            index = grid.nearest(frame=0, y=y, x=x)
            top, left, bottom, right = (v - 0.5 for v in grid.box(index))
            inside = top - 1e-6 <= y <= bottom + 1e-6 and left - 1e-6 <= x <= right + 1e-6
            if not np.isnan(laid[y, x]):
                assert laid[y, x] == index
                assert top - 1e-3 <= y <= bottom + 1e-3
                assert left - 1e-3 <= x <= right + 1e-3
            else:
                edge = min(abs(y - top), abs(y - bottom), abs(x - left), abs(x - right))
                assert not inside or edge < 1e-3


def test_smooth_weights_pass_through_the_centres() -> None:
    weights = np.array([[1.0, 3.0], [5.0, 7.0]], np.float32)
    laid = spread(weights, size=(16, 16), stride=(8, 8), origin=(4, 4), smooth=True)
    assert [laid[4, 4], laid[4, 12], laid[12, 4], laid[8, 8]] == pytest.approx([1, 3, 5, 4])


def test_what_no_key_covers_is_hatched() -> None:
    laid = spread(np.ones((1, 1), np.float32), size=(8, 16), stride=(8, 8), origin=(3.5, 3.5))
    assert np.isnan(laid[:, 8:]).all()
    assert not np.isnan(laid[:, :8]).any()
    frame = np.full((8, 16, 3), 100, np.uint8)
    shown = overlay_frame(frame, laid)
    assert len(np.unique(shown[:, 8:, 0])) == 2
    assert len(np.unique(shown[:, :8, 0])) == 1
