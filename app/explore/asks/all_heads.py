"""This query in every layer and head at once, on one colour scale; a click opens a head."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import streamlit as st

import nlviz

from ...shared import atlas as view
from ...shared import saving
from ...shared.language import spoken
from ...shared.saving import Kind
from ..choices import InHead
from ..state import STATE
from .asked import Asked
from .working import computed

KEPT = 4  # queries in a session whose maps are remembered
LIVE = "asks-atlas"
_Measured = tuple[tuple[tuple[float | None, ...], ...], str]  # of every head, and why not of some
KINDS = (
    Kind("PNG", "png", "image/png", "All heads on one page, sorted as here"),
    Kind("PDF", "pdf", "application/pdf", "The same for a paper: text as vectors"),
    Kind("SVG", "svg", "image/svg+xml", "The same to edit"),
    Kind("JSON", "json", "application/json", "Every figure of every head"),
)


@dataclass(frozen=True)
class _Order:
    """How heads are laid.

    Attributes:
        by: name of the figure that sorts and colours them; None for their order in the network.
        smallest: whether the smallest comes first.
        logarithmic: whether the colour scale is logarithmic.
    """

    by: str | None = None
    smallest: bool = False
    logarithmic: bool = False


def draw(asked: Asked) -> None:
    """Draw the maps of every head, and what sorts them."""
    order = _choose()
    found = _maps(asked)
    if order.by is not None and order.by not in found.figures:
        label = nlviz.words.figure_labels()[order.by]
        more = computed(
            ("atlas", order.by, *_key(asked)),
            f"Compute {label.lower()}",
            partial(_measured, found, order.by),
            help=nlviz.words.figure_takes(order.by) or None,
        )
        if more is None:
            order = replace(order, by=None)
        else:
            values, untold = more
            found = found.with_values(str(order.by), values, untold=untold)
    head = asked.head if isinstance(asked.head, int) else None
    payload = nlviz.web.atlas_payload(
        found,
        figure=order.by,
        smallest=order.smallest,
        logarithmic=order.logarithmic,
        names=nlviz.words.short_names(asked.capture.affinities),
        shown=(asked.block, head if asked.affinity.heads > 1 else 0),
        channel=LIVE,
        follows=STATE.name,
    )
    view.mount(payload, key=LIVE, on_picked=_open)
    for note in nlviz.words.atlas_notes(found, order.by):
        st.caption(note)
    if order.by is not None:
        st.caption(nlviz.words.figure_definition(order.by))
    _table(found)

    def make(kind: str) -> bytes:
        return bytes(
            found.to_bytes(
                kind, figure=order.by, smallest=order.smallest, logarithmic=order.logarithmic
            )
        )

    stem = asked.capture.clip.name.rsplit(".", 1)[0] or "text"
    saving.buttons("asks-atlas-", KINDS, make, f"{stem}-all-heads")


def _choose() -> _Order:
    """Draw what sorts heads and what their colours are."""
    now: _Order = st.session_state.setdefault("asks_atlas_order", _Order())
    labels = nlviz.words.figure_labels()

    def put(**change: Any) -> None:
        order: _Order = st.session_state["asks_atlas_order"]
        st.session_state["asks_atlas_order"] = replace(order, **change)

    by, first, scale = st.columns([4, 3, 3], vertical_alignment="bottom")
    with by:
        STATE.fields.pick(
            st.selectbox,
            "Sorted and coloured by",
            "atlas_by",
            [None, *labels],
            now.by if now.by in labels else None,
            format_func=lambda name: nlviz.words.FORWARD if name is None else labels[name],
            emit=lambda name: put(by=name),
        )
    with first:
        STATE.fields.enter(
            st.toggle,
            "Smallest first",
            "atlas_smallest",
            value=now.smallest,
            emit=lambda on: put(smallest=on),
            disabled=now.by is None,
        )
    with scale:
        STATE.fields.enter(
            st.toggle,
            "Logarithmic colours",
            "atlas_logarithmic",
            value=now.logarithmic,
            emit=lambda on: put(logarithmic=on),
            help="Equal colours apart are equal factors, over three decades up to the strongest "
            "key of any head",
        )
    return now


def _query(asked: Asked) -> nlviz.Query:
    """Return the query as the block on the screen has it: a word by its own place in the text."""
    query, grid = asked.query, asked.affinity.queries
    if isinstance(query, str) or grid.kind != "line":
        return query
    return grid.centre(nlviz.query_number(asked.affinity, query) - grid.prefix)


def _key(asked: Asked) -> tuple[object, ...]:
    """Return what maps of a query are remembered by: clip, network and query."""
    clip = asked.capture.clip
    return (clip.digest, clip.sampling, asked.capture.about, _query(asked))


def _maps(asked: Asked) -> nlviz.Atlas:
    """Return the maps of the pinned query in every head; the last few are kept."""
    kept: OrderedDict[object, nlviz.Atlas] = st.session_state.setdefault(
        "asks_atlas", OrderedDict()
    )
    key = _key(asked)
    for other in [k for k, maps in kept.items() if maps.capture is not asked.capture]:
        del kept[other]  # so that no clip is held that is not on the screen
    if key not in kept:
        kept[key] = nlviz.atlas(asked.capture, _query(asked))
        while len(kept) > KEPT:
            kept.popitem(last=False)
    return kept[key]


def _measured(found: nlviz.Atlas, figure: str, progress: nlviz.Progress) -> _Measured:
    more = found.with_figure(figure, progress=progress)
    return more.values(figure), more.untold.get(figure, "")


def _open() -> None:
    """Show the head that was clicked in the live view."""
    picked = st.session_state[LIVE].get("picked")
    if picked:
        STATE.act(InHead(str(picked["block"]), head=int(picked["head"])))


def _table(found: nlviz.Atlas) -> None:
    labels = nlviz.words.figure_labels()
    with st.expander(spoken("Every figure of every head")):
        st.dataframe(
            nlviz.words.atlas_rows(found),
            hide_index=True,
            height=min(420, 35 * len(found.places) + 38),
            column_config={
                name: st.column_config.NumberColumn(
                    labels[name], format="%.3g", help=nlviz.words.figure_definition(name)
                )
                for name in found.figures
            },
            key="asks-atlas-table",
        )
