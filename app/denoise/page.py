"""Denoise: which pixels a denoiser averages, and how good the results are."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import streamlit as st

import nlviz

from ..shared.errors import errors_shown, progress_to
from . import curves, explain, query, results, sidebar, state
from .state import STATE

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from .live import Block, Live
    from .picture import Picture

HEAD_START = 0.6  # seconds
CURE = "Another picture or denoiser may work."


def page() -> None:
    """Draw the page; an error is shown as a sentence."""
    explain.draw()
    waiting = st.empty()
    with errors_shown("Denoise", waiting, cure=CURE):
        _draw(waiting)


def _draw(waiting: DeltaGenerator) -> None:
    session = st.session_state
    with waiting.container():
        bar = st.progress(0.0, "Reading the picture")
    progress = progress_to(bar)
    STATE.restore()
    state.open_from_address()
    if session.dn_complaint:
        st.warning(session.dn_complaint, icon=":material/link_off:")
    chosen = _choose(waiting, progress)
    if chosen is None:
        return
    picture, setup, known, block, shareable = chosen
    STATE.forget("query", unless_same=(picture.name, picture.digest))
    key = (picture.digest, _frozen(setup))
    _weights(picture, setup, known, block, progress)
    waiting.empty()
    state.write_address(shareable=shareable)
    st.markdown("#### How good are the results?")
    if not setup.denoisers:
        st.info("Choose at least one denoiser in the sidebar.", icon=":material/checklist:")
        return
    done = _computed(picture, setup, known, key)
    if done is None:
        return
    below = st.container()
    command = results.command_of(done, picture.source)
    results.save(done, picture, command)
    with below:  # the last to be computed, so that nothing waits for them
        curves.draw(done, picture, known, key)


def _choose(
    waiting: DeltaGenerator, progress: nlviz.Progress
) -> (
    tuple[Picture, nlviz.denoise.Setup, dict[str, nlviz.denoise.Denoiser], Block | None, bool]
    | None
):
    """Draw the sidebar; return the choices, or None while an upload is missing."""
    from . import cached
    from . import picture as pictures

    session = st.session_state
    with st.sidebar:
        st.markdown("**nlviz** &nbsp;·&nbsp; which pixels it averages")
        source = sidebar.choose_picture()
        if source is None:
            with waiting.container():
                st.markdown("Drop a picture or a video into the sidebar; it stays in this "
                            "session's memory.")  # fmt: skip
            return None
        sidebar.choose_size()
        source = replace(source, size=session.dn_size, grey=session.dn_grey)
        frames = st.container()
    picture = pictures.picture(source, progress)
    with frames:
        sidebar.choose_frame(picture)
    again = replace(
        source,
        frame=int(session.dn_frame),
        whole=bool(session.dn_whole) and picture.frames > 1,
        start=float(session.dn_start),
    )
    if again != source:
        picture = pictures.picture(again, progress)
    known = cached.denoisers_of(picture)

    with st.sidebar:
        noise = sidebar.choose_noise()
        told_sigma = session.dn_told if noise is None else None
        setup = nlviz.denoise.Setup(("mean",), noise, told_sigma, int(session.dn_seed))
        sigma = cached.noisy_input(picture, setup).sigma
        if noise is None or noise.kind != "gaussian":
            st.caption(f"Denoisers are told sigma {sigma:.3g}.")
        names = sidebar.choose_denoisers(known, sigma, clean=noise is not None)
        block = _block()
    parameters = nlviz.denoise.in_units(session.dn_set, known, sigma)
    setup = replace(
        setup,
        denoisers=tuple(names),
        fair=bool(session.dn_fair) and noise is not None,
        parameters=parameters,
    )
    shareable = source.upload is None and source.explore is None
    return picture, setup, known, block, shareable


def _block() -> Block | None:
    """Draw the choice of a block of Explore's network, where one is open there."""
    from ..explore import cached
    from .live import Block

    session = st.session_state
    open_there = session.get("shown")
    if open_there is None or open_there.saved:
        return None
    names = list(cached.model(open_there).blocks)
    if session.dn_block not in (None, *names):
        session.dn_block = None
    st.selectbox(
        f"Weights of a block of {open_there.model} too",
        [None, *names],
        key="dn_block",
        format_func=lambda name: "none" if name is None else name,
        help="The network that is open in Explore, run on the same noisy picture",
    )
    return None if session.dn_block is None else Block(open_there, session.dn_block)


def _weights(
    picture: Picture,
    setup: nlviz.denoise.Setup,
    known: Mapping[str, nlviz.denoise.Denoiser],
    block: Block | None,
    progress: nlviz.Progress,
) -> None:
    """Draw the live view; where it cannot be made, the results are still drawn."""
    from .live import live

    with errors_shown("Denoise", cure=CURE):
        made = live(picture, setup, known, block, progress)
        st.session_state.dn_middle = made.opening[0]
        _live(made, shareable=picture.source is not None)
    if not st.session_state.get("dn_seen"):
        # Lens and charts keep a browser busy for a second; the first map comes before them.
        st.session_state.dn_seen = True
        time.sleep(HEAD_START)


@st.fragment
def _live(made: Live, *, shareable: bool) -> None:
    """Draw the live view and what belongs to the held pixel; a pin reruns only this."""
    with errors_shown("Denoise", cure=CURE):
        at = query.draw(made)
        state.write_address(shareable=shareable)
        _move_lens(at)


def _move_lens(at: nlviz.Point) -> None:
    from ..shared import lens

    # Until somebody pins a pixel the lens follows the pointer.
    if serial := st.session_state.get("dn_lens_serial", 0):
        point = {"y": at.y, "x": at.x}
        lens.move(state.LENS_CHANNEL, point=point, serial=serial)


def _computed(
    picture: Picture,
    setup: nlviz.denoise.Setup,
    known: Mapping[str, nlviz.denoise.Denoiser],
    key: object,
) -> nlviz.denoise.Comparison | None:
    """Compute what is not there yet, with a bar; draw the results."""
    from . import cached

    session = st.session_state
    sentence, place = st.empty(), st.empty()
    left, right = st.columns(2, gap="large")
    with left:
        rows = st.empty()
    there = cached.there_already(picture, setup)
    if there is not None:
        _arrived(rows, there, setup, known)
    if session.get("dn_cancelled") == key:
        with place.container():
            st.info("Stopped. What was computed by then is kept.", icon=":material/pause:")
            st.button("Compute the rest", on_click=_resume, type="primary", key="dn_resume")
        if there is None:
            return None
        done = there
    else:
        with place.container():
            bar = st.progress(0.0, "Denoising")
            st.button("Cancel", key="dn_cancel", on_click=_cancel, args=(key,))
        done = cached.one_by_one(
            picture,
            setup,
            progress_to(bar),
            lambda some: _arrived(rows, some, setup, known),
        )
        place.empty()
    sentence.markdown(results.summary(done, picture))
    _arrived(rows, done, setup, known)
    with left:
        results.notes(done)
    with right:
        results.charts(done)
    _lens(done)
    return done


def _arrived(
    rows: DeltaGenerator,
    done: nlviz.denoise.Comparison,
    setup: nlviz.denoise.Setup,
    known: Mapping[str, nlviz.denoise.Denoiser],
) -> None:
    missing = [known[n].label for n in setup.denoisers if n not in done.results]
    results.table(rows, done, missing)


@st.fragment
def _lens(done: nlviz.denoise.Comparison) -> None:
    """Draw the lens; a click in it moves the held pixel, above too."""
    with errors_shown("Denoise", cure=CURE):
        results.lens(done)
    if st.session_state.pop("dn_pointed", False):
        st.rerun()


def _cancel(key: object) -> None:
    st.session_state.dn_cancelled = key


def _resume() -> None:
    st.session_state.dn_cancelled = None


def _frozen(setup: nlviz.denoise.Setup) -> tuple[Any, ...]:
    return (
        setup.denoisers,
        setup.noise,
        setup.sigma,
        setup.seed,
        setup.fair,
        str(setup.parameters),
    )
