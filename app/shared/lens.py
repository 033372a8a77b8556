"""Mount the lens over pictures of one scene; it is moved as the live view is."""

from __future__ import annotations

from collections.abc import Callable
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


def mount(payload: bytes, *, key: str, on_point: Callable[[], None]) -> None:
    """Show a comparison; ``st.session_state[key].point`` holds what the reader did last.

    Args:
        payload: what ``lens_payload`` wrote.
        key: of the component in the session.
        on_point: called when the reader pinned another pixel or freed the lens; ``n`` and ``of``
            are as in the live view, ``point`` is {"y", "x"} or None.
    """
    _component()(data=payload, key=key, on_point_change=on_point)
