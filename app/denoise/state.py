"""What a visitor chose on the Denoise page, in Streamlit's session state and in the address."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
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


def _words(given: str) -> bool:
    return given not in ("", "0", "false")


def _number(given: str) -> float:
    value = float(given)
    if not math.isfinite(value):
        raise ValueError(given)
    return value


def _size(given: str) -> int | None:
    return None if given == "full" else max(int(given), 16)


def _values(given: str) -> Values:
    """Return parameters by denoiser from ``bm3d.level:1.2,mean.window:5``."""
    out: Values = {}
    for part in given.split(","):
        place, _, text = part.partition(":")
        name, _, parameter = place.rpartition(".")
        value = nlviz.named_values.value_of(text)
        if isinstance(value, str) or (isinstance(value, float) and not math.isfinite(value)):
            raise ValueError(text)  # parameters are numbers or switches
        out.setdefault(name, {})[parameter] = value
    return out


def _values_text(values: Mapping[str, Mapping[str, Any]]) -> str:
    words = {True: "on", False: "off", None: "none"}

    def text(value: Any) -> str:
        plain = value is None or isinstance(value, bool)
        return words[value] if plain else repr(value)

    return ",".join(f"{n}.{p}:{text(v)}" for n, of in values.items() for p, v in of.items())


# Name in the address: key of the state, how it is read, how it is written.
Field = tuple[str, Callable[[str], Any], Callable[[Any], str]]
_FIELDS: dict[str, Field] = {
    "picture": ("dn_picture", str, str),
    "start": ("dn_start", _number, "{:g}".format),
    "frame": ("dn_frame", int, str),
    "clip": ("dn_whole", _words, lambda v: str(int(v))),
    "size": ("dn_size", _size, lambda v: "full" if v is None else str(v)),
    "grey": ("dn_grey", _words, lambda v: str(int(v))),
    "noisy": ("dn_already", _words, lambda v: str(int(v))),
    "noise": ("dn_noise", str, str),
    "sigma": ("dn_sigma", _number, "{:g}".format),
    "gain": ("dn_gain", _number, "{:g}".format),
    "amount": ("dn_amount", _number, "{:g}".format),
    "seed": ("dn_seed", int, str),
    "clipped": ("dn_clipped", _words, lambda v: str(int(v))),
    "told": ("dn_told", _number, "{:g}".format),
    "with": ("dn_with", lambda v: tuple(n for n in v.split(",") if n), ",".join),
    "set": ("dn_set", _values, _values_text),
    "fair": ("dn_fair", _words, lambda v: str(int(v))),
    "at": ("dn_query", nlviz.Point.parse, lambda v: v.text),
}


def open_from_address() -> None:
    """Take the choices from the page's address, once in a session."""
    session = st.session_state
    if session.get("dn_opened"):
        return
    session.dn_opened = True
    address = dict(st.query_params)
    bad = []
    for name, text in address.items():
        if name not in _FIELDS:
            continue
        key, read, _ = _FIELDS[name]
        try:
            session[key] = read(text)
        except (ValueError, nlviz.NlvizError):
            bad.append(f"{name}={text}")
    if bad:
        session.dn_complaint = (
            f"A part of this page's address cannot be read and was left out: {', '.join(bad)}."
        )
    if session.dn_query is not None:
        session.dn_serial += 1
        session.dn_lens_serial = session.get("dn_lens_serial", 0) + 1


def write_address(*, shareable: bool) -> None:
    """Put what differs from the first view into the address; uploads cannot be reopened."""
    wanted: dict[str, str] = {}
    if shareable:
        for name, (key, _, write) in _FIELDS.items():
            value = st.session_state[key]
            value = tuple(value) if key == "dn_with" else value
            if value != DEFAULTS[key] or name == "picture":
                wanted[name] = write(value)
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
