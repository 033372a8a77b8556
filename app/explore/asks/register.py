"""The same query with a register at test time, beside the map without one."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import streamlit as st

import nlviz

from ...shared.language import spoken
from .asked import Asked, Load
from .pictures import picture
from .working import computed


class Registered(NamedTuple):
    """What a register changed.

    Attributes:
        register: the register.
        found: captures without it and with it.
        before, after: norms of tokens likewise.
    """

    register: nlviz.interventions.TestTimeRegister
    found: nlviz.Intervened
    before: nlviz.TokenNorms
    after: nlviz.TokenNorms


def draw(asked: Asked) -> None:
    """Draw norms, sinks and the pinned row with a register and without, on a click."""
    if asked.model is None or asked.affinity.heads < 2:
        return
    if asked.capture.text is not None or isinstance(asked.capture.clip, nlviz.Graph):
        return
    made: Registered | None = computed(
        ("register", *asked.key[:-1]),
        "With a test-time register",
        partial(_made, asked.model, asked.capture, asked.block),
        help=nlviz.words.REGISTER_RULE,
    )
    if made is None:
        return
    sentence = nlviz.words.register_sentence(made.before, made.after, made.register)
    st.markdown(sentence, help=nlviz.words.REGISTER_RULE)
    told, drawn = st.columns([4, 7], gap="medium")
    head = asked.head if isinstance(asked.head, int) else None
    with told:
        for line in nlviz.words.register_lines(made.register):
            st.markdown(f"**{line.value}** &nbsp; {line.label}", help=line.help)
        for name, capture in (("Without", made.found.before), ("With", made.found.after)):
            if asked.block in capture.affinities:
                of = nlviz.sinks(capture, blocks=[asked.block], values=False)[asked.block]
                most = max(r["multiple"] or 0.0 for r in of.table())
                st.caption(f"{name}: the strongest key of any head receives {most:.1f}× uniform.")
    with drawn:
        if asked.block not in made.found.after.affinities:
            why = made.found.after.refused.get(asked.block, "it has none with the register")
            st.caption(f"The map with the register is not shown: {why}")
            return
        pair = made.found.rows(asked.block, asked.query, head=head)
        top = pair.before.top_of_scale() / pair.before.uniform
        st.caption(spoken("Without the register:"))
        picture(asked.capture.clip, pair.before, top=top)
        st.caption(spoken("With it, on the same scale:"))
        picture(asked.capture.clip, pair.after, top=top)


def _made(load: Load, capture: nlviz.Capture, block: str, progress: nlviz.Progress) -> Registered:
    model = load()
    register = nlviz.interventions.register_neurons(
        model, capture.clip, progress=progress.part(0.0, 0.4)
    )
    before = nlviz.token_norms(model, capture.clip, progress=progress.part(0.4, 0.6))
    found = nlviz.intervene(
        model, capture.clip, register, blocks=[block], progress=progress.part(0.6, 0.8)
    )
    with model.exclusive(capture.clip), register.acting(model):
        after = nlviz.token_norms(model, capture.clip, progress=progress.part(0.8, 1.0))
    return Registered(register, found, before, after)
