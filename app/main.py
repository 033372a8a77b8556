"""Page set-up and navigation; heavy imports come later, so that the page appears at once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

import streamlit as st

import nlviz

from . import warm_up
from .compare import page as compare
from .denoise import page as denoise
from .explore import first_view
from .explore import page as explore
from .learn import page as learn
from .shared import language
from .shared.language import spoken
from .survey import page as survey

ICON = Path(__file__).with_name("icon.png")


def _first_views() -> list[Callable[[], None]]:
    def of_explore() -> None:
        from .explore import cached

        cached.fill_first_view()

    def of_denoise() -> None:
        from .denoise import live

        live.fill_first_view()

    return [of_explore, of_denoise]


def prepare() -> None:
    """Import and read what the first visitor sees first, before the server answers."""
    first_view.prepare()
    if nlviz.zoo.app_offers.surveys():
        survey.prepare()
    # Streamlit looks once where it was started from; that lists all modules, some hundred files.
    inspect.stack()


def run() -> None:
    """Draw the app; Streamlit calls this on every rerun."""
    warm_up.first_views[:] = _first_views()
    language.begin()
    pages = [
        st.Page(
            explore.page,
            title=spoken("Explore"),
            icon=":material/center_focus_strong:",
            default=True,
        ),
        st.Page(compare.page, title="A | B", icon=":material/compare:", url_path="compare"),
        st.Page(
            denoise.page, title=spoken("Denoise"), icon=":material/blur_off:", url_path="denoise"
        ),
        st.Page(learn.page, title=spoken("Learn"), icon=":material/school:", url_path="learn"),
    ]
    if nlviz.zoo.app_offers.surveys():
        title = spoken("Survey")
        pages.append(
            st.Page(survey.page, title=title, icon=":material/grid_view:", url_path="survey")
        )
    page = st.navigation(pages, position="top")
    st.set_page_config(
        page_title=f"{page.title} · nlviz",
        page_icon=str(ICON),  # a file of our own: a Material icon would come from another host
        layout="wide",
        menu_items={"about": "nlviz shows where non-local blocks look, and what to believe."},
    )
    # The sidebar comes first: it moves all that is on the page already.
    with st.sidebar.container(horizontal=True, vertical_alignment="center", key="brand"):
        st.markdown(f"**nlviz** &nbsp;·&nbsp; {spoken('where it looks')}")
        language.switch()
    with st.container(key="pages", horizontal=True):
        for each in pages:
            st.page_link(each)
    page.run()
