"""Lessons on the app's page: answers, the address, languages, the teacher's view, a phone."""

from __future__ import annotations

from importlib import import_module
from urllib.parse import parse_qsl

import pytest
from playwright.sync_api import Browser, Page, expect

import nlviz
from nlviz.web.lesson_pages import texts
from tests.browser.lessons.driver import Answer, Learner

pytestmark = pytest.mark.browser
FIRST = nlviz.web.lesson("equation")
ANSWERS: dict[str, Answer] = import_module(f"tests.browser.lessons.{FIRST.name}").ANSWERS


def opened(page: Page, url: str) -> Learner:
    page.goto(url)
    page.locator(".nlesson-heading").wait_for()
    return Learner(page)


def test_an_answer_is_kept_in_the_address_and_a_link_reopens_it(
    page: Page, browser: Browser, app_url: str
) -> None:
    page.goto(f"{app_url}/learn")
    page.locator(f".st-key-learn_open_{FIRST.name} button").click()
    learner = Learner(page)
    learner.go(0)
    ANSWERS[FIRST.screens[0]].right(learner)
    assert learner.check()[0] == "right"
    page.wait_for_url(lambda url: f"solved={FIRST.screens[0]}" in url)
    with browser.new_context(viewport={"width": 390, "height": 844}) as context:
        other = opened(context.new_page(), page.url)
        expect(other.lesson.locator(".nlesson-solved")).to_have_count(1)
    page.locator(".st-key-learn_all button").click()
    expect(page.get_by_text(f"1 of {len(FIRST.screens)} answered")).to_be_visible()


def test_languages_are_switched_and_kept(page: Page, app_url: str) -> None:
    learner = opened(page, f"{app_url}/learn?lesson={FIRST.name}&lang=zh")
    expect(page.locator("h1.nlesson-title")).to_have_text(FIRST.title["zh"])
    learner.lesson.locator(".nlesson-language").select_option("ja")
    expect(page.locator("h1.nlesson-title")).to_have_text(FIRST.title["ja"])
    page.wait_for_url(lambda url: "lang=ja" in url)
    assert learner.lesson.get_attribute("lang") == "ja"


def test_the_teachers_view_says_nothing_until_it_is_revealed(page: Page, app_url: str) -> None:
    kinds = [screen["question"]["kind"] for screen in texts(FIRST.name)["screens"]]
    at = kinds.index("choice")
    learner = opened(page, f"{app_url}/learn?lesson={FIRST.name}")
    page.locator(".nlesson-teach").click()
    size = learner.lesson.evaluate("node => parseFloat(getComputedStyle(node).fontSize)")
    assert size >= 19
    page.locator(".nlesson-heading").focus()
    for _ in range(at):
        page.keyboard.press("PageDown")
    expect(page.locator(".nlesson-dots [aria-current]")).to_have_text(str(at + 1))
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    result = page.locator(".nlesson-result")
    expect(result).to_have_attribute("data-state", "hidden")
    page.keyboard.press("r")
    expect(result).to_have_attribute("data-state", "right" if _first_is_right(at) else "wrong")
    page.keyboard.press("r")
    expect(result).to_have_attribute("data-state", "hidden")
    assert page.locator(".nlesson-solved").count() == 0
    page.keyboard.press("t")
    expect(page.locator(".nlesson-large")).to_have_count(0)


def _first_is_right(screen: int) -> bool:
    chosen: list[str] = []

    class Notes:
        def choose(self, option: str) -> None:
            chosen.append(option)

        def __getattr__(self, name: str) -> object:
            return lambda *_, **__: None

    told = texts(FIRST.name)["screens"][screen]
    ANSWERS[told["id"]].right(Notes())  # type: ignore[arg-type]
    return chosen == [told["question"]["options"][0]["id"]]


DEFAULTS = {"learned", "non-local-means"}  # are in no address


def _opens() -> dict[str, tuple[str, str, str]]:
    """Return lesson, screen and the address that they lead to, the first of each lesson."""
    found: dict[str, tuple[str, str, str]] = {}
    for lesson in nlviz.web.lessons():
        for screen in texts(lesson.name)["screens"]:
            if address := screen["figure"].get("open"):
                found.setdefault(lesson.name, (lesson.name, screen["id"], address))
    return found


@pytest.mark.parametrize(("name", "screen", "address"), _opens().values(), ids=_opens().keys())
def test_a_lesson_leads_to_the_same_view_in_the_app(
    name: str, screen: str, address: str, page: Page, app_url: str
) -> None:
    opened_lesson = opened(page, f"{app_url}/learn?lesson={name}&screen={screen}").lesson
    page.goto(opened_lesson.locator(".nlesson-open").evaluate("node => node.href"))
    asked = {"source": "learned", **dict(parse_qsl(address.partition("?")[2]))}
    page.locator(".nlv-sentence").first.wait_for()

    def there(url: str) -> bool:
        shown = dict(parse_qsl(url.partition("?")[2]))
        same = {name for name, value in asked.items() if shown.get(name) == value}
        return set(asked) - same <= {"source", "model", "size", "block"} and (
            "at" in same or "at" not in asked
        )

    page.wait_for_url(there)
    expect(page.get_by_test_id("stAlert")).to_have_count(0)
    expect(page.get_by_role("dialog")).to_have_count(0)  # as where a page is not found
    shown = dict(parse_qsl(page.url.partition("?")[2]))
    assert shown.get("source", asked["source"]) == asked["source"]
    assert "source" in shown or asked["source"] in DEFAULTS
