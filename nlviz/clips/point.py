"""A point of a clip: frame, y, x in pixels of the sampled clip."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from nlviz.errors import OutsideClip

Triple = tuple[float, float, float]
Shape = tuple[int, int, int]


class Point(NamedTuple):
    """A point of a clip.

    Attributes:
        frame: 0-based index of a sampled frame.
        y: row of pixels in the clip, from 0.
        x: column of pixels in the clip, from 0.

    >>> Point.parse("3,96,140.5")
    Point(frame=3.0, y=96.0, x=140.5)
    >>> Point(3, 96, 140.5).text
    '3,96,140.5'
    """

    frame: float
    y: float
    x: float

    @classmethod
    def parse(cls, text: str) -> Point:
        """Return the point that ``FRAME,Y,X`` names.

        Raises:
            OutsideClip: when the text is not three finite numbers from 0.

        >>> Point.parse("3;96;140")
        Traceback (most recent call last):
        ...
        nlviz.errors.OutsideClip: a query is FRAME,Y,X, three numbers from 0, got '3;96;140'; \
try 0,96,140
        """
        try:
            frame, y, x = (float(part) for part in text.split(","))
            if not all(math.isfinite(v) and v >= 0 for v in (frame, y, x)):
                raise ValueError(text)
        except ValueError:
            raise OutsideClip(
                f"a query is FRAME,Y,X, three numbers from 0, got {text[:40]!r}; try 0,96,140"
            ) from None
        return cls(frame, y, x)

    @property
    def text(self) -> str:
        """The point as ``parse`` reads it, to a hundredth of a pixel."""
        return ",".join(f"{v:.2f}".rstrip("0").rstrip(".") for v in self)

    def inside(self, shape: Shape) -> Point:
        """Return the point, which must lie in a clip of (frames, height, width).

        Raises:
            OutsideClip: when it does not.
        """
        for name, value, size in zip(self._fields, self, shape, strict=True):
            if not 0 <= value <= size - 1:
                raise OutsideClip(
                    f"{name} must be between 0 and {size - 1} in this clip, got {value:g}"
                )
        return self


def nearest_inside(place: Sequence[float], shape: Shape) -> Point:
    """Return the place of a clip that is nearest to one that may lie beside it.

    Cells at the border may have their centres there, where a network pads its input.

    >>> nearest_inside((0, -0.5, 41), (2, 24, 40))
    Point(frame=0.0, y=0.0, x=39.0)
    """
    frame, y, x = (min(max(float(p), 0.0), n - 1.0) for p, n in zip(place, shape, strict=True))
    return Point(frame, y, x)
