"""The Streamlit entries without Streamlit: mounting twice, messages, rows of the server."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from nlviz.web.bundle import LIVE_VIEW
from nlviz.web.payloads.container import pack
from tests.pace import rest
from tests.web.live_view.containers import (
    embedded,
    frame_sections,
    grid,
    header,
    square_clip,
    square_container,
)
from tests.web.live_view.test_page import map_of, root

pytestmark = pytest.mark.browser

HOST = """<!doctype html><meta charset="utf-8"><body><div id="host"></div><div id="other"></div>
<script type="module">
const load = (text) => import(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
window.said = [];
const say = (name, value) => window.said.push([name, value]);
const shadow = document.getElementById("host").attachShadow({ mode: "open" });
const style = document.createElement("style");
style.textContent = STYLE;
shadow.append(style);
window.ready = Promise.all([load(COMPONENT), load(CONTROL)]).then(([component, control]) => {
  window.component = (text) => component.default({
    data: bytes(text), parentElement: shadow, setStateValue: say });
  window.control = (data) => control.default({ data });
});
window.live = () => shadow.querySelector(".nlv");
</script>"""


@pytest.fixture
def host(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    """A page with both entries loaded and nothing mounted."""
    page_text = HOST
    for name, text in (
        ("STYLE", LIVE_VIEW.stylesheet()),
        ("COMPONENT", LIVE_VIEW.script("component")),
        ("CONTROL", LIVE_VIEW.script("control")),
    ):
        page_text = page_text.replace(name, json.dumps(text).replace("</", "<\\/"), 1)
    path = tmp_path / "host.html"
    path.write_text(page_text, encoding="utf-8")
    page = browser.new_page(viewport={"width": 1100, "height": 800})
    page.set_default_timeout(10_000)
    page.goto(path.as_uri())
    page.evaluate("ready")
    yield page
    page.close()


def text_of(container: bytes) -> str:
    """Return a container as base64."""
    return base64.b64encode(container).decode()


def shown(page: Page) -> dict[str, str]:
    """Return what the mounted view says about itself."""
    page.wait_for_function("live()?.dataset.query")
    rest(page)
    data: dict[str, str] = page.evaluate("({...live().dataset})")
    return data


def test_same_bytes_again_change_nothing(host: Page) -> None:
    text = text_of(square_container())
    host.evaluate("(text) => { component(text) }", text)
    assert shown(host)["query"] == "1,40,40"
    host.evaluate("() => { window.stage = live().querySelector('.nlv-stage') }")
    host.evaluate("(text) => { component(text) }", text)
    rest(host)
    assert host.evaluate("live().querySelector('.nlv-stage') === stage")
    assert host.evaluate("live().parentNode.querySelectorAll('.nlv').length") == 1


def test_pin_and_view_are_told_once_they_rest(host: Page) -> None:
    host.evaluate("(text) => { component(text) }", text_of(square_container()))
    shown(host)
    host.locator(".nlv-large .nlv-picture").click(position={"x": 30, "y": 30})
    rest(host, 500)
    host.evaluate(
        """keys => keys.forEach(key => document.activeElement.dispatchEvent(
          new KeyboardEvent("keydown", { key, bubbles: true, composed: true })))""",
        ["ArrowRight", "ArrowRight", "2"],
    )
    rest(host, 500)
    said: list[Any] = host.evaluate("said")
    assert [name for name, _ in said] == ["said", "said"]  # the click, and three keys together
    (_, click), (_, keys) = said
    assert keys["view"]["source"] == "features" != click["view"]["source"]
    assert keys["pinned"] and keys["n"] > click["n"]
    place = keys["query"]
    assert f"{place['frame']},{place['y']:.0f}" == shown(host)["query"].rsplit(",", 1)[0]
    host.keyboard.press("Escape")
    rest(host, 200)
    free: dict[str, Any] = host.evaluate("said.at(-1)[1]")
    assert (free["pinned"], free["query"]) == (False, place)


def test_what_is_pressed_elsewhere_comes_after_a_pin(host: Page) -> None:
    host.evaluate("(text) => { component(text) }", text_of(square_container()))
    shown(host)
    host.evaluate(
        """() => {
          live().querySelector(".nlv-stage").focus();
          const press = (key) => live().querySelector(".nlv-stage").dispatchEvent(
            new KeyboardEvent("keydown", { key, bubbles: true, composed: true }));
          press("ArrowDown");
          window.before = said.length;
          document.body.dispatchEvent(new PointerEvent("pointerdown", { bubbles: true }));
          window.after = said.length;
        }"""
    )
    assert host.evaluate("[before, after]") == [0, 1]


def test_a_message_that_is_older_than_the_readers_last_act_passes(host: Page) -> None:
    host.evaluate("(text) => { component(text) }", text_of(square_container()))
    shown(host)
    host.locator("input[name=y]").fill("10")
    host.locator("input[name=y]").press("Enter")
    rest(host)
    ((_, said),) = host.evaluate("said")
    old = {"frame": 0, "y": 50, "x": 60}
    message = {"channel": "test", "serial": "a", "of": "clip", "seen": 0, "query": old, "view": {}}
    host.evaluate("(data) => control(data)", message)
    assert shown(host)["query"] == "1,10,40"
    free = {**message, "serial": "b", "seen": said["n"], "pinned": False}
    host.evaluate("(data) => control(data)", free)
    now = shown(host)
    assert (now["query"], now["pinned"]) == ("0,50,60", "false")
    host.locator("input[name=y]").fill("20")
    host.locator("input[name=y]").press("Enter")
    rest(host)
    assert [each["of"] for _, each in host.evaluate("said")[-1:]] == ["clip"]


def test_an_act_that_no_message_knows_of_is_told_again_until_one_does(host: Page) -> None:
    host.evaluate("(text) => { component(text) }", text_of(square_container()))
    shown(host)
    host.locator("input[name=y]").fill("10")
    host.locator("input[name=y]").press("Enter")
    host.wait_for_function("said.length === 1")
    assert host.evaluate("live().dataset.known") == "false"
    message = {"channel": "test", "serial": "a", "seen": 0, "view": {}}
    host.evaluate("(data) => control(data)", message)  # of a run that was never told
    host.wait_for_function("said.length === 2")
    (_, first), (_, again) = host.evaluate("said")
    assert again["again"] > first["again"]
    assert {**again, "again": 0} == first
    host.evaluate("(data) => control(data)", {**message, "serial": "b"})
    host.evaluate("(data) => control(data)", {**message, "serial": "c", "seen": first["n"]})
    assert host.evaluate("live().dataset.known") == "true"
    rest(host, 900)
    assert len(host.evaluate("said")) == 2


def test_a_view_in_the_place_of_another_hears_the_latest_message(host: Page) -> None:
    text = text_of(square_container())
    host.evaluate("(text) => { window.clean = component(text) }", text)
    shown(host)
    message = {"channel": "test", "serial": 1, "query": {"frame": 2, "y": 20, "x": 30}, "view": {}}
    host.evaluate("(data) => control(data)", message)
    host.evaluate("(text) => { clean(); component(text) }", text)
    assert shown(host)["query"] == "2,20,30"


def test_messages_reach_the_view_before_and_after_it_is_mounted(host: Page) -> None:
    place = {"frame": 2, "y": 20, "x": 30}
    first = {"channel": "test", "serial": 1, "query": place, "view": {"source": "features"}}
    host.evaluate("(data) => control(data)", first)
    host.evaluate("(text) => { component(text) }", text_of(square_container()))
    now = shown(host)
    assert (now["query"], now["source"]) == ("2,20,30", "features")
    host.evaluate("(data) => control(data)", {**first, "serial": 2, "query": None, "view": {}})
    assert shown(host)["query"] == "2,20,30"
    moved = {**first, "serial": 3, "query": {"frame": 0, "y": 50, "x": 60}}
    host.evaluate("(data) => control(data)", moved)
    assert shown(host)["query"] == "0,50,60"
    host.locator("input[name=y]").fill("10")
    host.locator("input[name=y]").press("Enter")
    host.evaluate("(data) => control(data)", moved)
    assert shown(host)["query"] == "0,10,60", "a repeated serial moved the view back"


def test_a_message_during_loading_is_meant_for_what_loads(host: Page) -> None:
    host.evaluate("(text) => { component(text) }", text_of(square_container()))
    shown(host)
    message = {"channel": "test", "serial": 9, "query": {"frame": 3, "y": 70, "x": 80}, "view": {}}
    host.evaluate(
        "([text, message]) => { component(text); control(message) }",
        [text_of(square_container(frames=5)), message],
    )
    assert shown(host)["query"] == "3,70,80"
    assert host.locator(".nlv-tile").count() == 6


def test_unmounting_cleans_up(host: Page) -> None:
    host.evaluate("(text) => { window.clean = component(text) }", text_of(square_container()))
    shown(host)
    host.evaluate("clean()")
    assert host.evaluate("live()") is None
    assert host.evaluate("window.__nlvizChannels.size") == 0
    host.keyboard.press("ArrowRight")


def server_container() -> bytes:
    """Return a container whose only row is that of the opening query."""
    clip = square_clip()
    tokens = grid((4, 12, 16), (1, 8, 8))
    row = np.zeros((1, 4 * 12 * 16), np.float32)
    row[0, 300] = 1
    entry = embedded("learned", tokens, tokens, server=True, row="row")
    del entry["theta"], entry["phi"]
    return pack(header(clip, [entry]), {**frame_sections(clip), "row": row})


def test_rows_of_the_server_are_drawn_and_said(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "server.html"
    path.write_text(LIVE_VIEW.page(server_container(), title="server"), encoding="utf-8")
    page = browser.new_page(viewport={"width": 1100, "height": 800})
    page.goto(path.as_uri())
    page.wait_for_selector("[data-query]")
    rest(page)
    assert root(page)["waiting"] == "false"
    frame, left = divmod(300, 12 * 16)
    cells = map_of(page, frame)
    assert cells.index(max(cells)) == left
    page.locator(".nlv-large .nlv-picture").hover()
    rest(page)
    assert root(page)["waiting"] == "true"
    assert "Too large to compute in the browser" in page.locator(".nlv-sentence").inner_text()
    assert map_of(page, frame) == cells
    page.close()
