"""A first visit: the view stands before PyTorch is imported, and stays when the rest follows."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.gated import gated

pytestmark = pytest.mark.browser


def visited(browser: Browser, url: str) -> Page:
    page = browser.new_context(viewport={"width": 1400, "height": 900}).new_page()
    page.set_default_timeout(90_000)
    page.goto(url)
    page.locator("[data-query]").wait_for()
    return page


def query(page: Page) -> str:
    return page.locator("[data-query]").get_attribute("data-query") or ""


def test_the_first_view_needs_no_pytorch_and_stays(browser: Browser, tmp_path: Path) -> None:
    with gated(tmp_path) as server:
        page = visited(browser, server.url)
        page.get_by_text("PyTorch and the network are being loaded").wait_for()
        page.wait_for_function("window.__nlvizChannels?.get('explore')?.timings.length > 0")
        for _ in range(200):  # the browser says that it has drawn, which begins the rest
            if server.drawn.exists():
                break
            page.wait_for_timeout(100)
        assert server.drawn.read_text() == "False"
        # What is done meanwhile is kept.
        page.locator(".nlv-large").evaluate("tile => { tile.dataset.same = 'yes'; }")
        page.locator(".nlv-large .nlv-picture").click(position={"x": 60, "y": 40})
        page.locator("[data-pinned=true]").wait_for()
        pinned = query(page)
        second = visited(browser, server.url)  # another visitor is not kept waiting
        assert query(second) != pinned
        second.context.close()
        server.open()
        page.get_by_text("Can this map be believed?").wait_for()
        page.get_by_text("Save this view").wait_for()
        assert query(page) == pinned
        assert page.locator(".nlv-large").get_attribute("data-same") == "yes"
        page.wait_for_function("new URL(location.href).searchParams.has('at')")
        frame, y, x = pinned.split(",")
        assert f"at={frame}%2C{y}%2C{x}" in page.url or f"at={pinned}" in page.url
        page.context.close()
