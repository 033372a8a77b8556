"""Change the input or the block: both maps and answers, before and after, on one scale."""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from typing import Any

import streamlit as st

import nlviz

from ...shared import saving
from ...shared.markdown import plain
from ...shared.saving import Kind
from .asked import NO_NETWORK, Asked, Load
from .changes import Wanted, choose
from .working import computed

KEPT = 4  # pictures in a session that are remembered
WIDEST, OF_ONE = 1000, 560  # CSS pixels of the picture, and of one that has a single frame
SAVED = (
    Kind("PNG", "png", "image/png", "Before, after and their difference on one page"),
    Kind("PDF", "pdf", "application/pdf", "The same for a paper"),
    Kind("SVG", "svg", "image/svg+xml", "The same to edit"),
    Kind("GIF", "gif", "image/gif", "Before, after and their difference side by side, looping"),
    Kind("MP4", "mp4", "video/mp4", "The same as H.264 video"),
)
HELP = "Runs the network on the changed clip; the clip and the network stay as they are"


def draw(asked: Asked) -> None:
    """Draw the choice of a change, and what it did once it was tried."""
    if asked.model is None:
        st.info(NO_NETWORK)
        return
    wanted = choose(asked)
    if wanted is None:
        return
    found = computed(
        ("input", *asked.key[:-1], *wanted.key),
        "Compare before and after",
        partial(_changed, asked.model, asked.capture, wanted),
        help=HELP,
    )
    if found is not None:
        _show(asked, found, wanted)


def _changed(
    model: Load, capture: nlviz.Capture, wanted: Wanted, progress: nlviz.Progress
) -> nlviz.interventions.Intervened:
    own = model()
    change = wanted.make(own, capture.clip, progress.part(0.0, 0.5))
    return nlviz.intervene(
        own,
        capture.clip,
        change,
        before=capture if capture.model is own else None,
        progress=progress.part(0.5, 1.0),
    )


def _show(asked: Asked, found: nlviz.interventions.Intervened, wanted: Wanted) -> None:
    said = nlviz.words.on_a_page(found.said)
    st.markdown(f"**{plain(said)}** {plain(nlviz.words.answer_sentence(found))}")
    answers, row = st.columns([5, 6], gap="medium")
    with answers:
        _answers(found)
    block = asked.block
    if block not in found.after.affinities:
        with row:
            why = found.after.refused.get(block, f"{block} did not run with this change")
            st.caption(f"{plain(why)}: there is no row to compare.")
        return
    head: Any = asked.head
    moved = nlviz.moved_row(found, block, asked.query, head=head)
    with row:
        for line in nlviz.words.moved_lines(moved):
            st.markdown(f"**{line.value}** &nbsp; {line.label}", help=line.help)
            if line.meaning:
                st.caption(line.meaning)
    comparison = nlviz.compare_views(
        nlviz.Side(found.before, block, head, label="Before"),
        nlviz.Side(found.after, block, head, label="After"),
        query=asked.query,
    )
    key = (*asked.key, head, *wanted.key)
    several = len(found.before.clip.frames) > 1
    st.image(_picture(key, comparison), width=WIDEST if several else OF_ONE)
    saving.buttons(
        "ask-input-",
        SAVED if several else SAVED[:3],
        partial(nlviz.render.views_bytes, found=comparison),
        f"{asked.capture.clip.name.partition('.')[0]}-{block}-changed",
    )


def _answers(found: nlviz.interventions.Intervened) -> None:
    rows = nlviz.words.answer_rows(found)
    if not rows:
        return
    number = st.column_config.NumberColumn
    st.dataframe(
        rows,
        hide_index=True,
        height=min(280, 35 * len(rows) + 38),
        column_config={
            "answer": st.column_config.TextColumn("answer"),
            "before": number("before", format="percent", width=70),
            "after": number("after", format="percent", width=70),
            "change": number("change", format="percent", width=76),
        },
        key="ask-input-answers",
    )
    if (line := nlviz.words.logits_line(found)) is not None:
        st.markdown(f"**{line.value}** &nbsp; {line.label}", help=line.help)


def _picture(key: object, comparison: nlviz.Comparison) -> bytes:
    kept: OrderedDict[object, bytes] = st.session_state.setdefault("ask_input_seen", OrderedDict())
    if key not in kept:
        with st.spinner("Drawing both maps"):
            kept[key] = nlviz.render.views_bytes("png", comparison)
        while len(kept) > KEPT:
            kept.popitem(last=False)
    return kept[key]
