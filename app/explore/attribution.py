"""Attribution panel: which cells raise the score of an answer, compared with the block's map."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import streamlit as st

import nlviz

from ..shared.errors import progress_to
from ..shared.language import spoken
from .state import STATE

KEPT = 4  # results in a session
MORE = 4  # times the steps, where integrated gradients have not converged
LEAST_WIDE, WIDEST = 420, 1000  # CSS pixels of the figure
LARGEST = 4  # CSS pixels for a pixel of a small picture
ABREAST = 4  # frames beside one another in the figure
Load = Callable[[], "nlviz.Model"]


def draw(model: Load | None, capture: nlviz.Capture, block: str, view: nlviz.View) -> None:
    """Draw the panel; nothing is computed before a click.

    Args:
        model: loads the network; None for a saved capture.
        capture: of the clip on the screen.
        block: name of the block on the screen.
        view: the view on the screen; the map of its query is compared.
    """
    with st.expander(spoken("Why this answer? Attribution beside the map"), icon=":material/rule:"):
        st.caption(nlviz.words.NOT_WHY)
        if capture.logits is None:
            st.info(
                spoken("This network gives no score per class, so there is no answer to explain.")
            )
        elif model is None:
            st.info(
                spoken(
                    "A saved capture holds no network. Load the network and the clip to "
                    "attribute its answer."
                )
            )
        else:
            _panel(model, capture, block, view)


def _panel(model: Load, capture: nlviz.Capture, block: str, view: nlviz.View) -> None:
    choose, of, act = st.columns([4, 4, 2], vertical_alignment="bottom")
    methods = list(nlviz.words.METHOD_NAMES)
    method = next((m for m in methods if m == STATE.now.attribution_method), methods[0])
    best = dict(capture.prediction(10))
    label = STATE.now.attribution_target
    if label not in best:
        label = next(iter(best))
    with choose:
        words = nlviz.words.METHOD_NAMES.__getitem__
        pick = STATE.fields.pick
        pick(st.selectbox, "Method", "attribution_method", methods, method, format_func=words)
    with of:
        pick(
            st.selectbox,
            "Answer",
            "attribution_target",
            list(best),
            label,
            format_func=lambda name: f"{name} ({best[name]:.0%})",
        )
    st.caption(nlviz.words.method_text(method))
    key = _key(capture, block, method, label)
    results = st.session_state.setdefault("attributions", OrderedDict())
    if act.button("Compute", key="attribution_run"):
        # A click inside a fragment does not interrupt what runs there, so Cancel would not work:
        # the whole script runs again and computes outside, in ``work``.
        st.session_state.attribution_wanted = (key, method, label, None)
        st.rerun()
    if key in results:
        found = results[key]
        if warning := nlviz.words.converged_text(found):
            st.warning(warning, icon=":material/warning:")
            more = MORE * found.passes
            if more <= nlviz.words.MOST_STEPS and st.button(
                f"Take {more} steps", key="attribution_more", help=_duration(found)
            ):
                st.session_state.attribution_wanted = (key, method, label, more)
                st.rerun()
        _show(found, capture, block, view)


def _key(capture: nlviz.Capture, block: str, method: str, label: str) -> tuple[Any, ...]:
    return (capture.clip.digest, capture.clip.sampling, capture.about, block, method, label)


def work(model: Load | None, capture: nlviz.Capture, block: str) -> None:
    """Compute the attribution that was asked for, with a bar; Cancel stops it before the next pass.

    Called by the page outside of any fragment.
    """
    wanted = st.session_state.get("attribution_wanted")
    if wanted is None or model is None:
        return
    key, method, label, steps = wanted
    if key != _key(capture, block, method, label):  # another clip or block is on the screen now
        _forget()
        return

    place = st.empty()
    with place.container():
        bar = st.progress(0.0, spoken("Loading the network"))
        st.button(spoken("Cancel"), key="attribution_cancel", on_click=_forget)

    try:
        found = nlviz.attribution(
            model(),
            capture,
            method=method,
            block=block,
            target=_index(capture, label),
            steps=steps,
            progress=progress_to(bar),
        )
    except nlviz.NlvizError as error:
        _forget()
        place.error(str(error), icon=":material/error:")
        return
    results = st.session_state.attributions
    results[key] = found
    while len(results) > KEPT:
        results.popitem(last=False)
    _forget()
    st.rerun()


def _duration(found: nlviz.Attribution) -> str:
    return f"About {MORE * found.seconds:.0f} s, going by the {found.seconds:.0f} s of this one"


def _forget() -> None:
    st.session_state.attribution_wanted = None


def _index(capture: nlviz.Capture, label: str) -> int:
    """Return the class of a name from ``Capture.prediction``, ``class 7`` where it has no name."""
    return (
        capture.labels.index(label)
        if label in capture.labels
        else int(label.removeprefix("class "))
    )


def _show(found: nlviz.Attribution, capture: nlviz.Capture, block: str, view: nlviz.View) -> None:
    overlay = nlviz.render.attribution_overlay(found)
    # A small picture has no more to show on a whole wall.
    frames, _, wide = capture.clip.shape
    many = min(frames, ABREAST)
    room = max(LEAST_WIDE, LARGEST * wide * many)
    st.image(overlay.to_bytes("png"), width=room if room < WIDEST else "stretch")
    st.caption(f"{nlviz.words.cost_text(found)}.")
    affinity = capture.affinities[block]
    query = view.query
    here = affinity.map(frame=query.frame, y=query.y, x=query.x)
    for other, of in (
        (here, "this point's map"),
        (affinity, f"the mean map of {block}"),
    ):
        try:
            lines = nlviz.words.agreement_lines(nlviz.agreement(found, other), of=of)
        except nlviz.NlvizError as error:
            st.caption(str(error))
            continue
        for line in lines:
            if line.value:
                st.markdown(f"**{line.value}** &nbsp; {line.label}", help=line.help)
            st.caption(line.meaning)
