"""Boxes: tokens that stand for a person or an object on a frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nlviz.affinity.grid import Centres, TokenGrid
from nlviz.clips.point import Point
from nlviz.errors import NlvizError, OutsideClip

Box = tuple[float, float, float, float, float]  # frame, top, left, bottom, right

LEAST_OVERLAP = 0.5
_STEPS = 16  # along each side of a box, where a place of its own is looked for


@dataclass(frozen=True)
class TokenBoxes(TokenGrid):
    """Tokens that each stand for a box: (frame, top, left, bottom, right), in frames and pixels.

    A box reaches from its top and left edges to its bottom and right ones, half-open: pixel (y, x)
    covers [y, y + 1) and [x, x + 1).

    Attributes:
        boxes: of each token.
        labels: what each is called; their numbers where it is empty.

    >>> boxes = TokenBoxes.of([(0, 10, 20, 30, 60), (0, 12, 22, 20, 30)], ("person", "hand"))
    >>> boxes.nearest(frame=0, y=15, x=25), boxes.centre(0)
    (1, Point(frame=0.0, y=19.5, x=39.5))
    """

    kind: ClassVar[str] = "boxes"
    boxes: tuple[Box, ...] = ()
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.boxes)
        if self.shape != (1, 1, count) or len(self.labels) not in (0, count):
            raise NlvizError(
                f"{count} boxes have the shape (1, 1, {count}) and as many labels, or none; got "
                f"{self.shape} and {len(self.labels)} labels"
            )
        for box in self.boxes:
            _, top, left, bottom, right = box
            if not (bottom > top and right > left):
                raise NlvizError(
                    "a box is (frame, top, left, bottom, right) with bottom below top and right "
                    f"beside left, got {tuple(round(v, 2) for v in box)}"
                )

    @classmethod
    def of(
        cls, boxes: Sequence[Sequence[float]], labels: Sequence[str] = (), *, prefix: int = 0
    ) -> TokenBoxes:
        """Return the tokens of these boxes.

        Raises:
            NlvizError: when one is no (frame, top, left, bottom, right) of some size.
        """
        found = []
        for box in boxes:
            if len(box) != 5:
                raise NlvizError(
                    f"a box is five numbers, frame, top, left, bottom and right; got {len(box)}"
                )
            f, top, left, bottom, right = (float(v) for v in box)
            found.append((f, top, left, bottom, right))
        return cls(
            (1, 1, len(found)), prefix=prefix, boxes=tuple(found), labels=tuple(map(str, labels))
        )

    @property
    def names(self) -> tuple[str, ...]:
        """What each box is called."""
        return self.labels or tuple(f"box {i}" for i in range(len(self.boxes)))

    def centre(self, index: int) -> Point:
        """Return (frame, y, x) of the middle of a box.

        Raises:
            OutsideClip: when there is no such box.
        """
        self.unravel(index)
        frame, top, left, bottom, right = self.boxes[index]
        return Point(frame, (top + bottom - 1) / 2, (left + right - 1) / 2)

    def centres(self) -> tuple[Centres, Centres, Centres]:
        """Return frame, y and x of the middles of all boxes, each (1, 1, boxes)."""
        frame, y, x = np.array([self.centre(i) for i in range(self.size)]).reshape(-1, 3).T
        return frame[None, None], y[None, None], x[None, None]

    def box(self, index: int) -> tuple[float, float, float, float]:
        """Return (top, left, bottom, right) of a box, in pixels, half-open."""
        self.unravel(index)
        return self.boxes[index][1:]

    def nearest(self, *, frame: float, y: float, x: float) -> int:
        """Return the smallest box of the frame around a place, else the box of nearest middle.

        Boxes of the nearest frame that has any come first.
        """
        super().nearest(frame=frame, y=y, x=x)  # refuses what is no number
        away = [abs(box[0] - frame) for box in self.boxes]
        here = [i for i, d in enumerate(away) if d == min(away)]
        around = [i for i in here if self._holds(i, y, x)]
        if around:
            return min(around, key=lambda i: (self._area(i), i))
        return min(here, key=lambda i: (self._apart(i, y, x), i))

    def place_in(self, index: int) -> Point:
        """Return a place that belongs to this box and to no smaller one: its middle, or beside it.

        Raises:
            OutsideClip: when there is no such box, or smaller ones of its frame cover it.

        >>> boxes = TokenBoxes.of([(0, 0, 0, 30, 30), (0, 10, 10, 20, 20)])
        >>> boxes.nearest(**boxes.place_in(0)._asdict())
        0
        """
        middle = self.centre(index)
        frame, top, left, bottom, right = self.boxes[index]
        steps = [(n + 0.5) / _STEPS for n in range(_STEPS)]
        places = [
            Point(frame, top + v * (bottom - top) - 0.5, left + u * (right - left) - 0.5)
            for v in steps
            for u in steps
        ]
        places.sort(key=lambda p: (p.y - middle.y) ** 2 + (p.x - middle.x) ** 2)
        for place in (middle, *places):
            if place.y >= 0 and place.x >= 0 and self.nearest(**place._asdict()) == index:
                return place
        raise OutsideClip(
            f"{self.names[index]} is covered by smaller boxes of its frame, so that no place of "
            f"it stands for it alone; ask for it by number, box={index}"
        )

    def number(self, box: int | Sequence[float]) -> int:
        """Return the number of a box that is given by number or by its edges.

        Edges ask for the box of that frame that overlaps most, by half of their union at least.

        Raises:
            OutsideClip: when there is no such box; the sentence lists those there are.
        """
        if isinstance(box, int):
            if 0 <= box < len(self.boxes):
                return box
            raise OutsideClip(f"a box is a number from 0 to {len(self.boxes) - 1}, got {box}")
        asked = TokenBoxes.of([box]).boxes[0]
        shares = [_overlap(asked, own) if own[0] == asked[0] else 0.0 for own in self.boxes]
        best = max(range(len(shares)), key=lambda i: shares[i])
        if shares[best] >= LEAST_OVERLAP:
            return best
        known = "; ".join(
            f"{i}: {','.join(f'{v:g}' for v in own)}" for i, own in enumerate(self.boxes[:8])
        )
        raise OutsideClip(
            "no query's box overlaps the one asked for by half; those of this pass are "
            f"(frame,top,left,bottom,right) {known}{'; ...' if len(self.boxes) > 8 else ''}"
        )

    def to_json(self) -> dict[str, Any]:
        """Return what JSON can hold of it."""
        return {**super().to_json(), "boxes": self.boxes, "names": self.names}

    def _holds(self, index: int, y: float, x: float) -> bool:
        _, top, left, bottom, right = self.boxes[index]
        return top <= y + 0.5 <= bottom and left <= x + 0.5 <= right

    def _area(self, index: int) -> float:
        _, top, left, bottom, right = self.boxes[index]
        return (bottom - top) * (right - left)

    def _apart(self, index: int, y: float, x: float) -> float:
        centre = self.centre(index)
        return (centre.y - y) ** 2 + (centre.x - x) ** 2


def _overlap(a: Box, b: Box) -> float:
    """Return the share of their union that two boxes have in common."""
    tall = min(a[3], b[3]) - max(a[1], b[1])
    wide = min(a[4], b[4]) - max(a[2], b[2])
    both = max(tall, 0.0) * max(wide, 0.0)
    areas = [(box[3] - box[1]) * (box[4] - box[2]) for box in (a, b)]
    return both / (sum(areas) - both)
