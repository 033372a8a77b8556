"""The head of a page: its question, what one sees in two sentences, and what may be read on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import streamlit as st

from .language import spoken

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator


def draw(question: str, sentences: str, more: Mapping[str, str]) -> DeltaGenerator:
    """Draw the head of a page in little height, so that the picture begins on the first screen.

    Args:
        question: heading of the page, plain text.
        sentences: what the page shows, in Markdown.
        more: text in Markdown by the label of the button that opens it.

    Returns:
        Where the sentences stand, to put others there.
    """
    with st.container(key="lead", gap="small"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f"#### {spoken(question)}")
            for label, text in more.items():
                with st.popover(spoken(label)):
                    st.markdown(spoken(text))
        place = st.empty()
    place.markdown(spoken(sentences))
    return place
