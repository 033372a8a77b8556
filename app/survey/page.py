"""The page Survey: the report of the surveys that the app was started with."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import streamlit as st

import nlviz

from ..shared import language, live_view
from ..shared.errors import errors_shown
from ..shared.language import spoken

CHANNEL = "survey"
CURE = "The report can also be saved: nlviz report DIR -o report.html."


def page() -> None:
    """Draw the page."""
    with errors_shown("Survey", cure=CURE):
        language.begin()
        with st.sidebar:
            _about()
        with st.container(key="survey_whole"):
            _component()(data=_payload(), key="survey_report")
        live_view.speak()
        st.query_params.from_dict(language.parameters())


def _about() -> None:
    st.caption(
        spoken(
            "Each cell of the atlas is a head, each clip below it a link that opens Explore at the "
            "query that was asked."
        )
    )
    st.download_button(
        spoken("Save as a file"),
        lambda: nlviz.web.report_page(nlviz.zoo.app_offers.survey_report()).encode(),
        "report.html",
        "text/html",
        help=spoken("Save this report as one file that works offline"),
        key="survey_file",
        icon=":material/download:",
        on_click="ignore",
    )


@cache
def _payload() -> bytes:
    """Return the bytes of the report, packed once; the surveys stay while the server runs."""
    return nlviz.web.survey_payload(nlviz.zoo.app_offers.survey_report(), channel=CHANNEL)


@cache
def _component() -> Callable[..., Any]:
    return st.components.v2.component(
        "nlviz_survey",
        html="<div></div>",
        css=nlviz.web.SURVEY.stylesheet(),
        js=nlviz.web.SURVEY.script("component"),
    )


def prepare() -> None:
    """Pack the report and read the browser's part, ahead of the first visitor."""
    _payload()
    nlviz.web.SURVEY.stylesheet()
    nlviz.web.SURVEY.script("component")
