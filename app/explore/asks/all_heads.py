"""A question that is to be built."""

from __future__ import annotations

import streamlit as st

from .asked import Asked


def draw(asked: Asked) -> None:
    """Draw it."""
    st.caption("This is to be built.")
