"""The page Learn: what its address keeps, and what the list and a lesson show."""

from __future__ import annotations

import subprocess
import sys
from urllib.parse import parse_qsl

import pytest
from streamlit.testing.v1 import AppTest

import nlviz
from app.denoise import choices as denoise
from app.explore import choices as explore
from app.learn.course import Course, read, write
from app.shared.choices import Choices
from nlviz.web.lesson_pages import texts

SCREENS = {"averages": ("mean", "noise", "peak"), "equation": ("sum", "edit")}


def test_an_address_gives_the_course_again() -> None:
    course = Course(
        lesson="averages",
        fields={"screen": "peak", "solved": "mean,peak", "at": '{"h":3}', "teacher": "1"},
        solved={"averages": frozenset({"mean", "peak"}), "equation": frozenset({"edit"})},
    )
    address = write(course, SCREENS)
    assert address["progress"] == "averages:101,equation:01"
    assert read(address, SCREENS) == (course, "")


def test_an_address_that_names_no_lesson_is_told_and_keeps_the_rest() -> None:
    course, note = read({"lesson": "averagse", "progress": "equation:10"}, SCREENS)
    assert "averages" in note and "averagse" in note
    assert course == Course(solved={"equation": frozenset({"sum"})})


@pytest.mark.parametrize(
    "progress", ["", "nothing:11", "equation", "equation:", ",:,", "equation:2x"]
)
def test_broken_progress_is_no_progress(progress: str) -> None:
    assert read({"progress": progress}, SCREENS)[0] == Course()


def test_an_act_is_taken_over_once_and_only_in_an_open_lesson() -> None:
    course = Course().opened("equation")
    after = course.said(5, {"screen": "edit", "solved": "edit"})
    assert after.solved == {"equation": frozenset({"edit"})}
    assert after.fields["screen"] == "edit"
    assert after.said(5, {"solved": "sum"}) == after
    assert after.opened(None).said(9, {"solved": "sum"}).solved == after.solved
    again = after.opened(None).opened("equation")
    assert again.fields == {"solved": "edit"}


def test_the_teachers_view_stays_from_lesson_to_lesson() -> None:
    course = Course().opened("equation").said(1, {"teacher": "1"})
    assert course.opened("averages").fields == {"teacher": "1"}
    assert course.opened(None).opened("averages").fields == {"teacher": "1"}


def _page() -> None:
    from app.learn import page

    page.page()


def test_the_list_names_every_lesson_and_opens_one() -> None:
    at = AppTest.from_function(_page, default_timeout=60).run()
    assert not at.exception
    shown = " ".join(each.value for each in at.markdown)
    for lesson in nlviz.web.lessons():
        assert f"{lesson.number}. " in shown
    first = nlviz.web.lessons()[0].name
    at.button(key=f"learn_open_{first}").click().run()
    assert not at.exception
    assert at.session_state["learn"].lesson == first
    assert first in at.query_params["lesson"]
    at.button(key="learn_all").click().run()
    assert at.session_state["learn"].lesson is None


def test_the_list_is_read_in_each_language() -> None:
    at = AppTest.from_function(_page, default_timeout=60)
    at.query_params["lang"] = "ja"
    at.run()
    first = nlviz.web.lessons()[0]
    assert any(first.title["ja"][:4] in each.value for each in at.markdown)


def test_the_page_needs_no_pytorch() -> None:
    code = (
        "import sys\n"
        "from streamlit.testing.v1 import AppTest\n"
        "from app.learn import page\n"
        "import nlviz\n"
        "page._component(nlviz.web.lessons()[0].name)\n"
        "nlviz.web.lessons()[0].payload()\n"
        "assert not {'torch', 'timm', 'torchvision'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)


def test_addresses_that_lessons_lead_to_are_understood_whole() -> None:
    count = 0
    for lesson in nlviz.web.lessons():
        for screen in texts(lesson.name)["screens"]:
            if not (address := screen["figure"].get("open")):
                continue
            page, _, query = address.partition("?")
            parameters = dict(parse_qsl(query))
            if page == "denoise":
                choices: Choices = denoise.opened(parameters)
            else:
                assert page == ""  # Explore is the first page and has no name in its address
                choices = explore.opened(parameters, explore.Choices())
            assert choices.notes == (), (lesson.name, screen["id"], choices.notes)
            count += 1
    assert count > 10
