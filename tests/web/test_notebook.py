"""The live view as a notebook shows it, in a real Chromium."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser

import nlviz
from nlviz.errors import NlvizError, OutsideClip, UnknownBlock
from tests.captures.test_text_networks import Attention, Words, captured
from tests.nets import FRAMES, frame_net


@pytest.fixture(scope="module")
def capture() -> nlviz.Capture:
    frames = np.random.default_rng(0).integers(0, 256, (3, 48, 64, 3)).astype(np.uint8)
    clip = nlviz.Clip.from_frames(frames, name="dog & <lead>")
    return nlviz.Model(frame_net(), input_spec=FRAMES).capture(clip)


@pytest.mark.browser
def test_the_frame_draws_and_answers_keys(
    capture: nlviz.Capture, browser: Browser, tmp_path: Path
) -> None:
    shown = nlviz.view(capture, query=(1, 20, 30), height=700)
    host = tmp_path / "notebook.html"
    host.write_text(f"<!doctype html><meta charset=utf-8><body>{shown._repr_html_()}", "utf-8")
    page = browser.new_page(viewport={"width": 1100, "height": 800})
    page.goto(host.as_uri())
    frame = page.frame_locator("iframe")
    root = frame.locator("[data-query]")
    root.wait_for()
    assert root.get_attribute("data-query") == "1,20,30"
    frame.locator("input[name=y]").fill("30")
    frame.locator("input[name=y]").press("Enter")
    frame.locator("[data-query='1,30,30']").wait_for()
    assert frame.locator(".nlv-title").inner_text().startswith("dog & <lead>")
    page.close()


def test_saving_and_what_is_refused(capture: nlviz.Capture, tmp_path: Path) -> None:
    path = nlviz.view(capture).save(tmp_path / "look.html")
    assert "<title>dog &amp; &lt;lead&gt;" in path.read_text("utf-8")
    with pytest.raises(NlvizError, match=r"saved as \.html, got 'look\.png'"):
        nlviz.view(capture).save(tmp_path / "look.png")
    with pytest.raises(UnknownBlock):
        nlviz.view(capture, "res9.9")
    with pytest.raises(OutsideClip):
        nlviz.view(capture, query=(1, 20, 64))


@pytest.mark.browser
def test_a_text_is_shown_as_words(browser: Browser, tmp_path: Path) -> None:
    text = nlviz.read_text("the dog saw the ball <b> & ran")
    shown = nlviz.view(captured(Words(Attention(causal=True)), text), query=(0, 0, 4))
    host = tmp_path / "notebook.html"
    host.write_text(f"<!doctype html><meta charset=utf-8><body>{shown._repr_html_()}", "utf-8")
    page = browser.new_page(viewport={"width": 1100, "height": 800})
    page.goto(host.as_uri())
    frame = page.frame_locator("iframe")
    frame.locator("[data-query='0,0,4']").wait_for()
    assert frame.locator(".nlv-text").inner_text() == text.text
    assert "“ball”" in frame.locator(".nlv-sentence").inner_text()
    frame.locator("input[name=x]").fill("1")
    frame.locator("input[name=x]").press("Enter")
    frame.locator("[data-query='0,0,1']").wait_for()
    page.close()
