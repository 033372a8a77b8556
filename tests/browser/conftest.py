"""A real server and a real Chromium, one of each for all browser tests of a worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.processes import served


@pytest.fixture(scope="session")
def app_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(tmp_path_factory.mktemp("server")) as server:
        yield server.url


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1400, "height": 1100})
    context.set_default_timeout(60_000)
    yield context.new_page()
    context.close()


def opened(page: Page, url: str) -> Page:
    """Open the app and wait for its first map and for the panels below it."""
    page.goto(url)
    page.locator(".nlv-sentence").first.wait_for()
    page.get_by_text("Save this view").wait_for()
    return page
