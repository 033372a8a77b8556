"""Where one looks from, chosen by keyboard: a position, a word, a box or a node."""

from __future__ import annotations

from functools import partial

import streamlit as st

import nlviz

from ..shared.choices import Moved
from ..shared.language import spoken
from . import texts
from .choices import Asked
from .state import STATE

_EDGES = ("Top", "Left", "Bottom", "Right")


def draw(capture: nlviz.Capture, affinity: nlviz.Affinity, view: nlviz.View) -> None:
    """Draw what moves the query.

    Args:
        capture: of the input on the screen.
        affinity: what is shown of it.
        view: on the screen.
    """
    to = view.display.direction == "to"
    asked = affinity.keys if to else affinity.queries
    if asked.line is not None:
        _beside(asked, view)
    if asked.names:
        _named(asked, view)
    elif not isinstance(capture.clip, nlviz.Text):
        with st.expander(spoken("Type a position")):
            STATE.number_inputs(capture.clip)


def take_named(affinity: nlviz.Affinity, clip: nlviz.Clip) -> None:
    """Find the word that an address asks for: by number, by itself, or by both.

    A word that has a place becomes the query; one beside the picture gets its full name.
    """
    token = STATE.now.display.get("token", "")
    words = affinity.queries.line.words if affinity.queries.line else ()
    known = (*(f"{i}:{word}" for i, word in enumerate(words)), *affinity.token_names)
    if not token or token in known or not (affinity.queries.names or words):
        return
    named, grid = int(token) if token.isdecimal() else token, affinity.queries
    try:
        if isinstance(grid, nlviz.TokenLine) and isinstance(clip, nlviz.Text):
            STATE.act(Asked("", grid.place_in(grid.number_in(clip, named))))
            return
        row = affinity.map(token=named)
    except nlviz.NlvizError as error:
        STATE.act(Asked("", note=str(error)))
        return
    STATE.act(Asked(row.token, None if row.token else nlviz.Point(*row.query)))


def _named(asked: nlviz.TokenGrid, view: nlviz.View) -> None:
    """Draw the choice among queries that have names."""
    label = {"line": "Choose a word", "boxes": "Choose a box"}.get(asked.kind, "Choose a node")
    now = asked.nearest(**view.query._asdict())
    number = asked.text_number if isinstance(asked, nlviz.TokenLine) else int
    with st.expander(label, expanded=isinstance(asked, nlviz.TokenBoxes)):
        STATE.fields.pick(
            st.selectbox,
            "Query",
            "query_name",
            list(range(asked.size)),
            now,
            format_func=lambda i: f"{number(i)} · {asked.names[i]}",
            emit=partial(_move, asked),
            label_visibility="collapsed",
        )
        if isinstance(asked, nlviz.TokenBoxes) and not texts.asks_boxes(STATE.now):
            _typed_box(asked, now)


def _move(asked: nlviz.TokenGrid, index: int) -> None:
    STATE.act(Moved(asked.place_in(index)))


def _beside(asked: nlviz.TokenGrid, view: nlviz.View) -> None:
    """Draw the choice of a word beside the picture; the picture's points stay to point at."""
    words = asked.line.words if asked.line else ()
    names = [f"{i}:{word}" for i, word in enumerate(words)]
    token = view.display.token if view.display.token in names else None
    with st.expander(spoken("Ask from a word"), expanded=True):
        STATE.fields.pick(
            st.selectbox,
            "Word",
            "query_word",
            [None, *names],
            token,
            format_func=lambda name: "a point of the picture" if name is None else name,
            emit=lambda name: STATE.act(Asked(name or "")),
            label_visibility="collapsed",
        )


def _typed_box(asked: nlviz.TokenBoxes, now: int) -> None:
    """Draw a form for a box by its edges: the query whose box overlaps it by half is taken."""
    frame, *edges = asked.boxes[now]
    with st.form("typed-box", border=False):
        for column, label, value in zip(
            st.columns(5), ("Frame", *_EDGES), (frame + 1, *edges), strict=True
        ):
            column.number_input(label, value=round(value), step=1, key=f"box-{label}-{now}")
        st.form_submit_button("Look from this box", on_click=_take, args=(asked, now))


def _take(asked: nlviz.TokenBoxes, now: int) -> None:
    frame, *edges = (st.session_state[f"box-{label}-{now}"] for label in ("Frame", *_EDGES))
    try:
        _move(asked, asked.number((frame - 1, *edges)))
    except nlviz.NlvizError as error:
        STATE.refuse(str(error))
