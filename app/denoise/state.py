"""What a visitor chose on the Denoise page, in Streamlit's session state and in the address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

import nlviz

if TYPE_CHECKING:
    from ..explore.state import Choice as ExploreChoice

CHANNEL = "denoise"  # by which the live view is moved from here
LENS_CHANNEL = "denoise-lens"
LIVE = "dn_live"  # key of the live view's component
LENS = "dn_lens"
SIZES = (128, 192, 256, 384, 512, 720, None)
DEFAULT_PICTURE = "cat.jpg"
BUNDLED, UPLOAD, EXPLORE = "Bundled", "Upload", "Explore"
FIRST = (
    "mean",
    "gaussian",
    "bilateral",
    "non-local-means",
    "learned-local",
    "learned-nonlocal",
)
FRAMES = 5  # that are read of a clip, one after the other

Values = dict[str, dict[str, Any]]

DEFAULTS: dict[str, Any] = {
    "dn_kind": BUNDLED,
    "dn_picture": DEFAULT_PICTURE,
    "dn_start": 0.0,
    "dn_frame": 0,
    "dn_whole": False,
    "dn_size": 256,
    "dn_grey": False,
    "dn_already": False,
    "dn_noise": "gaussian",
    "dn_sigma": 25.0,
    "dn_gain": 1.0,
    "dn_amount": 0.1,
    "dn_seed": 0,
    "dn_clipped": False,
    "dn_told": None,
    "dn_with": FIRST,
    "dn_set": {},
    "dn_fair": False,
    "dn_block": None,
    "dn_query": None,
    "dn_serial": 0,
    "dn_display": {},
    "dn_pair": None,
    "dn_complaint": None,
}


@dataclass(frozen=True)
class Source:
    """Which picture.

    Attributes:
        name: of the bundled file, the upload, or the clip of Explore.
        upload: the upload's bytes, or None.
        explore: what is open in Explore, where its clip is taken.
        start: seconds of a video to skip.
        frame: which of the frames that were read.
        whole: whether all of them are denoised as a clip.
        size: largest shorter side in pixels, or None for the file's own.
        grey: whether the luminance alone is taken.
    """

    name: str
    upload: bytes | None = None
    explore: ExploreChoice | None = None
    start: float = 0.0
    frame: int = 0
    whole: bool = False
    size: int | None = None
    grey: bool = False


def restore() -> None:
    """Give every choice a value; Streamlit forgets those whose widget was not drawn last time."""
    session = st.session_state
    kept = session.setdefault("dn_kept", dict(DEFAULTS))
    for key in kept:
        if key in session:
            kept[key] = session[key]
        else:
            session[key] = kept[key]


# Key of the state by parameter of the address; the display's options lie in a mapping.
_KEYS = {
    "picture": "dn_picture",
    "start": "dn_start",
    "frame": "dn_frame",
    "clip": "dn_whole",
    "size": "dn_size",
    "grey": "dn_grey",
    "noisy": "dn_already",
    "noise": "dn_noise",
    "sigma": "dn_sigma",
    "gain": "dn_gain",
    "amount": "dn_amount",
    "seed": "dn_seed",
    "clipped": "dn_clipped",
    "told": "dn_told",
    "with": "dn_with",
    "set": "dn_set",
    "fair": "dn_fair",
    "at": "dn_query",
    "block": "dn_block",
}


def open_from_address() -> None:
    """Take the choices from the page's address, once in a session."""
    session = st.session_state
    if session.get("dn_opened"):
        return
    session.dn_opened = True
    found = nlviz.DenoiseView.understood(dict(st.query_params))
    session.dn_complaint = found.complaint
    session.update({_KEYS[n]: value for n, value in found.values.items() if n in _KEYS})
    session.dn_display = {n: value for n, value in found.values.items() if n not in _KEYS}
    if session.dn_query is not None:
        session.dn_lens_serial = session.get("dn_lens_serial", 0) + 1
    if session.dn_query is not None or session.dn_display:
        session.dn_serial += 1


def view() -> nlviz.DenoiseView:
    """Return the view on the screen."""
    session = st.session_state
    values = {name: session[key] for name, key in _KEYS.items()}
    display = {
        n: v for n, v in session.dn_display.items() if n in nlviz.DenoiseView.address_parameters
    }
    return nlviz.DenoiseView.of_values({**values, **display, "with": tuple(session.dn_with)})


def write_address(*, shareable: bool) -> None:
    """Put what differs from the first view into the address; uploads cannot be reopened."""
    wanted = view().to_query_params() if shareable else {}
    if dict(st.query_params) != wanted:
        st.query_params.from_dict(wanted)


def move_to(query: nlviz.Point | None) -> None:
    """Move the query from Python: live view and lens are told through their channels."""
    st.session_state.dn_query = query
    st.session_state.dn_serial += 1


def same_picture_as_before(key: object) -> None:
    """Drop the query when another picture is on the screen."""
    session = st.session_state
    before = session.get("dn_picture_key")
    if before is not None and before != key:
        session.dn_query = None
    session.dn_picture_key = key
