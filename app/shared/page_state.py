"""The state of a page is a view: its values lie in the session under the keys of the widgets.

Both pages open a view from their address, write it there and show its query in a live view; this is
the one place where that is done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

import nlviz

from . import live_view
from .errors import sentence


class PageState:
    """State of one page in Streamlit's session.

    Beside the widgets' own, these keys hold: ``query`` (a Point, or None for one that a rule
    chooses), ``display`` (options of the live view by name), ``serial`` (counts moves of the live
    view from Python), ``complaint`` (on an address that cannot be read whole, or None).

    Args:
        name: of the page; its live view is moved through the channel of this name.
        prefix: of the page's keys in the session.
        view: returns the class of the page's views; called when an address is read, as their
            import takes its time.
        keys: key without prefix by parameter of the address, for parameters that have a widget.
        first: returns the value by key without prefix on a first visit; called then.
    """

    def __init__(
        self,
        name: str,
        *,
        prefix: str,
        view: Callable[[], type[nlviz.View] | type[nlviz.DenoiseView]],
        keys: Mapping[str, str],
        first: Callable[[], Mapping[str, Any]],
    ) -> None:
        self.name = name
        self.live = f"{prefix}live"  # key of the live view's component
        self._prefix = prefix
        self._view = view
        self._keys = {**keys, "at": "query"}
        self._first = first

    def __getitem__(self, key: str) -> Any:
        """Return the value of a key without prefix."""
        return st.session_state[self._prefix + key]

    def __setitem__(self, key: str, value: Any) -> None:
        """Set the value of a key without prefix."""
        st.session_state[self._prefix + key] = value

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of a key without prefix, or a default."""
        return st.session_state.get(self._prefix + key, default)

    def restore(self) -> None:
        """Give every key a value; Streamlit forgets those whose widget was not drawn last time."""
        kept = self.get("kept")
        if kept is None:
            common: dict[str, Any] = {
                "query": None,
                "display": {},
                "serial": 0,
                "complaint": None,
                "next": None,
            }
            kept = self["kept"] = {**common, **self._first()}
        for key, value in (self.get("next") or {}).items():
            self[key] = value
        self["next"] = None
        for key in kept:
            if self._prefix + key in st.session_state:
                kept[key] = self[key]
            else:
                self[key] = kept[key]

    def set_next(self, values: Mapping[str, Any]) -> None:
        """Run the page again with these values; widgets that are drawn already keep theirs now."""
        if any(self[key] != value for key, value in values.items()):
            self["next"] = dict(values)
            st.rerun()

    def open_from_address(self) -> Mapping[str, Any]:
        """Take over the view that the address describes, once per session.

        Returns:
            Values by parameter of the address, without those that cannot be read; empty from the
            second time on.
        """
        if self.get("opened"):
            return {}
        self["opened"] = True
        found = self._view().understood(dict(st.query_params))
        self["complaint"] = found.complaint
        for name, key in self._keys.items():
            if name in found.values:
                self[key] = found.values[name]
        self["display"] = {n: v for n, v in found.values.items() if n not in self._keys}
        if self["query"] is not None or self["display"]:
            self["serial"] += 1
        return found.values

    def values(self) -> dict[str, Any]:
        """Return the value of each parameter of the address."""
        known = self._view().address_parameters
        display = {name: value for name, value in self["display"].items() if name in known}
        own = {name: self[key] for name, key in self._keys.items()}
        lists = {name: tuple(value) for name, value in own.items() if isinstance(value, list)}
        return {**own, **lists, **display}

    def write_address(
        self, view: nlviz.View | nlviz.DenoiseView, *, shareable: bool = True
    ) -> None:
        """Put a view into the page's address; what cannot be reopened, as uploads, is left out."""
        wanted = view.to_query_params() if shareable else {}
        if dict(st.query_params) != wanted:
            st.query_params.from_dict(wanted)

    def move_to(self, query: nlviz.Point | None) -> None:
        """Move the query from Python; the live view hears of it through its channel."""
        self["query"] = query
        self["serial"] += 1

    def forget(self, key: str, *, unless_same: object) -> None:
        """Drop the value of a key when what it belongs to is another one than last time."""
        before = self.get(f"{key}_of")
        if before is not None and before != unless_same:
            self[key] = None
        self[f"{key}_of"] = unless_same

    def query_in(self, clip: nlviz.Clip, opening: nlviz.Point) -> nlviz.Point:
        """Return the query, or the opening one if there is none inside the clip."""
        query = nlviz.Point(*(self["query"] or opening))
        try:
            return query.inside(clip.shape)
        except nlviz.NlvizError as error:
            st.warning(sentence(str(error)), icon=":material/my_location:")
            self["query"] = None
            return opening

    def show(self, payload: bytes, *, on_pin: Callable[[], None] | None = None) -> None:
        """Mount the live view, and move it where Python moved the query since.

        Args:
            payload: the live view's bytes.
            on_pin: called after the visitor pinned another point.
        """

        def pinned() -> None:
            if pin := st.session_state[self.live].get("pin"):
                self["query"] = nlviz.Point(*(float(pin[name]) for name in ("frame", "y", "x")))
                if on_pin is not None:
                    on_pin()

        def display_changed() -> None:
            self["display"] = dict(st.session_state[self.live].get("view") or {})

        live_view.mount(payload, key=self.live, on_pin=pinned, on_view=display_changed)
        query = self["query"]
        live_view.move(
            self.name,
            query=None if query is None else query._asdict(),
            view=self["display"],
            serial=self["serial"],
        )

    def number_inputs(
        self, clip: nlviz.Clip, query: nlviz.Point, *, on_move: Callable[[], None] | None = None
    ) -> None:
        """Draw fields that move the query, for keyboards; a clip of one frame needs no frame.

        Args:
            clip: the clip that is shown.
            query: in the fields.
            on_move: called after the query was moved.
        """
        axes = [axis for axis in zip(_FIELDS, query, clip.shape, strict=True) if axis[2] > 1]
        keys = {name: f"{self._prefix}query_{name}" for name in ("f", "y", "x")}

        def typed() -> None:
            point = (float(st.session_state.get(key, 0)) for key in keys.values())
            self.move_to(nlviz.Point(*point))
            if on_move is not None:
                on_move()

        for column, ((name, label), value, size) in zip(
            st.columns(len(axes) or 1), axes, strict=False
        ):
            st.session_state[keys[name]] = round(min(max(value, 0), size - 1))
            column.number_input(label, 0, size - 1, key=keys[name], on_change=typed)


_FIELDS = (("f", "Frame"), ("y", "y (px)"), ("x", "x (px)"))
