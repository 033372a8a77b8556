"""What stands beside the live view for the pinned query: masses, top keys, trust, saving."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

import nlviz

from . import state

if TYPE_CHECKING:
    from .cached import BlockView

KINDS = (
    ("PNG", "png", "image/png", "The film strip with map, query, colour bar and caption"),
    ("GIF", "gif", "image/gif", "The clip under the map, looping"),
    ("MP4", "mp4", "video/mp4", "The same as H.264 video"),
    ("HTML", "html", "text/html", "This live view as one file that works offline"),
    ("JSON", "json", "application/json", "The view itself; `nlviz render` draws it again"),
    ("NPZ", "npz", "application/octet-stream", "The raw row as NumPy arrays"),
)


def draw(shot: nlviz.Capture, block: str, view: BlockView, now: nlviz.View) -> None:
    """Draw the panels of one view."""
    source = now.display.source if now.display.source in view.affinities else "learned"
    affinity = view.affinities[source]
    attention = nlviz.render.attention_of(affinity, now)
    left, middle, right = st.columns([5, 7, 5], gap="medium")
    with left:
        _mass(shot, attention)
        if shot.detections:
            _objects(shot, attention)
        _query_inputs(shot, now)
    with middle:
        _top_keys(shot, attention)
        _health(view)
    with right:
        _trust(view)
    _save(shot, affinity, now)


def _mass(shot: nlviz.Capture, attention: nlviz.AttentionMap) -> None:

    s = nlviz.row_statistics(attention, shot.clip.times)
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


def _objects(shot: nlviz.Capture, attention: nlviz.AttentionMap) -> None:

    st.markdown("##### On what it found")
    masses = nlviz.instance_masses(attention, shot.detections, clip_shape=shot.clip.shape)
    for line in nlviz.words.instance_lines(masses):
        st.markdown(f"**{line.value}** &nbsp; {line.label}", help=line.help)


def _query_inputs(shot: nlviz.Capture, now: nlviz.View) -> None:
    """Number inputs that move the query, for keyboards and for tests."""
    t, h, w = shot.clip.shape
    place = (now.query.frame, now.query.y, now.query.x)
    with st.expander("Query by numbers"):
        columns = st.columns(3)
        limits = (("Frame", t - 1), ("y (px)", h - 1), ("x (px)", w - 1))
        for column, (label, top), value in zip(columns, limits, place, strict=True):
            key = f"query_{label[0].lower()}"
            st.session_state[key] = round(min(max(value, 0), top))
            column.number_input(label, 0, top, key=key, on_change=_typed)


def _typed() -> None:
    keys = ("query_f", "query_y", "query_x")
    frame, y, x = (float(st.session_state[key]) for key in keys)
    state.move_to(nlviz.Point(frame, y, x))


def _top_keys(shot: nlviz.Capture, attention: nlviz.AttentionMap) -> None:

    gains = attention.values == "difference"
    st.markdown("##### Keys that gain most" if gains else "##### Its strongest keys")
    st.dataframe(
        nlviz.words.top_keys(shot.clip, attention, k=12),
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


def _trust(view: BlockView) -> None:

    st.markdown("##### Can this map be believed?")
    _lines(nlviz.words.trust(view.statistics))


def _health(view: BlockView) -> None:
    """Say whether the block is alive; what needs a long forward pass waits for a click."""
    st.markdown("##### Is the block alive?")
    test = view.test
    if test.cheap:
        test.run()
    told, asked = st.container(), st.empty()
    if not test.done:
        tip = "Runs the network once more without this block and compares its answers"
        if asked.button("Test the block", help=tip, key="test-block"):
            with asked, st.spinner("Running the network without the block"):
                test.run()
            asked.empty()
    with told:
        _lines(nlviz.words.health_lines(test.health))


def _lines(lines: list[nlviz.words.Line]) -> None:
    for line in lines:
        st.markdown(f"**{line.value}** &nbsp; {line.label}", help=line.help or None)
        if line.meaning:
            st.caption(line.meaning)


def _save(shot: nlviz.Capture, affinity: nlviz.Affinity, now: nlviz.View) -> None:

    st.markdown("##### Save this view")
    with st.container(horizontal=True):
        for label, kind, mime, tip in KINDS:
            st.download_button(
                label,
                data=partial(nlviz.render.render_bytes, kind, shot, affinity, now),
                file_name=f"{now.clip.name.rsplit('.', 1)[0]}-{now.block}.{kind}",
                mime=mime,
                help=tip,
                on_click="ignore",
                key=f"save-{kind}",
            )
