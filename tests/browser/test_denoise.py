"""The Denoise page as a visitor uses it, in a real Chromium."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.browser.test_explore import picture, point
from tests.pace import rest

pytestmark = pytest.mark.browser

QUICK = "size=96&with=gaussian,non-local-means"
TILE = ".nlens-picture"
LONG = 90_000  # milliseconds


def opened(page: Page, app_url: str, query: str = QUICK) -> Page:
    """Open the page and wait for the weights, for the results and for what is below them."""
    page.goto(f"{app_url}/denoise?{query}")
    page.locator(".nlv-sentence").first.wait_for(timeout=LONG)
    page.get_by_text("Save this comparison").wait_for(timeout=LONG)
    page.locator('[data-test-script-state="notRunning"]').wait_for(timeout=LONG)
    return page


def at(page: Page) -> tuple[float, float]:
    """Return y and x of the pixel that the address holds."""
    _, y, x = (float(v) for v in parse_qs(urlparse(page.url).query)["at"][0].split(","))
    return y, x


def agreement(page: Page) -> str:
    return page.locator("table", has_text="distance alone").inner_text()


def test_the_page_opens_with_weights_results_and_lens(page: Page, app_url: str) -> None:
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    opened(page, app_url)
    assert "takes" in page.locator(".nlv-sentence").first.inner_text()
    results = page.locator("table", has_text="PSNR")
    expect(results).to_contain_text("Non-local means")
    expect(results).to_contain_text("★")
    expect(page.locator(TILE)).to_have_count(4)  # clean, noisy and the two results
    expect(page.locator(".js-plotly-plot")).to_be_visible(timeout=LONG)
    assert not page.get_by_text("Traceback").count()
    assert not page.get_by_test_id("stAlert").count()
    assert faults == []


def test_it_is_the_second_page(page: Page, app_url: str) -> None:
    page.goto(f"{app_url}/?clip=cat.jpg")
    page.get_by_role("link", name="Denoise").click()
    expect(page).to_have_url(re.compile("/denoise"), timeout=LONG)
    expect(page.get_by_text("Which pixels is this pixel made of?")).to_be_visible(timeout=LONG)


def test_hover_draws_another_map_without_any_traffic(page: Page, app_url: str) -> None:
    sent: list[object] = []
    page.on("websocket", lambda ws: ws.on("framesent", lambda data: sent.append(data)))
    opened(page, app_url)
    page.mouse.move(*point(page, 0.3, 0.3))
    rest(page, 500)
    before, traffic = picture(page), len(sent)
    page.mouse.move(*point(page, 0.7, 0.6), steps=12)
    rest(page, 500)
    assert len(sent) == traffic
    assert np.abs(picture(page) - before).max() > 40


def test_a_pin_fills_the_table_and_moves_the_lens(page: Page, app_url: str) -> None:
    opened(page, app_url)
    before, first = agreement(page), page.url
    page.mouse.click(*point(page, 0.62, 0.41))
    page.wait_for_function("url => window.location.href !== url", arg=first)
    y, x = at(page)
    assert abs(y / 96 - 0.41) < 0.03
    assert abs(x / 144 - 0.62) < 0.03
    expect(page.get_by_text(f"At pixel y {y:.0f}, x {x:.0f}")).to_be_visible(timeout=LONG)
    assert agreement(page) != before
    expect(page.locator(".nlens-where")).to_contain_text(
        re.compile(rf"y {y:.0f}\D+x {x:.0f}(?!\d)")
    )


def test_all_pictures_of_the_lens_follow_one(page: Page, app_url: str) -> None:
    opened(page, app_url)
    tiles, values = page.locator(TILE), page.locator(".nlens-value")
    tiles.nth(1).hover(position={"x": 30, "y": 30})
    rest(page, 300)
    before = [value.inner_text() for value in values.all()]
    tiles.nth(1).hover(position={"x": 150, "y": 90})
    rest(page, 300)
    after = [value.inner_text() for value in values.all()]
    assert len(before) == len(after) == 4
    assert all(a != b for a, b in zip(before, after, strict=True))


def test_a_click_in_the_lens_moves_the_query(page: Page, app_url: str) -> None:
    opened(page, app_url)
    first = page.url
    tile = page.locator(TILE).nth(2)
    tile.scroll_into_view_if_needed()
    box = tile.bounding_box()
    assert box is not None
    tile.click(position={"x": 0.25 * box["width"], "y": 0.7 * box["height"]})
    page.wait_for_function("url => window.location.href !== url", arg=first)
    page.wait_for_function("() => location.search.includes('at=')")
    y, x = at(page)
    assert abs(y / 96 - 0.7) < 0.04
    assert abs(x / 144 - 0.25) < 0.04
    for field, value in zip(
        page.locator(".nlv-query input[type=number]").all(), (y, x), strict=True
    ):
        expect(field).to_have_value(f"{value:.0f}")


def test_a_copied_address_reopens_the_view(browser: Browser, page: Page, app_url: str) -> None:
    opened(page, app_url, f"{QUICK}&picture=coffee.jpg&sigma=40&set=non-local-means.h:1.2")
    first = page.url
    page.mouse.click(*point(page, 0.25, 0.7))
    page.wait_for_function("url => window.location.href !== url", arg=first)
    rest(page, 800)
    table = page.locator("table", has_text="PSNR")
    shown = [re.sub(r"[\d.]+( ★)?$", "", row) for row in table.inner_text().splitlines()]
    context = browser.new_context(viewport={"width": 1300, "height": 900})
    other = opened(context.new_page(), app_url, urlparse(page.url).query)
    assert at(other) == at(page)
    again = other.locator("table", has_text="PSNR").inner_text().splitlines()
    assert [re.sub(r"[\d.]+( ★)?$", "", row) for row in again] == shown  # but for the times
    expect(other.get_by_text("sigma 40, seed 0")).to_be_visible()
    context.close()


def test_a_broken_upload_is_told_and_a_good_one_shown(
    page: Page, app_url: str, tmp_path: Path
) -> None:
    fake = tmp_path / "notes.png"
    fake.write_text("this is no picture")
    opened(page, app_url)
    page.get_by_text("Upload", exact=True).click()
    page.locator("input[type=file]").set_input_files(fake)
    alert = page.get_by_test_id("stAlert")
    expect(alert).to_contain_text("notes.png", timeout=LONG)
    assert not page.get_by_text("Traceback").count()
    good = tmp_path / "slope.png"
    ramp = np.linspace(0, 255, 50 * 70 * 3).reshape(50, 70, 3)
    Image.fromarray(ramp.astype(np.uint8)).save(good)
    page.locator("input[type=file]").set_input_files(good)
    expect(page.get_by_text("slope.png, 70 × 50 px")).to_be_visible(timeout=LONG)
    expect(alert).to_have_count(0)
    page.wait_for_url(re.compile("picture=upload"))
    page.reload()
    expect(page.get_by_text("slope.png, 70 × 50 px")).to_be_visible(timeout=LONG)


def test_two_visitors_see_their_own_pictures(browser: Browser, app_url: str) -> None:
    contexts = [browser.new_context(viewport={"width": 1200, "height": 900}) for _ in range(2)]
    pages = [context.new_page() for context in contexts]
    told = (("cat.jpg", 20), ("rocket.jpg", 60))
    for visitor, (name, sigma) in zip(pages, told, strict=True):
        visitor.goto(f"{app_url}/denoise?{QUICK}&picture={name}&sigma={sigma}")
    for visitor, (name, sigma) in zip(pages, told, strict=True):
        said = re.compile(rf"{name}, .*sigma {sigma}, seed 0")
        expect(visitor.get_by_text(said)).to_be_visible(timeout=LONG)
        expect(visitor.locator(".nlv-title")).to_contain_text(name, timeout=LONG)
    for context in contexts:
        context.close()


@pytest.mark.parametrize("kind", ["PNG", "PDF", "SVG", "CSV", "JSON"])
def test_saved_files_open(page: Page, app_url: str, tmp_path: Path, kind: str) -> None:
    opened(page, app_url)
    with page.expect_download(timeout=LONG) as waiting:
        page.get_by_role("button", name=kind, exact=True).click()
    path = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(path)
    assert path.name == f"cat-denoised.{kind.lower()}"
    if kind == "PNG":
        with Image.open(path) as saved:
            assert saved.width > 600
    elif kind == "PDF":
        assert path.read_bytes().startswith(b"%PDF")
    elif kind == "SVG":
        assert "<svg" in path.read_text("utf-8")
    elif kind == "CSV":
        assert "non-local-means" in path.read_text("utf-8")
    else:
        assert json.loads(path.read_text("utf-8"))["format"] == "nlviz.comparison"


def test_narrow_windows_do_not_scroll_sideways(browser: Browser, app_url: str) -> None:
    context = browser.new_context(viewport={"width": 420, "height": 844}, has_touch=True)
    page = opened(context.new_page(), app_url)
    wide = page.evaluate(
        "() => { const m = document.querySelector('[data-testid=stMain]');"
        " return m.scrollWidth - m.clientWidth; }"
    )
    assert wide <= 1
    context.close()


def test_long_work_can_be_cancelled_and_taken_up_again(page: Page, app_url: str) -> None:
    # Networks tried at every strength of a grid: seconds, however fast the machine is.
    page.goto(f"{app_url}/denoise?picture=rocket.jpg&fair=1&with=learned-local,learned-nonlocal")
    page.get_by_role("button", name="Cancel").click(timeout=LONG)
    expect(page.get_by_text("Stopped.")).to_be_visible(timeout=LONG)
    page.get_by_role("button", name="Compute the rest").click()
    expect(page.get_by_text("The oracle's choice")).to_be_visible(timeout=LONG)
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
