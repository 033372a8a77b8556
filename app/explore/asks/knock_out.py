"""Knock out: links of the pinned query are cut, beside as many others."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import streamlit as st

import nlviz

from ...shared import saving
from ...shared.language import spoken
from ...shared.markdown import plain
from ...shared.saving import Kind
from . import intervals, working
from .asked import NO_NETWORK, Asked

STRONGEST, PAINTED, FRAME, OTHER = "Strongest links", "Painted cells", "One frame", "Other frames"
EVERY = "Frames, every query"
THIS_BLOCK, ALL_BLOCKS = "This block", "All blocks"
MOST, SEEDS = 500, 8
WIDEST = 720  # CSS pixels of a strip
KINDS = (
    Kind("PNG", "png", "image/png", "The figures of the cut beside those of the others"),
    Kind("PDF", "pdf", "application/pdf", "The same for a paper: text and marks as vectors"),
    Kind("CSV", "csv", "text/csv", "The figures as a table"),
    Kind("JSON", "json", "application/json", "The figures, the links, and what they were cut in"),
)


def draw(asked: Asked) -> None:
    """Draw what is cut, what the block's output loses at once, and the answer after a click."""
    what, options = _what(asked)
    if what == EVERY:
        _every(asked)
        return
    if options is None:
        return
    key = ("knock out", *asked.key, asked.head, tuple(sorted(options.items())))
    heads = asked.head
    cut = partial(
        nlviz.knock_out,
        asked.capture,
        asked.block,
        asked.query,
        heads=[heads] if isinstance(heads, int) else None,
        **options,
    )
    found = working.known(key)
    if found is None and (asked.model is None or _keeps_values(asked.affinity)):
        # Without a pass: the output alone, beside random links.
        found = cut(logits=False)
    if found is not None:
        _show(asked, found)
    if asked.model is None:
        st.info(NO_NETWORK)
    elif working.known(key) is None:
        working.computed(
            key,
            "Run the network without these links",
            lambda tell: cut(against="all", progress=tell),
            help="Once for the links that are cut, and once for each of the others: random ones, "
            "others at the same distances, the strongest of the mean row",
        )
    if found is not None:
        make = partial(_file, asked, found)
        saving.buttons("knock-out-", KINDS, make, f"knock-out-{asked.block}")


def _keeps_values(affinity: nlviz.Affinity) -> bool:
    """Check whether a block's output is known without another pass."""
    return getattr(affinity, "values", None) is not None


def _what(asked: Asked) -> tuple[str, Mapping[str, Any] | None]:
    """Return what is cut, and how ``nlviz.knock_out`` takes it; None where nothing is chosen."""
    keys = asked.affinity.keys
    painted: tuple[int, ...] = ()
    choices = [STRONGEST]
    if keys.kind == "grid":
        painted = nlviz.painted_cells(asked.view.display.painted, keys.shape)
        choices += [PAINTED, *([FRAME, OTHER, EVERY] if keys.shape[0] > 1 else [])]
    what = st.segmented_control(
        spoken("Cut"),
        choices,
        default=STRONGEST,
        key="knock-out-what",
        format_func=spoken,
        required=True,
    )
    options: dict[str, Any] = {}
    if what == EVERY:
        return what, None
    columns = what in (STRONGEST, FRAME)
    left, right = (
        st.columns([3, 8], vertical_alignment="bottom")
        if columns
        else (st.container(), st.container())
    )
    with left:
        if what == STRONGEST:
            most = min(MOST, keys.size + keys.prefix)
            options["top"] = int(
                st.number_input(spoken("How many"), 1, most, min(20, most), key="knock-out-top")
            )
        elif what == FRAME:
            frames = list(range(keys.shape[0]))
            options["frames"] = st.selectbox(
                spoken("Frame of the keys"),
                frames,
                format_func=lambda frame: f"{frame + 1}",  # pages count them from 1
                key="knock-out-frame",
            )
    with right:
        own = st.checkbox(
            spoken("Its link to itself, too"),
            value=True,
            key="knock-out-own",
            help=spoken(
                "Whether the link to the query's own cell may be cut. It is often the strongest; "
                "without it, only what comes from elsewhere is cut"
            ),
        )
        greedy = st.checkbox(
            spoken("One by one, too"),
            key="knock-out-greedy",
            help=spoken(
                "Cut as many links again, each time the one whose cut changes the block's output "
                "most: where links stand in for each other, single cuts tell too little"
            ),
        )
    options |= {"own": own, "greedy": greedy, "seeds": SEEDS}
    if what == PAINTED:
        if not painted:
            st.caption(
                spoken(
                    "Nothing is painted. Press **Paint keys** below the picture, or B, and "
                    "drag over the cells whose links are to be cut."
                )
            )
            return what, None
        options["keys"] = tuple(cell + keys.prefix for cell in painted)
    if what == OTHER:
        options["cross_frame"] = True
    return what, options


def _every(asked: Asked) -> None:
    """Draw what the network answers where frames give each other nothing."""
    if asked.model is None:
        st.info(NO_NETWORK)
        return
    several = len(asked.capture.affinities) > 1
    scope = THIS_BLOCK
    if several:
        scope = st.segmented_control(
            spoken("Of"),
            [THIS_BLOCK, ALL_BLOCKS],
            default=THIS_BLOCK,
            key="knock-out-of",
            format_func=spoken,
            required=True,
        )
    st.caption(
        spoken(
            "All links between frames are cut, of every query: each frame is then seen by "
            "itself here."
        )
    )
    blocks = asked.block if scope == THIS_BLOCK else None
    clip = asked.capture.clip
    key = ("knock out frames", clip.digest, clip.sampling, asked.capture.about, blocks)
    found = working.computed(
        key,
        "Run the network without them",
        lambda tell: nlviz.knock_out_frames(asked.capture, blocks, progress=tell),
        help="Once without them, and four times without as many random ones of each query",
    )
    if found is not None:
        _show(asked, found)
        saving.buttons("knock-out-", KINDS, partial(_file, asked, found), "knock-out-frames")


def _show(asked: Asked, found: nlviz.KnockOut) -> None:
    sentence, *lines = nlviz.words.knock_out_lines(found)
    st.markdown(f"**{plain(sentence.value)}**", help=sentence.help)
    left, right = st.columns([6, 5], gap="medium")
    with left:
        for chart in nlviz.words.knock_out_charts(found):
            st.markdown(chart.name, help=chart.help)
            rows = [(row.label, row.text, row.values) for row in chart.rows]
            intervals.draw(rows, end=chart.end, about=f"{chart.name}.")
    with right:
        for line in lines:
            st.markdown(f"**{plain(line.value)}** &nbsp; {plain(line.label)}", help=line.help)
            if line.meaning:
                st.caption(plain(line.meaning))
    for note in (*nlviz.words.missing_controls(found), *found.notes):
        st.caption(plain(note))
    if asked.affinity.keys.kind == "grid" and found.number >= 0:
        _strips(asked, found)


def _strips(asked: Asked, found: nlviz.KnockOut) -> None:
    """Draw the row without these links on the scale of the row as it was, and the difference."""
    maps = nlviz.knock_out_maps(asked.affinity, found, head=asked.view.display.head)
    clip, top = asked.capture.clip, maps.before.top_of_scale() / maps.before.uniform
    wide = WIDEST if len(clip.frames) > 1 else WIDEST // 2
    for title, shown in (
        ("The row without these links", nlviz.overlay(clip, maps.after, top=top)),
        ("What that changes", nlviz.overlay(clip, maps.difference)),
    ):
        with st.expander(title):
            st.image(shown.to_bytes("png"), width=wide if wide < WIDEST else "stretch")


def _file(asked: Asked, found: nlviz.KnockOut, kind: str) -> bytes:
    return nlviz.render.knock_out_bytes(found, kind, capture=asked.capture)
