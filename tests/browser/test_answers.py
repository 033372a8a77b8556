"""Attribution in a real browser: computed with a bar, cancelled between passes, drawn."""

from __future__ import annotations

from contextlib import suppress

import pytest
from playwright.sync_api import Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout

pytestmark = pytest.mark.browser


def settled(page: Page) -> None:
    """Wait until no script runs: a list that is open while its page is drawn again closes."""
    page.wait_for_timeout(1500)
    page.locator('[data-test-script-state="notRunning"]').wait_for(timeout=90_000)


def choose(page: Page, method: str, says: str) -> None:
    settled(page)
    box = page.get_by_role("combobox", name="Method")
    box.scroll_into_view_if_needed()  # an open list closes when the page is scrolled
    box.click()
    expect(page.get_by_role("option", name=method)).to_be_visible()
    page.keyboard.type(method)
    expect(page.get_by_role("option")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.get_by_text(says)).to_be_visible(timeout=30_000)
    settled(page)


def opened(page: Page, app_url: str, what: str = "clip=cat.jpg&at=0,100,100") -> None:
    page.goto(f"{app_url}/?{what}")
    page.get_by_text("Save this view").wait_for(timeout=90_000)
    settled(page)
    page.get_by_text("Why this answer?").click()
    expect(page.get_by_text("is not why the network decides")).to_be_visible()


def compute(page: Page) -> None:
    """Compute, and wait for the answer; a click that falls into a redraw is made again."""
    answer = page.get_by_text("rank correlation with this point's map")
    for _ in range(4):
        settled(page)
        if answer.count():
            break
        page.get_by_role("button", name="Compute").click()
        with suppress(PlaywrightTimeout):
            answer.first.wait_for(timeout=25_000)
    expect(answer).to_be_visible()


def test_an_attribution_is_drawn_with_its_agreement(page: Page, app_url: str) -> None:
    opened(page, app_url)
    compute(page)
    page.wait_for_function("[...document.images].some((image) => image.naturalWidth > 1000)")
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)


def test_an_attribution_can_be_cancelled_and_taken_up_again(page: Page, app_url: str) -> None:
    # 97 passes over four frames: long enough for a click.
    opened(page, app_url, "clip=bunny.mp4&at=1,100,100&frames=4&size=240")
    choose(page, "Occlusion", "How much the score falls")
    page.get_by_role("button", name="Compute").click()
    page.get_by_role("button", name="Cancel").click(timeout=30_000)
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0, timeout=30_000)
    expect(page.get_by_role("button", name="Compute")).to_be_enabled()
    expect(page.get_by_text("rank correlation")).to_have_count(0)
    # The network is free: another method runs.
    choose(page, "Grad-CAM", "Features that enter the block")
    compute(page)
