"""Live view of the weights, and panels of the pinned pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

import nlviz

from ..shared.errors import sentence
from ..shared.language import spoken
from .state import STATE

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


def draw(live: Live) -> None:
    """Draw the live view and the comparison of two choices of weights."""
    first = nlviz.DenoiseView().display.to_dict()
    STATE.show(live.payload, display={**first, "source": next(iter(live.affinities))})
    left, right = st.columns([3, 2], gap="large")
    with left:
        _alike(live)
    with right:
        _numbers(live)


def _alike(live: Live) -> None:
    query = STATE.now.where
    keys = list(live.affinities)
    st.markdown(spoken("##### How alike are these two choices of weights?"))
    first, second = st.columns(2)
    second_key = next((k for k in ("learned-nonlocal", "bilateral") if k in keys), keys[-1])
    one = STATE.now.one if STATE.now.one in keys else keys[0]
    other = STATE.now.other if STATE.now.other in keys else second_key
    for place, label, name, key in (
        (first, "One", "one", one),
        (second, "Other", "other", other),
    ):
        with place:
            STATE.fields.pick(
                st.selectbox,
                label,
                name,
                keys,
                key,
                format_func=live.labels.__getitem__,
                label_visibility="collapsed",
            )
    frame, y, x = query
    where = f"pixel y {y:.0f}, x {x:.0f}" + (f" of frame {frame + 1:.0f}" if _moves(live) else "")
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
        f"At {where}, over the {nlviz.words.counted(found.cells, 'cell')} both can use. "
        "*Distance alone*: how alike they would be if one knew only the distance. *Chance*: one of "
        "them shifted at random. Only what lies above both is agreement about the picture."
    )


def _two_digits(value: float) -> str:
    return f"{value:.2f}".replace("-0.00", "0.00")


def _moves(live: Live) -> bool:
    return len(live.clip.frames) > 1


def _numbers(live: Live) -> None:
    st.markdown(spoken("##### Type a position"))
    STATE.number_inputs(live.clip)
    st.caption(spoken("Or point and click above; arrow keys move the pinned pixel by one."))
