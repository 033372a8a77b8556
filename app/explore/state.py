"""What a visitor chose, in Streamlit's session state and in the address of the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import streamlit as st

import nlviz

CHANNEL = "explore"  # by which the live view is moved from here
LIVE = "live"  # key of the live view's component
DEFAULT_INPUT = "composed-twins.mp4"
DEFAULT_MODEL = "lite-nl"
SAVED = "Saved capture"  # the kind of input that brings its own maps
SIZES = (None, 240, 360, 480, 720)

# Key of the state by parameter of the address; query and display have their own ways.
_KEYS = {
    "clip": "input",
    "model": "model",
    "block": "block",
    "start": "start",
    "stride": "stride",
    "frames": "frames",
    "size": "size",
}
DEFAULTS: dict[str, Any] = {
    "query": None,
    "display": {},
    "serial": 0,
    "kind": "Bundled",
    "input": DEFAULT_INPUT,
    "start": 0.0,
    "stride": None,
    "frames": 8,
    "size": None,
    "model": DEFAULT_MODEL,
    "block": None,
    "complaint": None,
    "network": "Model",
    "weights_path": "",
    "weights_flags": "",
    "sampled_for": DEFAULT_MODEL,
    "half": False,
    "wanted": None,
}


@dataclass(frozen=True)
class Choice:
    """What to look at.

    Attributes:
        name: name of the bundled input or of the upload.
        upload: the upload's bytes, or None for a bundled input.
        sampling: which frames.
        model: name of the model, or the path of a file of weights.
        flags: overrides of how it is computed.
        half: run it in half precision.
        device: where to run it.
        block: name of the block, or None for the model's last.
        saved: whether the input is a saved capture, which needs no network.
    """

    name: str
    upload: bytes | None
    sampling: nlviz.Sampling
    model: str
    device: str
    block: str | None
    flags: tuple[tuple[str, object], ...] = ()
    half: bool = False
    saved: bool = False


def saved_choice(name: str, upload: bytes | None) -> Choice:
    """Return the choice of a saved capture: one that was offered, or an upload."""
    return Choice(name, upload, nlviz.Sampling(), "", "cpu", st.session_state.block, saved=True)


def first_choice() -> Choice:
    """Return what is chosen when nobody chose anything."""
    d = DEFAULTS
    if captures := list(nlviz.zoo.app_offers.captures()):
        return Choice(captures[0], None, nlviz.Sampling(), "", "cpu", None, saved=True)
    sampling = nlviz.Sampling(d["start"], d["stride"], d["frames"], d["size"])
    return Choice(d["input"], None, sampling, d["model"], nlviz.zoo.list_devices()[0], d["block"])


def restore() -> None:
    """Give every choice a value; Streamlit forgets those whose widget was not drawn last time."""
    if "kept" not in st.session_state:
        captures = list(nlviz.zoo.app_offers.captures())
        first = {"kind": SAVED, "saved": captures[0]} if captures else {}
        st.session_state.kept = {**DEFAULTS, "device": nlviz.zoo.list_devices()[0], **first}
    kept = st.session_state.kept
    if st.session_state.get("wanted"):
        # Widgets must not be told once they are drawn, so this waited for the next run.
        st.session_state.update(st.session_state.wanted)
        st.session_state.wanted = None
    for key in kept:
        if key in st.session_state:
            kept[key] = st.session_state[key]
        else:
            st.session_state[key] = kept[key]


def sample_as_trained(name: str, frames: int | None, stride: int | None) -> None:
    """Take the frames that a network was trained on, once, when it is first looked into.

    Args:
        name: of the network.
        frames: how many, or None where it has no preference.
        stride: every stride-th frame, or None for frames spread evenly.
    """
    state = st.session_state
    if state.sampled_for == name:
        return
    state.sampled_for = name
    wanted = {"frames": frames or DEFAULTS["frames"], "stride": stride}
    if any(state[key] != value for key, value in wanted.items()):
        state.wanted = wanted
        st.rerun()


def open_from_address() -> None:
    """Take over the view that the page's address describes, once per session."""
    if st.session_state.get("opened"):
        return
    st.session_state.opened = True
    state = st.session_state
    found = nlviz.View.understood(dict(st.query_params))
    values = found.values
    state.complaint = found.complaint
    if "clip" in values:
        state.kind = "Bundled"
    state.update({key: values[name] for name, key in _KEYS.items() if name in values})
    state.display = {n: value for n, value in values.items() if n not in (*_KEYS, "at")}
    if {"at", "start", "stride", "frames"} & values.keys():
        state.sampled_for = state.model  # as the address says, not as the network was trained
    if "at" in values:
        move_to(values["at"])


def move_to(query: nlviz.Point | None) -> None:
    """Move the query from Python: the live view is told through its channel."""
    st.session_state.query = query
    st.session_state.serial += 1


def same_clip_as_before(key: object) -> None:
    """Drop the query when another clip is on the screen."""
    before = st.session_state.get("clip_key")
    if before is not None and before != key:
        st.session_state.query = None
    st.session_state.clip_key = key


def same_network_as_before(key: object) -> None:
    """Drop the block when another network is on the screen: its name is the other's."""
    before = st.session_state.get("network_key")
    if before is not None and before != key:
        st.session_state.block = None
    st.session_state.network_key = key


def current_view(capture: nlviz.Capture, block: str, query: nlviz.Point) -> nlviz.View:
    """Return the view on the screen."""
    frame, y, x = query
    return nlviz.View.of(
        capture, block, frame=frame, y=y, x=x, display=st.session_state.get("display") or {}
    )


def write_address(view: nlviz.View, *, shareable: bool) -> None:
    """Put the view into the page's address; an upload cannot be reopened, so it is left out."""
    wanted = view.to_query_params() if shareable else {}
    if dict(st.query_params) != wanted:
        st.query_params.from_dict(wanted)
