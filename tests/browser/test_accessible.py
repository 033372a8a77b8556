"""All pages for readers who do not see, do not point, or see few colours."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page

from tests.accessible import needs_axe, serious
from tests.browser.conftest import opened
from tests.pace import rest

pytestmark = pytest.mark.browser


@needs_axe
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("path", "last"),
    [("", "Save this view"), ("compare", "Save this comp"), ("denoise", "Save this comp")],
)
def test_axe_finds_nothing_serious(
    browser: Browser, app_url: str, path: str, last: str, scheme: str
) -> None:
    context = browser.new_context(viewport={"width": 1300, "height": 900}, color_scheme=scheme)
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.goto(f"{app_url}/{path}")
    page.locator("[data-query]").first.wait_for()
    page.get_by_text(last).wait_for()
    rest(page)
    found = serious(page)
    assert not found, "\n".join(found)
    context.close()


def test_the_first_tab_leads_to_the_picture(page: Page, app_url: str) -> None:
    opened(page, app_url)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the picture"
    page.keyboard.press("Enter")
    stage = page.locator(".nlv-stage").first
    assert stage.evaluate("node => node.getRootNode().activeElement === node")
