"""Nothing above the picture changes its height, whatever is pointed at, pinned or chosen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from nlviz.web.bundle import LIVE_VIEW
from tests.pace import rest
from tests.web.live_view.containers import square_container
from tests.web.live_view.test_page import at, large, opened, small

pytestmark = pytest.mark.browser
WIDTHS = (1400, 1024, 640, 390)

# The picture's place after every frame in which it was another one.
WATCH = """() => {
  const picture = document.querySelector(".nlv-large .nlv-picture");
  window.places = [];
  const look = () => {
    const { top, left } = picture.getBoundingClientRect();
    const now = `${Math.round(top + scrollY)} ${Math.round(left)}`;
    if (window.places.at(-1) !== now) window.places.push(now);
    requestAnimationFrame(look);
  };
  look();
}"""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("still") / "square.html"
    file.write_text(LIVE_VIEW.page(square_container(), title="moving square"), encoding="utf-8")
    return file


@pytest.fixture(params=WIDTHS)
def page(browser: Browser, path: Path, request: pytest.FixtureRequest) -> Iterator[Page]:
    shown = opened(browser, path, width=request.param)
    shown.evaluate(WATCH)
    yield shown
    shown.close()


def test_the_picture_stays_where_it_is(page: Page) -> None:
    for y in range(4, 96, 17):
        for x in range(4, 128, 23):
            page.mouse.move(*at(large(page), y, x))
            rest(page, 90)
    page.mouse.click(*at(large(page), 60, 32))
    page.mouse.move(*at(small(page, 2), 50, 70))
    rest(page)
    page.keyboard.press("Escape")
    for key in "23456789.,":
        page.keyboard.press(key)
        rest(page, 90)
    page.keyboard.press("1")
    for field, value in (("leave_out", "frame"), ("leave_out", "cell"), ("values", "logits")):
        page.locator(f"select[name={field}]").evaluate(
            """(node, value) => {
              node.value = value;
              node.dispatchEvent(new Event("input", { bubbles: true }));
            }""",
            value,
        )
        rest(page, 90)
    assert len(page.evaluate("window.places")) == 1, page.evaluate("window.places")


@pytest.mark.parametrize("width", WIDTHS)
def test_the_longest_sentence_fits_into_its_box(browser: Browser, path: Path, width: int) -> None:
    page = opened(browser, path, width=width)
    words = (
        "This point at 123.45 s puts 62 % of its weight elsewhere than the average query: more in "
        "123.45 s (+12 %) and 118.20 s (+5.4 %), less in its own frame (−13 %) and 98.10 s (−4 %). "
        "+1.2 % on the class token. Its own frame (12 %) is hidden; the rest is scaled to 100 %."
    )
    outside = page.evaluate(
        """(words) => {
          const box = document.querySelector(".nlv-finding");
          const line = box.querySelector(".nlv-sentence");
          line.firstChild.textContent = words;
          box.dataset.size = "longer";
          return line.offsetHeight - box.clientHeight;
        }""",
        words,
    )
    assert outside <= 0
    page.close()
