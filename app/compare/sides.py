"""The two rows of fields: what A shows, and what B shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

import nlviz

from ..shared.language import spoken
from .cached import CHANGES, explore_choice
from .choices import EXPLORE, OF_B, Choices, Swapped
from .state import STATE

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

SLOW = ("rollout", "cross", "composed")  # made of several layers or products


def draw(now: Choices) -> tuple[DeltaGenerator, DeltaGenerator]:
    """Draw inputs and networks into the sidebar; return where the fields of the blocks go."""
    below = []
    with st.sidebar:
        for prefix, letter in (("", "A"), (OF_B, "B")):
            st.markdown(f"##### {letter}")
            _input(now, prefix, letter)
            below.append(st.container())
        _between(now)
    return below[0], below[1]


def _input(now: Choices, prefix: str, letter: str) -> None:
    fields, pick = STATE.fields, STATE.fields.pick
    chosen = getattr(now, f"{prefix}input")
    pick(
        st.selectbox,
        spoken("Clip or photo of {side}").format(side=letter),
        f"{prefix}input",
        _inputs(chosen),
        chosen,
    )
    if prefix:
        changes = [*CHANGES] if now.change in CHANGES else [*CHANGES, now.change]
        pick(
            st.selectbox,
            "Its frames",
            "change",
            changes,
            now.change,
            format_func=lambda name: CHANGES.get(name, name),
            help="The network runs on the changed clip",
        )
    else:
        fields.enter(
            st.number_input,
            "Frames of both clips",
            "frames",
            1,
            max(64, now.frames or 0),
            value=now.frames,
            placeholder="all",
        )
    if not (prefix and now.crossed):
        model = getattr(now, f"{prefix}model")
        pick(
            st.selectbox,
            spoken("Network of {side}").format(side=letter),
            f"{prefix}model",
            _models(model),
            model,
        )


def draw_block(now: Choices, capture: nlviz.Capture, prefix: str) -> None:
    """Draw block, head and what is shown of it, for one side."""
    names = list(capture.affinities)
    block = getattr(now, f"{prefix}block")
    block = block if block in names else names[-1]
    pick = STATE.fields.pick
    letter = "B" if prefix else "A"
    pick(
        st.selectbox, spoken("Block of {side}").format(side=letter), f"{prefix}block", names, block
    )
    heads = capture.affinities[block].heads
    if prefix and heads > 1:
        options = ["mean", "max", *range(heads)]
        head = now.b_head if now.b_head in options else "mean"
        pick(st.selectbox, "Head of B", "b_head", options, head, format_func=_head)
    known = [v for v in nlviz.variants(capture, block) if v.key not in SLOW]
    labels = {variant.key: variant.label for variant in known}
    source = getattr(now, f"{prefix}source")
    source = source if source in labels else next(iter(labels))
    pick(
        st.selectbox,
        spoken("Shown of {side}").format(side=letter),
        f"{prefix}source",
        list(labels),
        source,
        format_func=labels.__getitem__,
    )


def _between(now: Choices) -> None:
    """Draw what is between the two: whether queries of A ask keys of B, and the way to swap."""
    STATE.fields.enter(
        st.toggle,
        "Queries of A, keys of B",
        "crossed",
        value=now.crossed,
        help="B's map is the row of A's query over the keys of B's clip, in A's block: what would "
        "this place take from the other clip?",
    )
    st.button(
        spoken("Swap A and B"),
        key="cmp_swap",
        icon=":material/swap_horiz:",
        on_click=STATE.act,
        args=(Swapped(),),
    )


def _inputs(chosen: str) -> list[str]:
    known = list(nlviz.bundled_inputs())
    try:
        there = explore_choice() is not None
    except nlviz.NlvizError:  # said where it is opened
        there = False
    offered = [*([EXPLORE] if there else []), *known]
    return offered if chosen in offered else [*offered, chosen]


def _models(chosen: str) -> list[str]:
    cards = nlviz.zoo.CARDS
    known = [name for name in nlviz.list_models() if "clip" in cards[name].takes]
    known = [name for name in known if cards[name].weights and not cards[name].url] or known
    offered = [*([EXPLORE] if EXPLORE in _inputs("") else []), *known]
    return offered if chosen in offered else [*offered, chosen]


def _head(head: int | str) -> str:
    if isinstance(head, int):
        return f"head {head + 1}"
    return {"mean": "mean of all", "max": "largest of any"}[head]
