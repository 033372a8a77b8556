"""Deletion: take out, or put back, what maps point at, and watch the answer or the output."""

from __future__ import annotations

from functools import partial
from typing import Any

import streamlit as st

import nlviz

from ...shared import saving
from ...shared.language import spoken
from ...shared.markdown import plain
from ...shared.saving import Kind
from .asked import NO_NETWORK, Asked, Load
from .working import computed

QUIET = {"displayModeBar": False}
SAVED = (
    Kind("PNG", "png", "image/png", "Both curves, the areas and what follows from them"),
    Kind("PDF", "pdf", "application/pdf", "The same for a paper"),
    Kind("SVG", "svg", "image/svg+xml", "The same to edit"),
    Kind("JSON", "json", "application/json", "The numbers"),
)
DRAWN = ("shifted", "random")
OF = {"answer": "The answer's probability", "output": "The block's output at this query"}
CHANCE = (
    "Where 95 of 100 further random orders would lie, if they are normally distributed: mean -+ t "
    "s sqrt(1 + 1/n) of the n that were tried"
)
NO_CELLS = (
    "Cells can be taken out where keys are cells of a clip; here they are words, boxes or nodes. "
    "Knock out cuts edges to them instead."
)


def draw(asked: Asked) -> None:
    """Draw the choices, and the two tests once each was asked for."""
    if asked.model is None:
        st.info(NO_NETWORK)
        return
    if asked.affinity.keys.kind != "grid" or asked.capture.text is not None:
        st.info(NO_CELLS)
        return
    given = _choices(asked)
    tried = len(given["maps"]) + 1 - len(DRAWN) + len(DRAWN) * given["seeds"]
    steps, groups = given.pop("steps"), given.pop("groups")
    key = (*asked.key, asked.head, *((n, str(v)) for n, v in given.items()))
    _curves(asked, (*key, steps), {**given, "steps": steps}, tried * 2 * (steps - 1) + 1)
    _order(asked, (*key, groups), {**given, "groups": groups}, tried * groups)


def _choices(asked: Asked) -> dict[str, Any]:
    """Draw what can be chosen; nothing of it runs anything."""
    measure, fill, beside = st.columns([4, 4, 6], gap="small")
    answers = asked.capture.logits is not None
    with measure:
        of = st.selectbox(
            spoken("Measure"),
            list(OF) if answers else ["output"],
            format_func=OF.__getitem__,
            key="ask-deletion-of",
            help=spoken("Output: 1 - |y' - y| / (|y'| + |y|), y before and y' after"),
        )
    with fill:
        names = nlviz.words.FILL_NAMES
        chosen = st.selectbox(
            spoken("In the place of cells"),
            list(names),
            format_func=names.__getitem__,
            key="ask-deletion-fill",
        )
    others = [name for name in nlviz.words.MAP_NAMES if name not in ("map", *DRAWN)]
    first = [n for n in ("position", "features", "nl_means", "grad-cam") if _there(asked, n)]
    with beside:
        maps = st.multiselect(
            spoken("Beside random cells and the map moved elsewhere"),
            [name for name in others if _there(asked, name)],
            default=first,
            format_func=nlviz.words.MAP_NAMES.__getitem__,
            key=f"ask-deletion-maps-{'-'.join(first)}",
        )
    a, b, c = st.columns(3, gap="small")
    steps = a.number_input("Steps of a curve", 2, 32, value=5, key="ask-deletion-steps")
    groups = b.number_input("Groups of the ordering test", 2, 32, value=6, key="ask-deletion-k")
    seeds = c.number_input(
        "Random and moved maps, each",
        2,
        32,
        value=4,
        key="ask-deletion-seeds",
        help="The more, the narrower the interval that chance gives",
    )
    return {
        "of": of,
        "fill": chosen,
        "maps": (*DRAWN, *maps),
        "seeds": int(seeds),
        "steps": int(steps),
        "groups": int(groups),
    }


def _there(asked: Asked, name: str) -> bool:
    """Return whether a map can be had for this query."""
    if name in nlviz.words.METHOD_NAMES:
        return asked.capture.logits is not None and asked.capture.text is None
    if asked.view.display.token:
        return False
    return name == "position" or name in asked.data.affinities


def _curves(asked: Asked, key: object, given: dict[str, Any], passes: int) -> None:
    found = computed(
        ("deletion", key),
        "Take cells out and put them back",
        partial(_deletion, asked, given),
        help=f"At most {nlviz.words.counted(passes, 'pass', 'passes')} through the network",
    )
    if found is None:
        return
    for sentence in (nlviz.words.deletion_sentence(found), nlviz.words.insertion_sentence(found)):
        st.markdown(plain(sentence), help=nlviz.words.AREA_MEANS)
    left, right = st.columns(2, gap="medium")
    for place, kind in ((left, "deletion"), (right, "insertion")):
        chart = nlviz.render.removal_curves(found, kind)
        place.plotly_chart(chart, config=QUIET, key=f"ask-deletion-{kind}")
    number = st.column_config.NumberColumn
    rows = nlviz.words.deletion_rows(found)
    st.dataframe(
        rows,
        hide_index=True,
        height=min(420, 35 * len(rows) + 38),
        column_config={
            "map": st.column_config.TextColumn("map"),
            "tries": number("tries", width=52),
            "deletion": number("deletion", format="%.3f", help=nlviz.words.AREA_MEANS),
            "deletion_chance": st.column_config.TextColumn("95 of 100 more", help=CHANCE),
            "insertion": number("insertion", format="%.3f", help=nlviz.words.AREA_MEANS),
            "insertion_chance": st.column_config.TextColumn("95 of 100 more", help=CHANCE),
        },
        key="ask-deletion-table",
    )
    for why in found.missing.values():
        st.caption(plain(f"{why}."))
    st.caption(f"{nlviz.words.deletion_cost(found)}.")
    saving.buttons(
        "ask-deletion-",
        SAVED,
        partial(nlviz.render.deletion_bytes, found),
        f"{asked.capture.clip.name.partition('.')[0]}-{asked.block}-deletion",
    )


def _order(asked: Asked, key: object, given: dict[str, Any], passes: int) -> None:
    found = computed(
        ("ordering", key),
        "Test the order of the map",
        partial(_ordering, asked, given),
        help=f"{nlviz.words.counted(passes, 'pass', 'passes')} through the network at most",
    )
    if found is None:
        return
    st.markdown(plain(nlviz.words.ordering_sentence(found)), help=nlviz.words.ORDER_MEANS)
    st.plotly_chart(nlviz.render.order_bars(found), config=QUIET, key="ask-ordering")
    st.caption(f"{nlviz.words.deletion_cost(found)}.")


def _deletion(asked: Asked, given: dict[str, Any], progress: nlviz.Progress) -> nlviz.Deletion:
    model: Load | None = asked.model
    assert model is not None
    head = asked.head if isinstance(asked.head, int) else None
    return nlviz.deletion(
        asked.capture,
        asked.block,
        asked.query,
        model=model(),
        head=head,
        progress=progress,
        **given,
    )


def _ordering(asked: Asked, given: dict[str, Any], progress: nlviz.Progress) -> nlviz.Ordering:
    model: Load | None = asked.model
    assert model is not None
    head = asked.head if isinstance(asked.head, int) else None
    return nlviz.ordering(
        asked.capture,
        asked.block,
        asked.query,
        model=model(),
        head=head,
        progress=progress,
        **given,
    )
