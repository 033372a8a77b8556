"""Panels of the pinned query: its row over time, strongest keys, whether to believe it, saving."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

import nlviz

from ..shared import saving
from ..shared.saving import Kind
from .state import STATE

if TYPE_CHECKING:
    from .cached import BlockData

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
    left, middle, right = st.columns([5, 7, 5], gap="medium")
    with left:
        _mass(capture, attention)
        if capture.detections:
            _objects(capture, attention)
        _query_inputs(capture, view)
    with middle:
        _top_keys(capture, attention)
        _health(data)
    with right:
        _trust(data)
    _save(capture, affinity, view)


def _mass(capture: nlviz.Capture, attention: nlviz.AttentionMap) -> None:
    s = nlviz.row_statistics(attention, capture.clip.times)
    what = ", minus the mean row" if s.moved is not None else ""
    st.markdown(f"##### The pinned query's row{what}")
    if len(s.per_frame) > 1:
        own, _, _ = attention.keys.unravel(attention.own)
        chart = nlviz.render.charts.mass_over_time(s.per_frame, s.frame_times, own=own)
        st.plotly_chart(chart, config={"displayModeBar": False}, key="mass")
    if s.left_out:
        st.caption(f"Without what was left out: {s.left_out:.0%} of the mass.")
    for line in nlviz.words.row_lines(s):
        st.markdown(f"**{line.value}** &nbsp; {line.label}", help=line.help)


def _objects(capture: nlviz.Capture, attention: nlviz.AttentionMap) -> None:
    st.markdown("##### On what it found")
    masses = nlviz.instance_masses(attention, capture.detections, clip_shape=capture.clip.shape)
    for line in nlviz.words.instance_lines(masses):
        st.markdown(f"**{line.value}** &nbsp; {line.label}", help=line.help)


def _query_inputs(capture: nlviz.Capture, view: nlviz.View) -> None:
    with st.expander("Query by numbers"):
        STATE.number_inputs(capture.clip)


def _top_keys(capture: nlviz.Capture, attention: nlviz.AttentionMap) -> None:
    gains = attention.values == "difference"
    st.markdown("##### Keys that gain most" if gains else "##### Its strongest keys")
    st.dataframe(
        nlviz.words.top_keys(capture.clip, attention, k=12),
        hide_index=True,
        column_order=("key", "multiple", "time", "y", "x"),
        row_height=44,
        height=420,
        column_config={
            "key": st.column_config.ImageColumn(" ", width=48),
            "time": st.column_config.NumberColumn("s", format="%.2f", width=52),
            "y": st.column_config.NumberColumn("y px", format="%.0f", width=52),
            "x": st.column_config.NumberColumn("x px", format="%.0f", width=52),
            "weight": None,
            "multiple": st.column_config.ProgressColumn(
                "× uniform",
                width=112,
                format="%.1f",
                min_value=0,
                max_value=max([1e-3, *(link.multiple for link in attention.top(1))]),
                help="Weight as a multiple of what every key would have if all had the same",
            ),
        },
        key="top-keys",
    )


def _trust(data: BlockData) -> None:
    st.markdown("##### Can this map be believed?")
    _lines(nlviz.words.trust(data.statistics))


def _health(data: BlockData) -> None:
    """Draw the health of the block; a long forward pass waits for a click."""
    st.markdown("##### Is the block alive?")
    test = data.test
    if test.cheap:
        test.run()
    lines, question = st.container(), st.empty()
    if not test.done:
        tip = "Runs the network once more without this block and compares its answers"
        if question.button("Test the block", help=tip, key="test-block"):
            with question, st.spinner("Running the network without the block"):
                test.run()
            question.empty()
    with lines:
        _lines(nlviz.words.health_lines(test.health))


def _lines(lines: list[nlviz.words.Line]) -> None:
    for line in lines:
        st.markdown(f"**{line.value}** &nbsp; {line.label}", help=line.help or None)
        if line.meaning:
            st.caption(line.meaning)


def _save(capture: nlviz.Capture, affinity: nlviz.Affinity, view: nlviz.View) -> None:
    st.markdown("##### Save this view")

    def make(kind: str) -> bytes:
        return bytes(nlviz.render.render_bytes(kind, capture, affinity, view))

    saving.buttons("save-", KINDS, make, f"{view.clip.name.rsplit('.', 1)[0]}-{view.block}")
