"""The picture, its sentence and its colour bar are on the first screen, of any size."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

pytestmark = pytest.mark.browser
SCREENS = {
    "small": (1024, 768),
    "wide": (1400, 900),
    "phone": (390, 844),
    "zoomed to 200 %": (700, 500),
}


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("path", ["", "denoise"])
def test_the_picture_comes_first(browser: Browser, app_url: str, screen: str, path: str) -> None:
    width, height = SCREENS[screen]
    context = browser.new_context(viewport={"width": width, "height": height})
    context.set_default_timeout(60_000)
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{app_url}/{path}")
    page.locator("[data-query]").first.wait_for()
    page.locator(".nlv-large .nlv-map").wait_for()
    boxes = {
        name: page.locator(where).first.bounding_box()
        for name, where in (
            ("picture", ".nlv-large .nlv-picture"),
            ("sentence", ".nlv-sentence"),
            ("bar", ".nlv-ticks"),
        )
    }
    for name in ("sentence", "bar"):
        box = boxes[name]
        assert box is not None
        assert 0 <= box["y"] and box["y"] + box["height"] <= height, (name, box)
    picture = boxes["picture"]
    assert picture is not None
    seen = min(picture["y"] + picture["height"], height) - picture["y"]
    assert seen >= 0.6 * picture["height"], picture
    assert seen >= 0.2 * height, picture
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    # Both pages are a click away, whether or not the sidebar is open.
    links = page.get_by_role("link", name="Denoise" if not path else "Explore")
    assert any(link.is_visible() for link in links.all())
    assert all(url.startswith((app_url, "data:", "blob:")) for url in asked), asked
    context.close()
