"""The live view of the weights, and what belongs to the pixel that is held."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

import nlviz

from ..shared import live_view
from ..shared.errors import sentence
from . import state

if TYPE_CHECKING:
    from .live import Live

MEASURES = {
    "correlation": (
        "rank correlation",
        "Do both put the pixels in the same order? 1: the same order, 0: unrelated",
    ),
    "overlap": ("overlap of the strongest", "Share of the strongest cells that both have"),
    "mass": ("weight in common", "How much of the weight both put on the same cells"),
}


def draw(live: Live) -> nlviz.Point:
    """Draw the live view and the comparison of two choices of weights; return the query."""
    query = st.session_state.dn_query or live.opening
    try:
        live.clip.check(frame=query[0], y=query[1], x=query[2])
    except nlviz.NlvizError as error:
        st.warning(sentence(str(error)), icon=":material/my_location:")
        st.session_state.dn_query, query = None, live.opening
    live_view.mount(live.payload, key=state.LIVE, on_pin=_pinned, on_view=_display_changed)
    moved = st.session_state.dn_query is not None
    live_view.move(
        state.CHANNEL,
        query=nlviz.Point(*query)._asdict() if moved else None,
        view=st.session_state.dn_display,
        serial=st.session_state.dn_serial,
    )
    left, right = st.columns([3, 2], gap="large")
    with left:
        _alike(live, query)
    with right:
        _numbers(live, query)
    return query


def _pinned() -> None:
    pin = st.session_state[state.LIVE].get("pin")
    if pin:
        st.session_state.dn_query = nlviz.Point(
            float(pin["frame"]), float(pin["y"]), float(pin["x"])
        )
        st.session_state.dn_lens_serial = st.session_state.get("dn_lens_serial", 0) + 1


def _display_changed() -> None:
    st.session_state.dn_display = dict(st.session_state[state.LIVE].get("view") or {})


def _alike(live: Live, query: nlviz.Point) -> None:
    keys = list(live.affinities)
    st.markdown("##### How alike are these two choices of weights?")
    first, second = st.columns(2)
    second_key = next((k for k in ("learned-nonlocal", "bilateral") if k in keys), keys[-1])
    for key, default in (("dn_one", keys[0]), ("dn_other", second_key)):
        if st.session_state.get(key) not in keys:
            st.session_state[key] = default
    label = live.labels.__getitem__
    one = first.selectbox(
        "One", keys, key="dn_one", format_func=label, label_visibility="collapsed"
    )
    other = second.selectbox(
        "Other", keys, key="dn_other", format_func=label, label_visibility="collapsed"
    )
    frame, y, x = query
    where = f"pixel y {y:.0f}, x {x:.0f}" + (f" of frame {frame:.0f}" if _moves(live) else "")
    held = "the held pixel" if st.session_state.dn_query else "the pixel that the view opens at"
    try:
        found = nlviz.common_ground(
            live.affinities[one], live.affinities[other], frame=frame, y=y, x=x
        )
    except nlviz.NlvizError as error:
        st.caption(sentence(str(error)))
        return
    rows: list[dict[str, Any]] = found.table
    lines = ["| | these two | distance alone | chance |", "| :-- | --: | --: | --: |"]
    for row in rows:
        name, _ = MEASURES[row["measure"]]
        own, distance, chance = (_two_digits(row[c]) for c in ("value", "distance", "chance"))
        lines.append(f"| {name} | **{own}** | {distance} | {chance} |")
    st.markdown(
        "\n".join(lines), help="\n\n".join(f"**{n}**: {what}" for n, what in MEASURES.values())
    )
    st.caption(
        f"At {held}, {where}; over the {found.cells} cells that both reach. *Distance alone*: one "
        "of the two replaced by a blob around the pixel. *Chance*: one of them shifted at random. "
        "Only what lies above both is agreement about the picture."
    )


def _two_digits(value: float) -> str:
    return f"{value:.2f}".replace("-0.00", "0.00")


def _moves(live: Live) -> bool:
    return len(live.clip.frames) > 1


def _numbers(live: Live, query: nlviz.Point) -> None:
    """Number inputs that move the query, for keyboards and for tests."""
    t, h, w = live.clip.shape
    st.markdown("##### Go to a pixel")
    limits = (("Frame", t - 1), ("y (px)", h - 1), ("x (px)", w - 1))
    shown = [p for p in zip(limits, query, strict=True) if p[0][1] > 0]
    for column, ((label, top), value) in zip(st.columns(len(shown) or 1), shown, strict=False):
        key = f"dn_query_{label[0].lower()}"
        st.session_state[key] = round(min(max(value, 0), top))
        column.number_input(label, 0, top, key=key, on_change=_typed)
    st.caption("Or point and click above; arrow keys move the held pixel by one.")


def _typed() -> None:
    keys = ("dn_query_f", "dn_query_y", "dn_query_x")
    frame, y, x = (float(st.session_state.get(key, 0)) for key in keys)
    state.move_to(nlviz.Point(frame, y, x))
    st.session_state.dn_lens_serial = st.session_state.get("dn_lens_serial", 0) + 1
