"""State of the Denoise page in the session, and the picture that it leads to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import streamlit as st

from ..shared.page_state import PageState
from ..shared.uploads import Upload
from .choices import FROM, Choices, first, opened, parameters

if TYPE_CHECKING:
    from ..explore.state import Choice as ExploreChoice

LENS_CHANNEL = "denoise-lens"
LENS = "dn_lens"
FRAMES = 5  # that are read of a clip, one after the other


@dataclass(frozen=True)
class Source:
    """Choice of the picture.

    Attributes:
        name: of the bundled file, the upload, or the clip of Explore.
        upload: the upload, or None.
        explore: what is open in Explore, where its clip is taken.
        start: seconds of a video to skip.
        frame: which of the frames that were read.
        whole: whether all of them are denoised as a clip.
        size: largest shorter side in pixels, or None for the file's own.
        grey: whether the luminance alone is taken.
    """

    name: str
    upload: Upload | None = None
    explore: ExploreChoice | None = None
    start: float = 0.0
    frame: int = 0
    whole: bool = False
    size: int | None = None
    grey: bool = False


def _opened(address: Mapping[str, str]) -> Choices:
    if explore := address.get(FROM):
        from ..explore import state

        state.STATE.open(dict(parse_qsl(explore)))
        st.session_state.explore_address = dict(parse_qsl(explore))
    return opened(address)


STATE: PageState[Choices] = PageState("denoise", prefix="dn_", first=first, opened=_opened)


def write_address() -> None:
    """Put what differs from the first view into the address."""
    explore: dict[str, str] = st.session_state.get("explore_address", {})
    STATE.write_address(parameters(STATE.now, explore))


def open_in_explore() -> ExploreChoice | None:
    """Return what is open in Explore, also where only an address names it.

    Raises:
        NlvizError: when it can no longer be opened.
    """
    shown: ExploreChoice | None = st.session_state.get("shown")
    if shown is not None or "explore_address" not in st.session_state:
        return shown
    from ..explore import sidebar, state

    choice = sidebar.choice_of(state.STATE.now)
    return None if isinstance(choice, sidebar.Missing) else choice
