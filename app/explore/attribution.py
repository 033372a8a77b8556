"""Why this answer: attribution over the same strip, beside where the block reads."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import streamlit as st

import nlviz

KEPT = 4  # results in a session
Load = Callable[[], "nlviz.Model"]


def draw(model: Load | None, shot: nlviz.Capture, block: str, now: nlviz.View) -> None:
    """Draw the panel; nothing is computed before somebody asks for it.

    Args:
        model: gives the network, or None where there is only a saved capture.
        shot: the capture.
        block: the block on the screen.
        now: the view on the screen, whose pinned query is compared.
    """
    with st.expander("Why this answer? Attribution beside the map", icon=":material/rule:"):
        st.caption(nlviz.words.NOT_WHY)
        if shot.logits is None:
            st.info("This network gives no score per class, so there is no answer to explain.")
        elif model is None:
            st.info(
                "A saved capture holds no network. Load the network and the clip to attribute its "
                "answer."
            )
        else:
            _panel(model, shot, block, now)


def _panel(model: Load, shot: nlviz.Capture, block: str, now: nlviz.View) -> None:

    choose, of, act = st.columns([4, 4, 2], vertical_alignment="bottom")
    method = choose.selectbox(
        "Method",
        list(nlviz.words.METHOD_NAMES),
        key="attribution_method",
        format_func=nlviz.words.METHOD_NAMES.__getitem__,
    )
    best = shot.prediction(10)
    label = of.selectbox(
        "Answer",
        [name for name, _ in best],
        key="attribution_target",
        format_func=lambda name: f"{name} ({dict(best)[name]:.0%})",
    )
    st.caption(nlviz.words.method_text(method))
    key = _key(shot, block, method, label)
    results = st.session_state.setdefault("attributions", OrderedDict())
    if act.button("Compute", key="attribution_run"):
        # A click inside a fragment does not interrupt what runs there, so nobody could cancel it:
        # the whole script runs again and does the work outside, in ``work``.
        st.session_state.attribution_wanted = (key, method, label)
        st.rerun()
    if key in results:
        _show(results[key], shot, block, now)


def _key(shot: nlviz.Capture, block: str, method: str, label: str) -> tuple[Any, ...]:
    return (shot.clip.digest, shot.clip.sampling, shot.about, block, method, label)


def work(model: Load | None, shot: nlviz.Capture, block: str) -> None:
    """Compute what was asked for, with a bar; a click on Cancel stops it before the next pass.

    Called by the page outside of any fragment.
    """
    wanted = st.session_state.get("attribution_wanted")
    if wanted is None or model is None:
        return
    key, method, label = wanted
    if key != _key(shot, block, method, label):  # another clip or block is on the screen now
        _forget()
        return

    place = st.empty()
    with place.container():
        bar = st.progress(0.0, "Loading the network")
        st.button("Cancel", key="attribution_cancel", on_click=_forget)

    def tell(sentence: str, share: float) -> None:
        bar.progress(min(share, 1.0), sentence)

    try:
        found = nlviz.attribution(
            model(),
            shot,
            method=method,
            block=block,
            target=_index(shot, label),
            progress=tell,
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


def _forget() -> None:
    st.session_state.attribution_wanted = None


def _index(shot: nlviz.Capture, label: str) -> int:
    """Return the class of a name from ``Capture.prediction``, ``class 7`` where it has no name."""
    return shot.labels.index(label) if label in shot.labels else int(label.removeprefix("class "))


def _show(found: nlviz.Attribution, shot: nlviz.Capture, block: str, now: nlviz.View) -> None:

    overlay = nlviz.render.attribution_overlay(found)
    st.image(overlay.to_bytes("png"), width="stretch")
    st.caption(f"{nlviz.words.cost_text(found)}.")
    affinity = shot.affinities[block]
    query = now.query
    pinned = affinity.map(frame=query.frame, y=query.y, x=query.x)
    for other, of in (
        (pinned, "the pinned query's map"),
        (affinity, f"the mean map of {block}"),
    ):
        try:
            lines = nlviz.words.agreement_lines(nlviz.agreement(found, other), of=of)
        except nlviz.NlvizError as error:
            st.caption(str(error))
            continue
        for line in lines:
            st.markdown(f"**{line.value}** &nbsp; {line.label}", help=line.help)
            st.caption(line.meaning)
