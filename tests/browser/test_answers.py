"""Attribution in a real browser: computed with a bar, cancelled between passes, drawn."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


def opened(page: Page, app_url: str, what: str = "clip=cat.jpg&at=0,100,100") -> None:
    page.goto(f"{app_url}/?{what}")
    page.get_by_text("Why this answer?").click(timeout=90_000)
    expect(page.get_by_text("is not why the network decides")).to_be_visible()


def test_an_attribution_is_drawn_with_its_agreement(page: Page, app_url: str) -> None:
    opened(page, app_url)
    page.get_by_role("button", name="Compute").click()
    expect(page.get_by_text("rank correlation with the pinned query's map")).to_be_visible(
        timeout=60_000
    )
    picture = page.get_by_role("img").last
    expect(picture).to_be_visible()
    page.wait_for_function("[...document.images].at(-1).naturalWidth > 1000")
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)


def test_an_attribution_can_be_cancelled_and_taken_up_again(page: Page, app_url: str) -> None:
    # 97 passes over four frames: long enough for a click.
    opened(page, app_url, "clip=bunny.mp4&at=1,100,100&frames=4&size=240")
    page.get_by_role("combobox", name="Method").click()
    page.get_by_role("option", name="Occlusion").click()
    page.get_by_role("button", name="Compute").click()
    page.get_by_role("button", name="Cancel").click(timeout=30_000)
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0, timeout=30_000)
    expect(page.get_by_role("button", name="Compute")).to_be_enabled()
    expect(page.get_by_text("rank correlation")).to_have_count(0)
    # The network is free: another method runs.
    page.get_by_role("combobox", name="Method").click()
    page.get_by_role("option", name="Grad-CAM").click()
    page.get_by_role("button", name="Compute").click()
    expect(page.get_by_text("rank correlation with the pinned query's map")).to_be_visible(
        timeout=60_000
    )
