"""Long runs of Explore: asked about before, stopped, and taken up again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from ..shared.language import spoken
from . import costs
from .choices import FIRST_FRAMES, Agreed, Choices
from .state import STATE, Choice

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator


def stop(key: object) -> None:
    """Stop a run, and return to the view that was drawn last, if there is one."""
    session = st.session_state
    session.stopped = (STATE.now, key)
    STATE.back()
    session.stopped_at = _place(STATE.now)


def _resume() -> None:
    now, key = st.session_state.stopped
    st.session_state.stopped = None
    STATE.restore(now)
    STATE.act(Agreed(key))


def _place(now: Choices) -> tuple[str, str]:
    return now.of, now.network_text


def said() -> None:
    """Say which run was stopped, above the view from before; another input ends it."""
    stopped = st.session_state.get("stopped")
    if stopped is None or _place(stopped[0]) == _place(STATE.now):
        return
    if st.session_state.stopped_at != _place(STATE.now):
        st.session_state.stopped = None
        return
    st.info(f"Stopped before {stopped[0].name} was done; this is the view from before.")
    st.button(spoken("Run it"), key="resume", on_click=_resume)


def asks(waiting: DeltaGenerator, choice: Choice, key: object) -> bool:
    """Return whether this very run was stopped; then it is offered again."""
    stopped = st.session_state.get("stopped")
    if stopped is None or stopped[1] != key:
        return False
    with waiting.container():
        st.info(f"Stopped before {choice.name} was done; nothing was lost.")
        with st.container(horizontal=True):
            st.button(spoken("Run it"), key="resume", on_click=_resume, type="primary")
            _offer_fewer(choice)
    return True


def ask(waiting: DeltaGenerator, choice: Choice, key: object, cost: costs.Cost) -> None:
    """Say what a long run costs, and offer to run it, or what was there before."""
    frames = choice.sampling.frames
    what = f"{frames} frames of {choice.name}" if frames else f"All of {choice.name}"
    with waiting.container():
        st.info(
            f"{what} take {cost.text} on this machine. Fewer frames, further apart, show the same "
            "stretch of the clip.",
            icon=":material/hourglass_top:",
        )
        with st.container(horizontal=True):
            st.button(spoken("Run it"), key="go_on", on_click=STATE.act, args=(Agreed(key),))
            _offer_fewer(choice)


def _offer_fewer(choice: Choice) -> None:
    good = STATE.good
    if good is not None and _place(good) != _place(STATE.now):
        of = "" if good.name == choice.name else f" {good.name},"
        st.button(f"Back to{of} {good.frames or 'all'} frames", key="back", on_click=STATE.back)
    elif choice.sampling.frames != FIRST_FRAMES:
        from ..shared.choices import Chose

        st.button(
            f"Take {FIRST_FRAMES} frames",
            key="fewer",
            on_click=STATE.act,
            args=(Chose("frames", FIRST_FRAMES),),
        )
