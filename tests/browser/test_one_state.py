"""A page has one state: what is done in a hurry is neither lost nor undone, nor made up."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, urlparse

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.conftest import opened
from tests.browser.test_explore import point
from tests.browser.walking import LONG, DenoiseWalk, ExploreWalk, Walk

pytestmark = pytest.mark.browser

DENOISE = "/denoise?size=128&with=gaussian,non-local-means"


def address(page: Page) -> dict[str, str]:
    return dict(parse_qsl(urlparse(page.url).query))


def at(page: Page) -> list[float]:
    return [float(v) for v in parse_qs(urlparse(page.url).query)["at"][0].split(",")]


def start(page: Page, url: str) -> Walk:
    page.goto(url)
    page.locator(".nlv-sentence").first.wait_for(timeout=LONG)
    walk = Walk(page, 0, 0)
    walk.rest()
    return walk


def picture(path: Path, seed: int) -> Path:
    values = np.random.default_rng(seed).integers(0, 255, (70, 90, 3), np.uint8)
    Image.fromarray(values).save(path)
    return path


@pytest.mark.parametrize("gap", [30, 250])
def test_arrow_keys_lose_no_step_at_any_pace(page: Page, app_url: str, gap: int) -> None:
    walk = start(page, f"{app_url}{DENOISE}")
    page.mouse.click(*point(page, 0.3, 0.4))
    walk.rest()
    _, y, x = at(page)
    page.locator(".nlv-stage").first.focus()
    for _ in range(12):
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(gap)
    walk.rest()
    assert at(page)[1:] == [y, x + 12]


def test_sigma_moved_in_a_hurry_sets_nothing_else(page: Page, app_url: str) -> None:
    walk = start(page, f"{app_url}{DENOISE}")
    page.get_by_role("slider", name=re.compile("Sigma")).first.focus()
    for gap in (60, 700, 60, 300, 60, 60, 500, 200):
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(gap)
    walk.rest()
    expect(page.get_by_text(re.compile("sigma 33, seed 0")).first).to_be_visible(timeout=LONG)
    assert address(page).keys() == {"picture", "size", "with", "sigma"}


def test_another_block_is_shown_at_the_same_point_everywhere(page: Page, app_url: str) -> None:
    opened(page, f"{app_url}/?clip=coffee.jpg")
    walk = ExploreWalk(page, 1, 0)
    for _ in range(2):
        for block in ("stage3", "stage4"):
            walk.choose("Block", block)
            walk.rest()
            walk.check()
    walk.choose("Clip or photo", "cat.jpg")
    walk.choose("Clip or photo", "rocket.jpg")
    walk.rest()
    walk.check()
    assert address(page)["block"] == "stage4"


def test_a_click_on_the_former_pin_counts(page: Page, app_url: str) -> None:
    opened(page, f"{app_url}/?clip=coffee.jpg")
    walk = Walk(page, 0, 0)
    place = point(page, 0.3, 0.6)
    page.mouse.click(*place)
    walk.rest()
    first = at(page)
    page.mouse.click(*point(page, 0.7, 0.2))
    walk.rest()
    assert at(page) != first
    page.mouse.click(*place)
    walk.rest()
    assert at(page) == first


def test_what_is_saved_right_after_a_pin_is_of_that_pin(page: Page, app_url: str) -> None:
    opened(page, f"{app_url}/?clip=coffee.jpg")
    button = page.get_by_role("button", name="JSON", exact=True)
    button.scroll_into_view_if_needed()
    with page.expect_download(timeout=LONG) as waiting:
        page.locator(".nlv-stage").focus()
        page.keyboard.press("ArrowDown")
        button.click()
    saved = json.loads(Path(waiting.value.path()).read_text("utf-8"))
    Walk(page, 0, 0).rest()
    assert [round(saved["query"][n], 2) for n in ("frame", "y", "x")] == at(page)
    expect(page.get_by_text("Saved coffee-stage4.json")).to_be_visible()


def test_uploads_outlive_the_other_page_a_reload_and_a_second_one(
    page: Page, app_url: str, tmp_path: Path
) -> None:
    walk = start(page, f"{app_url}{DENOISE}")
    page.get_by_text("Upload", exact=True).click()
    page.locator("input[type=file]").set_input_files(picture(tmp_path / "one.png", 1))
    expect(page.get_by_text(re.compile("one.png, 90 × 70 px"))).to_be_visible(timeout=LONG)
    walk.choose("Noise to add", "Salt and pepper")
    walk.rest()
    page.locator("input[type=file]").set_input_files(picture(tmp_path / "two.png", 2))
    summary = page.get_by_text(re.compile("two.png, 90 × 70 px.*salt", re.IGNORECASE))
    expect(summary).to_be_visible(timeout=LONG)
    walk.rest()
    walk.other_page()
    expect(summary).to_be_visible(timeout=LONG)
    page.reload()
    expect(summary).to_be_visible(timeout=LONG)
    assert address(page)["noise"] == "salt-and-pepper"


def test_back_leaves_a_page_with_one_press(page: Page, app_url: str) -> None:
    page.goto("about:blank")
    opened(page, f"{app_url}/?clip=coffee.jpg")
    walk = Walk(page, 0, 0)
    entries = page.evaluate("history.length")
    for u in (0.2, 0.5, 0.8):
        page.mouse.click(*point(page, u, 0.5))
        walk.rest()
    before = page.url
    assert page.evaluate("history.length") == entries  # no pin adds one
    page.get_by_test_id("stTopNavLink").filter(has_text="Denoise").click()
    page.wait_for_url(re.compile("/denoise"))
    page.get_by_text("Save this comparison").wait_for(timeout=LONG)
    walk.rest()
    assert page.evaluate("history.length") == entries + 1
    page.go_back()
    walk.rest()
    assert urlparse(page.url).path == urlparse(before).path
    page.locator(".nlv-sentence").first.wait_for(timeout=LONG)
    walk.rest()
    assert address(page) == dict(parse_qsl(urlparse(before).query))


def test_a_page_that_cannot_draw_offers_the_way_back(page: Page, app_url: str) -> None:
    opened(page, f"{app_url}/?clip=coffee.jpg")
    page.get_by_text("File", exact=True).click()
    field = page.get_by_label("or the path of a file on this machine")
    field.fill("/nowhere/net.pth")
    field.press("Enter")
    expect(page.get_by_text("no file and no folder /nowhere/net.pth")).to_be_visible(timeout=LONG)
    assert page.get_by_role("combobox", name=re.compile("Device$")).count()
    page.get_by_role("button", name="Go back to coffee.jpg").click()
    expect(page.locator(".nlv-title")).to_contain_text("coffee.jpg", timeout=LONG)


@pytest.mark.parametrize(("seed", "pause"), [(1, 120), (2, 30)])
def test_a_walk_in_a_hurry_through_explore(page: Page, app_url: str, seed: int, pause: int) -> None:
    start(page, f"{app_url}/?clip=cat.jpg&frames=2")
    ExploreWalk(page, seed, pause).go(20, check_every=10)


@pytest.mark.parametrize(("seed", "pause"), [(3, 120), (5, 30)])
def test_a_walk_in_a_hurry_through_denoise(page: Page, app_url: str, seed: int, pause: int) -> None:
    start(page, f"{app_url}{DENOISE}")
    DenoiseWalk(page, seed, pause).go(20, check_every=10)
