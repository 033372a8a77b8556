"""Words beside a clip, boxes and nodes in the page that works from disk, driven in Chromium."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.accessible import needs_axe, serious
from tests.pace import rest
from tests.web.live_view.test_page import at, large, map_of, root
from tests.web.live_view.test_text_page import hover, page_of, rect
from tests.web.live_view.text_containers import (
    BOXES,
    PROMPT,
    boxes_container,
    film_container,
    nodes_container,
    words_of,
)

pytestmark = pytest.mark.browser

SPANS = [(0, 7), *words_of(PROMPT)[3:]]
SQUARE = 4  # number of the word "square"


def shares(page: Page) -> dict[str, float]:
    """Return what the bar of shares says, in percent."""
    text = page.locator(".nlv-shares-list").inner_text()
    return {
        name.strip(): float(value.lstrip("<"))
        for name, value in re.findall(r"([a-z ]+?) (<?\d+)\s?%", text.replace("\n", " "))
    }


def in_picture(page: Page, y: int, x: int) -> None:
    page.mouse.move(*at(large(page), y, x))
    rest(page)


@pytest.fixture
def film(browser: Browser, tmp_path: Path) -> Any:
    shown = page_of(browser, tmp_path, film_container())
    yield shown
    shown.close()


def test_a_word_looks_at_the_frames_and_at_words(film: Page) -> None:
    before = map_of(film, 2)
    assert "of the text most from" in film.locator(".nlv-sentence").inner_text().lower()
    hover(film, SPANS[SQUARE])
    assert root(film)["word"] == str(SQUARE)
    assert map_of(film, 2) != before
    sentence = film.locator(".nlv-sentence").inner_text()
    assert re.search(r"The word \S“square”\S takes \d+.% of its weight from the video", sentence)
    parts = shares(film)
    assert set(parts) == {"video", "text", "special tokens"}
    assert abs(sum(parts.values()) - 100) <= 2
    frames = film.locator(".nlv-tile:not(.nlv-large) .nlv-share").all_inner_texts()
    whole = sum(float(text.split("\u202f")[0].lstrip("<")) for text in frames)
    assert abs(whole - parts["video"]) <= 3
    film.mouse.move(4, 4)
    rest(film)
    assert "word" not in root(film)
    assert map_of(film, 2) == before


def test_a_word_is_pinned_and_moved_by_keys(film: Page) -> None:
    hover(film, SPANS[SQUARE])
    film.mouse.down()
    film.mouse.up()
    film.mouse.move(4, 4)
    rest(film)
    assert film.locator(".nlv-state").inner_text() == "Word: square"
    view = film.evaluate("document.querySelector('#nlv-root').dataset.word")
    assert view == str(SQUARE)
    film.keyboard.press("ArrowRight")
    rest(film)
    assert root(film)["word"] == str(SQUARE + 1)
    film.keyboard.press("Home")
    rest(film)
    assert root(film)["word"] == "0"
    # A place of the pictures is previewed, and is the query again once it is pinned.
    in_picture(film, 72, 32)
    assert "word" not in root(film)
    assert film.locator(".nlv-sentence").inner_text().startswith("This point")
    film.mouse.move(4, 4)
    rest(film)
    assert root(film)["word"] == "0"
    film.mouse.click(*at(large(film), 72, 32))
    rest(film)
    assert root(film)["query"].endswith("72,32")
    assert "word" not in root(film)


def test_escape_leaves_a_pinned_word(film: Page) -> None:
    film.evaluate("nlviz.apply({view: {token: '4:square'}})")
    rest(film)
    assert root(film)["word"] == "4"
    film.locator(".nlv-stage").focus()
    film.keyboard.press("Escape")
    rest(film)
    assert "word" not in root(film)


def test_who_looks_at_a_word(film: Page) -> None:
    film.get_by_role("radio", name="To key").click()
    hover(film, SPANS[SQUARE])
    assert re.match(r"The word .*square.* is looked at", film.locator(".nlv-sentence").inner_text())
    # Words that come before it in the text never look at it: they are striped, not empty.
    early, late = (
        film.evaluate(
            """({ x, y, w, h }) => {
              const canvas = document.querySelector(".nlv-words-ground");
              const home = canvas.getBoundingClientRect();
              const scale = canvas.width / home.width;
              const [left, top] = [x + w / 2 - home.left, y + h - 12 - home.top];
              const at = [left * scale - 4, top * scale, 8, 8];
              const { data } = canvas.getContext("2d").getImageData(...at);
              const colours = Array.from({ length: data.length / 4 }, (_, i) => (
                data.slice(4 * i, 4 * i + 4).join()));
              return new Set(colours).size;
            }""",
            rect(film, SPANS[n]),
        )
        for n in (1, SQUARE + 1)
    )
    assert early > 1
    assert late == 1


@needs_axe
@pytest.mark.parametrize("width", [1200, 390])
def test_axe_finds_nothing_serious(browser: Browser, tmp_path: Path, width: int) -> None:
    page = page_of(browser, tmp_path, film_container(), width=width)
    assert not serious(page), "\n".join(serious(page))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


def test_a_box_asks_over_space_and_time(browser: Browser, tmp_path: Path) -> None:
    page = page_of(browser, tmp_path, boxes_container())
    sentence = page.locator(".nlv-sentence")
    in_picture(page, 74, 14)  # in the person, not in the hand
    assert sentence.inner_text().lstrip("\u2068").startswith("“person”")
    person = map_of(page, 3)
    in_picture(page, 40, 28)
    assert sentence.inner_text().lstrip("\u2068").startswith("“hand”")
    assert map_of(page, 3) != person
    page.mouse.click(*at(large(page), 40, 28))
    page.keyboard.press("ArrowLeft")
    rest(page)
    assert sentence.inner_text().lstrip("\u2068").startswith("“person”") or (
        "“hand”" in sentence.inner_text()
    )
    page.keyboard.press(".")
    rest(page)
    assert "“dog”" in sentence.inner_text()
    page.close()


def colour_at(page: Page, y: int, x: int) -> list[int]:
    """Return what the layer over the pictures shows at a pixel of the large one."""
    px, py = at(large(page), y, x)
    found: list[int] = page.evaluate(
        """([px, py]) => {
          const canvas = document.querySelector(".nlv-stage > .nlv-overlay");
          const home = canvas.getBoundingClientRect();
          const scale = canvas.width / home.width;
          const at = [(px - home.left) * scale, (py - home.top) * scale, 1, 1];
          return [...canvas.getContext("2d").getImageData(...at).data];
        }""",
        [px, py],
    )
    return found


def test_boxes_are_tinted_keys_and_compared_within_one_target(
    browser: Browser, tmp_path: Path
) -> None:
    page = page_of(browser, tmp_path, boxes_container(keys_too=True, view={"show": "map"}))
    assert "comparable only within one target" in page.locator(".nlv-target-note").inner_text()
    page.evaluate("nlviz.apply({query: {frame: 2, y: 30, x: 90}})")
    rest(page)
    assert "“dog”" in page.locator(".nlv-sentence").inner_text()
    _, top, left, bottom, right = BOXES[2]
    inside = colour_at(page, (top + bottom) // 2 + 9, (left + right) // 2 + 9)
    assert inside[3] > 0
    assert colour_at(page, bottom + 12, right + 8)[3] == 0
    assert page.locator(".nlv-tile:not(.nlv-large) .nlv-share").nth(3).inner_text() == "–"
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nodes_are_a_graph(browser: Browser, tmp_path: Path, scheme: str) -> None:
    page = page_of(browser, tmp_path, nodes_container(), color_scheme=scheme)
    assert "“Cleo”" in page.locator(".nlv-sentence").inner_text()
    assert "5 nodes" in page.locator(".nlv-facts").inner_text()
    box = large(page).bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 40.5 / 320 * box["width"], box["y"] + 30.5 / 240 * box["height"])
    rest(page)
    sentence = page.locator(".nlv-sentence").inner_text()
    assert "“Ada”" in sentence
    # Dan and Eve are no neighbours of hers.
    assert "Dan" not in sentence
    assert "Eve" not in sentence
    assert "px" not in page.locator(".nlv-readout").inner_text()
    page.close()
