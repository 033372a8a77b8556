"""The page Learn: the list of lessons, or one of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import streamlit as st

import nlviz

from ..shared import language, live_view
from ..shared.errors import errors_shown, sentence
from ..shared.language import spoken
from ..shared.markdown import plain
from ..shared.page_state import new_serial
from .course import Course, Screens, read, write

KEY = "learn"
CURE = "Another lesson may work."
LEAD = (
    "Eight lessons of 5 to 10 minutes. Each picture is live, each answer is checked by "
    "computing it. Your progress is in the address of this page."
)


def page() -> None:
    """Draw the page."""
    with errors_shown("Learn", cure=CURE):
        course = _begin()
        _sidebar(course)
        if course.lesson is None:
            _list(course)
            live_view.speak()
            _write_address(course)
        else:
            _open(course.lesson)


def _begin() -> Course:
    """Return the course; an address is read once in a session, and where the page is come to."""
    language.begin()
    known: Course | None = st.session_state.get(KEY)
    if known is not None:
        return known
    course, note = read(dict(st.query_params), _screens())
    if note:
        st.warning(sentence(note), icon=":material/school:")
    st.session_state[KEY] = course
    return course


def _write_address(course: Course) -> None:
    st.query_params.from_dict({**write(course, _screens()), **language.parameters()})


@cache
def _screens() -> Screens:
    return {each.name: each.screens for each in nlviz.web.lessons()}


def _sidebar(course: Course) -> None:
    with st.sidebar, st.container(gap=None):
        st.caption(spoken("Lessons"))
        for each in nlviz.web.lessons():
            done = course.solved.get(each.name, frozenset()) >= set(each.screens)
            st.button(
                f"{each.number}. {plain(each.title[language.now()])}{' ✓' if done else ''}",
                key=f"learn_to_{each.name}",
                type="secondary" if each.name == course.lesson else "tertiary",
                on_click=_go,
                args=(each.name,),
            )


def _list(course: Course) -> None:
    st.caption(spoken(LEAD))
    lessons = nlviz.web.lessons()
    for first in range(0, len(lessons), 2):  # rows, so that a phone has them in their order
        for column, each in zip(st.columns(2), lessons[first : first + 2], strict=False):
            with column:
                _card(each, course)


def _card(lesson: nlviz.web.Lesson, course: Course) -> None:
    solved = len(course.solved.get(lesson.name, ()))
    of = len(lesson.screens)
    with st.container(border=True, key=f"learn_{lesson.name}", height="stretch"):
        st.markdown(f"**{lesson.number}. {plain(lesson.title[language.now()])}**")
        st.markdown(plain(lesson.about[language.now()]))
        told = spoken("{minutes} minutes · {solved} of {all} answered")
        with st.container(horizontal=True, vertical_alignment="center"):
            st.button(
                _way_on(solved, of),
                key=f"learn_open_{lesson.name}",
                on_click=_go,
                args=(lesson.name,),
            )
            st.caption(told.format(minutes=lesson.minutes, solved=solved, all=of))


def _way_on(solved: int, of: int) -> str:
    if not solved:
        return spoken("Begin")
    return spoken("Open again") if solved == of else spoken("Go on")


def _go(name: str | None) -> None:
    _keep(st.session_state[KEY].opened(name))


def _keep(course: Course) -> None:
    st.session_state[KEY] = course


@st.fragment
def _open(name: str) -> None:
    """Draw a lesson; what its learner does reruns only this."""
    with errors_shown("Learn", cure=CURE):
        course: Course = st.session_state[KEY]
        lesson = nlviz.web.lesson(name)
        with st.container(horizontal=True, vertical_alignment="center", key="learn_ways"):
            back = spoken("All lessons")
            if st.button(back, icon=":material/arrow_back:", key="learn_all", type="tertiary"):
                _go(None)
                st.rerun()
            st.download_button(
                spoken("Save as a file"),
                lambda: lesson.page().encode(),
                f"{name}.html",
                "text/html",
                help=spoken("Save this lesson as one file that works offline"),
                key="learn_file",
                icon=":material/download:",
                type="tertiary",
                on_click="ignore",
            )
        with st.container(key="lesson"):
            _component(name)(
                data=lesson.payload(), key=f"lesson_{name}", on_said_change=lambda: _said(name)
            )
        live_view.move(
            lesson.channel,
            seen=course.seen,
            view={**course.fields, "lang": language.now()},
            serial=new_serial(),
        )
        _write_address(course)


def _said(name: str) -> None:
    said = st.session_state[f"lesson_{name}"].get("said")
    if said and st.session_state[KEY].lesson == name:
        course: Course = st.session_state[KEY]
        if said["n"] > course.seen:
            language.choose(said["fields"]["lang"])
        _keep(course.said(said["n"], said["fields"]))


@cache
def _component(name: str) -> Callable[..., Any]:
    script = nlviz.web.lesson(name).script
    return st.components.v2.component(
        f"nlviz_lesson_{name}",
        html="<div></div>",
        css=script.stylesheet(),
        js=script.script("component"),
    )
