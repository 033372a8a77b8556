"""Mount the live view: one component for its bytes, one that moves it without sending them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import streamlit as st

import nlviz

from . import language


@cache
def _linked() -> Callable[..., Any]:
    return st.components.v2.component(
        "nlviz_linked",
        html="<div></div>",
        css=nlviz.web.LINKED.stylesheet(),
        js=nlviz.web.LINKED.script("component"),
    )


@cache
def _component(entry: str) -> Callable[..., Any]:
    return st.components.v2.component(
        f"nlviz_{entry}",
        html="<div></div>",
        css=nlviz.web.LIVE_VIEW.stylesheet() if entry == "component" else None,
        js=nlviz.web.LIVE_VIEW.script(entry),
    )


def prepare() -> None:
    """Read the browser's part, ahead of the first visitor."""
    nlviz.web.LIVE_VIEW.stylesheet()
    for entry in ("component", "control", "drawn"):
        nlviz.web.LIVE_VIEW.script(entry)


def _json(message: Mapping[str, Any]) -> bytes:
    # As bytes: in a dictionary Streamlit looks for tables, for which it imports pandas.
    return json.dumps(message).encode()


def mount(payload: bytes, *, key: str, on_said: Callable[[], None]) -> None:
    """Show a live view; ``st.session_state[key].said`` holds what the reader did last.

    It has ``n``, the number of the act; ``of``, that of the latest message; ``query``, ``pinned``
    and ``view``, as they are from then on.
    """
    _component("component")(data=payload, key=key, on_said_change=on_said)


def mount_linked(payload: bytes, *, key: str, on_said: Callable[[], None]) -> None:
    """Show two live views that are moved as one; what is said holds ``other``, B's view, too."""
    _linked()(data=payload, key=key, on_said_change=on_said)


def move(channel: str, **message: Any) -> None:
    """Tell a view its ``query``, whether it is ``pinned``, and its ``view``.

    Args:
        channel: of the live view, or of the lens.
        message: besides, ``serial``: each counts once; ``seen``: number of the latest act that is
            known here, what came after it stays; ``of``: comes back with what the view says.
    """
    told = {"channel": channel, "language": language.now(), **message}
    _component("control")(data=_json(told), key=f"move-{channel}")


def speak() -> None:
    """Tell a page without a view its language: the document says which it is in."""
    _component("control")(data=_json({"language": language.now()}), key="speak")


def when_drawn(channel: str, act: Callable[[], None]) -> None:
    """Call a function once the view of a channel has been drawn in the browser."""
    _component("drawn")(
        data=_json({"channel": channel}), key=f"drawn-{channel}", on_drawn_change=act
    )
