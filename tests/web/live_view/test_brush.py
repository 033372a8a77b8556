"""Painting keys on the pictures, with the pointer and with keys."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page

from nlviz.views.painted import painted_cells
from tests.pace import rest
from tests.web.live_view.containers import square_container
from tests.web.live_view.test_component import host as host
from tests.web.live_view.test_component import shown, text_of
from tests.web.live_view.test_page import at

pytestmark = pytest.mark.browser

SHAPE = (4, 12, 16)


def told(page: Page) -> dict[str, Any]:
    """Return what the view told last, once it has come to rest."""
    rest(page, 400)
    said: dict[str, Any] = page.evaluate("said.at(-1)[1]")
    return said


def mounted(page: Page) -> None:
    """Mount the moving square."""
    page.evaluate("(text) => { component(text) }", text_of(square_container()))
    shown(page)


def test_a_stroke_paints_keys_and_leaves_the_query(host: Page) -> None:
    mounted(host)
    before = shown(host)["query"]
    host.get_by_role("button", name="Paint keys").click()
    host.get_by_role("radio", name="1×1").click()
    large = host.locator(".nlv-large .nlv-picture")
    large.scroll_into_view_if_needed()
    host.mouse.move(*at(large, 4, 4))
    host.mouse.down()
    host.mouse.move(*at(large, 4, 28))
    host.mouse.up()
    small = host.locator(".nlv-tile:not(.nlv-large) .nlv-picture").nth(3)
    small.scroll_into_view_if_needed()
    host.mouse.click(*at(small, 92, 124))
    said = told(host)
    frame = int(before.partition(",")[0])
    first = frame * 12 * 16
    cells = painted_cells(said["view"]["painted"], SHAPE)
    assert cells == (*range(first, first + 4), 4 * 12 * 16 - 1)
    assert shown(host)["query"] == before and said["pinned"]
    assert host.locator(".nlv-painted").inner_text() == "5 cells painted"
    host.get_by_role("button", name="Clear").click()
    assert told(host)["view"]["painted"] == ""


def test_keys_paint_and_escape_lays_the_brush_down(host: Page) -> None:
    mounted(host)
    host.locator(".nlv-stage").focus()
    for key in ("b", "ArrowRight", "Enter", ".", " "):
        host.keyboard.press(key)
    cells = painted_cells(told(host)["view"]["painted"], SHAPE)
    # 3 x 3 cells around the one right of the query's at (1, 40, 40), and as many a frame later.
    around = {(5 + y) * 16 + 6 + x for y in (-1, 0, 1) for x in (-1, 0, 1)}
    assert set(cells) == {plane * 192 + cell for plane in (1, 2) for cell in around}
    host.keyboard.press("Escape")
    assert host.get_by_role("button", name="Paint keys").get_attribute("aria-pressed") == "false"
    assert shown(host)["pinned"] == "true"  # the brush alone went down
    host.keyboard.press("Delete")
    assert painted_cells(told(host)["view"]["painted"], SHAPE) == cells
