"""The Explore page as a visitor uses it, in a real Chromium."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import opened
from tests.pace import rest

pytestmark = pytest.mark.browser

STAGE = ".nlv-stage"


def sentence(page: Page) -> str:
    return page.locator(".nlv-sentence").inner_text()


def picture(page: Page) -> np.ndarray:
    """Return the pixels of the stage as the visitor sees them."""
    shot = page.locator(STAGE).first.screenshot()
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB"), np.int16)


def large(page: Page) -> dict[str, float]:
    """Return the box of the query's frame: the largest picture on the stage."""
    boxes = [b.bounding_box() for b in page.locator(".nlv-picture").all()]
    box = max((b for b in boxes if b), key=lambda b: b["width"])
    return {"x": box["x"], "y": box["y"], "width": box["width"], "height": box["height"]}


def point(page: Page, u: float, v: float) -> tuple[float, float]:
    box = large(page)
    return box["x"] + u * box["width"], box["y"] + v * box["height"]


def test_first_visit_shows_a_map_without_a_click(page: Page, app_url: str) -> None:
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    opened(page, app_url)
    assert "takes" in sentence(page)
    expect(page.get_by_text("lite-nl", exact=False).first).to_be_visible()
    assert picture(page).std() > 20
    assert not page.get_by_text("Traceback").count()
    assert faults == []


def test_hover_draws_another_map_without_any_traffic(page: Page, app_url: str) -> None:
    sent: list[object] = []
    page.on("websocket", lambda ws: ws.on("framesent", lambda data: sent.append(data)))
    opened(page, app_url)
    page.mouse.move(*point(page, 0.3, 0.3))
    rest(page, 500)
    before, words, traffic = picture(page), page.locator(".nlv-stage").inner_text(), len(sent)
    page.mouse.move(*point(page, 0.7, 0.6), steps=12)
    rest(page, 500)
    after = picture(page)
    assert len(sent) == traffic
    assert np.abs(after - before).mean() > 0.3
    assert page.locator(".nlv-stage").inner_text() != words


def test_a_pin_reaches_the_address_and_the_panels(page: Page, app_url: str) -> None:
    opened(page, app_url)
    first = page.url
    page.mouse.click(*point(page, 0.62, 0.41))
    page.wait_for_function("url => window.location.href !== url", arg=first)
    frame, y, x = (float(v) for v in parse_qs(urlparse(page.url).query)["at"][0].split(","))
    assert 0 <= frame <= 7
    assert abs(y / 360 - 0.41) < 0.06
    assert abs(x / 640 - 0.62) < 0.06
    expect(page.locator(".nlv-state")).to_contain_text(re.compile("pinned", re.IGNORECASE))
    page.keyboard.press("Escape")
    expect(page.locator(".nlv-state")).to_contain_text(re.compile("not pinned", re.IGNORECASE))


def test_arrow_keys_move_the_query_by_one_cell(page: Page, app_url: str) -> None:
    opened(page, app_url)
    page.mouse.click(*point(page, 0.5, 0.5))
    page.keyboard.press("ArrowRight")  # from where the click was to the centre of a cell
    page.keyboard.press("ArrowDown")
    rest(page, 400)
    field = page.locator(".nlv-query input[type=number]")
    values = [float(f.input_value()) for f in field.all()]
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    rest(page, 400)
    moved = [float(f.input_value()) for f in field.all()]
    steps = [b - a for a, b in zip(values, moved, strict=True)]
    assert 20 <= max(steps) <= 30  # a cell of stage4 is 25.7 x 25.6 px of this clip
    assert 20 <= min(steps) <= 30


def test_number_keys_switch_the_source(page: Page, app_url: str) -> None:
    opened(page, app_url)
    page.mouse.move(*point(page, 0.4, 0.5))
    rest(page, 300)
    learned = picture(page)
    page.keyboard.press("3")
    rest(page, 500)
    position = picture(page)
    page.keyboard.press("5")
    rest(page, 500)
    pixels = picture(page)
    assert np.abs(learned - position).mean() > 0.3
    assert np.abs(pixels - position).mean() > 0.3


def test_typed_numbers_move_the_live_view(page: Page, app_url: str) -> None:
    opened(page, app_url)
    page.get_by_text("Type a position").click()
    box = page.get_by_label("x (px)", exact=True).last
    box.fill("100")
    box.press("Enter")
    page.wait_for_url(re.compile(r"at=[^&]*100"))
    field = page.locator(".nlv-query input[type=number]").last
    expect(field).to_have_value(re.compile(r"^(8\d|9\d|10\d|11\d)$"))


def test_a_copied_address_reopens_the_view(browser: Browser, page: Page, app_url: str) -> None:
    opened(page, app_url)
    first = page.url
    page.mouse.click(*point(page, 0.25, 0.7))
    page.wait_for_function("url => window.location.href !== url", arg=first)
    rest(page, 800)
    fields = [f.input_value() for f in page.locator(".nlv-query input[type=number]").all()]
    context = browser.new_context(viewport={"width": 1300, "height": 900})
    other = opened(context.new_page(), page.url)
    shown = other.locator(".nlv-query input[type=number]")
    for field, value in zip(shown.all(), fields, strict=True):
        expect(field).to_have_value(value)
    context.close()


def test_a_broken_upload_is_told_and_a_good_one_shown(
    page: Page, app_url: str, tmp_path: Path
) -> None:
    fake = tmp_path / "notes.mp4"
    fake.write_text("this is no video")
    opened(page, app_url)
    page.get_by_text("Upload", exact=True).click()
    page.locator("input[type=file]").set_input_files(fake)
    alert = page.get_by_test_id("stAlert")
    expect(alert).to_contain_text("notes.mp4")
    expect(alert).to_contain_text("cannot decode")
    assert not page.get_by_text("Traceback").count()
    good = tmp_path / "slope.png"
    ramp = np.linspace(0, 255, 150 * 230 * 3).reshape(150, 230, 3)
    Image.fromarray(ramp.astype(np.uint8)).save(good)
    page.locator("input[type=file]").set_input_files(good)
    expect(page.locator(".nlv-title")).to_contain_text("slope.png")
    page.wait_for_url(re.compile("clip=upload"))
    page.reload()
    expect(page.locator(".nlv-title")).to_contain_text("slope.png")


@pytest.mark.parametrize("kind", ["PNG", "JSON", "HTML"])
def test_saved_files_open(page: Page, app_url: str, tmp_path: Path, kind: str) -> None:
    opened(page, app_url)
    with page.expect_download() as waiting:
        page.get_by_role("button", name=kind, exact=True).click()
    path = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(path)
    if kind == "PNG":
        with Image.open(path) as picture:
            assert picture.width > 600
    elif kind == "JSON":
        assert json.loads(path.read_text())["format"] == "nlviz.view"
    else:
        page.goto(path.as_uri())
        page.locator(".nlv-sentence").wait_for()


def test_two_visitors_see_their_own_clips(browser: Browser, app_url: str) -> None:
    contexts = [browser.new_context(viewport={"width": 1200, "height": 900}) for _ in range(2)]
    pages = [context.new_page() for context in contexts]
    names = ("cat.jpg", "coffee.jpg")
    for visitor, name in zip(pages, names, strict=True):
        visitor.goto(f"{app_url}/?clip={name}")
    for visitor, name in zip(pages, names, strict=True):
        expect(visitor.locator(".nlv-title")).to_contain_text(name, timeout=60_000)
    for context in contexts:
        context.close()


def test_narrow_windows_do_not_scroll_sideways(browser: Browser, app_url: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    page = opened(context.new_page(), app_url)
    wide = page.evaluate(
        "() => { const m = document.querySelector('[data-testid=stMain]');"
        " return m.scrollWidth - m.clientWidth; }"
    )
    assert wide <= 1
    context.close()


def test_the_live_view_follows_a_dark_theme(browser: Browser, app_url: str) -> None:
    context = browser.new_context(color_scheme="dark", viewport={"width": 1400, "height": 1000})
    page = opened(context.new_page(), app_url)
    colour = page.locator(".nlv-title").evaluate("e => getComputedStyle(e).color")
    r, g, b = (int(v) for v in re.findall(r"\d+", colour)[:3])
    assert min(r, g, b) > 150
    context.close()


def test_long_work_can_be_cancelled_and_taken_up_again(page: Page, app_url: str) -> None:
    page.goto(f"{app_url}/?clip=bunny.mp4&at=1,100,100&frames=21")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Stopped before bunny.mp4")).to_be_visible(timeout=60_000)
    page.get_by_role("button", name="Run it").click()
    expect(page.locator(".nlv-facts")).to_contain_text("21 frames", timeout=60_000)
