"""The Streamlit entries without Streamlit: what is told to Python, and messages from it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from nlviz.web.bundle import LENS, LIVE_VIEW
from nlviz.web.payloads.lens import LensPicture, lens_payload
from tests.web.lens.conftest import payload
from tests.web.live_view.test_component import HOST

pytestmark = pytest.mark.browser


@pytest.fixture
def host(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    """A page with both entries loaded and nothing mounted."""
    text = HOST
    for name, source in (
        ("STYLE", LENS.stylesheet()),
        ("COMPONENT", LENS.script("component")),
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


def mounted(host: Page, text: str) -> None:
    host.evaluate("(text) => { window.clean = component(text) }", text)
    host.wait_for_function("live()?.dataset.zoom")


def waits(host: Page, point: str, *, pinned: bool = True) -> None:
    host.wait_for_function(
        "([point, pinned]) => live().dataset.point === point && live().dataset.pinned === pinned",
        arg=[point, str(pinned).lower()],
    )


TEXT = base64.b64encode(payload(channel="lens")).decode()


def test_pins_are_told_once_they_rest_and_hovering_never(host: Page) -> None:
    mounted(host, TEXT)
    picture = host.locator(".nlens-picture").first
    picture.hover(position={"x": 20, "y": 20})
    host.wait_for_function("live().dataset.point")
    picture.click(position={"x": 60, "y": 50})
    host.wait_for_function("said.length === 1")
    for _ in range(3):
        host.keyboard.press("ArrowRight")
    host.wait_for_function("said.length === 2")
    (first, pin), (second, moved) = host.evaluate("said")
    assert first == second == "point"
    assert moved["point"] == {"y": pin["point"]["y"], "x": pin["point"]["x"] + 3}
    assert moved["n"] > pin["n"]
    host.keyboard.press("Escape")
    host.wait_for_function("said.length === 3")
    assert host.evaluate("[said[2][0], said[2][1].point]") == ["point", None]


def test_messages_move_it_before_and_after_it_is_mounted(host: Page) -> None:
    message = {"channel": "lens", "serial": 1, "query": {"y": 20.5, "x": 30.0}, "view": {}}
    host.evaluate("(data) => control(data)", message)
    mounted(host, TEXT)
    waits(host, "20,30")
    host.evaluate("(data) => control(data)", {**message, "serial": 2, "query": {"y": 5, "x": 6}})
    waits(host, "5,6")
    host.keyboard.press("Escape")
    host.locator(".nlens-picture").first.click(position={"x": 60, "y": 1})
    host.wait_for_function("live().dataset.point.startsWith('0,')")
    host.evaluate("(data) => control(data)", {**message, "serial": 2, "query": {"y": 5, "x": 6}})
    assert host.evaluate("live().dataset.point").startswith("0,"), "a repeated serial moved it"
    freed = {**message, "serial": 3, "query": None, "view": {"free": True}}
    host.evaluate("(data) => control(data)", freed)
    host.wait_for_function("live().dataset.pinned === 'false'")


def test_pictures_of_another_size_open_where_the_lens_is_to_be(host: Page) -> None:
    mounted(host, TEXT)
    message = {"channel": "lens", "serial": 1, "query": {"y": 20.5, "x": 30.0}, "view": {}}
    host.evaluate("(data) => control(data)", message)
    waits(host, "20,30")
    other = [
        LensPicture(key, key, "", np.full((61, 83), 90, np.uint8)) for key in ("noisy", "mean")
    ]
    content = lens_payload(other, noise_note="", channel="lens")
    host.evaluate("(text) => { component(text) }", base64.b64encode(content).decode())
    host.wait_for_function("live()?.querySelectorAll('.nlens-picture').length === 2")
    waits(host, "20,30")
    assert host.evaluate("live().dataset.pinned") == "true"


def test_same_bytes_change_nothing_and_unmounting_cleans_up(host: Page) -> None:
    mounted(host, TEXT)
    host.evaluate("() => { window.grid = live().querySelector('.nlens-grid') }")
    host.evaluate("(text) => { window.clean = component(text) }", TEXT)
    assert host.evaluate("live().querySelector('.nlens-grid') === grid")
    host.evaluate("clean()")
    assert host.evaluate("live()") is None
    assert host.evaluate("window.__nlvizChannels.size") == 0


def test_bytes_that_are_no_comparison_are_said(host: Page) -> None:
    other = base64.b64encode(payload()[:-4000]).decode()
    host.evaluate("(text) => { component(text) }", other)
    host.wait_for_function("live()?.querySelector('[role=alert]')")
    assert "cannot be shown" in host.locator(".nlv-error").inner_text()
