"""Mount the atlas: every layer and head of one query, drawn in the browser."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import streamlit as st

import nlviz


@cache
def _component() -> Callable[..., Any]:
    return st.components.v2.component(
        "nlviz_atlas",
        html="<div></div>",
        css=nlviz.web.ATLAS.stylesheet(),
        js=nlviz.web.ATLAS.script("component"),
    )


def mount(payload: bytes, *, key: str, on_picked: Callable[[], None]) -> None:
    """Show an atlas; ``st.session_state[key].picked`` holds the head that was clicked last.

    Args:
        payload: what ``atlas_payload`` wrote.
        key: of the component in the session.
        on_picked: called when a head was clicked; ``block`` and ``head``, from 0, say which.
    """
    _component()(data=payload, key=key, on_picked_change=on_picked)
