"""The row of questions, and the one that is open."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import streamlit as st

from ...shared.errors import errors_shown
from ...shared.language import spoken
from ..state import STATE
from . import all_heads, change_input, deletion, knock_out, position, sinks, verdict
from .asked import Asked


class Ask(NamedTuple):
    """A question.

    Attributes:
        label: what its choice says.
        tip: what it is about, in a sentence.
        draw: draws it.
    """

    label: str
    tip: str
    draw: Callable[[Asked], None]


ASKS: dict[str, Ask] = {
    "verdict": Ask(
        "Verdict",
        "Is this map content, position, a sink, or the same for all queries, and does it matter "
        "for the answer?",
        verdict.draw,
    ),
    "knock-out": Ask(
        "Knock out",
        "Cut links of this query and see what changes, beside cutting as many others.",
        knock_out.draw,
    ),
    "input": Ask(
        "Change the input",
        "Freeze, shuffle, swap or mask a part of the clip and compare maps and answers.",
        change_input.draw,
    ),
    "heads": Ask("All heads", "This query in every layer and head at once.", all_heads.draw),
    "sinks": Ask("Sinks", "Keys that every query looks at, and what they give.", sinks.draw),
    "position": Ask(
        "Position", "How much of this map follows from where the query is.", position.draw
    ),
    "deletion": Ask(
        "Deletion",
        "Take away what a map points at, most weighted first, and watch the answer.",
        deletion.draw,
    ),
}


def draw(asked: Asked) -> None:
    """Draw the row of questions and the one that is chosen; nothing else of them is computed."""
    st.markdown(spoken("##### Ask more of this map"))
    labels = {name: ask.label for name, ask in ASKS.items()}
    now = STATE.now.ask if STATE.now.ask in ASKS else None
    STATE.fields.pick(
        st.pills,
        "Ask more of this map",
        "ask",
        list(ASKS),
        now,
        format_func=labels.__getitem__,
        label_visibility="collapsed",
    )
    name = STATE.now.ask
    if name not in ASKS:
        return
    st.caption(spoken(ASKS[name].tip))
    with errors_shown("Explore", cure="Another query or block may work."):
        ASKS[name].draw(asked)
