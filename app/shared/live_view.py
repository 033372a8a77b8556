"""Mount the live view: one component for its bytes, one that moves it without sending them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import streamlit as st

import nlviz


@cache
def _component(entry: str) -> Callable[..., Any]:
    return st.components.v2.component(
        f"nlviz_{entry}",
        html="<div></div>",
        css=nlviz.web.LIVE_VIEW.stylesheet() if entry == "component" else None,
        js=nlviz.web.LIVE_VIEW.script(entry),
    )


def mount(
    payload: bytes, *, key: str, on_pin: Callable[[], None], on_view: Callable[[], None]
) -> None:
    """Show a live view; ``st.session_state[key]`` holds its ``pin`` and ``view``."""
    _component("component")(data=payload, key=key, on_pin_change=on_pin, on_view_change=on_view)


def move(
    channel: str, *, query: dict[str, float] | None, view: dict[str, Any], serial: int
) -> None:
    """Hand a query and display options to the live view of this channel, once per serial."""
    _component("control")(
        data={"channel": channel, "query": query, "view": view, "serial": serial},
        key=f"move-{channel}",
    )
