"""Every lesson from its file on disk, in three languages, each question answered both ways."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from nlviz.web.language import LANGUAGES
from nlviz.web.lesson_pages import lesson, lessons, texts
from tests.accessible import needs_axe, serious
from tests.browser.lessons.driver import Answer, Learner

pytestmark = pytest.mark.browser
NAMES = [each.name for each in lessons()]
_UNFILLED = re.compile(r"\{[a-z_]+(:[^}]*)?\}|NaN|undefined|\[object")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("lessons")
    written = {}
    for name in NAMES:
        written[name] = folder / f"{name}.html"
        written[name].write_text(lesson(name).page(), "utf-8")
    return written


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    context.set_default_timeout(60_000)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "request",
        lambda r: None if r.url.startswith(("file:", "data:", "blob:")) else errors.append(r.url),
    )
    yield page
    context.close()
    assert errors == []


@pytest.mark.parametrize("name", NAMES)
def test_each_question_is_answered_wrongly_and_rightly_in_each_language(
    name: str, page: Page, files: dict[str, Path]
) -> None:
    page.goto(f"{files[name].as_uri()}#lang=en")
    page.locator("#nlv-root[data-drawn]").wait_for()
    learner = Learner(page)
    answers: dict[str, Answer] = import_module(f"tests.browser.lessons.{name}").ANSWERS
    for number, screen in enumerate(texts(name)["screens"]):
        learner.go(number)
        answer = answers[screen["id"]]
        for act, expected in ((answer.wrong, "wrong"), (answer.right, "right")):
            act(learner)
            state, said, words = learner.check()
            assert state == expected, (screen["id"], said, words)
            assert said == answer.wrong_says or state == "right", (screen["id"], said, words)
            heard = {words}
            for language in ("zh", "ja", "en"):
                heard.add(_said_in(page, language, state))
            assert len(heard) == len(LANGUAGES), (screen["id"], heard)
            assert not any(_UNFILLED.search(each) for each in heard), (screen["id"], heard)
    solved = page.locator(".nlesson-dots .nlesson-solved")
    assert solved.count() == len(texts(name)["screens"])
    # The address opens the lesson where it was left.
    page.reload()
    page.locator("#nlv-root[data-drawn]").wait_for()
    assert solved.count() == len(texts(name)["screens"])
    assert page.locator(".nlesson-dots [aria-current]").inner_text() == "✓"


def _said_in(page: Page, language: str, state: str) -> str:
    """Switch the language; return what is said of the answer then. All that is shown is filled."""
    page.locator(".nlesson-language").select_option(language)
    tag = {"en": "en", "zh": "zh-Hans", "ja": "ja"}[language]
    assert page.locator("html").get_attribute("lang") == tag
    shown = page.locator("#nlv-root").inner_text()
    assert not _UNFILLED.search(shown), (language, _UNFILLED.search(shown))
    result = page.locator(".nlesson-result")
    assert result.get_attribute("data-state") == state
    return result.inner_text()


@needs_axe
@pytest.mark.parametrize("name", NAMES)
def test_every_screen_can_be_used_by_everybody(
    name: str, browser: Browser, files: dict[str, Path]
) -> None:
    # On a phone in the light, on a desk in the dark, in turn; each lesson begins with the other.
    screens = lesson(name).screens
    for turn, (scheme, width) in enumerate((("light", 390), ("dark", 1280))):
        view = {"width": width, "height": 844}
        with browser.new_context(viewport=view, color_scheme=scheme) as context:
            page = context.new_page()
            page.goto(files[name].as_uri())
            page.locator("#nlv-root[data-drawn]").wait_for()
            learner = Learner(page)
            for number, screen in enumerate(screens):
                if (number + NAMES.index(name)) % 2 != turn:
                    continue
                learner.go(number)
                found = serious(page)
                assert not found, "\n".join([screen, *found])
                over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
                assert over <= 0, (screen, over)
