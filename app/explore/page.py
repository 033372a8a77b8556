"""Explore: point at a position of a clip and see where the block looks, over all frames."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

import nlviz

from ..shared import uploads
from ..shared.errors import errors_shown, progress_to, show_error
from . import attribution, cached, explain, network, panels, prediction, sidebar, state
from .state import STATE

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator


HEAD_START = 0.5  # seconds
CURE = "Another input or block may work."


def page() -> None:
    """Draw the page; an error is shown as a sentence."""
    explain.draw()
    waiting = st.empty()
    with errors_shown("Explore", waiting, cure=CURE):
        _draw(waiting)


def _draw(waiting: DeltaGenerator) -> None:
    with waiting.container():
        st.caption("Loading PyTorch and the network; the first map appears in a few seconds.")
    STATE.restore()
    state.open_from_address()
    choice = sidebar.choose()
    if st.session_state.complaint:
        st.warning(st.session_state.complaint, icon=":material/link_off:")
    if choice is None:
        with waiting.container():
            if st.session_state.kind == "Upload" and not st.session_state.get("upload"):
                st.markdown("#### Bring a clip or a picture")
                st.caption("Drop it into the sidebar; it stays in this session's memory.")
            else:
                st.markdown("#### Bring a network")
                st.caption("Name its file of weights in the sidebar, or say yes to its download.")
        return
    key = cached.capture_key(choice)
    if st.session_state.get("cancelled") == key:
        with waiting.container():
            st.info(f"Stopped before {choice.name} was done; nothing was lost.")
            st.button("Run it", on_click=_resume, type="primary")
        return
    loaded = None
    if not choice.saved:
        loaded = _loaded(choice, waiting)
        if loaded is None:
            return
        if (spec := loaded.input_spec) is not None:
            state.sample_as_trained(choice.model, spec.sampling(state.FIRST_FRAMES))
    capture = _capture(choice, waiting, key)
    st.session_state.shown = choice  # the Denoise page offers it
    STATE.forget("query", unless_same=cached.clip_key(choice))
    STATE.forget("block", unless_same=choice.model)
    names = list(capture.affinities)
    if st.session_state.block not in names:
        wanted = st.session_state.block
        st.session_state.block = names[-1]
        if wanted is not None:
            capture.affinities[wanted]  # raises the sentence with the close names
    with st.sidebar:
        st.selectbox("Block", names, key="block", format_func=lambda n: _block_label(capture, n))
        below = st.container()
    block = st.session_state.block
    with waiting.container():
        st.progress(0.97, "Preparing the view")
    data = cached.block_data(choice, capture, block, channel=STATE.name)
    waiting.empty()
    model = None if loaded is None else partial(cached.model, choice)
    _live(capture, block, data, _shareable(choice), model)
    attribution.work(model, capture, block)
    with below:
        prediction.draw(model, capture, cached.source(choice))
    if loaded is not None and not network.is_bundled(choice.model):
        network.report(loaded.report)


def _loaded(choice: state.Choice, waiting: DeltaGenerator) -> nlviz.Model | None:
    """Load the network. If the file is incomplete, show its load report and return None."""
    with waiting.container():
        bar = st.progress(0.0, "Loading the network")
    try:
        return cached.model(choice, progress_to(bar))
    except (nlviz.errors.WeightsMismatch, nlviz.errors.NoNonLocalBlocks) as error:
        waiting.empty()
        show_error(error, page="Explore", cure=CURE)
        network.report(cached.report(choice))
        return None


def _shareable(choice: state.Choice) -> bool:
    """Return whether an address can open the view again, on this machine at least."""
    if choice.saved:
        return False
    return choice.upload is None and not uploads.is_upload(choice.model) and not choice.flags


def _capture(choice: state.Choice, waiting: DeltaGenerator, key: object) -> nlviz.Capture:
    with waiting.container():
        bar = st.progress(0.0, f"Reading {choice.name}")
        st.button("Cancel", on_click=_cancel, args=(key,))
    return cached.capture_of(choice, progress_to(bar))


def _cancel(key: object) -> None:
    st.session_state.cancelled = key


def _resume() -> None:
    st.session_state.cancelled = None


@st.fragment
def _live(
    capture: nlviz.Capture,
    block: str,
    data: cached.BlockData,
    shareable: bool,
    model: Callable[[], nlviz.Model] | None,
) -> None:
    """Draw the live view and what belongs to the pinned query; a pin reruns only this."""
    with errors_shown("Explore", cure=CURE):
        view = _draw_live(capture, block, data, shareable)
        attribution.draw(model, capture, block, view)


def _draw_live(
    capture: nlviz.Capture, block: str, data: cached.BlockData, shareable: bool
) -> nlviz.View:
    query = STATE.query_in(capture.clip, data.opening)
    STATE.show(cached.payload_at(capture, block, data, query, channel=STATE.name))
    if not st.session_state.get("seen"):
        # Plotly's script keeps a browser busy for a second; the first map comes before it.
        st.session_state.seen = True
        time.sleep(HEAD_START)
    view = state.current_view(capture, block, query)
    STATE.write_address(view, shareable=shareable)
    panels.draw(capture, data, view)
    return view


def _block_label(capture: nlviz.Capture, name: str) -> str:
    t, h, w = capture.affinities[name].queries.shape
    return f"{name} ({t}×{h}×{w} cells)"
