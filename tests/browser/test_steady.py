"""What a visitor looks at stays where it is while the rest of the page arrives."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.gated import gated

pytestmark = pytest.mark.browser

SCREENS = {"wide": (1400, 900), "phone": (390, 844)}
# Of the web's own measure of jumps this much counts as good.
GOOD = 0.1
BUSY = "[data-testid=stSkeleton], [data-testid=stStatusWidget]"
SHIFTS = """
window.__shifts = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    if (entry.hadRecentInput) continue;
    const where = entry.sources.map(({ node, currentRect: r }) =>
      `${node?.dataset?.testid ?? node?.className ?? node?.nodeName} to ${r.x},${r.y}`);
    window.__shifts.push([entry.value, where.join("; ")]);
  }
}).observe({ type: "layout-shift", buffered: true });
"""


class Visit:
    """A visitor with an empty cache, who looks at the picture and touches nothing."""

    def __init__(self, browser: Browser, url: str, screen: str) -> None:
        width, height = SCREENS[screen]
        context = browser.new_context(viewport={"width": width, "height": height})
        context.set_default_timeout(120_000)
        self.page: Page = context.new_page()
        self.page.add_init_script(SHIFTS)
        self.page.goto(url)
        self.page.locator(".nlv-large .nlv-map").wait_for()
        self.page.locator(".nlv-large").evaluate("tile => { tile.dataset.mounted = 'once'; }")

    def stays(self, last: str = "Save this view") -> None:
        """Wait for all that follows; what was on the screen must be there still, and in place."""
        page = self.page
        page.get_by_text(last).first.wait_for()
        page.wait_for_function(f"!document.querySelector('{BUSY}')")
        assert page.locator(".nlv-large").get_attribute("data-mounted") == "once"
        shifts = page.evaluate("window.__shifts")
        assert sum(value for value, _ in shifts) < GOOD, shifts
        page.context.close()


def test_nothing_jumps_on_a_first_visit_or_a_later_one(browser: Browser, tmp_path: Path) -> None:
    with gated(tmp_path) as server:
        first = [Visit(browser, server.url, screen) for screen in SCREENS]
        server.open()
        for visit in first:
            visit.stays()
        for screen in SCREENS:
            Visit(browser, server.url, screen).stays()
            Visit(browser, f"{server.url}/denoise", screen).stays("How good are the results?")
