"""Nodes of a graph: tokens with a place in a drawing of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nlviz.affinity.grid import Centres, TokenGrid
from nlviz.clips.point import Point
from nlviz.errors import NlvizError

RADIUS = 12.0  # of a node in its drawing


@dataclass(frozen=True)
class TokenNodes(TokenGrid):
    """Tokens that are the nodes of a graph, each at a place (y, x) of a drawing of it.

    Attributes:
        places: of each node in the drawing, in its pixels.
        labels: what each is called; their numbers where it is empty.

    >>> nodes = TokenNodes.of([(10, 10), (10, 90), (60, 50)], ("a", "b", "c"))
    >>> nodes.nearest(frame=0, y=50, x=50), nodes.names
    (2, ('a', 'b', 'c'))
    """

    kind: ClassVar[str] = "nodes"
    places: tuple[tuple[float, float], ...] = ()
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.places)
        if self.shape != (1, 1, count) or len(self.labels) not in (0, count):
            raise NlvizError(
                f"{count} nodes have the shape (1, 1, {count}) and as many labels, or none; got "
                f"{self.shape} and {len(self.labels)} labels"
            )

    @classmethod
    def of(
        cls, places: Sequence[Sequence[float]], labels: Sequence[str] = (), *, prefix: int = 0
    ) -> TokenNodes:
        """Return the tokens of nodes at these places (y, x)."""
        found = tuple((float(y), float(x)) for y, x in places)
        return cls((1, 1, len(found)), prefix=prefix, places=found, labels=tuple(map(str, labels)))

    @property
    def names(self) -> tuple[str, ...]:
        """What each node is called."""
        return self.labels or tuple(str(i) for i in range(len(self.places)))

    def centre(self, index: int) -> Point:
        """Return (frame, y, x) of a node in the drawing, whose only frame is 0.

        Raises:
            OutsideClip: when there is no such node.
        """
        self.unravel(index)
        return Point(0.0, *self.places[index])

    def centres(self) -> tuple[Centres, Centres, Centres]:
        """Return frame, y and x of all nodes, each (1, 1, nodes)."""
        y, x = np.array(self.places).reshape(-1, 2).T
        return np.zeros((1, 1, self.size)), y[None, None], x[None, None]

    def box(self, index: int) -> tuple[float, float, float, float]:
        """Return (top, left, bottom, right) of the square that a node is drawn in."""
        _, y, x = self.centre(index)
        return (y - RADIUS + 0.5, x - RADIUS + 0.5, y + RADIUS + 0.5, x + RADIUS + 0.5)

    def nearest(self, *, frame: float, y: float, x: float) -> int:
        """Return the node nearest to a place of the drawing; ties go to the lower number."""
        super().nearest(frame=frame, y=y, x=x)  # refuses what is no number
        apart = [(a - y) ** 2 + (b - x) ** 2 for a, b in self.places]
        return apart.index(min(apart))

    def to_json(self) -> dict[str, Any]:
        """Return what JSON can hold of it."""
        return {**super().to_json(), "places": self.places, "names": self.names}
