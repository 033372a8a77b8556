"""The page that works from disk, driven in Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.web.lens.conftest import HEIGHT, NOISES, PICTURES, SCALE, WIDTH

pytestmark = pytest.mark.browser

MIDDLE = """key => {
  const canvas = document.querySelector(`.nlens-picture[data-key=${key}] .nlens-glass`);
  const cell = Number(document.getElementById("nlv-root").dataset.zoom) * devicePixelRatio;
  const context = canvas.getContext("2d");
  const at = (dy, dx) => Array.from(context.getImageData(
    canvas.width / 2 + dx * cell, canvas.height / 2 + dy * cell, 1, 1).data.slice(0, 3));
  return [at(0, 0), at(3, 0), at(0, -3), at(-3, 2)];
}"""


def opened(browser: Browser, path: Path, *, width: int = 1200, **options: Any) -> Page:
    """Open the page and wait until it has drawn."""
    page = browser.new_page(viewport={"width": width, "height": 900}, **options)
    page.set_default_timeout(10_000)
    page.on("pageerror", lambda error: pytest.fail(str(error)))
    page.goto(path.as_uri())
    page.wait_for_selector("[data-zoom]")
    return page


@pytest.fixture
def page(browser: Browser, path: Path) -> Iterator[Page]:
    """The page at desktop width."""
    shown = opened(browser, path)
    yield shown
    shown.close()


def root(page: Page) -> Locator:
    return page.locator("#nlv-root")


def is_at(page: Page, y: int, x: int, *, pinned: bool = False) -> None:
    """Wait until the lens is at a pixel."""
    expect(root(page)).to_have_attribute("data-point", f"{y},{x}")
    expect(root(page)).to_have_attribute("data-pinned", str(pinned).lower())


def place(page: Page, key: str, y: int, x: int) -> tuple[float, float]:
    """Return where in the window the middle of a pixel of a picture is."""
    box = page.locator(f".nlens-picture[data-key={key}]").bounding_box()
    assert box is not None
    return box["x"] + (x + 0.5) / WIDTH * box["width"], box["y"] + (y + 0.5) / HEIGHT * box[
        "height"
    ]


def text_of(values: Any) -> str:
    """Return what stands below a picture for these values, from the array alone."""
    if np.ndim(values) == 0:
        return str(values)
    r, g, b = values
    return f"R {r}  G {g}  B {b}" if not r == g == b else str(r)


def values(page: Page) -> dict[str, str | None]:
    """Return what stands below each picture."""
    return {
        key: page.locator(f"figure[data-key={key}] .nlens-value").text_content() for key in PICTURES
    }


@pytest.mark.parametrize("ratio", [1, 2])
def test_every_lens_shows_the_same_true_pixels(browser: Browser, path: Path, ratio: int) -> None:
    page = opened(browser, path, device_scale_factor=ratio)
    page.mouse.move(*place(page, "nlm", 41, 57))
    is_at(page, 41, 57)
    assert page.locator(".nlens-glass:visible").count() == len(PICTURES)
    for key, picture in PICTURES.items():
        around = [picture[y, x] for y, x in ((41, 57), (44, 57), (41, 54), (38, 59))]
        expected = [[int(v) for v in np.broadcast_to(pixel, 3)] for pixel in around]
        assert page.evaluate(MIDDLE, key) == expected, key
    page.close()


def test_values_are_those_of_the_arrays(page: Page) -> None:
    for y, x in ((0, 60), (HEIGHT - 1, 61), (45, 0), (44, WIDTH - 1), (17, 93)):
        page.mouse.move(*place(page, "clean", y, x))
        is_at(page, y, x)
        assert values(page) == {key: text_of(each[y, x]) for key, each in PICTURES.items()}
    page.mouse.move(600, 5)
    expect(root(page)).to_have_attribute("data-point", "")
    expect(page.locator(".nlens-glass:visible")).to_have_count(0)


def test_method_noise_is_signed_and_on_its_scale(page: Page) -> None:
    page.get_by_role("radio", name="Method noise").click()
    expect(page.locator(".nlens-note")).to_have_text("Grey is none, white is 51 grey levels.")
    page.mouse.move(*place(page, "nlm", 30, 70))
    is_at(page, 30, 70)
    texts = values(page)
    assert texts["clean"] == texts["noisy"] == "–"

    def signed(level: int) -> str:
        value = int(np.floor((level - 127.5) / 127.5 * SCALE + 0.5)) if level != 128 else 0
        beyond = {0: "≤\u202f", 255: "≥\u202f"}.get(level, "")
        return f"{beyond}{'−' if value < 0 else '+' if value > 0 else ''}{abs(value)}"

    assert texts["mean"] == signed(int(NOISES["mean"][30, 70]))
    r, g, b = (signed(int(level)) for level in NOISES["nlm"][30, 70])
    assert texts["nlm"] == f"R {r}  G {g}  B {b}"
    assert page.evaluate(MIDDLE, "learned")[0] == NOISES["learned"][30, 70].tolist()
    expect(page.locator("figure[data-key=clean] .nlens-none")).to_be_visible()
    page.get_by_role("radio", name="Picture").click()
    expect(root(page)).to_have_attribute("data-show", "picture")


def test_a_click_pins_arrows_move_and_escape_frees(page: Page) -> None:
    page.mouse.click(*place(page, "mean", 20, 30))
    is_at(page, 20, 30, pinned=True)
    page.mouse.move(*place(page, "clean", 70, 100))
    for key in ("ArrowRight", "ArrowRight", "ArrowUp", "Shift+ArrowDown"):
        page.keyboard.press(key)
    is_at(page, 29, 32, pinned=True)
    page.keyboard.press("Escape")
    is_at(page, 70, 100)
    page.mouse.click(*place(page, "clean", 70, 100))
    is_at(page, 70, 100, pinned=True)
    page.get_by_role("button", name="Unpin").click()
    expect(root(page)).to_have_attribute("data-pinned", "false")


def test_the_pinned_lens_can_be_dragged_and_clicked_in(page: Page) -> None:
    page.mouse.click(*place(page, "clean", 40, 60))
    is_at(page, 40, 60, pinned=True)
    left, top = place(page, "clean", 40, 60)
    page.mouse.click(left + 2 * 6, top - 3 * 6)
    is_at(page, 37, 62, pinned=True)
    start, end = place(page, "noisy", 37, 62), place(page, "noisy", 50, 80)
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=3)
    page.mouse.up()
    is_at(page, 50, 80, pinned=True)


def test_keys_alone(page: Page) -> None:
    page.locator(".nlens-grid").focus()
    page.keyboard.press("ArrowDown")
    is_at(page, HEIGHT // 2, WIDTH // 2)
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    is_at(page, HEIGHT // 2, WIDTH // 2 - 1, pinned=True)
    expect(page.locator("[aria-live]")).to_contain_text(
        f"Row {HEIGHT // 2}, column {WIDTH // 2 - 1}: Clean R"
    )
    outline = page.evaluate(
        "() => getComputedStyle(document.querySelector('.nlens-grid')).outlineStyle"
    )
    assert outline == "solid"


def test_zoom_by_keys_wheel_and_buttons_stays_between_its_ends(page: Page) -> None:
    zoom = root(page)
    page.mouse.move(*place(page, "clean", 30, 40))
    is_at(page, 30, 40)
    page.keyboard.press("+")
    expect(zoom).to_have_attribute("data-zoom", "7")
    page.mouse.wheel(0, -120)
    expect(zoom).to_have_attribute("data-zoom", "8")
    page.get_by_role("button", name="Magnify less").click()
    expect(zoom).to_have_attribute("data-zoom", "7")
    for _ in range(20):
        page.keyboard.press("-")
    expect(zoom).to_have_attribute("data-zoom", "2")
    for _ in range(20):
        page.keyboard.press("+")
    expect(zoom).to_have_attribute("data-zoom", "16")
    expect(page.get_by_role("button", name="Magnify more")).to_be_disabled()


def test_divider_by_mouse_and_keys(page: Page) -> None:
    page.get_by_role("radio", name="Before").click()
    slider = page.get_by_role("slider")
    expect(slider).to_have_attribute("aria-valuenow", "50")
    box = page.locator(".nlens-stage").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 60, steps=2)
    page.mouse.up()
    expect(slider).to_have_attribute("aria-valuenow", "25")
    page.keyboard.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuenow", "26")
    page.keyboard.press("PageUp")
    expect(slider).to_have_attribute("aria-valuenow", "36")
    expect(slider).to_have_attribute("aria-valuetext", "36 % Noisy, 64 % Nlm")
    page.keyboard.press("End")
    expect(slider).to_have_attribute("aria-valuenow", "100")
    page.keyboard.press("Home")
    expect(slider).to_have_attribute("aria-valuenow", "0")
    page.get_by_label("Left").select_option("clean")
    expect(page.locator(".nlens-tag-before")).to_have_text("Clean")
    page.get_by_role("button", name="Swap").click()
    expect(page.get_by_label("Left")).to_have_value("nlm")
    expect(page.get_by_label("Right")).to_have_value("clean")


def test_each_side_of_the_divider_shows_its_picture(page: Page) -> None:
    page.get_by_role("radio", name="Before").click()
    seen = page.evaluate(
        """([y, x]) => ["before", "after"].map((side) => {
          const canvas = document.querySelector(`.nlens-${side}`);
          const scale = canvas.width / 120;
          return Array.from(canvas.getContext("2d").getImageData(
            (x + 0.5) * scale, (y + 0.5) * scale, 1, 1).data.slice(0, 3));
        })""",
        [33, 44],
    )
    assert seen == [PICTURES["noisy"][33, 44].tolist(), PICTURES["nlm"][33, 44].tolist()]


@pytest.mark.parametrize(("width", "columns"), [(1200, 3), (640, 2), (390, 2), (330, 1)])
def test_columns_follow_the_room_and_nothing_overflows(
    browser: Browser, path: Path, width: int, columns: int
) -> None:
    page = opened(browser, path, width=width)
    expect(root(page)).to_have_attribute("data-columns", str(columns))
    height = root(page).bounding_box()
    page.mouse.move(*place(page, "clean", 60, 60))
    is_at(page, 60, 60)
    page.mouse.click(*place(page, "clean", 60, 60))
    is_at(page, 60, 60, pinned=True)
    assert root(page).bounding_box() == height, "pointing moved the page"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("radio", name="Before").click()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.close()


CONTRAST = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const light = (colour) => {
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b] = Array.from(canvas.getImageData(0, 0, 1, 1).data, (v) => v / 255)
      .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
  };
  const back = light(getComputedStyle(document.querySelector(".nlens")).backgroundColor);
  return [".nlens-label", ".nlens-caption", ".nlens-value", ".nlens-note", ".nlens-place"].map(
    (name) => {
      const front = light(getComputedStyle(document.querySelector(name)).color);
      return Math.max(front, back) / Math.min(front, back);
    });
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_in_both_themes(browser: Browser, path: Path, scheme: str) -> None:
    page = opened(browser, path, color_scheme=scheme)
    assert min(page.evaluate(CONTRAST)) > 4.5
    dark = page.evaluate("getComputedStyle(document.querySelector('.nlens')).colorScheme")
    assert dark == scheme
    page.close()


def test_a_finger_pins_and_drags(browser: Browser, path: Path) -> None:
    page = opened(browser, path, width=390, has_touch=True, is_mobile=True)
    page.touchscreen.tap(*place(page, "clean", 40, 50))
    is_at(page, 40, 50, pinned=True)
    assert (
        page.evaluate("getComputedStyle(document.querySelector('.nlens-glass')).touchAction")
        == "none"
    )
    page.close()
