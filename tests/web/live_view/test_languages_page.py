"""The page from disk in three languages: the browser's, and the one that its reader chooses."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from nlviz.web.bundle import LIVE_VIEW
from nlviz.web.language import translations
from tests.accessible import needs_axe, serious
from tests.pace import rest
from tests.web.live_view.containers import square_container
from tests.web.live_view.test_page import opened

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the moving square, on disk."""
    file = tmp_path_factory.mktemp("page") / "square.html"
    file.write_text(LIVE_VIEW.page(square_container(), title="moving square"), encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("locale", "tag", "code"), [("zh-TW", "zh-Hans", "zh"), ("ja-JP", "ja", "ja")]
)
@pytest.mark.parametrize("width", [1200, 390])
def test_the_page_speaks_the_browser_s_language(
    browser: Browser, path: Path, locale: str, tag: str, code: str, width: int
) -> None:
    page = opened(browser, path, width=width, locale=locale)
    assert page.evaluate("document.documentElement.lang") == tag
    assert page.locator("#nlv-root").get_attribute("lang") == tag
    table = translations(code)
    said = page.locator(".nlv-sentence").inner_text()
    assert table["This point{at} takes {list}."].split("{")[0] in said
    assert page.locator(".nlv-pin").inner_text() in (table["Pin"], table["Unpin"])
    assert page.locator("select[name=language]").get_attribute("aria-label") == table["Language"]
    # Nothing is wider than the page.
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.close()


def test_another_language_keeps_what_the_reader_chose(browser: Browser, path: Path) -> None:
    page = opened(browser, path, locale="fr-FR")
    assert page.evaluate("document.documentElement.lang") == "en"
    page.locator(".nlv-large .nlv-picture").first.click(position={"x": 40, "y": 50})
    page.locator("[data-pinned=true]").wait_for()
    page.keyboard.press("2")
    rest(page, 200)
    at = page.locator("[data-query]").get_attribute("data-query")
    english = page.locator(".nlv-sentence").inner_text()
    for code, tag in (("ja", "ja"), ("zh", "zh-Hans"), ("en", "en")):
        page.locator("select[name=language]").select_option(code)
        page.locator(f"#nlv-root[lang={tag}]").wait_for()
        rest(page, 200)
        assert page.evaluate("document.documentElement.lang") == tag
        assert page.locator("[data-query]").get_attribute("data-query") == at
        chosen = page.locator(".nlv-segments[data-field=source] [aria-checked=true]")
        assert chosen.get_attribute("value") == "features"
        said = page.locator(".nlv-sentence").inner_text()
        assert (said == english) == (code == "en")
    page.close()


@needs_axe
def test_a_page_in_japanese_has_what_everybody_needs(browser: Browser, path: Path) -> None:
    page = opened(browser, path, locale="ja-JP")
    assert serious(page) == []
    page.close()


def test_an_address_names_the_language(browser: Browser, path: Path) -> None:
    page = browser.new_page(locale="en-US")
    page.goto(f"{path.as_uri()}?lang=zh-CN")
    page.locator("#nlv-root[lang=zh-Hans] .nlv-sentence").wait_for()
    page.close()
