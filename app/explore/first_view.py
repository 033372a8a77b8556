"""The view that a visit begins with: bundled, so that it is on the screen before all else.

On a server that has just started it stands before PyTorch is imported; later, before the browser
has fetched what the sidebar and the panels are made of.
"""

from __future__ import annotations

import time
from dataclasses import replace

import streamlit as st

import nlviz

from .. import warm_up
from ..shared import live_view
from ..shared.language import spoken
from .choices import Choices
from .state import STATE, first_choice

LATEST = 6.0  # seconds after which the rest follows, whatever the browser says
LOOKS = 0.4  # seconds between two looks at whether it is there
STANDS = "first_view_stands"  # whether the browser has drawn it, in the session


def prepare() -> None:
    """Read what it is made of, ahead of the first visitor."""
    is_first(Choices())
    live_view.prepare()


def draw() -> bool:
    """Draw the bundled view where it is asked for, until it stands and the rest is there.

    What the reader pins or chooses in the live view meanwhile is kept.

    Returns:
        Whether it was drawn, and the rest of the page is to follow.
    """
    rest_is_there = warm_up.done() and st.session_state.get(STANDS, False)
    if rest_is_there or not is_first(STATE.now):
        return False
    bundled = nlviz.web.first_view()
    STATE.settle(bundled.shape, bundled.opening, bundled.heads)
    with st.sidebar:
        st.caption(spoken("Clips, networks and blocks to choose from follow in a moment."))
    _picture(bundled)
    live_view.when_drawn(STATE.name, _stands)
    st.session_state.setdefault("first_view_since", time.monotonic())
    _rest_follows()
    return True


def is_first(now: Choices) -> bool:
    """Return whether these are the choices of a first visit, wherever the query is."""
    block = nlviz.web.first_view().block
    if nlviz.zoo.app_offers.captures() or now.block not in (None, block):
        return False
    fresh = Choices()
    same_place = replace(
        now,
        query=fresh.query,
        pinned=fresh.pinned,
        display=fresh.display,
        seen=fresh.seen,
        extent=fresh.extent,
        opening=fresh.opening,
        notes=fresh.notes,
        block=fresh.block,
    )
    return same_place == fresh


def payload(choice: object, block: str) -> bytes | None:
    """Return the bundled bytes of a live view, if they are those of a choice and its block.

    So the view that is on the screen stays as it is when the rest of the page follows.
    """
    bundled = nlviz.web.first_view()
    same = choice == first_choice() and block == bundled.block
    return bundled.payload if same and nlviz.zoo.list_devices()[0] == "cpu" else None


@st.fragment
def _picture(bundled: nlviz.web.FirstView) -> None:
    # In a fragment, as on the whole page: so it stays where it is when that follows.
    STATE.show(bundled.payload, display=bundled.display)


def _stands() -> None:
    st.session_state[STANDS] = True
    warm_up.start()


@st.fragment(run_every=LOOKS)
def _rest_follows() -> None:
    if time.monotonic() - st.session_state.first_view_since > LATEST:
        _stands()
    if warm_up.done():
        if st.session_state.get(STANDS, False):
            st.rerun()
        return
    warm_up.spare()
    st.caption(
        spoken(
            "PyTorch and the network are being loaded; what belongs to the pinned point "
            "follows here. "
            "The picture answers meanwhile."
        )
    )
