"""The verdict: what the map follows from, and whether the answer depends on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

import nlviz

from ...shared import saving
from ...shared.language import spoken
from . import working

if TYPE_CHECKING:
    from .asked import Asked

KINDS = (
    saving.Kind("PNG", "png", "image/png", "Sentence, map, figures and rules as a picture"),
    saving.Kind("PDF", "pdf", "application/pdf", "The same for print"),
    saving.Kind("SVG", "svg", "image/svg+xml", "The same, to be edited"),
    saving.Kind("JSON", "json", "application/json", "Every figure, with the rules"),
)
COST = (
    "Runs the network on six other inputs, and from this block on eleven times, each time with "
    "another row of this query"
)


def draw(asked: Asked) -> None:
    """Draw the verdict, every figure that it rests on, and its files."""
    head = asked.head if isinstance(asked.head, int) else None
    key = ("verdict", *asked.key, head)
    if asked.view.display.direction == "to":
        st.caption(spoken("What is judged is where this query looks, not who looks at it."))

    def make(progress: nlviz.Progress) -> nlviz.Verdict:
        # A saved capture holds no network: what can be told without one is told.
        return nlviz.verdict(asked.capture, asked.block, asked.query, head=head, progress=progress)

    found: nlviz.Verdict | None = working.computed(key, "Judge this map", make, help=COST)
    if found is None:
        st.caption(nlviz.words.VERDICT_MEASURED)
        return
    title = nlviz.words.headline(found)
    st.markdown(f"##### {title}")
    why = nlviz.words.verdict_text(found).removeprefix(f"{title}: ")
    st.markdown(f"{why[:1].upper()}{why[1:]}")
    of_row, of_answer = st.columns(2)
    with of_row:
        st.caption(spoken("What it follows from"))
        _table(nlviz.words.origin_lines(found.origin))
    with of_answer:
        st.caption(spoken("Whether it matters"))
        _table(nlviz.words.effect_lines(found))
        for note in found.notes:
            st.caption(note)
    with st.expander(spoken("The rules, and how often they are right")):
        st.caption(nlviz.words.VERDICT_RULES)
        st.caption(nlviz.words.VERDICT_MEASURED)
    stem = f"verdict-{found.block}".replace(", ", "-")
    verdict = found
    saving.buttons("verdict", KINDS, lambda kind: nlviz.render.verdict_bytes(verdict, kind), stem)


def _table(lines: list[nlviz.words.Line]) -> None:
    for line in lines:
        st.markdown(f"**{line.value}** &nbsp; {line.label}", help=line.help)
