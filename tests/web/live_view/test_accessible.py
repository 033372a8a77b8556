"""The live view and the lens as pages of their own, for readers who do not see or point."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from nlviz.web.bundle import LIVE_VIEW
from tests.accessible import needs_axe, serious
from tests.pace import rest
from tests.web.live_view.containers import square_container
from tests.web.live_view.test_page import opened, root

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("accessible") / "square.html"
    file.write_text(LIVE_VIEW.page(square_container(), title="moving square"), encoding="utf-8")
    return file


@needs_axe
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 390])
def test_axe_finds_nothing_serious(browser: Browser, path: Path, scheme: str, width: int) -> None:
    page = opened(browser, path, width=width, color_scheme=scheme)
    assert not serious(page), "\n".join(serious(page))
    page.close()


@pytest.fixture(scope="module")
def page(browser: Browser, path: Path) -> Page:
    return opened(browser, path)


def test_names_say_the_data(page: Page) -> None:
    tree = page.locator("#nlv-root").aria_snapshot()
    assert 'radio "Learned"' in tree
    assert "1Learned" not in tree
    assert 'button "0.00 s, 25 %, frame 1 of 4, show it large"' in tree.replace(
        "\u202f", " "
    ).replace(" ,", ",")
    assert tree.count("takes 25") == 1  # the sentence, once


def test_escape_closes_an_open_panel_before_it_unpins(page: Page) -> None:
    page.get_by_text("Display", exact=True).click()
    page.keyboard.press("Escape")
    rest(page)
    assert page.locator(".nlv-more").get_attribute("open") is None
    assert root(page)["pinned"] == "true"
    page.keyboard.press("Escape")
    rest(page)
    assert root(page)["pinned"] == "false"
