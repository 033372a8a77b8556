from __future__ import annotations

import numpy as np
import pytest

from nlviz.affinity.attention_map import AttentionMap
from nlviz.affinity.by_frame import key_planes, masses, nothing_there
from nlviz.affinity.grid import TokenGrid
from nlviz.render.colour_scale import scale_of
from nlviz.render.frame_maps import Look, map_frame

from .conftest import make_clip

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


def test_the_own_cell_keeps_the_colours_of_the_frame() -> None:
    attention = attention_on(KEYS, k212=0.9, k000=0.1)
    out = drawn(attention, 2)
    np.testing.assert_array_equal(out[12:24, 24:36], CLIP.frames[2][12:24, 24:36])
    assert (out[:12] != CLIP.frames[2][:12]).any()


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
