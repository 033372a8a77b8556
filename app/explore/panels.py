"""Panels of the point on the screen: its row over time, strongest keys, trust, health, saving."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

import nlviz

from ..shared import bars, saving
from ..shared.language import spoken
from ..shared.markdown import plain
from ..shared.saving import Kind
from . import queries

if TYPE_CHECKING:
    from .cached import BlockData

MOVIES = ("gif", "mp4")  # a picture has none
KINDS = (
    Kind("PNG", "png", "image/png", "The film strip with map, query, colour bar and caption"),
    Kind("PDF", "pdf", "application/pdf", "The film strip for a paper: text and marks as vectors"),
    Kind("SVG", "svg", "image/svg+xml", "The film strip to edit: text and marks as vectors"),
    Kind("GIF", "gif", "image/gif", "The clip under the map, looping"),
    Kind("MP4", "mp4", "video/mp4", "The same as H.264 video"),
    Kind("HTML", "html", "text/html", "This live view as one file that works offline"),
    Kind("JSON", "json", "application/json", "The view itself; `nlviz render` draws it again"),
    Kind("NPZ", "npz", "application/octet-stream", "The raw row as NumPy arrays"),
)


def draw(capture: nlviz.Capture, data: BlockData, view: nlviz.View) -> None:
    """Draw the panels of one view."""
    own = capture.affinities[view.block]
    affinity = data.affinities.get(view.display.source, own)
    attention = nlviz.render.attention_of(affinity, view)
    # A variant is judged by its own rows; the learned block's numbers would not be about it.
    about = None if affinity is own else variant_label(view.display.source)
    nouns = nlviz.words.nouns_of(own.queries)
    left, middle, right = st.columns([5, 6, 6], gap="medium")
    with left:
        _row(capture, attention)
        for line in nlviz.words.branch_lines(own, attention) if affinity is own else ():
            st.markdown(f"**{line.value}** &nbsp; {line.label}", help=line.help)
        if capture.detections and attention.values != "similarity":
            _objects(capture, attention)
        queries.draw(capture, affinity, view)
    with middle:
        _top_keys(capture, attention)
        _top_words(attention)
    with right:
        _trust(data, about, nouns)
        _health(data, about, nouns)
    _save(capture, affinity, view)


def variant_label(source: str) -> str:
    """Return the name of a source as it stands above the picture."""
    return nlviz.words.source_label(source)


def _row(capture: nlviz.Capture, attention: nlviz.AttentionMap) -> None:
    """Draw what the row, or column, of the point on the screen does."""
    clip = capture.clip
    if attention.values == "similarity":
        _similarity(capture, attention)
        return
    s = nlviz.row_statistics(attention, clip.times)
    st.markdown(f"##### {plain(nlviz.words.row_heading(attention))}")
    placed = not attention.token
    if placed:
        st.caption(nlviz.words.place_text(clip, attention, bare=True))
    if len(s.per_frame) > 1:
        own, _, _ = attention.keys.unravel(attention.own)
        bars.columns(
            [float(mass) for mass in s.per_frame],
            nlviz.words.times_text([float(time) for time in s.frame_times], space="\u00a0"),
            [nlviz.words.share_text(attention, float(mass)) for mass in s.per_frame],
            own=int(own) if placed else -1,
            about="Weight by frame.",
        )
    if s.left_out:
        st.caption(f"Without what is hidden: {s.left_out:.0%} of the weight.")
    column, nouns = attention.direction == "to", nlviz.words.nouns_of(attention.keys)
    for line in nlviz.words.row_lines(s, column=column, placed=placed, nouns=nouns):
        st.markdown(f"**{line.value}** &nbsp; {line.label}", help=line.help or None)
    own_cell = nlviz.words.own_line(attention)
    for line in (*([] if own_cell is None else [own_cell]), *nlviz.words.share_lines(attention)):
        st.markdown(f"**{line.value}** &nbsp; {plain(line.label)}", help=line.help)


def _similarity(capture: nlviz.Capture, attention: nlviz.AttentionMap) -> None:
    """Draw how alike the features of other cells are to those of the point on the screen."""
    st.markdown(f"##### {plain(nlviz.words.row_heading(attention))}")
    placed = not attention.token
    if placed:
        st.caption(nlviz.words.place_text(capture.clip, attention, bare=True))
    s = nlviz.row_statistics(attention, capture.clip.times)
    most = nlviz.words.most_alike(attention)
    if len(most) > 1:
        own, _, _ = attention.keys.unravel(attention.own)
        bars.columns(
            [float(value) for value in most],
            nlviz.words.times_text([float(time) for time in s.frame_times], space="\u00a0"),
            [f"{value:.2f}" for value in most],
            own=int(own) if placed else -1,
            about="Cosine of the most alike other cell of each frame.",
        )
    for line in nlviz.words.similarity_lines(attention):
        st.markdown(f"**{line.value}** &nbsp; {line.label}", help=line.help or None)


def _objects(capture: nlviz.Capture, attention: nlviz.AttentionMap) -> None:
    st.markdown(spoken("##### On what it found"))
    masses = nlviz.instance_masses(attention, capture.detections, clip_shape=capture.clip.shape)
    for line in nlviz.words.instance_lines(masses):
        st.markdown(f"**{line.value}** &nbsp; {line.label}", help=line.help)


def _top_keys(capture: nlviz.Capture, attention: nlviz.AttentionMap) -> None:
    st.markdown(f"##### {nlviz.words.keys_heading(attention)}")
    rows = nlviz.words.top_keys(capture.clip, attention, k=12, own=False)
    if not rows:
        st.caption(spoken("No other key is in reach."))
        return
    if "place" in rows[0]:
        _words(rows, attention, key="top-keys")
        return
    moves = len(capture.clip.frames) > 1
    unit = nlviz.words.unit_text(attention)
    st.dataframe(
        rows,
        hide_index=True,
        column_order=(
            "key",
            *(("name",) if "name" in rows[0] else ()),
            "multiple",
            *(("when",) if moves else ()),
            "y",
            "x",
        ),
        row_height=44,
        height=min(420, 44 * len(rows) + 38),
        column_config={
            "key": st.column_config.ImageColumn(" ", width=48),
            "when": st.column_config.TextColumn("time", width=62),
            "time": None,
            "y": st.column_config.NumberColumn("y px", format="%.0f", width=52),
            "x": st.column_config.NumberColumn("x px", format="%.0f", width=52),
            "weight": None,
            "multiple": st.column_config.ProgressColumn(
                unit,
                width=112,
                format="%.2f" if attention.values == "similarity" else "%.1f",
                min_value=0,
                max_value=max(1e-3, rows[0]["multiple"]),
                help="Cosine of the features of both cells; the point's own is not among them"
                if attention.values == "similarity"
                else "Weight as a multiple of what every key would get if all got the same; the "
                "point's own cell is not among them",
            ),
        },
        key="top-keys",
    )


def _words(rows: list[dict[str, Any]], attention: nlviz.AttentionMap, *, key: str) -> None:
    """Draw keys that have names, and how far they are from the query's word."""
    named = attention.keys.kind == "nodes"
    away = ("away",) if "away" in rows[0] else ()
    st.dataframe(
        rows,
        hide_index=True,
        column_order=("name", "multiple", "weight", "place", *away),
        height=min(420, 35 * len(rows) + 38),
        column_config={
            "name": st.column_config.TextColumn("node" if named else "word"),
            "place": st.column_config.NumberColumn("no.", width=52, help="Counted from 0"),
            "away": st.column_config.NumberColumn(
                "away", format="%+d", width=58, help="Tokens from the query's; + comes after it"
            ),
            "weight": st.column_config.NumberColumn("weight", format="%.3f", width=64),
            "multiple": st.column_config.ProgressColumn(
                nlviz.words.unit_text(attention),
                width=112,
                format="%.2f" if attention.values == "similarity" else "%.1f",
                min_value=0,
                max_value=max(1e-3, rows[0]["multiple"]),
                help="Weight as a multiple of what every key would get if all got the same",
            ),
        },
        key=key,
    )


def _top_words(attention: nlviz.AttentionMap) -> None:
    """Draw the strongest words beside the picture, where there are words."""
    rows = nlviz.words.top_words(attention)
    if rows:
        st.markdown(spoken("##### Its strongest words"))
        _words(rows, attention, key="top-words")


def _trust(data: BlockData, about: str | None, nouns: nlviz.words.Nouns) -> None:
    st.markdown(spoken("##### Can this map be believed?"))
    if about is not None:
        st.caption(f"About the learned block, not about *{about}*, which is on the screen.")
    _lines(nlviz.words.trust(data.statistics, nouns=nouns))


def _health(data: BlockData, about: str | None, nouns: nlviz.words.Nouns) -> None:
    """Draw the health of the block; a long forward pass waits for a click."""
    st.markdown(spoken("##### Is the block alive?"))
    if about is not None:
        st.caption(f"About the learned block, not about *{about}*.")
    test = data.test
    if test.cheap:
        test.run()
    lines = st.container()
    if not test.cheap:
        # One button with one key, whatever it says: the focus of a keyboard stays with it.
        wanted = st.session_state.pop("test_wanted", False)
        tip = "Runs the network once more without this block and compares its answers"
        label = "Tested" if wanted or test.done else "Test the block"
        st.button(label, help=tip, key="test-block", on_click=_want_test)
        if wanted and not test.done:
            with st.spinner("Running the network without the block"):
                test.run()
    with lines:
        _lines(nlviz.words.health_lines(test.health, nouns=nouns))


def _want_test() -> None:
    st.session_state.test_wanted = True


def _lines(lines: list[nlviz.words.Line]) -> None:
    for line in lines:
        value = f"**{line.value}** &nbsp; " if line.value else ""
        st.markdown(f"{value}{line.label}", help=line.help or None)
        if line.meaning:
            st.caption(line.meaning)


def _save(capture: nlviz.Capture, affinity: nlviz.Affinity, view: nlviz.View) -> None:
    st.markdown(spoken("##### Save this view"))

    def make(kind: str) -> bytes:
        return bytes(nlviz.render.render_bytes(kind, capture, affinity, view))

    still = len(capture.clip.frames) == 1
    kinds = tuple(kind for kind in KINDS if not (still and kind.ending in MOVIES))
    stem = "text" if view.clip.text is not None else view.clip.name.rsplit(".", 1)[0]
    saving.buttons("save-", kinds, make, f"{stem}-{view.block}")
