"""The atlas in a real Chromium: its tiles, its keyboard, what it tells, and what it follows."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

import nlviz
from nlviz.picture import colour_table
from nlviz.web.bundle import ATLAS, LIVE_VIEW
from nlviz.web.payloads.atlas import atlas_payload
from tests.accessible import needs_axe, serious
from tests.analysis.test_atlas import PLACE, mixed
from tests.web.live_view.test_component import HOST

pytestmark = pytest.mark.browser


def shown(browser: Browser, folder: Path, width: int, scheme: str, **options: object) -> Page:
    content = atlas_payload(nlviz.atlas(mixed(), PLACE), **options)  # type: ignore[arg-type]
    path = folder / "atlas.html"
    path.write_text(ATLAS.page(content, title="every head"), encoding="utf-8")
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(path.as_uri())
    page.wait_for_function("window.nlviz?.timings.length > 0")
    return page


@needs_axe
@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (390, "dark")])
def test_every_head_has_a_tile_that_fits(
    browser: Browser, tmp_path: Path, width: int, scheme: str
) -> None:
    page = shown(browser, tmp_path, width, scheme, figure="effective", shown=("coarse", 2))
    tiles = page.locator(".nlv-atlas-tile")
    assert tiles.count() == 10
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    pressed = page.locator('.nlv-atlas-tile[aria-pressed="true"]')
    assert pressed.count() == 1
    assert "coarse, head 3: effective keys" in (pressed.get_attribute("aria-label") or "")
    # Largest first; the head of a dot product, which has no such number, comes last.
    assert "signed, head 1:" in (tiles.last.get_attribute("aria-label") or "")
    assert not serious(page), "\n".join(serious(page))
    page.close()


def test_a_tile_has_the_colours_of_its_weights(browser: Browser, tmp_path: Path) -> None:
    page = shown(browser, tmp_path, 1400, "light", logarithmic=True)
    atlas = nlviz.atlas(mixed(), PLACE)
    row = atlas.map("early", 0)
    key = int(np.where(np.arange(row.weights.size) == row.own, 0, row.weights.ravel()).argmax())
    tile = page.locator('.nlv-atlas-tile[data-layer="0"][data-head="0"] canvas').first
    pixels = np.asarray(Image.open(io.BytesIO(tile.screenshot())).convert("RGB"), int)
    tiles = atlas.tiles
    where = np.argwhere(np.asarray(tiles.layers[0].key_of) == key).mean(0) + 0.5
    y, x = (where / tiles.size * pixels.shape[:2]).astype(int)
    wanted = colour_table("diverging")[255, :3].astype(int)  # red: the upper end
    assert np.abs(pixels[y, x] - wanted).max() < 60
    page.close()


def test_arrow_keys_walk_the_tiles(browser: Browser, tmp_path: Path) -> None:
    page = shown(browser, tmp_path, 1400, "light")
    page.keyboard.press("Tab")
    at = "document.activeElement.dataset"
    assert page.evaluate(f"[{at}.layer, {at}.head]") == ["0", "0"]
    page.keyboard.press("ArrowRight")
    assert page.evaluate(f"[{at}.layer, {at}.head]") == ["0", "1"]
    page.keyboard.press("Tab")  # one stop for all tiles
    assert page.evaluate(f"{at}.layer ?? null") is None
    page.close()


@pytest.fixture
def host(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    """A page on which the component's entry is loaded and nothing is mounted."""
    text = HOST
    for name, source in (
        ("STYLE", ATLAS.stylesheet()),
        ("COMPONENT", ATLAS.script("component")),
        ("CONTROL", LIVE_VIEW.script("control")),
    ):
        text = text.replace(name, json.dumps(source).replace("</", "<\\/"), 1)
    path = tmp_path / "host.html"
    path.write_text(text, encoding="utf-8")
    page = browser.new_page(viewport={"width": 1100, "height": 800})
    page.set_default_timeout(10_000)
    page.goto(path.as_uri())
    page.evaluate("ready")
    yield page
    page.close()


def test_a_click_is_told_and_the_pointer_of_a_live_view_is_followed(host: Page) -> None:
    capture = mixed()
    content = atlas_payload(nlviz.atlas(capture, PLACE), channel="atlas", follows="explore")
    # A stand-in for the live view, which the app's own test has.
    host.evaluate(
        """() => {
          window.__nlvizChannels ??= new Map();
          window.__nlvizChannels.set("explore", {
            watch: (listener) => { window.tellAtlas = listener; return () => {}; },
          });
        }"""
    )
    text = base64.b64encode(content).decode()
    host.evaluate("(text) => { window.clean = component(text) }", text)
    tile = host.locator('.nlv-atlas-tile[data-layer="2"][data-head="1"]')
    tile.click()
    name, picked = host.evaluate("window.said.at(-1)")
    assert (name, picked["block"], picked["head"]) == ("picked", "coarse", 1)
    host.mouse.move(1, 1)
    before = tile.locator("canvas").screenshot()
    other = host.locator('.nlv-atlas-tile[data-layer="0"][data-head="0"]').locator("canvas").first
    untouched = other.screenshot()
    host.evaluate(
        """() => window.tellAtlas({ block: "coarse", rows: () => Array.from({ length: 4 }, () => ({
          values: Float32Array.from({ length: 12 }, (_, j) => (j === 5 ? 1 : 0)),
          uniform: 1 / 12, own: 0, from: 0, to: 12 })) })"""
    )
    assert tile.locator("canvas").screenshot() != before
    assert other.screenshot() == untouched
    host.evaluate("() => window.tellAtlas(null)")
    assert tile.locator("canvas").screenshot() == before
