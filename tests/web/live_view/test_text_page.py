"""Words in the page that works from disk, driven in Chromium: all scripts, long and two texts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from nlviz.web.bundle import LIVE_VIEW
from nlviz.web.payloads.container import unpack
from tests.accessible import needs_axe, serious
from tests.pace import rest
from tests.web.live_view.test_page import opened, root
from tests.web.live_view.text_containers import (
    ARABIC,
    CHINESE,
    HEBREW,
    MIXED,
    SENTENCE,
    cross_container,
    long_container,
    text_container,
    words_of,
)

pytestmark = pytest.mark.browser

EMOJI = "Hi 👩‍👩‍👧 there 🎉 x̂ café, done"  # joined signs, and a letter with a mark of its own
# Where a span of the text lies in the page, found without the code under test.
_RECT = """([from, to]) => {
  const words = document.querySelector(".nlv-text");
  const { SHOW_TEXT, FILTER_REJECT, FILTER_ACCEPT } = NodeFilter;
  const walker = document.createTreeWalker(words, SHOW_TEXT,
    (node) => node.parentElement.closest(".nlv-word-chip") ? FILTER_REJECT : FILTER_ACCEPT);
  const range = document.createRange();
  let at = 0;
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const signs = [...node.data];
    const units = (n) => signs.slice(0, n).join("").length;
    if (from >= at && from < at + signs.length) range.setStart(node, units(from - at));
    if (to > at && to <= at + signs.length) range.setEnd(node, units(to - at));
    at += signs.length;
  }
  const { left, top, width, height } = range.getClientRects()[0];
  return { x: left, y: top, w: width, h: height };
}"""


def page_of(browser: Browser, tmp_path: Path, container: bytes, **options: Any) -> Page:
    file = tmp_path / "text.html"
    file.write_text(LIVE_VIEW.page(container, title="text"), encoding="utf-8")
    return opened(browser, file, **options)


def rect(page: Page, span: tuple[int, int]) -> dict[str, float]:
    found: dict[str, float] = page.evaluate(_RECT, list(span))
    return found


def hover(page: Page, span: tuple[int, int], share: float = 0.5) -> None:
    box = rect(page, span)
    page.mouse.move(box["x"] + share * box["w"], box["y"] + box["h"] / 2)
    rest(page)


def asked(page: Page) -> int:
    """Return the number of the word on the screen."""
    return int(root(page)["query"].split(",")[2])


def ink_behind(page: Page, span: tuple[int, int]) -> list[int]:
    """Return the colour that is painted behind a word, near its lower edge."""
    found: list[int] = page.evaluate(
        """({ x, y, w, h }) => {
          const canvas = document.querySelector(".nlv-words-ground");
          const home = canvas.getBoundingClientRect();
          const scale = canvas.width / home.width;
          const at = [(x + w / 2 - home.left) * scale, (y + h - 2 - home.top) * scale];
          return [...canvas.getContext("2d").getImageData(...at.map(Math.round), 1, 1).data];
        }""",
        rect(page, span),
    )
    return found


@pytest.fixture
def page(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    shown = page_of(browser, tmp_path, text_container())
    yield shown
    shown.close()


SPANS = words_of(SENTENCE)


def test_opens_at_its_word_and_says_what_it_takes(page: Page) -> None:
    assert (root(page)["query"], root(page)["pinned"]) == ("0,0,2", "true")
    sentence = page.locator(".nlv-sentence").inner_text()
    assert re.search(r"“dog”\S? \(2\) takes \d+.% of its weight from", sentence)
    assert "special tokens" in page.locator(".nlv-shares").inner_text()
    assert page.locator(".nlv-word-chip").all_inner_texts() == ["<s>", "</s>"]


def test_nothing_speaks_of_frames_or_pixels(page: Page) -> None:
    page.locator("[data-lit=query]").hover()
    rest(page)
    told = page.evaluate(
        """() => {
          const all = document.querySelectorAll("#nlv-root [data-tip], #nlv-root [aria-label]");
          const seen = [...all].filter((e) => e.checkVisibility());
          const said = seen.flatMap((e) => [e.dataset.tip, e.getAttribute("aria-label")]);
          return [document.querySelector("#nlv-root").innerText, ...said].join(" | ");
        }"""
    )
    assert not re.search(r"\bframes?\b|pixel|\bpx\b|\bpicture|film|video", told), told


def test_hover_previews_and_leaving_returns_to_the_pin(page: Page) -> None:
    before = page.locator(".nlv-sentence").inner_text()
    hover(page, SPANS[4])
    assert (asked(page), root(page)["hovering"]) == (5, "true")
    assert "“ball”" in page.locator(".nlv-sentence").inner_text()
    assert "the pinned word gives this word" in page.locator(".nlv-readout").inner_text()
    page.mouse.move(4, 4)
    rest(page)
    assert asked(page) == 2
    assert page.locator(".nlv-sentence").inner_text() == before


def test_colours_follow_the_weights(browser: Browser, tmp_path: Path) -> None:
    blob = text_container(view={"show": "map", "head": 1})
    _, arrays = unpack(blob)
    theta, phi = (arrays[f"learned.{n}"][1].astype("f4") for n in ("theta", "phi"))
    row = (theta[2] @ phi.T)[1:-1]  # of the words between the special tokens
    page = page_of(browser, tmp_path, blob)
    most, least = int(row.argmax()), int(row.argmin())
    strong, weak = ink_behind(page, SPANS[most]), ink_behind(page, SPANS[least])
    paper = [255, 255, 255]
    away = [sum(abs(a - b) for a, b in zip(ink, paper, strict=False)) for ink in (strong, weak)]
    assert away[0] > 3 * away[1]
    page.keyboard.press("Home")
    rest(page)
    assert ink_behind(page, SPANS[most]) != strong
    page.get_by_role("radio", name="Links").click()
    rest(page)
    assert ink_behind(page, SPANS[most])[3] == 0
    page.close()


def test_click_pins_and_escape_unpins(page: Page) -> None:
    box = rect(page, SPANS[6])
    page.mouse.click(box["x"] + 4, box["y"] + 8)
    rest(page)
    assert (asked(page), root(page)["pinned"]) == (7, "true")
    page.keyboard.press("Escape")
    rest(page)
    assert root(page)["pinned"] == "false"


def test_keys_move_by_a_word(page: Page) -> None:
    page.keyboard.press("ArrowRight")
    rest(page)
    assert asked(page) == 3
    page.keyboard.press("Home")
    rest(page)
    assert asked(page) == 0
    page.keyboard.press("ArrowLeft")
    rest(page)
    assert asked(page) == 0
    page.keyboard.press("End")
    rest(page)
    assert asked(page) == len(SPANS) + 1
    page.locator("input[name=x]").fill("4")
    page.locator("input[name=x]").press("Enter")
    rest(page)
    assert (asked(page), root(page)["pinned"]) == (4, "true")


def test_controls_work_as_for_pixels(page: Page) -> None:
    sentence = page.locator(".nlv-sentence")
    page.get_by_role("radio", name="To key").click()
    rest(page)
    assert "is looked at most by" in sentence.inner_text()
    page.get_by_role("radio", name="From query").click()
    page.locator("select[name=leave_out]").select_option("cell")
    rest(page)
    assert "Its own word" in sentence.inner_text()
    assert page.locator("select[name=leave_out] option").all_inner_texts() == [
        "nothing",
        "own word",
    ]
    page.locator("select[name=scale]").select_option("log")
    rest(page)
    assert "logarithmic" in page.locator(".nlv-bar-title").inner_text()
    assert not page.locator("select[name=cells]").is_visible()
    mean = sentence.inner_text()
    page.get_by_role("radio", name="head 3 of 3").click()
    rest(page)
    assert sentence.inner_text() != mean
    page.get_by_role("button", name="All heads side by side").click()
    rest(page)
    assert page.locator(".nlv-head-map").count() == 3
    page.keyboard.press("2")
    rest(page)
    assert "−" in page.locator(".nlv-low").inner_text()


def test_a_key_is_compared_in_words(page: Page) -> None:
    page.locator(".nlv-key").first.click()
    card = page.locator(".nlv-inspector")
    assert re.search(r"“dog”.* → .*×.* words? apart", card.inner_text())
    card.get_by_role("button", name="Make this the query").click()
    rest(page)
    assert asked(page) != 2


def alone(text: str) -> list[tuple[int, int]]:
    return words_of(text, alone=True)


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        (SENTENCE, words_of),
        (ARABIC, words_of),
        (HEBREW, words_of),
        (CHINESE, alone),
        (MIXED, words_of),
        ("first line\nsecond שורה line\n\nlast", words_of),
        ("  two  spaces   ", words_of),
    ],
    ids=["english", "arabic", "hebrew", "chinese", "mixed", "lines", "spaces"],
)
def test_every_word_is_found_where_it_stands(
    browser: Browser, tmp_path: Path, text: str, cut: Callable[[str], list[tuple[int, int]]]
) -> None:
    spans = cut(text)
    page = page_of(browser, tmp_path, text_container(text, spans), width=640)
    for n, span in enumerate(spans):
        hover(page, span)
        assert asked(page) == n + 1, text[span[0] : span[1]]
    page.close()


@pytest.mark.parametrize("text", [ARABIC, HEBREW])
def test_arrows_follow_the_direction_of_the_text(
    browser: Browser, tmp_path: Path, text: str
) -> None:
    page = page_of(browser, tmp_path, text_container(text))
    spans = words_of(text)
    assert rect(page, spans[0])["x"] > rect(page, spans[1])["x"]
    page.keyboard.press("ArrowLeft")
    rest(page)
    assert asked(page) == 3
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    rest(page)
    assert asked(page) == 1
    page.close()


def test_signs_beyond_the_basic_plane_are_one_character(browser: Browser, tmp_path: Path) -> None:
    family = EMOJI.index("👩")
    spans = [(0, 2), (family, family + 5), (9, 14), (15, 16), (17, 19), (20, 24)]
    assert [EMOJI[a:b] for a, b in spans] == ["Hi", "👩‍👩‍👧", "there", "🎉", "x̂", "café"]
    page = page_of(browser, tmp_path, text_container(EMOJI, spans))
    for n, span in enumerate(spans):
        hover(page, span)
        assert asked(page) == n + 1
    page.close()


def test_tokens_within_one_sign_share_its_box(browser: Browser, tmp_path: Path) -> None:
    text = "a 🎉 b"
    spans = [(0, 1), *[(2, 3)] * 4, (4, 5)]  # four bytes of one sign
    page = page_of(browser, tmp_path, text_container(text, spans))
    for n in range(4):
        hover(page, (2, 3), (n + 0.5) / 4)
        assert asked(page) == 2 + n
    hover(page, (4, 5))
    assert asked(page) == 6
    page.close()


def test_tokens_that_split_a_joined_word_keep_its_shape(browser: Browser, tmp_path: Path) -> None:
    word = "السلام"
    page = page_of(browser, tmp_path, text_container(word, [(0, 2), (2, 4), (4, 6)]))
    parts = [rect(page, span) for span in ((0, 2), (2, 4), (4, 6))]
    assert parts[0]["x"] > parts[1]["x"] > parts[2]["x"]
    for n, span in enumerate(((0, 2), (2, 4), (4, 6))):
        hover(page, span)
        assert asked(page) == n + 1
    # One text node: nothing stands between letters that join.
    assert (
        page.locator(".nlv-text").evaluate(
            "e => [...e.childNodes].filter(n => n.nodeType === 3).length"
        )
        == 1
    )
    page.close()


def test_a_long_text_scrolls_in_its_box(browser: Browser, tmp_path: Path) -> None:
    page = page_of(browser, tmp_path, long_container(4096, 4, 16))
    header, _ = unpack(long_container(4096, 4, 16))
    spans = header["clip"]["spans"]
    box = page.locator(".nlv-words")
    assert box.evaluate("e => e.scrollHeight > 5 * e.clientHeight")
    assert page.evaluate("document.querySelector('.nlv-words-ground').height") < 4000
    assert "strong keys further on" in page.locator(".nlv-further").inner_text()
    page.keyboard.press("End")
    rest(page)
    assert asked(page) == 4095
    assert box.evaluate("e => e.scrollTop + e.clientHeight > e.scrollHeight - 60")
    assert ink_behind(page, tuple(spans[4090]))[3] > 0
    page.keyboard.press("ArrowUp")
    rest(page)
    assert 4000 < asked(page) < 4095
    line = rect(page, tuple(spans[asked(page)]))
    assert abs(line["y"] - rect(page, tuple(spans[4095]))["y"]) > 10
    page.keyboard.press("ArrowDown")
    rest(page)
    assert asked(page) > 4080
    page.close()


def test_words_of_two_texts_stand_in_two_strips(browser: Browser, tmp_path: Path) -> None:
    page = page_of(browser, tmp_path, cross_container())
    strips = page.locator(".nlv-words")
    assert strips.count() == 2
    assert strips.first.get_attribute("aria-label") == (
        "Text of the queries. Arrow keys move the query by one word, Home and End to the first "
        "and the last, Enter pins, Escape unpins."
    )
    before = root(page)["query"]
    box = strips.nth(1).bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 30, box["y"] + box["height"] / 2)
    rest(page)
    assert root(page)["query"] == before
    assert "×" in page.locator(".nlv-readout").inner_text()
    page.keyboard.press("ArrowRight")
    rest(page)
    assert "“dog”" in page.locator(".nlv-sentence").inner_text()
    page.close()


@needs_axe
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 390])
def test_axe_finds_nothing_serious(
    browser: Browser, tmp_path: Path, scheme: str, width: int
) -> None:
    page = page_of(browser, tmp_path, text_container(), width=width, color_scheme=scheme)
    assert not serious(page), "\n".join(serious(page))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_their_colour(browser: Browser, tmp_path: Path, scheme: str) -> None:
    page = page_of(browser, tmp_path, text_container(), color_scheme=scheme)
    least = page.evaluate(
        """() => {
          const light = (level) => {
            const share = level / 255;
            return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
          };
          const { width, height } = document.querySelector(".nlv-words-ground");
          const canvas = document.querySelector(".nlv-words-ground");
          const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
          const seen = new Map();
          for (let i = 0; i < data.length; i += 4) {
            const [r, g, b] = data.subarray(i, i + 3);
            const own = 0.2126 * light(r) + 0.7152 * light(g) + 0.0722 * light(b);
            if (data[i + 3] === 255) seen.set([r, g, b].join(), own);
          }
          // Ink is black or white, whichever stands out.
          const least = [...seen.values()].map((own) => Math.max(1.05, own + 0.05) / (own + 0.05));
          const dark = [...seen.values()].map((own) => (own + 0.05) / 0.05);
          const best = least.map((own, n) => Math.max(own, dark[n]));
          return { colours: seen.size, least: Math.min(...best) };
        }"""
    )
    assert least["colours"] > 5
    assert least["least"] >= 4.5
    other = page.evaluate("CSS.highlights.get('nlv-ink').size")
    assert other >= 1
    page.close()
