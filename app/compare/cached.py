"""Captures of both sides, shared between reruns and visitors with those of Explore."""

from __future__ import annotations

import streamlit as st

import nlviz

from ..explore import cached, sidebar
from ..explore import state as explore_state
from ..explore.state import Choice
from ..shared.slots import Key, Slot, filled, taken
from .choices import EXPLORE, Choices

CHANGES: dict[str, str] = {
    "": "as they are",
    "reversed": "in reverse",
    "shuffled": "shuffled",
    "frozen": "the first one in all places",
    "noise": "the middle one is noise",
}


@st.cache_resource(max_entries=4, show_spinner=False)
def _changed_slot(key: Key) -> Slot:
    return Slot()


def explore_choice() -> Choice | None:
    """Return what is open in Explore; None where nothing is, or something is missing there.

    Raises:
        NlvizError: when it can no longer be opened.
    """
    shown: Choice | None = st.session_state.get("shown")
    if shown is not None or "explore_address" not in st.session_state:
        return shown
    choice = sidebar.choice_of(explore_state.STATE.now)
    return None if isinstance(choice, sidebar.Missing) else choice


def choice_of(now: Choices, prefix: str = "") -> Choice:
    """Return the input and the network of a side.

    Args:
        now: the choices.
        prefix: what the fields of the side begin with.

    Raises:
        NlvizError: when what is open in Explore is not there, or does not fit.
    """
    name, model = getattr(now, f"{prefix}input"), getattr(now, f"{prefix}model")
    from_explore = explore_choice() if EXPLORE in (name, model) else None
    if EXPLORE in (name, model) and from_explore is None:
        raise nlviz.NlvizError(
            "nothing is open in Explore in this session; open a clip there, or choose another "
            "input and network here"
        )
    own = from_explore
    device = nlviz.zoo.list_devices()[0]
    flags: tuple[tuple[str, object], ...] = ()
    if model == EXPLORE and own is not None:
        if own.saved and name != EXPLORE:
            raise nlviz.NlvizError(
                f"{own.name} is a saved capture, which holds no network for {name}; choose a "
                "network by name"
            )
        model, device, flags = own.model, own.device, own.flags
    if name == EXPLORE and own is not None:
        if own.saved:
            return own
        return Choice(
            own.name, own.upload, own.sampling, model, device, None, flags,
            text=own.text, of_text=own.of_text, of_graph=own.of_graph, boxes=own.boxes,
        )  # fmt: skip
    sampling = nlviz.Sampling(frames=now.frames)
    return Choice(name, None, sampling, model, device, None, flags)


def capture_of(choice: Choice, change: str, progress: nlviz.Progress) -> nlviz.Capture:
    """Return the capture of a side, of a changed input where that is wanted.

    Raises:
        NlvizError: whatever reading and running raise, or when the input cannot be changed so.
    """
    if not change:
        return cached.capture_of(choice, progress)
    if choice.saved:
        raise nlviz.NlvizError(
            f"{choice.name} is a saved capture, which holds no network to run on a changed input; "
            "load the network and the clip"
        )

    def make() -> nlviz.Capture:
        clip = cached.clip_of(choice, progress.part(0.0, 0.2))
        changed = _change(change, clip).apply(clip)
        loaded = cached.model(choice, progress.part(0.2, 0.4))

        def waiting() -> None:
            progress("Another visitor's run comes first; this one is next", 0.4)

        with taken(cached.turns(choice), waiting):
            words = choice.text if choice.text and not choice.of_text else None
            run = progress.part(0.4, 1.0)
            made: nlviz.Capture = loaded.capture(
                changed, text=words, boxes=choice.boxes or None, progress=run
            )
            return made

    return filled(_changed_slot((*cached.capture_key(choice), change)), make)


def _change(name: str, clip: nlviz.Clip) -> nlviz.interventions.ClipChange:
    """Return the change of this name.

    Raises:
        NlvizError: when there is none.
    """
    made = nlviz.interventions
    if name == "reversed":
        return made.ReverseTime()
    if name == "shuffled":
        return made.ShuffleTime(seed=0)
    if name == "frozen":
        return made.FreezeFrame(0)
    if name == "noise":
        return made.NoiseFrame(len(clip.frames) // 2)
    raise nlviz.NlvizError(
        f"no change of an input is called {name!r}{nlviz.errors.did_you_mean(name, CHANGES)}"
    )
