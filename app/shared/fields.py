"""Widgets that show what was chosen: they say what a visitor changed, and hold nothing themselves.

A browser that is busy may report, long after, what a widget showed before. So each widget has a
key with a revision. While it shows what is chosen it keeps its key. Where something else is chosen,
by another widget, an address or a button, or where it offers other values than before, a new widget
takes its place, which has never had another value; and a report is an event only where it differs
from what the widget was known to show.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from .language import spoken, spoken_by

REMEMBERED = 12  # revisions of a widget whose values are remembered
Emit = Callable[[Any], None]
_FIXED = ("segmented_control", "pills", "radio")  # widgets whose options are words of the app
NONE = "\N{ZERO WIDTH SPACE}"  # stands for the option None


@dataclass
class _Place:
    """The widget of one field: its revision, what it was made with, and values by key."""

    revision: int = 0
    initial: Any = None
    made_of: object = None
    shown: dict[str, Any] = field(default_factory=dict)


class Fields:
    """The widgets of a page.

    Args:
        prefix: of their keys in the session.
        emit: called with a field's name and its new value, unless a widget has its own.
    """

    def __init__(self, prefix: str, emit: Callable[[str, Any], None]) -> None:
        self._prefix = prefix
        self._emit = emit

    def pick(
        self,
        widget: Callable[..., Any],
        label: str,
        name: str,
        options: Sequence[Any],
        value: Any,
        *,
        emit: Emit | None = None,
        **more: Any,
    ) -> None:
        """Draw a widget that picks from options: a select box, segments, several of them.

        Args:
            widget: Streamlit's function.
            label: on the screen.
            name: of the field.
            options: to choose from.
            value: what is chosen; one of them, or several of them for ``st.multiselect``; None
                for nothing, where that is no option.
            emit: called with another value in place of the page's.
            more: what else the widget takes.
        """
        said = more.get("format_func", str)
        # Names of files and networks are no words of ours.
        if "format_func" in more or widget.__name__ in _FIXED:
            said = spoken_by(said)
        made_of = (widget.__name__, tuple((option, said(option)) for option in options))
        several = widget.__name__ == "multiselect"
        if several:
            value = list(value)
        elif value is None and None in options:
            value = NONE
        key, initial = self._place(name, value, made_of)
        # For Streamlit None is no choice at all, and it says "Choose an option".
        options = [NONE if option is None else option for option in options]
        more["format_func"] = lambda option: said(None if option == NONE else option)
        if widget.__name__ == "selectbox":
            more["index"] = options.index(initial)
        else:
            more["default"] = initial
        changed = {"on_change": self._changed, "args": (name, key, emit)}
        widget(spoken(label), options, key=key, **changed, **_spoken(more))

    def enter(
        self,
        widget: Callable[..., Any],
        label: str,
        name: str,
        *limits: Any,
        value: Any,
        emit: Emit | None = None,
        **more: Any,
    ) -> None:
        """Draw a widget for a value: a number, a slider, a text, a switch.

        Args:
            widget: Streamlit's function.
            label: on the screen.
            name: of the field.
            limits: least and largest value, where it has them.
            value: what it shows.
            emit: called with another value in place of the page's.
            more: what else the widget takes.
        """
        key, initial = self._place(name, value, (widget.__name__, limits, more.get("step")))
        changed = {"on_change": self._changed, "args": (name, key, emit)}
        widget(spoken(label), *limits, value=initial, key=key, **changed, **_spoken(more))

    def drop(self, label: str, name: str, *, emit: Emit, help: str) -> None:
        """Draw a field for one or several files; ``emit`` hears of those that came at once.

        What was dropped is the page's from then on: the field is empty again.
        """
        place = self._of(name)
        key = self._key(name, place)
        st.file_uploader(
            spoken(label),
            key=key,
            help=spoken(help),
            accept_multiple_files=True,
            on_change=self._dropped,
            args=(name, key, emit),
        )

    def _dropped(self, name: str, key: str, emit: Emit) -> None:
        place, files = self._of(name), st.session_state.get(key)
        if files and key == self._key(name, place):  # not what an older field still shows
            place.revision += 1
            emit(files)

    def upload(self, label: str, name: str, *, emit: Emit, help: str) -> None:
        """Draw a field for a file; ``emit`` hears of it, and of None where it was taken away."""
        place = self._of(name)
        if self._key(name, place) not in st.session_state and place.shown:
            place.revision += 1
        key = self._key(name, place)
        place.shown.setdefault(key, None)
        label, help = spoken(label), spoken(help)
        st.file_uploader(label, key=key, help=help, on_change=self._changed, args=(name, key, emit))

    def forgotten(self) -> None:
        """Make all widgets anew that do not show what they were made with.

        A browser that leaves a page forgets what its widgets showed. Where it is back before that
        was heard, what they were made with is on its screen.
        """
        for place in self._places.values():
            if place.shown and not _same(next(reversed(place.shown.values())), place.initial):
                place.made_of = None

    @property
    def _places(self) -> dict[str, _Place]:
        places: dict[str, _Place] = st.session_state.setdefault(f"{self._prefix}fields", {})
        return places

    def _of(self, name: str) -> _Place:
        return self._places.setdefault(name, _Place())

    def _key(self, name: str, place: _Place) -> str:
        return self._prefix + name + (f"~{place.revision}" if place.revision else "")

    def _place(self, name: str, value: Any, made_of: object) -> tuple[str, Any]:
        """Return the key of a field's widget, and the value that it is made with."""
        place = self._of(name)
        key = self._key(name, place)
        if not place.shown:
            place.initial, place.made_of = value, made_of
        elif (
            place.made_of != made_of
            or key not in st.session_state
            or not _same(st.session_state[key], value)
        ):
            place.revision += 1
            place.initial, place.made_of = value, made_of
            key = self._key(name, place)
        place.shown.pop(key, None)
        place.shown[key] = value
        while len(place.shown) > REMEMBERED:
            del place.shown[next(iter(place.shown))]
        return key, place.initial

    def _changed(self, name: str, key: str, emit: Emit | None) -> None:
        shown = self._of(name).shown
        value = st.session_state.get(key)
        if key in shown and _same(shown[key], _remembered(value)):
            return
        shown[key] = _remembered(value)
        value = None if value == NONE else value
        if emit is None:
            self._emit(name, value)
        else:
            emit(value)


def _spoken(more: dict[str, Any]) -> dict[str, Any]:
    """Return what else a widget takes, with its texts in the visitor's language."""
    texts = {name: spoken(more[name]) for name in ("help", "placeholder") if more.get(name)}
    return {**more, **texts}


def _same(one: Any, other: Any) -> bool:
    """Return whether two values are the same."""
    return bool(one == other) and (one is None) == (other is None)


def _remembered(value: Any) -> Any:
    """Return what is remembered of a value; of a file its name in the session, not its bytes."""
    return getattr(value, "file_id", value)
