"""Turns and mirrors that a file asks for: the display matrix of ISO 14496-12, section 6.2.2.

The matrix (a b u; c d v; x y w) moves a stored point (p, q), in pixels to the right and down, to
(a p + c q, b p + d q). FFmpeg hands it over as nine integers in rows, a to d in 16.16 fixed point.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nlviz.clips.decoded import Frames

# A file that was turned by hand may hold the sine of 90 degrees as 0.9999.
_SLACK = 0.01


@dataclass(frozen=True)
class Turn:
    """One of the eight ways to lay a picture down.

    Attributes:
        transposed: rows become columns, before the mirrors.
        upside_down: mirrored top to bottom.
        mirrored: mirrored left to right.
        left_over: degrees, clockwise, that the file asks for beyond this turn, in (-45, 45].

    >>> Turn(mirrored=True).of(np.array([[1, 2], [3, 4]], np.uint8)[..., None])[..., 0].tolist()
    [[2, 1], [4, 3]]
    """

    transposed: bool = False
    upside_down: bool = False
    mirrored: bool = False
    left_over: float = 0.0

    def of(self, picture: Frames) -> Frames:
        """Turn a picture (H, W, channels); the result has a memory of its own where it differs."""
        if not (self.transposed or self.upside_down or self.mirrored):
            return picture
        turned = picture.swapaxes(0, 1) if self.transposed else picture
        turned = turned[:: -1 if self.upside_down else 1, :: -1 if self.mirrored else 1]
        return np.ascontiguousarray(turned)


STRAIGHT = Turn()


def turn_of(matrix: Sequence[int] | bytes) -> Turn:
    """Return the turn that a display matrix asks for, the nearest one where it is slanted.

    Args:
        matrix: nine integers in rows, or their bytes as FFmpeg keeps them.

    >>> turn_of([0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30])  # clockwise, as phones write it
    Turn(transposed=True, upside_down=False, mirrored=True, left_over=0.0)
    >>> turn_of([65536, 0, 0, 0, -65536, 0, 0, 0, 1 << 30])
    Turn(transposed=False, upside_down=True, mirrored=False, left_over=0.0)
    """
    if isinstance(matrix, bytes):
        matrix = np.frombuffer(matrix[: len(matrix) // 4 * 4], np.int32).tolist()
    if len(matrix) < 5:
        return STRAIGHT
    a, b, c, d = (matrix[i] / 65536 for i in (0, 1, 3, 4))
    # Of unequal scales, only the directions count: pixels that are not square are told elsewhere.
    along, across = math.hypot(a, b), math.hypot(c, d)
    if not along or not across:
        return STRAIGHT
    a, b, c, d = a / along, b / along, c / across, d / across
    mirror = a * d - b * c < 0
    if mirror:  # a mirror first, then a turn
        a, b = -a, -b
    return turn_by(math.degrees(math.atan2(b - c, a + d)), mirrored=mirror)


def turn_by(degrees: float, *, mirrored: bool = False) -> Turn:
    """Return the nearest turn clockwise by an angle, after a mirror left to right where asked.

    >>> turn_by(-90)
    Turn(transposed=True, upside_down=True, mirrored=False, left_over=0.0)
    """
    quarters = math.floor(degrees / 90 + 0.5)
    left_over = degrees - 90 * quarters
    if abs(math.sin(math.radians(left_over))) < _SLACK:
        left_over = 0.0
    return Turn(*_QUARTERS[quarters % 4, mirrored], left_over=left_over)


# (quarter turns clockwise, mirrored left to right before them): transposed, upside down, mirrored
_QUARTERS: dict[tuple[int, bool], tuple[bool, bool, bool]] = {
    (0, False): (False, False, False),
    (1, False): (True, False, True),
    (2, False): (False, True, True),
    (3, False): (True, True, False),
    (0, True): (False, False, True),
    (1, True): (True, True, True),
    (2, True): (False, True, False),
    (3, True): (True, False, False),
}
