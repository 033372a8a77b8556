from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from nlviz.clips.turns import Turn, turn_of

EIGHT = [(a, 0, 0, d) for a, d in product((1, -1), repeat=2)] + [
    (0, b, c, 0) for b, c in product((1, -1), repeat=2)
]


def fixed(a: float, b: float, c: float, d: float) -> list[int]:
    return [round(n * 65536) for n in (a, b, 0, c, d, 0, 0, 0)] + [1 << 30]


@pytest.mark.parametrize("corner", EIGHT)
def test_each_pixel_lands_where_the_matrix_puts_it(corner: tuple[int, int, int, int]) -> None:
    a, b, c, d = corner
    stored = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    q, p = np.mgrid[:5, :7]
    x, y = a * p + c * q, b * p + d * q
    x, y = x - x.min(), y - y.min()
    want = np.zeros((y.max() + 1, x.max() + 1, 3), np.uint8)
    want[y, x] = stored
    for matrix in (fixed(*corner), np.array(fixed(*corner), np.int32).tobytes()):
        turn = turn_of(matrix)
        np.testing.assert_array_equal(turn.of(stored), want)
        assert turn.left_over == 0


@pytest.mark.parametrize("corner", EIGHT)
@pytest.mark.parametrize("scale", [(0.5, 3.0), (2.0, 2.0)])
def test_a_scale_does_not_change_the_turn(
    corner: tuple[int, int, int, int], scale: tuple[float, float]
) -> None:
    a, b, c, d = corner
    along, across = scale
    stretched = fixed(a * along, b * along, c * across, d * across)
    assert turn_of(stretched) == turn_of(fixed(*corner))


@pytest.mark.parametrize("mirror", [1, -1])
@pytest.mark.parametrize("degrees", [0.3, 5, 44, 46, 89.7, 137, -80, 200])
def test_a_slant_goes_to_the_nearest_quarter(degrees: float, mirror: int) -> None:
    angle = math.radians(degrees)
    cos, sin = math.cos(angle), math.sin(angle)
    turn = turn_of(fixed(mirror * cos, mirror * sin, -sin, cos))
    quarter = 90 * math.floor(degrees / 90 + 0.5)
    straight = math.radians(quarter)
    cos, sin = round(math.cos(straight)), round(math.sin(straight))
    same = turn_of(fixed(mirror * cos, mirror * sin, -sin, cos))
    assert (turn.transposed, turn.upside_down, turn.mirrored) == (
        same.transposed, same.upside_down, same.mirrored
    )  # fmt: skip
    left = degrees - quarter
    assert turn.left_over == pytest.approx(left if abs(left) > 0.5 else 0, abs=0.01)


@pytest.mark.parametrize("matrix", [b"", b"abc", [0] * 9, [1, 2], bytes(36)])
def test_nonsense_turns_nothing(matrix: list[int] | bytes) -> None:
    assert turn_of(matrix) == Turn()
