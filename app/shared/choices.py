"""What a visitor chose on a page, as one frozen value, and the events that change it.

Nothing here knows Streamlit. A widget, the live view and the lens say what happened; ``after``
gives the choices that follow, and ``settled`` fits them to the clip that they led to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import nlviz

Shape = tuple[int, int, int]
NEAR = 0.5  # pixels within which a point is the same


@dataclass(frozen=True)
class Chose:
    """A widget was given another value.

    Attributes:
        field: name of the field of the choices.
        value: its value from now on.
    """

    field: str
    value: Any


@dataclass(frozen=True)
class Moved:
    """The query was pinned from outside the live view: by numbers, or in the lens.

    Attributes:
        query: where it is now.
    """

    query: nlviz.Point


@dataclass(frozen=True)
class Freed:
    """The query is no longer pinned; it stays where it is."""


@dataclass(frozen=True)
class Said:
    """The reader did something in the live view.

    Attributes:
        of: what the view was told it is about.
        n: number of the reader's act; later ones have larger numbers.
        query: where the view rests.
        pinned: whether it is pinned there.
        display: display options of the view, all of them.
    """

    of: str
    n: float
    query: nlviz.Point
    pinned: bool
    display: Mapping[str, Any]


@dataclass(frozen=True)
class Choices:
    """Choices that both pages have.

    Attributes:
        query: where one looks; None for the point that a rule chooses.
        pinned: whether the query is pinned.
        display: options of the live view by name.
        seen: number of the latest act that the live view said.
        extent: (frames, height, width) of the clip that the query lies in; None until it is known.
        opening: the point that a rule chose in the clip on the screen.
        notes: sentences on what could not be done as wished; the next event takes them away.
    """

    of_input: ClassVar[frozenset[str]] = frozenset()  # fields that choose another input

    query: nlviz.Point | None = None
    pinned: bool = False
    display: Mapping[str, Any] = field(default_factory=dict)
    seen: float = 0
    extent: Shape | None = None
    opening: nlviz.Point | None = None
    notes: tuple[str, ...] = ()

    @property
    def of(self) -> str:
        """A text that changes with the clip, so that what is said of another one is known."""
        raise NotImplementedError

    @property
    def acted(self) -> float:
        """Number of the reader's latest act that is known, wherever it was."""
        return self.seen

    def after(self, event: object) -> Self:
        """Return the choices that follow an event."""
        if isinstance(event, Said):
            return self._after_said(event)
        if isinstance(event, Moved):
            return replace(self, query=event.query, pinned=True, notes=())
        if isinstance(event, Freed):
            return replace(self, pinned=False, notes=())
        if isinstance(event, Chose):
            if getattr(self, event.field) == event.value:
                return self
            after = replace(self, **{event.field: event.value}, notes=())
            return after.with_another_input() if event.field in self.of_input else after
        raise TypeError(f"no event of this page: {event!r}")

    def _after_said(self, said: Said) -> Self:
        if said.n <= self.seen:  # a browser that repeats itself
            return self
        after = replace(self, seen=said.n)
        if said.of != self.of:  # a point of a clip that is no longer on the screen
            return after
        after = replace(after, display=dict(said.display), notes=())
        if said.n < self.acted:  # it was heard after an act that came later
            return after
        at_rest = self.query is None and not said.pinned and near(said.query, self.opening)
        return replace(
            after,
            query=None if at_rest else said.query,
            pinned=said.pinned,
        )

    def with_another_input(self) -> Self:
        """Return the choices for another input: what belonged to a place in the last one goes."""
        return replace(self, query=None, pinned=False, extent=None, opening=None)

    def settled(self, shape: Shape, opening: nlviz.Point, heads: Mapping[str, int]) -> Self:
        """Return the choices with a query that lies in the clip, and a source that is there.

        A query keeps its place in the picture where the clip has another size; one that is in no
        frame of it, or outside, goes.

        Args:
            shape: (frames, height, width) of the clip.
            opening: the point to open at.
            heads: their number by source of the live view.
        """
        known = replace(self, extent=shape, opening=opening, display=self._display_of(heads))
        if self.query is None:
            return known
        query = self.query if self.extent is None else carried(self.query, self.extent, shape)
        if self.extent is None and near(query, opening):  # as the address of a first visit has it
            return replace(known, query=None, pinned=False)
        try:
            return replace(known, query=query.inside(shape))
        except nlviz.NlvizError as error:
            told = (*self.notes, str(error))
            return replace(known, query=None, pinned=False, notes=told)

    def _display_of(self, heads: Mapping[str, int]) -> dict[str, Any]:
        display = dict(self.display)
        first, *others = heads
        if display.get("source") not in others:  # the first is shown unless another is chosen
            display.pop("source", None)
        head = display.get("head")
        if isinstance(head, int) and head >= heads[display.get("source", first)]:
            del display["head"]
        return display

    def restored(self, other: Self) -> Self:
        """Return other choices, made before or elsewhere, as what follows these."""
        return replace(other, seen=max(self.seen, other.seen), notes=())

    @property
    def where(self) -> nlviz.Point:
        """The query, or the opening one; known once the choices are settled."""
        at = self.query or self.opening
        if at is None:
            raise ValueError("the clip is not known yet")
        return at


def near(one: nlviz.Point, other: nlviz.Point | None) -> bool:
    """Return whether two points are the same, to half a pixel."""
    return other is not None and all(abs(a - b) < NEAR for a, b in zip(one, other, strict=True))


def carried(query: nlviz.Point, before: Shape, now: Shape) -> nlviz.Point:
    """Return the same place of the picture in a clip of another shape."""
    if before == now:
        return query
    frame = 0.0 if now[0] == 1 else query.frame
    y, x = (
        min(max((at + 0.5) * size / old - 0.5, 0.0), size - 1.0)
        for at, old, size in zip(query[1:], before[1:], now[1:], strict=True)
    )
    return nlviz.Point(frame, y, x)
