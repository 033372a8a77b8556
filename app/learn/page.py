"""The page Learn: the list of lessons, or one of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import streamlit as st

import nlviz

from ..shared import language, live_view
from ..shared.errors import errors_shown, sentence
from ..shared.markdown import plain
from ..shared.page_state import new_serial
from .course import Course, Screens, read, write

KEY = "learn"
CURE = "Another lesson may work."
SAID: Mapping[str, Mapping[str, str]] = {
    "lead": {
        "en": "Eight lessons of 5 to 10 minutes. Each picture is live, each answer is checked by "
        "computing it. Your progress is in the address of this page.",
        "zh": "共八课，每课 5 到 10 分钟。图都可以操作，答案由计算来检查。进度保存在本页的网址里。",
        "ja": "5〜10分のレッスンが8つあります。図はすべて動かせ、答えは計算して確かめます。"
        "進み具合はこのページのアドレスに残ります。",
    },
    "begin": {"en": "Begin", "zh": "开始", "ja": "始める"},
    "go on": {"en": "Go on", "zh": "继续", "ja": "続ける"},
    "again": {"en": "Open again", "zh": "再看一遍", "ja": "もう一度開く"},
    "all": {"en": "All lessons", "zh": "全部课程", "ja": "レッスン一覧"},
    "course": {"en": "Lessons", "zh": "课程", "ja": "レッスン"},
    "save": {"en": "Save as a file", "zh": "保存为文件", "ja": "ファイルに保存"},
    "file": {
        "en": "Save this lesson as one file that works offline",
        "zh": "把本课保存为一个可以离线使用的文件",
        "ja": "このレッスンをオフラインで動く1つのファイルとして保存",
    },
    "progress": {
        "en": "{minutes} minutes · {solved} of {all} answered",
        "zh": "{minutes} 分钟 · 已答对 {solved}/{all}",
        "ja": "{minutes}分 · {all}問中{solved}問正解",
    },
}


def page() -> None:
    """Draw the page."""
    with errors_shown("Learn", cure=CURE):
        course = _begin()
        _sidebar(course)
        if course.lesson is None:
            _list(course)
            live_view.speak()
            st.query_params.from_dict(write(course, _screens()))
        else:
            _open(course.lesson)


def _begin() -> Course:
    """Return the course; an address is read once in a session, and where the page is come to."""
    language.begin()
    known: Course | None = st.session_state.get(KEY)
    if known is not None:
        if known.language and known.language != language.now():  # switched in the sidebar
            known = Course(**{**vars(known), "language": language.now()})
            _keep(known)
        return known
    course, note = read(dict(st.query_params), _screens())
    if note:
        st.warning(sentence(note), icon=":material/school:")
    st.session_state[KEY] = course
    return course


@cache
def _screens() -> Screens:
    return {each.name: each.screens for each in nlviz.web.lessons()}


def _language() -> str:
    """Return the language of the page: that of the app, which a lesson's own switch changes."""
    return language.now()


def _sidebar(course: Course) -> None:
    language = _language()
    with st.sidebar, st.container(gap=None):
        st.caption(SAID["course"][language])
        for each in nlviz.web.lessons():
            done = course.solved.get(each.name, frozenset()) >= set(each.screens)
            st.button(
                f"{each.number}. {plain(each.title[language])}{' ✓' if done else ''}",
                key=f"learn_to_{each.name}",
                type="secondary" if each.name == course.lesson else "tertiary",
                on_click=_go,
                args=(each.name,),
            )


def _list(course: Course) -> None:
    language = _language()
    st.caption(SAID["lead"][language])
    lessons = nlviz.web.lessons()
    for first in range(0, len(lessons), 2):  # rows, so that a phone has them in their order
        for column, each in zip(st.columns(2), lessons[first : first + 2], strict=False):
            with column:
                _card(each, course, language)


def _card(lesson: nlviz.web.Lesson, course: Course, language: str) -> None:
    solved = len(course.solved.get(lesson.name, ()))
    of = len(lesson.screens)
    with st.container(border=True, key=f"learn_{lesson.name}", height="stretch"):
        st.markdown(f"**{lesson.number}. {plain(lesson.title[language])}**")
        st.markdown(plain(lesson.about[language]))
        told = SAID["progress"][language]
        with st.container(horizontal=True, vertical_alignment="center"):
            st.button(
                SAID["begin" if not solved else "again" if solved == of else "go on"][language],
                key=f"learn_open_{lesson.name}",
                on_click=_go,
                args=(lesson.name,),
            )
            st.caption(told.format(minutes=lesson.minutes, solved=solved, all=of))


def _go(name: str | None) -> None:
    _keep(st.session_state[KEY].opened(name))


def _keep(course: Course) -> None:
    st.session_state[KEY] = course


@st.fragment
def _open(name: str) -> None:
    """Draw a lesson; what its learner does reruns only this."""
    with errors_shown("Learn", cure=CURE):
        course: Course = st.session_state[KEY]
        language = _language()
        lesson = nlviz.web.lesson(name)
        with st.container(horizontal=True, vertical_alignment="center", key="learn_ways"):
            all_lessons = SAID["all"][language]
            if st.button(
                all_lessons, icon=":material/arrow_back:", key="learn_all", type="tertiary"
            ):
                _go(None)
                st.rerun()
            st.download_button(
                SAID["save"][language],
                lambda: lesson.page().encode(),
                f"{name}.html",
                "text/html",
                help=SAID["file"][language],
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
            view={**course.fields, "lang": language},
            serial=new_serial(),
        )
        st.query_params.from_dict(write(course, _screens()))


def _said(name: str) -> None:
    said = st.session_state[f"lesson_{name}"].get("said")
    if said and st.session_state[KEY].lesson == name:
        course = st.session_state[KEY].said(said["n"], said["fields"])
        if course.language:
            language.choose(course.language)
        _keep(course)


@cache
def _component(name: str) -> Callable[..., Any]:
    script = nlviz.web.lesson(name).script
    return st.components.v2.component(
        f"nlviz_lesson_{name}",
        html="<div></div>",
        css=script.stylesheet(),
        js=script.script("component"),
    )
