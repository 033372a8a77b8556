"""Every head of a network below the map: clicked, followed and sorted, in a real Chromium."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import opened
from tests.pace import rest

pytestmark = pytest.mark.browser


def test_a_click_opens_a_head_and_the_pointer_is_followed(page: Page, app_url: str) -> None:
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    opened(page, f"{app_url}/?clip=cat.jpg&ask=heads&at=0,80,120")
    tiles = page.locator(".nlv-atlas-tile")
    expect(tiles).to_have_count(2)
    expect(page.locator('.nlv-atlas-tile[data-layer="1"]')).to_have_attribute(
        "aria-pressed", "true"
    )
    stage = page.locator(".nlv-picture canvas").first
    stage.hover(position={"x": 60, "y": 50})
    expect(page.locator(".nlv-atlas-hovering")).to_have_count(1)
    page.mouse.move(2, 2)
    expect(page.locator(".nlv-atlas-hovering")).to_have_count(0)
    tip = tiles.first.get_attribute("data-tip") or ""
    stage.click(position={"x": 90, "y": 60})
    expect(tiles.first).not_to_have_attribute("data-tip", tip)  # another query, other numbers
    tiles.first.click()
    expect(tiles.first).to_have_attribute("aria-pressed", "true")
    page.wait_for_url(re.compile("block=stage3"))
    rest(page)
    assert not faults
