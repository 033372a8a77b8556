"""Denoise: which pixels a denoiser averages, and how good the results are."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import streamlit as st

import nlviz

from ..shared.choices import Chose
from ..shared.errors import errors_shown, progress_to
from ..shared.language import spoken
from ..shared.markdown import plain
from ..shared.page_state import new_serial
from ..shared.waiting import place
from . import curves, explain, query, results, sidebar, state
from .choices import OfExplore
from .state import STATE

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from .live import Block, Live
    from .picture import Picture

HEAD_START = 0.6  # seconds
CURE = "Another picture or denoiser may work."


def page() -> None:
    """Draw the page; an error is shown as a sentence, beside the ways that lead on."""
    explain.draw()
    waiting = place()
    with errors_shown("Denoise", waiting, cure=CURE, ways_on=_ways_on):
        _draw(waiting)


def _draw(waiting: DeltaGenerator) -> None:
    with waiting.container():
        bar = st.progress(0.0, spoken("Reading the picture"))
    progress = progress_to(bar)
    STATE.begin()
    STATE.notes()
    chosen = _choose(progress)
    if chosen is None:
        waiting.empty()
        st.markdown(
            spoken(
                "Drop a picture or a video into the sidebar; it is kept on this machine while "
                "the app runs."
            )
        )
        _ways_on(again=False)
        return
    picture, setup, known, block = chosen
    key = (picture.digest, _frozen(setup))
    _weights(picture, setup, known, block, progress)
    waiting.empty()
    state.write_address()
    for note in picture.notes:
        st.caption(plain(note))
    st.markdown(spoken("#### How good are the results?"))
    if not setup.denoisers:
        st.info(spoken("Choose at least one denoiser in the sidebar."), icon=":material/checklist:")
        return
    done = _computed(picture, setup, known, key)
    if done is None:
        return
    below = st.container()
    _save(done, picture)
    with below:  # the last to be computed, so that nothing waits for them
        curves.draw(done, picture, known, key)


def _ways_on(*, again: bool = True) -> None:
    """Draw what leads on from where nothing can be drawn; all controls stay in the sidebar."""
    with st.container(horizontal=True):
        if again:
            st.button(spoken("Try again"), key="dn_again")
        good = STATE.good
        if good is not None and good != STATE.now:
            st.button(f"Go back to {good.name}", key="dn_back", on_click=STATE.back)
        elif good is None:
            st.button(
                spoken("Open the first view"), key="dn_first", on_click=STATE.open, args=({},)
            )


def _choose(
    progress: nlviz.Progress,
) -> tuple[Picture, nlviz.denoise.Setup, dict[str, nlviz.denoise.Denoiser], Block | None] | None:
    """Draw the sidebar; return the choices, or None while an upload is missing.

    Raises:
        NlvizError: when the picture cannot be read; what would mend it was drawn before.
    """
    from . import cached
    from . import picture as pictures

    with st.sidebar:
        st.markdown(f"**nlviz** &nbsp;·&nbsp; {spoken('which pixels it averages')}")
        sidebar.choose_picture()
        sidebar.choose_size()
        frames = st.container()
        sidebar.choose_noise()
        below = st.container()
    try:
        source = sidebar.source_of(STATE.now)
        if source is None:
            return None
        _of_explore(source)
        picture = pictures.picture(source, progress)
    except nlviz.NlvizError:
        with frames:
            sidebar.choose_frame(None)
        raise
    with frames:
        sidebar.choose_frame(picture)
    if source.whole and picture.frames == 1:
        picture = pictures.picture(replace(source, whole=False), progress)
    known = cached.denoisers_of(picture)
    now, noise = STATE.now, sidebar.noise_of(STATE.now)
    setup = nlviz.denoise.Setup(("mean",), noise, now.told if noise is None else None, now.seed)
    with below:
        sigma = cached.noisy_input(picture, setup).sigma
        if noise is None or noise.kind != "gaussian":
            st.caption(f"Noise level given to the denoisers: {sigma:.3g}.")
        names = sidebar.choose_denoisers(known, sigma, clean=noise is not None)
        block = _block()
    setup = replace(
        setup,
        denoisers=tuple(names),
        fair=now.fair and noise is not None,
        parameters=nlviz.denoise.in_units(now.set, known, sigma),
    )
    return picture, setup, known, block


def _of_explore(source: state.Source) -> None:
    """Note which clip of Explore is shown; what was pinned in another one goes."""
    from ..explore import cached

    if source.explore is None:
        return
    clip = repr(cached.clip_key(source.explore))
    STATE.act(OfExplore(clip))


def _block() -> Block | None:
    """Draw the choice of a block of Explore's network, where one is open there."""
    from ..explore import cached
    from .live import Block

    open_there = state.open_in_explore()
    found = open_there is not None and not open_there.saved
    names = list(cached.model(open_there).blocks) if open_there is not None and found else []
    if STATE.now.block not in (None, *names):  # of an address, or of another network
        STATE.act(Chose("block", None))
    if open_there is None or not names:
        return None
    block = STATE.now.block
    STATE.fields.pick(
        st.selectbox,
        f"Also show a block of {open_there.model.rsplit('/', 1)[-1]}",
        "block",
        [None, *names],
        block,
        format_func=lambda name: "none" if name is None else name,
        help="The network that is open in Explore, run on the same noisy picture",
    )
    return None if block is None else Block(open_there, block)


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
        heads = {key: affinity.heads for key, affinity in made.affinities.items()}
        before = STATE.now.notes
        STATE.settle(made.clip.shape, made.opening, heads)
        if STATE.now.notes != before:
            STATE.notes()
        _live(made)
    if not st.session_state.get("dn_seen"):
        # Lens and charts keep a browser busy for a second; the first map comes before them.
        st.session_state.dn_seen = True
        time.sleep(HEAD_START)


@st.fragment
def _live(made: Live) -> None:
    """Draw the live view and what belongs to the pinned pixel; a pin reruns only this."""
    with errors_shown("Denoise", cure=CURE):
        query.draw(made)
        STATE.drawn()
        state.write_address()
        _move_lens()


def _move_lens() -> None:
    """Tell the lens where the query is pinned; until it is, the lens follows the pointer."""
    from ..shared import live_view

    now = STATE.now
    at = now.where
    live_view.move(
        state.LENS_CHANNEL,
        of=now.of,
        seen=now.lens_seen,
        query={"y": at.y, "x": at.x} if now.pinned else None,
        view={} if now.pinned else {"free": True},
        serial=new_serial(),
    )


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
            st.info(spoken("Stopped. What was computed by then is kept."), icon=":material/pause:")
            st.button(spoken("Compute the rest"), on_click=_resume, type="primary", key="dn_resume")
        if there is None:
            return None
        done = there
    else:
        with place.container():
            bar = st.progress(0.0, spoken("Denoising"))
            st.button(spoken("Cancel"), key="dn_cancel", on_click=_cancel, args=(key,))
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
    """Draw the lens; a click in it moves the pinned pixel, above too."""
    with errors_shown("Denoise", cure=CURE):
        results.lens(done)
    if st.session_state.pop("dn_pointed", False):
        st.rerun()


@st.fragment
def _save(done: nlviz.denoise.Comparison, picture: Picture) -> None:
    """Draw what saves the comparison."""
    whole = replace(done, notes=tuple(dict.fromkeys((*picture.notes, *done.notes))))
    results.save(whole, picture, results.command_of(done, picture.source))


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
