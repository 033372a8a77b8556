"""Explore with a text as a visitor uses it: typed, hovered, kept in the address, refused."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlparse

import pytest
from playwright.sync_api import Browser, Page, expect

import tests.own_words
from tests.browser.conftest import opened
from tests.pace import rest
from tests.processes import served

pytestmark = pytest.mark.browser

OWN = "own_words:build"
SENTENCE = "the dog sees the ball and then the cat runs ."
# Where a part of the text lies on the page, found without the code under test.
_PLACE = """(text, word) => {
  const node = text.firstChild;
  const at = node.data.indexOf(word), range = document.createRange();
  range.setStart(node, at); range.setEnd(node, at + word.length);
  const { left, top, width, height } = range.getBoundingClientRect();
  return [left + width / 2, top + height / 2];
}"""


@pytest.fixture(scope="module")
def words_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that may run a user's network of words."""
    folder = tmp_path_factory.mktemp("words")
    shutil.copy(Path(tests.own_words.__file__), folder / "own_words.py")
    with served(folder, "--model", OWN) as server:
        yield server.url


def address(url: str, text: str = SENTENCE, **more: str) -> str:
    return f"{url}/?{urlencode({'text': text, 'model': OWN, **more})}"


def sentence(page: Page) -> str:
    return page.locator(".nlv-sentence").first.inner_text()


def place(page: Page, word: str) -> tuple[float, float]:
    x, y = page.locator(".nlv-text").first.evaluate(_PLACE, word)
    return x, y


def parameters(page: Page) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlparse(page.url).query).items()}


def type_text(page: Page, text: str) -> None:
    field = page.get_by_label("Text", exact=True)
    field.fill(text)
    field.press("Control+Enter")


def test_a_typed_sentence_is_shown_and_stands_in_the_address(page: Page, words_url: str) -> None:
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    opened(page, address(words_url))
    type_text(page, "a cat ran , then a dog saw it .")
    expect(page.locator(".nlv-text").first).to_contain_text("a cat ran , then a dog")
    expect(page.get_by_text(re.compile("Where “.*” looks"))).to_be_visible()
    page.wait_for_function("() => window.location.href.includes('ran')")
    assert parameters(page)["text"] == "a cat ran , then a dog saw it ."
    assert not page.get_by_test_id("stAlertContentError").count()
    assert faults == []


def test_hovering_a_word_previews_its_row_without_traffic_and_a_click_pins(
    page: Page, words_url: str
) -> None:
    sent: list[object] = []
    page.on("websocket", lambda ws: ws.on("framesent", lambda data: sent.append(data)))
    opened(page, address(words_url))
    rest(page, 500)
    before, traffic = sentence(page), len(sent)
    page.mouse.move(*place(page, "dog"), steps=6)
    rest(page, 500)
    assert "“dog”" in sentence(page) and sentence(page) != before
    assert len(sent) == traffic
    page.mouse.click(*place(page, "cat"))
    expect(page.get_by_text("Where “cat” looks")).to_be_visible()
    page.wait_for_function("() => window.location.href.includes('at=0%2C0%2C8')")


def test_an_address_opens_again_and_names_a_word(
    page: Page, browser: Browser, words_url: str
) -> None:
    opened(page, address(words_url, token="ball"))
    expect(page.get_by_text("Where “ball” looks")).to_be_visible()
    page.wait_for_function("() => window.location.href.includes('at=0%2C0%2C4')")
    kept = page.url
    page.reload()
    expect(page.get_by_text("Where “ball” looks")).to_be_visible()
    other = browser.new_context()
    other.set_default_timeout(60_000)
    again = opened(other.new_page(), kept)
    expect(again.get_by_text("Where “ball” looks")).to_be_visible()
    expect(again.get_by_label("Text", exact=True)).to_have_value(SENTENCE)
    other.close()


def test_an_unknown_symbol_is_told_and_another_text_goes_on(page: Page, words_url: str) -> None:
    opened(page, address(words_url))
    type_text(page, "the fox runs")
    told = page.get_by_text("is no symbol of this network; it knows")
    expect(told).to_be_visible()
    expect(page.get_by_role("button", name="Go back to the text")).to_be_visible()
    type_text(page, "the cat runs")
    expect(told).to_have_count(0)
    expect(page.locator(".nlv-text").first).to_contain_text("the cat runs")


def test_a_dropped_text_file_is_the_text(page: Page, words_url: str, tmp_path: Path) -> None:
    (tmp_path / "story.txt").write_text("the ball ran and the dog saw it\n", "utf-8")
    opened(page, address(words_url))
    page.locator("input[type=file]").first.set_input_files(tmp_path / "story.txt")
    expect(page.locator(".nlv-text").first).to_contain_text("the ball ran")
    expect(page.get_by_label("Text", exact=True)).to_have_value("the ball ran and the dog saw it")
    (tmp_path / "latin.txt").write_bytes("caf\xe9".encode("latin-1"))
    page.locator("input[type=file]").first.set_input_files(tmp_path / "latin.txt")
    expect(page.get_by_text("latin.txt is no text in UTF-8")).to_be_visible()
    expect(page.locator(".nlv-text").first).to_contain_text("the ball ran")


def test_two_visitors_have_their_own_texts(browser: Browser, words_url: str) -> None:
    contexts = [browser.new_context() for _ in range(2)]
    texts = ["the dog runs and runs", "a cat saw the ball ?"]
    pages = []
    for context, text in zip(contexts, texts, strict=True):
        context.set_default_timeout(60_000)
        pages.append(opened(context.new_page(), address(words_url, text)))
    for page, text, other in zip(pages, texts, reversed(texts), strict=True):
        expect(page.locator(".nlv-text").first).to_contain_text(text)
        assert other not in page.locator("body").inner_text()
    type_text(pages[0], "then it ran")
    expect(pages[0].locator(".nlv-text").first).to_contain_text("then it ran")
    expect(pages[1].locator(".nlv-text").first).to_contain_text(texts[1])
    for context in contexts:
        context.close()


@pytest.mark.parametrize("width", [1400, 390])
def test_nothing_is_cut_off(browser: Browser, words_url: str, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900})
    context.set_default_timeout(60_000)
    page = opened(context.new_page(), address(words_url))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()
