"""The one owner of a page's state: choices in Streamlit's session, changed by events alone.

Both pages open their choices from the address, draw widgets that show them, tell the live view
where to rest, and write the address; this is the one place where that is done.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Generic, TypeVar

import streamlit as st

import nlviz

from . import language, live_view
from .choices import Choices, Chose, Moved, Said
from .errors import sentence
from .fields import Fields

C = TypeVar("C", bound=Choices)


class PageState(Generic[C]):
    """State of one page.

    Args:
        name: of the page; its live view is moved through the channel of this name, and its choices
            lie in the session under it.
        prefix: of the keys of its widgets.
        first: returns the choices of a first visit.
        opened: returns the choices that an address's parameters describe.
    """

    def __init__(
        self,
        name: str,
        *,
        prefix: str,
        first: Callable[[], C],
        opened: Callable[[Mapping[str, str]], C],
    ) -> None:
        self.name = name
        self.live = f"{prefix}live"  # key of the live view's component
        self.fields = Fields(prefix, lambda field, value: self.act(Chose(field, value)))
        self._prefix = prefix
        self._first = first
        self._opened = opened

    @property
    def now(self) -> C:
        """The choices; those of a first visit where the page was not opened yet."""
        found: C | None = st.session_state.get(self.name)
        return self._first() if found is None else found

    @property
    def good(self) -> C | None:
        """The choices that were drawn last, or None."""
        found: C | None = st.session_state.get(f"{self.name}_good")
        return found

    def begin(self) -> C:
        """Open what the page's address describes, once in a session; return the choices."""
        if self.name not in st.session_state:
            address = dict(st.query_params)
            address.pop(language.ADDRESS, None)
            self.open(address)
        elif not st.query_params:  # as it is where the browser comes to the page
            self.fields.forgotten()
        return self.now

    def open(self, address: Mapping[str, str]) -> None:
        """Take over what an address describes."""
        opened = self._opened(address)
        known: C | None = st.session_state.get(self.name)
        if known is not None:
            opened = replace(known.restored(opened), notes=opened.notes)
        st.session_state[self.name] = opened

    def act(self, event: object) -> None:
        """Apply an event."""
        st.session_state[self.name] = self.now.after(event)

    def settle(
        self, shape: tuple[int, int, int], opening: nlviz.Point, heads: Mapping[str, int]
    ) -> None:
        """Fit the choices to the clip that they led to.

        Args:
            shape: (frames, height, width) of the clip.
            opening: the point to open at.
            heads: their number by source of the live view.
        """
        st.session_state[self.name] = self.now.settled(shape, opening, heads)

    def drawn(self) -> None:
        """Remember the choices as ones that can be drawn."""
        st.session_state[f"{self.name}_good"] = self.now

    def back(self) -> None:
        """Return to the choices that were drawn last."""
        if (good := self.good) is not None:
            self.restore(good)

    def restore(self, choices: C) -> None:
        """Return to choices that were made before."""
        st.session_state[self.name] = self.now.restored(choices)

    def refuse(self, note: str) -> None:
        """Keep the choices, and say why they did not become what was wished."""
        st.session_state[self.name] = replace(self.now, notes=(note,))

    def notes(self) -> None:
        """Draw what could not be done as wished."""
        for note in self.now.notes:
            st.warning(sentence(note), icon=":material/my_location:")

    def write_address(self, wanted: Mapping[str, str]) -> None:
        """Put parameters into the page's address; nothing else writes there."""
        # Streamlit's parameters are those that the browser had when it asked for this run; what was
        # written since may be on its way to it.
        wanted = {**wanted, **language.parameters()}
        written = {self.name: wanted}
        if dict(st.query_params) != wanted or st.session_state.get("written") != written:
            st.session_state.written = written
            st.query_params.from_dict(wanted)

    def show(self, payload: bytes, *, display: Mapping[str, Any]) -> None:
        """Mount the live view, and tell it where to rest.

        Args:
            payload: the live view's bytes.
            display: its options where nothing else was chosen.
        """
        live_view.mount(payload, key=self.live, on_said=self._said)
        now = self.now
        live_view.move(
            self.name,
            of=now.of,
            seen=now.seen,
            query=now.where._asdict(),
            pinned=now.pinned,
            view={**display, **now.display},
            serial=new_serial(),
        )

    def _said(self) -> None:
        said = st.session_state[self.live].get("said")
        if said:
            query = nlviz.Point(*(float(said["query"][name]) for name in ("frame", "y", "x")))
            view = dict(said["view"])
            self.act(Said(str(said["of"]), said["n"], query, bool(said["pinned"]), view))

    def number_inputs(self, clip: nlviz.Clip) -> None:
        """Draw fields that move the query, for keyboards; a clip of one frame needs no frame.

        All that a page says counts frames from 1; addresses, files and Python count from 0.
        """
        query = self.now.where
        axes = [axis for axis in zip(_FIELDS, query, clip.shape, strict=True) if axis[2] > 1]
        for column, ((name, label), value, size) in zip(
            st.columns(len(axes) or 1), axes, strict=False
        ):
            first = 1 if name == "frame" else 0
            with column:
                self.fields.enter(
                    st.number_input,
                    label,
                    f"query_{name[0]}",
                    first,
                    size - 1 + first,
                    value=round(min(max(value, 0), size - 1)) + first,
                    emit=partial(self._typed, name),
                )

    def _typed(self, axis: str, value: float) -> None:
        at = float(value) - (axis == "frame")
        self.act(Moved(self.now.where._replace(**{axis: at})))


_FIELDS = (("frame", "Frame"), ("y", "y (px)"), ("x", "x (px)"))
_count = itertools.count()


def new_serial() -> str:
    """Return a text that no message has had, also of a server that ran before."""
    return f"{time.time_ns()}-{next(_count)}"
