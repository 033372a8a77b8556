"""Boxes that a network is asked about: typed in the sidebar, or taken from what was detected."""

from __future__ import annotations

import streamlit as st

import nlviz

from ..shared.choices import Chose
from ..shared.language import spoken
from .choices import Boxes, Choices
from .state import STATE, Choice

Box = tuple[float, float, float, float, float]
_LABELS = ("Frame", "Top", "Left", "Bottom", "Right")
_FOUND = "boxes_found"  # in the session: by clip, what a detection network found there
MOST = 12  # detections that are listed


def draw(now: Choices) -> None:
    """Draw the boxes that the network is asked about, and a form for another one."""
    told = "The middle of the middle frame, until a box is given." if not now.boxes else ""
    with st.expander(spoken("Box to look from"), expanded=True):
        st.caption(told or "; ".join(text_of(box) for box in now.boxes))
        first = now.boxes[-1] if now.boxes else (0.0, 0.0, 0.0, 90.0, 90.0)
        with st.form("box", border=False):
            columns = st.columns(2)
            for n, (label, value) in enumerate(
                zip(_LABELS, (first[0] + 1, *first[1:]), strict=True)
            ):
                at = columns[n % 2]
                at.number_input(label, value=round(value), step=1, key=f"box-{label}-{first}")
            st.form_submit_button("Look from this box", on_click=_take, args=(first,))
        found: list[tuple[str, Box]] = st.session_state.get(_FOUND, {}).get(now.name, [])
        for n, (name, box) in enumerate(found):
            st.button(name, key=f"box-found-{n}", on_click=_choose, args=((box,),))
        if now.boxes:
            st.button(spoken("No box"), key="box-none", on_click=_choose, args=((),))


def remember(choice: Choice, capture: nlviz.Capture) -> None:
    """Remember what a detection network found on a clip, for one that is asked about boxes."""
    if capture.detections:
        found = [
            (f"{one.name}, frame {one.frame + 1}", (float(one.frame), *map(float, one.box)))
            for one in capture.detections[:MOST]
        ]
        st.session_state.setdefault(_FOUND, {})[choice.name] = found


def text_of(box: Box) -> str:
    """Return a box in words; pages count frames from 1.

    >>> text_of((0, 4, 6, 30, 40))
    'frame 1, y 4 to 30, x 6 to 40'
    """
    frame, top, left, bottom, right = box
    return f"frame {frame + 1:g}, y {top:g} to {bottom:g}, x {left:g} to {right:g}"


def _choose(boxes: Boxes) -> None:
    STATE.act(Chose("boxes", boxes))


def _take(first: Box) -> None:
    frame, *edges = (float(st.session_state[f"box-{label}-{first}"]) for label in _LABELS)
    _choose(((frame - 1, edges[0], edges[1], edges[2], edges[3]),))
