"""The close-up of a query in Chromium: it shows the sum that the denoiser computes."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from nlviz.clips.clip import Clip
from nlviz.denoise.affinities import affinity
from nlviz.denoise.registry import denoise
from nlviz.errors import NlvizError
from nlviz.web.bundle import LIVE_VIEW
from nlviz.web.payloads.denoise_view import denoise_view

SIGMA = 20.0
NAMES = ("non-local-means", "bilateral", "gaussian", "mean")


def pictures() -> tuple[np.ndarray, np.ndarray]:
    """A clean picture of stripes, 44 x 61, and its noisy form."""
    y, x = np.mgrid[:44, :61]
    clean = np.stack([128 + 60 * np.sin(x / 2), 110 + 50 * np.cos(y / 3), 90 + 0 * x], -1)
    return clean, clean + np.random.default_rng(3).normal(0, SIGMA, clean.shape)


@pytest.fixture(scope="module")
def page(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    clean, noisy = pictures()
    clip = Clip.from_frames(np.rint(noisy).clip(0, 255).astype(np.uint8)[None], name="stripes")
    rows = {name: affinity(noisy, name, sigma=SIGMA) for name in NAMES}
    path = tmp_path_factory.mktemp("closeup") / "page.html"
    container = denoise_view(clip, rows, query=(0, 20, 30), clean=clean)
    path.write_text(LIVE_VIEW.page(container, title="stripes"), "utf-8")
    opened = browser.new_page(reduced_motion="reduce")
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.goto(path.as_uri())
    opened.wait_for_selector(".nlv-closeup[data-output]")
    yield opened
    opened.close()
    assert not faults


def shown(page: Page) -> list[float]:
    """What the panel says that the output pixel is."""
    told = page.locator(".nlv-closeup").get_attribute("data-output") or ""
    return [float(value) for value in told.split()]


@pytest.mark.browser
@pytest.mark.parametrize(("y", "x"), [(20, 30), (0, 0), (43, 57)])
@pytest.mark.parametrize(("key", "name"), list(enumerate(NAMES, start=1)))
def test_the_sum_ends_at_the_denoised_pixel(
    page: Page, key: int, name: str, y: int, x: int
) -> None:
    _, noisy = pictures()
    page.keyboard.press(str(key))
    for field, value in (("y", y), ("x", x)):
        box = page.locator(f".nlv-query input[name={field}]")
        box.fill(str(value))
        box.press("Tab")
    page.wait_for_function(
        "([q, s]) => { const d = document.querySelector('.nlv').dataset;"
        " return d.query === q && d.source === s; }",
        arg=[f"0,{y},{x}", name],
    )
    want = denoise(noisy, name, sigma=SIGMA)[y, x]
    page.wait_for_function(
        "want => document.querySelector('.nlv-closeup').dataset.output.split(' ')"
        ".every((v, n) => Math.abs(v - want[n]) < 0.01)",
        arg=want.tolist(),
    )
    np.testing.assert_allclose(shown(page), want, atol=0.01)
    assert page.locator(".nlv-closeup-patches").is_visible() == (name == "non-local-means")
    assert "clean" in page.locator(".nlv-values").inner_text()


@pytest.mark.browser
def test_the_best_patches_are_told_with_weight_and_distance(page: Page) -> None:
    page.keyboard.press("1")
    page.wait_for_selector(".nlv-matches li:nth-child(6)")
    told = page.locator(".nlv-matches li").all_inner_texts()
    assert len(told) == 6 and all("±" in text and "%" in text for text in told[1:])
    assert "differ by about 28.3" in page.locator(".nlv-closeup-patches").inner_text()


@pytest.mark.browser
def test_the_sum_runs_for_who_wants_motion(page: Page) -> None:
    page.emulate_media(reduced_motion="no-preference")
    page.click(".nlv-sum")
    page.wait_for_selector(".nlv-closeup[data-playing=true]")
    page.wait_for_selector(".nlv-closeup[data-playing=false]")
    assert re.match(r"mean of \d+ pixels", page.locator(".nlv-values output").inner_text())
    page.emulate_media(reduced_motion="reduce")


def test_a_view_without_pixels_is_refused() -> None:
    _, noisy = pictures()
    clip = Clip.from_frames(np.zeros((1, 44, 61, 3), np.uint8))
    whole = affinity(noisy, "nl_means", sigma=SIGMA, window=None)
    assert len(denoise_view(clip, {"all": whole})) > 1000
    with pytest.raises(NlvizError, match="sums pixels"):
        denoise_view(clip, {})
