"""State of the Denoise page: what a visitor chose, as widgets, address and view hold it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import nlviz

from ..shared.page_state import PageState

if TYPE_CHECKING:
    from ..explore.state import Choice as ExploreChoice

LENS_CHANNEL = "denoise-lens"
LENS = "dn_lens"
SIZES = (128, 192, 256, 384, 512, 720, None)
BUNDLED, UPLOAD, EXPLORE = "Bundled", "Upload", "Explore"
FRAMES = 5  # that are read of a clip, one after the other


@dataclass(frozen=True)
class Source:
    """Choice of the picture.

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


# Key of the session, without its prefix, by parameter of the address.
_KEYS = {
    "picture": "picture",
    "start": "start",
    "frame": "frame",
    "clip": "whole",
    "size": "size",
    "grey": "grey",
    "noisy": "already",
    "noise": "noise",
    "sigma": "sigma",
    "gain": "gain",
    "amount": "amount",
    "seed": "seed",
    "clipped": "clipped",
    "told": "told",
    "with": "with",
    "set": "set",
    "fair": "fair",
    "block": "block",
}


def _first() -> dict[str, Any]:
    """Return the value of each key of the session on a first visit."""
    values = nlviz.DenoiseView().values()
    return {"kind": BUNDLED, **{key: values[name] for name, key in _KEYS.items()}}


STATE = PageState("denoise", prefix="dn_", view=lambda: nlviz.DenoiseView, keys=_KEYS, first=_first)


def open_from_address() -> None:
    """Take the choices from the page's address, once in a session."""
    if "at" in STATE.open_from_address():
        move_lens()


def write_address(*, shareable: bool) -> None:
    """Put what differs from the first view into the address; uploads cannot be reopened."""
    STATE.write_address(nlviz.DenoiseView.of_values(STATE.values()), shareable=shareable)


def move_lens() -> None:
    """Let the lens go to the query when it is drawn."""
    STATE["lens_serial"] = STATE.get("lens_serial", 0) + 1
