"""A map over the frames of a clip, as wide as a picture below the map should be."""

from __future__ import annotations

import streamlit as st

import nlviz

LEAST_WIDE, WIDEST = 420, 1000  # CSS pixels of the figure
LARGEST = 4  # CSS pixels for a pixel of a small picture
ABREAST = 4  # frames beside one another in the figure


def picture(clip: nlviz.Clip, shown: nlviz.AttentionMap, *, top: float | None = None) -> None:
    """Draw a map over the frames of a clip, or over the words of a text."""
    frames, _, wide = clip.shape
    many = min(frames, ABREAST)
    room = max(LEAST_WIDE, LARGEST * wide * many)
    content = nlviz.overlay(clip, shown, top=top).to_bytes("png")
    st.image(content, width=room if room < WIDEST else "stretch")
