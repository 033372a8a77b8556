"""State of the page A | B in the session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import streamlit as st

import nlviz

from ..shared import live_view
from ..shared.page_state import PageState, new_serial
from .choices import FROM, Choices, SaidOfBoth, opened


class CompareState(PageState[Choices]):
    """State of a page with two views that are moved as one."""

    def show(
        self, payload: bytes, *, display: Mapping[str, Any], other: Mapping[str, Any] | None = None
    ) -> None:
        """Mount both views, and tell them where to rest.

        Args:
            payload: the bytes of both.
            display: options of A.
            other: options of B.
        """
        live_view.mount_linked(payload, key=self.live, on_said=self._said)
        now = self.now
        live_view.move(
            self.name,
            of=now.of,
            seen=now.seen,
            query=now.where._asdict(),
            pinned=now.pinned,
            view=dict(display),
            other=dict(other or {}),
            serial=new_serial(),
        )

    def _said(self) -> None:
        said = st.session_state[self.live].get("said")
        if said:
            query = nlviz.Point(*(float(said["query"][name]) for name in ("frame", "y", "x")))
            views = dict(said["view"]), dict(said["other"])
            pinned = bool(said["pinned"])
            self.act(SaidOfBoth(str(said["of"]), said["n"], query, pinned, views[0], views[1]))


def _opened(address: Mapping[str, str]) -> Choices:
    if explore := address.get(FROM):
        from ..explore import state

        state.STATE.open(dict(parse_qsl(explore)))
        st.session_state.explore_address = dict(parse_qsl(explore))
    return opened(address)


STATE = CompareState("compare", prefix="cmp_", first=Choices, opened=_opened)
