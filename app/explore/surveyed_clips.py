"""Clips of a survey in the sidebar: the frames that were looked at, and the survey's network."""

from __future__ import annotations

import streamlit as st

import nlviz

from ..shared.language import spoken
from .choices import Choices
from .network import Network
from .state import STATE

MOST = 500  # clips in the list; each other one is opened from the report
Flags = tuple[tuple[str, object], ...]


def draw(now: Choices) -> None:
    """Draw the choice of a clip."""
    clips = [
        f"{digest}:{name}"
        for survey in nlviz.zoo.app_offers.surveys()
        for digest, name in survey.clips.items()
    ]
    listed = list(dict.fromkeys(clips))[:MOST]
    if now.survey not in listed:
        listed.append(now.survey)  # from the address; reading it says what is wrong
    STATE.fields.pick(
        st.selectbox,
        "Clip",
        "survey",
        listed,
        now.survey,
        format_func=lambda text: text.partition(":")[2] or text or "–",
    )
    st.caption(spoken("Its frames are those that the survey looked at."))


def loaded_as(now: Choices, chosen: Network, *, half: bool) -> tuple[Flags, bool]:
    """Return flags and precision of a network: those of the survey, where it is the survey's.

    Raises:
        NlvizError: when no survey that is open here has the clip.
    """
    survey = nlviz.zoo.app_offers.survey_of_clip(now.survey_digest, chosen.name)
    if survey.model != chosen.name:
        return chosen.flags, half
    load = dict(survey.load)
    half = half or load.pop("autocast", None) == "bfloat16"
    return tuple(sorted({**load, **dict(chosen.flags)}.items())), half
