"""Explore: point at a position of a clip and see where the block looks, over all frames."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

import nlviz

from .. import warm_up
from ..shared.errors import errors_shown, progress_to, sentence, show_error
from ..shared.language import spoken
from ..shared.waiting import place
from . import (
    attribution,
    boxes,
    cached,
    choices,
    colours,
    explain,
    first_view,
    network,
    panels,
    prediction,
    queries,
    sidebar,
    state,
    stopping,
    texts,
)
from .asks import all_asks, working
from .asks.asked import Asked
from .state import STATE

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator


CURE = "Another input or block may work."


def page() -> None:
    """Draw the page; an error is shown as a sentence, beside the ways that lead on."""
    said = explain.draw()
    waiting = place()
    with errors_shown("Explore", waiting, cure=CURE, ways_on=_ways_on):
        _draw(waiting, said)


def _draw(waiting: DeltaGenerator, said: DeltaGenerator) -> None:
    question = st.empty()
    STATE.begin()
    if first_view.draw():
        return
    warm_up.start()
    with waiting.container():
        st.caption(
            spoken("Loading PyTorch and the network; the first map appears in a few seconds.")
        )
    st.session_state.block_drawn = False
    choice = sidebar.choose()
    STATE.notes()
    stopping.said()
    if isinstance(choice, sidebar.Missing):
        waiting.empty()
        with question.container():
            st.markdown(f"#### {spoken(choice.headline)}")
            st.caption(spoken(choice.text))
            _ways_on(again=False)
        return
    key = cached.capture_key(choice)
    if stopping.asks(question, choice, key):
        waiting.empty()
        return
    loaded = None
    if not choice.saved:
        loaded = _loaded(choice, waiting)
        if loaded is None:
            _ways_on(again=False)
            return
        if texts.learned(STATE.now, loaded):
            st.rerun()
        if (spec := loaded.input_spec) is not None and not (
            choice.of_text or choice.of_graph or choice.survey
        ):
            _sample_as_trained(spec.sampling(choices.FIRST_FRAMES))
    capture = _capture(choice, waiting, question, key)
    if capture is None:
        waiting.empty()
        return
    names = list(capture.affinities)
    _in_block(capture, names)
    with st.sidebar:
        sidebar.choose_block(dict(capture.affinities))
        st.session_state.block_drawn = True
        block = STATE.now.block or names[-1]
        sidebar.about_block(capture, block)
        below = st.container()
    explain.say(said, capture.affinities[block])
    with waiting.container():
        st.progress(0.97, spoken("Preparing the view"))
    before = STATE.now.notes
    queries.take_named(capture.affinities[block], capture.clip)
    data = cached.block_data(choice, capture, block, channel=STATE.name)
    heads = {key: affinity.heads for key, affinity in data.affinities.items()}
    heads |= dict.fromkeys(data.pending, 1)
    STATE.settle(capture.clip.shape, data.opening, heads)
    waiting.empty()
    if STATE.now.notes != before:
        STATE.notes()
    model = None if loaded is None else partial(cached.model, choice)
    _live(choice, capture, block, model, waiting)
    working.work()
    boxes.remember(choice, capture)
    if not isinstance(capture.clip, (nlviz.Text, nlviz.Graph)):
        st.session_state.shown = choice  # the Denoise page offers it
    if _of_pixels_alone(capture):
        attribution.work(model, capture, block)
        colours.draw(model, capture, data, block)
    with below:
        prediction.draw(model, capture, cached.source(choice))
    if loaded is not None and not network.is_bundled(choice.model):
        network.report(loaded.report)


def _ways_on(*, again: bool = True) -> None:
    """Draw what leads on from where nothing can be drawn; all controls stay in the sidebar."""
    names = st.session_state.get("blocks", {}).get(STATE.now.network_text, ())
    if STATE.now.block in names and not st.session_state.block_drawn:
        with st.sidebar:
            sidebar.choose_block(dict.fromkeys(names))
    with st.container(horizontal=True):
        if again:
            st.button(spoken("Try again"), key="again")
        good = STATE.good
        if good is not None and good != STATE.now:
            st.button(f"Go back to {good.name}", key="back", on_click=STATE.back)
        elif good is None:
            st.button(spoken("Open the first view"), key="first", on_click=STATE.open, args=({},))


def _loaded(choice: state.Choice, waiting: DeltaGenerator) -> nlviz.Model | None:
    """Load the network. If the file is incomplete, show its load report and return None."""
    with waiting.container():
        bar = st.progress(0.0, spoken("Loading the network"))
    try:
        return cached.model(choice, progress_to(bar))
    except (nlviz.errors.WeightsMismatch, nlviz.errors.NoNonLocalBlocks) as error:
        waiting.empty()
        show_error(error, page="Explore", cure=CURE)
        try:
            found = cached.report(choice)
        except type(error):  # there is nothing more to say of it
            return None
        network.report(found)
        return None


def _sample_as_trained(sampling: nlviz.Sampling) -> None:
    """Sample the clip as a network was trained, once, when it is first opened."""
    before = STATE.now
    STATE.act(choices.Sampled(before.network_text, sampling.frames, sampling.stride))
    after = STATE.now
    if (after.frames, after.stride) != (before.frames, before.stride):
        st.rerun()


def _capture(
    choice: state.Choice, waiting: DeltaGenerator, question: DeltaGenerator, key: object
) -> nlviz.Capture | None:
    """Return the capture; None where a long run must be agreed to first."""
    with waiting.container():
        bar = st.progress(0.0, f"Reading {choice.name}")
        st.button(spoken("Cancel"), key="cancel", on_click=stopping.stop, args=(key,))
    progress = progress_to(bar)
    if key not in STATE.now.agreed:
        cost = cached.cost_of(choice, progress)
        if cost is not None:
            stopping.ask(question, choice, key, cost)
            return None
    return cached.capture_of(choice, progress)


def _in_block(capture: nlviz.Capture, names: list[str]) -> None:
    """See to it that the block is one of the network's; say where another was wished."""
    known: dict[str, list[str]] = st.session_state.setdefault("blocks", {})
    known[STATE.now.network_text] = names
    wanted = STATE.now.block
    if wanted in names:
        return
    try:
        if wanted is not None:
            capture.affinities[wanted]  # raises the sentence with the close names
        STATE.act(choices.InBlock(names[-1]))
    except nlviz.NlvizError as error:
        STATE.act(choices.InBlock(names[-1], str(error)))
        STATE.notes()


def _of_pixels_alone(capture: nlviz.Capture) -> bool:
    """Return whether the clip is all that the network was given: what speaks of pixels fits it."""
    return capture.text is None and not isinstance(capture.clip, nlviz.Graph)


@st.fragment
def _live(
    choice: state.Choice,
    capture: nlviz.Capture,
    block: str,
    model: Callable[[], nlviz.Model] | None,
    waiting: DeltaGenerator,
) -> None:
    """Draw the live view and what belongs to the query; a pin reruns only this."""
    if STATE.now.block not in (None, block):  # an act in here leads to another block
        st.rerun()
    with errors_shown("Explore", cure=CURE):
        view = _draw_live(choice, capture, block, waiting)
        STATE.drawn()
        data = cached.block_data(choice, capture, block, channel=STATE.name)
        all_asks.draw(Asked(choice, capture, block, view, model, data))
        if _of_pixels_alone(capture):
            attribution.draw(model, capture, block, view)


def _draw_live(
    choice: state.Choice, capture: nlviz.Capture, block: str, waiting: DeltaGenerator
) -> nlviz.View:
    now = STATE.now
    query = now.where
    data = cached.block_data(choice, capture, block, channel=STATE.name)
    if now.display.get("source") in data.pending:
        progress = progress_to(
            waiting.progress(0.0, spoken("Running the network for its features"))
        )
        data = cached.with_features(choice, block, data, progress, channel=STATE.name)
    if data.note:
        st.warning(sentence(data.note), icon=":material/layers_clear:")
    view = nlviz.View.of(
        capture, block, frame=query[0], y=query[1], x=query[2], display=now.display
    )
    payload = cached.payload_at(
        block,
        data,
        view,
        channel=STATE.name,
        # A fragment draws what it waits for where the page does, so that nothing moves.
        waiting=lambda: progress_to(waiting.progress(0.0, spoken("Rollout through the layers"))),
    )
    waiting.empty()
    STATE.show(payload, display=view.display.to_dict())
    if data.served:
        st.caption(
            spoken(
                "Too many cells for a browser to compute every row at once: where a source "
                "cannot be previewed under the pointer, a click sends its row from here. Fewer "
                "frames or a smaller clip stay live."
            )
        )
    address = choices.parameters(now, view)
    st.session_state.explore_address = address  # the Denoise page names it in its own
    STATE.write_address(address)
    panels.draw(data.capture, data, view)
    return view
