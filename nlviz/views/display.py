"""How a view is shown: the options that the app, its address and view files share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, TypeVar, cast

from nlviz.errors import InvalidView, did_you_mean

SOURCES = (
    *("learned", "features", "position", "untrained", "nl_means"),
    *("pairwise", "unary", "minus_mean"),
)
MOST_LINKS = 500

CHOICES: dict[str, tuple[str, ...]] = {
    "source": SOURCES,
    "direction": ("from", "to"),
    "show": ("map", "links", "both"),
    "cells": ("cells", "smooth"),
    "values": ("rows", "logits"),
    "leave_out": ("nothing", "cell", "frame"),
    "scale": ("query", "locked", "frame"),
    "unit": ("uniform", "absolute"),
    "objects": ("shown", "hidden"),
}

T = TypeVar("T")


@dataclass(frozen=True)
class Display:
    """Display options of a view.

    Attributes:
        source: which affinity is shown for the query, a key of ``analysis.controls.controls``.
        head: index of a head, or ``mean`` or ``max`` over heads.
        direction: ``from`` the query to its keys, or ``to`` this key from all queries.
        show: the map, the strongest links as arrows, or both.
        links: how many links.
        cells: keys as cells or smooth.
        strength: opacity of the strongest weight, in [0, 1].
        values: normalised rows or raw logits.
        leave_out: the query's own cell or frame, with the rest renormalised.
        scale: one colour scale for the query, one ``locked`` at ``top``, or one per frame.
        top: end of the locked scale in multiples of uniform attention.
        unit: weights as multiples of uniform attention or absolute.
        objects: whether what a detection network found is drawn over the frames.

    Raises:
        InvalidView: when a value is none of those.

    >>> Display(links=5).changed()
    {'links': 5}
    >>> Display(scale="frames")
    Traceback (most recent call last):
    nlviz.errors.InvalidView: scale must be query, locked or frame, got 'frames'
    """

    source: str = "learned"
    head: int | Literal["mean", "max"] = "mean"
    direction: Literal["from", "to"] = "from"
    show: Literal["map", "links", "both"] = "both"
    links: int = 20
    cells: Literal["cells", "smooth"] = "cells"
    strength: float = 0.85
    values: Literal["rows", "logits"] = "rows"
    leave_out: Literal["nothing", "cell", "frame"] = "nothing"
    scale: Literal["query", "locked", "frame"] = "query"
    top: float | None = None
    unit: Literal["uniform", "absolute"] = "uniform"
    objects: Literal["shown", "hidden"] = "shown"

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                raise InvalidView(f"{name} must be {_listed(choices)}, got {value!r}")
        whole = _is_whole(self.head) and cast(int, self.head) >= 0
        if not whole and self.head not in ("mean", "max"):
            raise InvalidView(
                f"head must be a number from 0, or 'mean' or 'max', got {self.head!r}"
            )
        if not _is_whole(self.links) or not 0 <= self.links <= MOST_LINKS:
            raise InvalidView(
                f"links must be a whole number from 0 to {MOST_LINKS}, got {self.links!r}"
            )
        if not is_number(self.strength) or not 0 <= self.strength <= 1:
            raise InvalidView(f"strength must be between 0 and 1, got {self.strength!r}")
        if self.top is not None and (not is_number(self.top) or self.top <= 0):
            raise InvalidView(f"top must be above 0, or null, got {self.top!r}")

    @classmethod
    def from_dict(cls, options: Mapping[str, Any]) -> Display:
        """Return a display from a view's JSON; absent fields are the defaults, others ignored.

        Raises:
            InvalidView: when a value is none of the allowed ones.
        """
        if not isinstance(options, Mapping):
            raise InvalidView(f"display must be an object of options, got {options!r}")
        known = {f.name for f in fields(cls)}
        given = {k: v for k, v in options.items() if k in known}
        if given.get("source", "") is None:  # what a live view says before the first choice
            del given["source"]
        return cls(**given)

    def to_dict(self) -> dict[str, Any]:
        """Return all options."""
        return asdict(self)

    def changed(self) -> dict[str, Any]:
        """Return the options that are not the default."""
        default = Display()
        return {k: v for k, v in asdict(self).items() if v != getattr(default, k)}


def is_number(value: object) -> bool:
    """Return whether a value is a finite number and no bool."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def parsed(name: str, text: str) -> Any:
    """Return the value of an option that was written as text in an address.

    Raises:
        InvalidView: when there is no such option, or the text is no number where it must be one.
    """
    if name in CHOICES:
        return text
    if name == "head" and text in ("mean", "max"):
        return text
    if name in ("head", "links"):
        return number(name, text, int)
    if name in ("strength", "top"):
        return number(name, text, float)
    known = [f.name for f in fields(Display)]
    raise InvalidView(f"no display option is called {name!r}{did_you_mean(name, known)}")


def number(name: str, text: str, kind: type[T]) -> T:
    """Return the number that a text says.

    Raises:
        InvalidView: when it says none.
    """
    try:
        value: T = kind(text)  # type: ignore[call-arg]
    except ValueError:
        what = "whole number" if kind is int else "number"
        raise InvalidView(f"{name} must be a {what}, got {text[:40]!r}") from None
    return value


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _listed(choices: tuple[str, ...]) -> str:
    return f"{', '.join(choices[:-1])} or {choices[-1]}"
