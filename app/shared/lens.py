"""Mount the lens over pictures of one scene, and move it without sending its bytes again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import streamlit as st

import nlviz


@cache
def _component() -> Callable[..., Any]:
    return st.components.v2.component(
        "nlviz_lens",
        html="<div></div>",
        css=nlviz.web.LENS.stylesheet(),
        js=nlviz.web.LENS.script("component"),
    )


@cache
def _control() -> Callable[..., Any]:
    return st.components.v2.component(
        "nlviz_lens_control", html="<div></div>", js=nlviz.web.LIVE_VIEW.script("control")
    )


def mount(payload: bytes, *, key: str, on_point: Callable[[], None] | None = None) -> None:
    """Show a comparison; ``st.session_state[key].point`` is the pinned {"y", "x"}, or None.

    Args:
        payload: what ``lens_payload`` wrote.
        key: of the component in the session.
        on_point: called when the reader pinned another pixel or freed the lens.
    """
    _component()(data=payload, key=key, on_point_change=on_point or _nothing)


def move(channel: str, *, point: Mapping[str, float] | None, serial: int) -> None:
    """Pin the lens of this channel at a pixel, or free it with None, once per serial."""
    view = {} if point else {"free": True}
    _control()(
        data={
            "channel": channel,
            "query": dict(point) if point else None,
            "view": view,
            "serial": serial,
        },
        key=f"move-{channel}",
    )


def _nothing() -> None:
    """Accept a change that the session keeps by itself."""
