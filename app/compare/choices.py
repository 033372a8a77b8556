"""What a visitor chose on the page A | B, and how an address says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self
from urllib.parse import urlencode

import nlviz

from ..shared.choices import Choices as PageChoices
from ..shared.choices import Chose, Said

FIRST_INPUT = "composed-twins.mp4"
FIRST_MODEL = "lite-nl"
FIRST_FRAMES = 8
LEARNED, FIRST_OTHER = "learned", "features"
EXPLORE = "What is open in Explore"
EXPLORE_TEXT = "explore"  # the same in an address
FROM = "from"  # parameter of an address that holds Explore's own
CHANGE = "b_change"
OF_B = "b_"
TOGETHER = (
    "Both views are asked at A's place on this page; `nlviz render` draws a view with a place of "
    "its own for B."
)
OF_INPUT = frozenset({"clip", "frames", "start", "stride", "size", "fps", "boxes", "text"})
SHOWN = ("input", "model", "block", "source")  # what each side chooses


@dataclass(frozen=True)
class SaidOfBoth(Said):
    """The reader did something in one of the two views.

    Attributes:
        other: display options of B, all of them; those of A are ``display``.
    """

    other: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Swapped:
    """A becomes B, and B becomes A."""


@dataclass(frozen=True)
class Choices(PageChoices):
    """Choices of the page; those of B begin with ``b_``.

    Attributes:
        input: name of a bundled clip, or ``EXPLORE``.
        model: name of a network; ``EXPLORE`` for the one that is open there.
        block: the block; None for the network's last.
        source: key of what is shown of it.
        b_input, b_model, b_block, b_source: likewise of B.
        b_head: index of a head of B, ``mean`` or ``max``; that of A is in ``display``.
        crossed: whether A's queries ask the keys of B's input.
        change: name of a change of B's input; empty for none.
        frames: of both clips, or None for all.
        agreed: keys of long runs that the visitor agreed to.
    """

    of_input: ClassVar[frozenset[str]] = frozenset({"input"})

    input: str = FIRST_INPUT
    model: str = FIRST_MODEL
    block: str | None = None
    source: str = LEARNED
    b_input: str = FIRST_INPUT
    b_model: str = FIRST_MODEL
    b_block: str | None = None
    b_source: str = FIRST_OTHER
    b_head: int | str = "mean"
    crossed: bool = False
    change: str = ""
    frames: int | None = FIRST_FRAMES
    agreed: frozenset[object] = frozenset()

    @property
    def of(self) -> str:
        """A text that changes with A's clip."""
        return repr((self.input, self.frames))

    @property
    def name(self) -> str:
        """What is compared, for a button that leads back here."""
        return f"{self.input} | {self.b_input}"

    def after(self, event: object) -> Self:
        """Return the choices that follow an event."""
        if isinstance(event, Swapped):
            return self._swapped()
        after = super().after(event)
        if isinstance(event, SaidOfBoth) and event.n > self.seen and event.of == self.of:
            after = replace(after, b_head=event.other.get("head", self.b_head))
        if isinstance(event, Chose) and after is not self:
            if event.field == "model":
                after = replace(after, block=None)
            if event.field == "b_model":
                after = replace(after, b_block=None)
        return after

    def _swapped(self) -> Self:
        kept: dict[str, Any] = {}
        for name in SHOWN:
            kept[name], kept[f"{OF_B}{name}"] = getattr(self, f"{OF_B}{name}"), getattr(self, name)
        kept["display"] = {**self.display, "head": self.b_head}
        kept["b_head"] = self.display.get("head", "mean")
        return replace(self, **kept, crossed=False, change="", notes=())


def parameters(now: Choices, view: nlviz.CompareView, explore: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters of an address that opens the page as it is.

    Args:
        now: the choices.
        view: what is on the screen.
        explore: parameters of Explore's address, where it is open.
    """
    params = view.to_query_params()
    own = {"clip": now.input, "model": now.model}
    other = {"clip": now.b_input, "model": now.b_model}
    used = EXPLORE in (*own.values(), *other.values())
    # Inputs are the page's own: both have as many frames, and one may be what is open in Explore.
    params = {n: text for n, text in params.items() if n.removeprefix(OF_B) not in OF_INPUT}
    params |= {n: _short(v) for n, v in own.items()}
    for name, value in other.items():
        params.pop(f"{OF_B}{name}", None)
        if value != own[name]:
            params[f"{OF_B}{name}"] = _short(value)
    if now.frames != FIRST_FRAMES:
        params["frames"] = "all" if now.frames is None else str(now.frames)
    if now.change:
        params[CHANGE] = now.change
    if used and explore:
        params[FROM] = urlencode(dict(explore))
    return params


def opened(address: Mapping[str, str]) -> Choices:
    """Return the choices that an address describes, as far as it can be read."""
    if not address:
        return Choices()
    found = nlviz.CompareView.understood(address)
    values: dict[str, Any] = dict(found.values)
    chosen: dict[str, Any] = {"source": LEARNED}
    for prefix in ("", OF_B):
        for name, key in (("input", "clip"), ("model", "model"), ("block", "block")):
            if f"{prefix}{key}" in values:
                value = values.pop(f"{prefix}{key}")
                chosen[f"{prefix}{name}"] = EXPLORE if value == EXPLORE_TEXT else value
            elif prefix and name in chosen:
                chosen[f"{prefix}{name}"] = chosen[name]
    chosen["source"] = values.pop("source", LEARNED)
    chosen["b_source"] = values.pop("b_source", chosen["source"])
    chosen["b_head"] = values.pop("b_head", values.get("head", "mean"))
    chosen["crossed"] = bool(values.pop("crossed", False))
    chosen["change"] = address.get(CHANGE, "")
    if "frames" in values:
        chosen["frames"] = values.pop("frames")
    if "at" in values:
        chosen |= {"query": values.pop("at"), "pinned": True}
    display = {n: v for n, v in values.items() if n[:2] != OF_B and n not in OF_INPUT}
    notes = [found.complaint] if found.complaint else []
    if values.pop("b_at", None) is not None:
        notes.append(TOGETHER)
    return replace(Choices(), **chosen, display=display, notes=tuple(notes))


def _short(value: str) -> str:
    return EXPLORE_TEXT if value == EXPLORE else value
