"""State of the Explore page: what a visitor chose, as widgets, address and view hold it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import streamlit as st

import nlviz

from ..shared.page_state import PageState

FIRST_INPUT = "composed-twins.mp4"
FIRST_MODEL = "lite-nl"
FIRST_FRAMES = 8
SAVED = "Saved capture"  # the kind of input that brings its own maps
SIZES = (None, 240, 360, 480, 720)


@dataclass(frozen=True)
class Choice:
    """Choice of the clip and the network.

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
    """Return the choice of a first visit."""
    if captures := list(nlviz.zoo.app_offers.captures()):
        return Choice(captures[0], None, nlviz.Sampling(), "", "cpu", None, saved=True)
    sampling = nlviz.Sampling(frames=FIRST_FRAMES)
    return Choice(FIRST_INPUT, None, sampling, FIRST_MODEL, nlviz.zoo.list_devices()[0], None)


def _first() -> dict[str, Any]:
    """Return the value of each key of the session on a first visit."""
    captures = list(nlviz.zoo.app_offers.captures())
    return {
        "kind": SAVED if captures else "Bundled",
        **({"saved": captures[0]} if captures else {}),
        "input": FIRST_INPUT,
        "start": 0.0,
        "stride": None,
        "frames": FIRST_FRAMES,
        "size": None,
        "network": "Model",
        "model": FIRST_MODEL,
        "sampled_for": FIRST_MODEL,
        "weights_path": "",
        "weights_flags": "",
        "device": nlviz.zoo.list_devices()[0],
        "half": False,
        "block": None,
    }


STATE = PageState(
    "explore",
    prefix="",
    view=lambda: nlviz.View,
    keys={
        "clip": "input",
        "model": "model",
        "block": "block",
        "start": "start",
        "stride": "stride",
        "frames": "frames",
        "size": "size",
    },
    first=_first,
)


def sample_as_trained(name: str, sampling: nlviz.Sampling) -> None:
    """Sample the clip as a network was trained, once, when it is first opened.

    Args:
        name: of the network.
        sampling: frames and stride of its training.
    """
    if STATE["sampled_for"] != name:
        STATE["sampled_for"] = name
        STATE.set_next({"frames": sampling.frames, "stride": sampling.stride})


def open_from_address() -> None:
    """Take over the view that the page's address describes, once per session."""
    values = STATE.open_from_address()
    if "clip" in values:
        STATE["kind"] = "Bundled"
    if {"at", "start", "stride", "frames"} & values.keys():
        STATE["sampled_for"] = STATE["model"]  # as the address says, not as it was trained


def current_view(capture: nlviz.Capture, block: str, query: nlviz.Point) -> nlviz.View:
    """Return the view on the screen."""
    frame, y, x = query
    return nlviz.View.of(capture, block, frame=frame, y=y, x=x, display=STATE["display"])
