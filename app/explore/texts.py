"""Texts in the sidebar: one that is the input, or one that a network is told beside a clip."""

from __future__ import annotations

from typing import Any

import streamlit as st

import nlviz

from ..shared.choices import Chose
from .choices import MODEL, MOST_TYPED, NEEDED, TEXT, Choices, checked, written
from .state import STATE

ENDING = ".txt"
HIGH = 132  # CSS pixels of the field, five lines
_TAKES = "takes"  # in the session: what networks take that only themselves could tell


def draw(now: Choices) -> None:
    """Draw the fields for a text that is the input."""
    STATE.fields.enter(
        st.text_area,
        "Text",
        "text",
        value=now.words,
        height=HIGH,
        placeholder="Type or paste a sentence",
        emit=_typed,
        help=f"At most {MOST_TYPED:,} characters; each word becomes a query to point at. The "
        "network cuts it into tokens its own way. It stays in this page's address, so that who "
        "has the address reads it.",
    )
    STATE.fields.drop(
        "or a text file",
        "text_file",
        emit=keep,
        help="UTF-8. Several are read one after the other, in the order of their names.",
    )


def asks(now: Choices) -> bool:
    """Return whether the network is told a text beside the clip, as far as is known."""
    return now.kind not in NEEDED and {"clip", "text"} <= set(takes(now) or ())


def asks_boxes(now: Choices) -> bool:
    """Return whether the network is asked about boxes of the clip, as far as is known."""
    return now.kind not in NEEDED and "boxes" in (takes(now) or ())


def told(now: Choices) -> str | None:
    """Return what the network is told beside the clip; None where it takes no text there.

    Raises:
        NlvizError: when it is too long.
    """
    return checked(now.told) if asks(now) else None


def draw_question(now: Choices) -> None:
    """Draw the field for what a network is told beside the clip."""
    STATE.fields.enter(
        st.text_area,
        "What it is told beside the clip",
        "question",
        value=now.told,
        height=HIGH // 2,
        placeholder="What is the dog doing?",
    )


def takes(now: Choices) -> tuple[str, ...] | None:
    """Return what the chosen network is given; None where that is not known before it is loaded."""
    known = nlviz.zoo.inputs_of(now.named) if now.network == MODEL else None
    if known is not None:
        return known
    found: tuple[str, ...] | None = st.session_state.get(_TAKES, {}).get(now.network_text)
    return found


def learned(now: Choices, model: nlviz.Model) -> bool:
    """Remember what a network takes; return whether the sidebar was drawn without knowing it.

    Raises:
        NlvizError: when it does not take this kind of input.
    """
    if model.prepare is not None:  # a function of the user's, which knows what it takes
        return False
    before = asks(now), asks_boxes(now)
    st.session_state.setdefault(_TAKES, {})[now.network_text] = model.inputs
    name, given, needed = model.about.name, model.inputs, NEEDED.get(now.kind, "clip")
    if now.kind == TEXT and "clip" in given and "text" in given:
        raise nlviz.NlvizError(
            f"{name} takes a clip beside the text; choose a clip as the input, and this network "
            "there: the text goes below the clip"
        )
    if needed not in given:
        kinds = " and ".join(f"a {kind}" for kind in given)
        raise nlviz.NlvizError(
            f"{name} takes {kinds}, no {needed}; choose {kinds.partition(' and ')[0]} as the "
            "input, or another network"
        )
    return (asks(now), asks_boxes(now)) != before


def keep(files: Any) -> None:
    """Take over text files as the text that is the input."""
    now = STATE.now
    try:
        parts = [written(f.getvalue(), f.name) for f in sorted(files, key=lambda f: f.name)]
    except nlviz.NlvizError as error:
        STATE.refuse(str(error))
        return
    if now.kind != TEXT:
        STATE.act(Chose("kind", TEXT))
    STATE.act(Chose("text", "\n".join(parts)))


def _typed(text: str | None) -> None:
    STATE.act(Chose("text", text if text and text.strip() else ""))
