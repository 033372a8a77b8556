"""Sinks: keys that most queries give much to, and what the head does there."""

from __future__ import annotations

from functools import partial

import streamlit as st

import nlviz

from ...shared import saving
from ...shared.saving import Kind
from . import register, token_norms
from .asked import Asked
from .pictures import picture
from .working import computed

AT_ONCE = 1 << 24  # pairs of query and key, over heads, up to which no click is needed

GIVE = "The network runs once more, and the values of the block's keys are kept"
KINDS = (
    Kind("PNG", "png", "image/png", "All heads, what they do, and the rule"),
    Kind("PDF", "pdf", "application/pdf", "The same for a paper"),
    Kind("SVG", "svg", "image/svg+xml", "The same to edit"),
    Kind("JSON", "json", "application/json", "The numbers"),
)
HELP = "Adds up what each key of the block receives from all queries; no forward pass"


def draw(asked: Asked) -> None:
    """Draw what the keys of the block receive, and on a click those of all blocks."""
    affinity = asked.affinity
    pairs = affinity.heads * affinity.queries.size * (affinity.keys.size + affinity.keys.prefix)
    key = ("sinks", *asked.key[:-1])
    if pairs <= AT_ONCE:  # what is found of a block is remembered with it
        found = nlviz.sinks(asked.capture, blocks=[asked.block], values=False)
    else:
        run = partial(_of, asked.capture, (asked.block,), False)
        found = computed(key, "Add up what keys receive", run, help=HELP)
    if found is None:
        return
    block = found[asked.block]
    if block.value_norms is None and asked.model is not None:
        run = partial(_of, asked.capture, (asked.block,), True)
        label = "What do these keys give? One forward pass"
        found = computed(("values", *key), label, run, help=GIVE) or found
    _block(asked, found[asked.block])
    _all_blocks(asked)
    token_norms.draw(asked)
    register.draw(asked)


def _of(
    capture: nlviz.Capture,
    blocks: tuple[str, ...] | None,
    values: bool,
    progress: nlviz.Progress,
) -> nlviz.Sinks:
    return nlviz.sinks(capture, blocks=blocks, values=values, progress=progress)


def _block(asked: Asked, found: nlviz.BlockSinks) -> None:
    head = asked.head if isinstance(asked.head, int) else _strongest(found)
    told, drawn = st.columns([4, 7], gap="medium")
    with told:
        page = nlviz.words.on_a_page
        st.markdown(page(nlviz.words.sink_sentence(found, head)), help=nlviz.words.SINK_RULE)
        for line in nlviz.words.sink_lines(found, head):
            label = page(line.label)
            st.markdown(f"**{line.value}** &nbsp; {label}", help=line.help or None)
        on = _of_query(asked, found, head)
        if on is not None:
            st.markdown(f"**{100 * on:.0f} %** &nbsp; of the pinned query's row lies on sinks")
        if found.note:
            st.caption(found.note)
    with drawn:
        own = f" in head {head}" if found.heads > 1 else ""
        st.caption(f"What each key receives from all queries{own}, as a multiple of uniform:")
        picture(asked.capture.clip, found.map(head))
    if found.heads > 1:
        _table(nlviz.words.sink_rows(found), key="sinks-heads", blocks=False)


def _strongest(found: nlviz.BlockSinks) -> int:
    """Return the head that is told of where none is chosen: the one with most on one key."""
    records = found.table()
    return max(
        range(found.heads), key=lambda h: (records[h]["sinks"] > 0, records[h]["multiple"] or 0)
    )


def _of_query(asked: Asked, found: nlviz.BlockSinks, head: int) -> float | None:
    """Return the share of the pinned query's row on the head's sinks; None without sinks."""
    if not found.sinks_of(head):
        return None
    number = nlviz.query_number(asked.affinity, asked.query)
    return float(found.on_sinks(nlviz.rows_at(asked.affinity, [number]))[head, 0])


def _all_blocks(asked: Asked) -> None:
    if len(asked.capture.affinities) < 2:
        return
    found = computed(
        ("sinks of all", *asked.key[:-2]),
        "Sinks of all blocks",
        partial(_of, asked.capture, None, True),
        help="The same for every block and head of this capture",
    )
    if found is None:
        return
    rows = [row for block in found.values() for row in nlviz.words.sink_rows(block)]
    _table(rows, key="sinks-all", blocks=True)
    for name, why in found.refused.items():
        st.caption(f"{name}: {why}")
    title = f"{asked.capture.clip.name}, {asked.capture.about.name}"

    def make(kind: str) -> bytes:
        return bytes(nlviz.render.sinks_bytes(found, kind, title=title))

    saving.buttons("save-sinks-", KINDS, make, "sinks")


def _table(rows: list[dict[str, object]], *, key: str, blocks: bool) -> None:
    number = st.column_config.NumberColumn
    st.dataframe(
        rows,
        hide_index=True,
        column_order=(
            *(("block",) if blocks else ()),
            *("head", "what", "key", "multiple", "concentration", "share"),
            *("value", "rank", "of", "output"),
        ),
        height=min(420, 35 * len(rows) + 38),
        column_config={
            "head": number("head", width=56),
            "what": st.column_config.TextColumn("what it does", help=nlviz.words.SINK_RULE),
            "key": st.column_config.TextColumn("key that receives most"),
            "multiple": number("× uniform", format="%.1f", help="Column sum, 1 = uniform"),
            "concentration": number("× median", format="%.1f", help="Largest over the median"),
            "share": number("of all weight", format="percent"),
            "value": number("|v|", format="%.2f", help="Size of its value over the median's"),
            "rank": number("rank A·V", format="%.1f", help="Effective rank of the output"),
            "of": number("rank V", format="%.1f", help="Effective rank of the values"),
            "output": number("|y|", format="%.2f", help="Mean output over the median value"),
        },
        key=key,
    )
