"""Detected objects over the live view, in Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page

from nlviz.clips.detections import Detection
from nlviz.web.bundle import LIVE_VIEW
from nlviz.web.payloads.objects import for_live_view
from tests.pace import rest
from tests.web.live_view.containers import square_container
from tests.web.live_view.test_page import at, large, opened, root, small

pytestmark = pytest.mark.browser


def detections() -> list[Detection]:
    """The square of every frame with a mask, and a person with keypoints in the second."""
    found = []
    for frame in range(4):
        left = 16 + 16 * frame
        disc = cv2.circle(np.zeros((96, 128), np.uint8), (left + 16, 48), 12, 1, -1).astype(bool)
        box = (32.0, float(left), 64.0, float(left + 32))
        found.append(Detection(frame, "square", frame + 1, 0.9 - 0.1 * frame, box, disc))
    y, x = np.linspace(14, 84, 17), 104 + 8 * np.sin(np.arange(17))
    places = np.stack([y, x, np.full(17, 2.0)], 1).astype(np.float32)
    found.append(Detection(1, "person", 1, 0.71, (8, 92, 90, 118), None, places))
    return found


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("objects") / "square.html"
    container = square_container(objects=for_live_view(detections()))
    file.write_text(LIVE_VIEW.page(container, title="objects"), encoding="utf-8")
    return file


@pytest.fixture
def page(browser: Browser, path: Path) -> Iterator[Page]:
    shown = opened(browser, path)
    yield shown
    shown.close()


def labels(page: Page) -> Locator:
    return page.locator(".nlv-object:visible")


def greenness(page: Page, picture: Locator, y: float, x: float) -> bool:
    """Return whether the objects' canvas is green at a pixel of the clip, or next to it."""
    left, top = at(picture, y, x)
    found: bool = page.evaluate(
        """([px, py]) => {
          const canvas = document.querySelector(".nlv-objects");
          const box = canvas.getBoundingClientRect();
          const ratio = canvas.width / box.width;
          const [u, v] = [(px - box.x) * ratio, (py - box.y) * ratio];
          const { data } = canvas.getContext("2d").getImageData(u - 3, v - 3, 7, 7);
          for (let i = 0; i < data.length; i += 4) {
            if (data[i + 3] > 120 && data[i + 1] - data[i] > 50) return true;
          }
          return false;
        }""",
        [float(left), float(top)],
    )
    return found


def test_boxes_outlines_and_keypoints_lie_where_they_are(page: Page) -> None:
    # Edges of the box are counted from the corner: half a pixel less as a place.
    for y, x in ((31.5, 50), (63.5, 50), (48, 31.5), (48, 63.5)):
        assert greenness(page, large(page), y, x)
    (outline,) = detections()[1].outline
    assert len(outline) > 8
    for y, x in outline:
        assert greenness(page, large(page), y - 0.5, x - 0.5), (y, x)
    assert not greenness(page, large(page), 48, 48)
    person = detections()[-1].keypoints
    assert person is not None
    for y, x, _ in person:
        assert greenness(page, large(page), y - 0.5, x - 0.5)
    for frame, left in ((0, 16), (2, 48), (3, 64)):
        assert greenness(page, small(page, frame), 48, left - 0.5)
        assert not greenness(page, small(page, frame), 20, 8)


def test_labels_belong_to_the_large_frame(page: Page) -> None:
    assert labels(page).all_inner_texts() == ["square 2 80 %", "person 1 71 %"]
    page.keyboard.press(".")
    rest(page)
    assert labels(page).all_inner_texts() == ["square 3 70 %"]


def test_a_label_pins_the_query_at_the_middle_of_its_object(page: Page) -> None:
    labels(page).nth(0).click()
    rest(page)
    assert root(page)["query"] == "1,48,48"
    assert labels(page).nth(0).get_attribute("aria-pressed") == "true"
    assert labels(page).nth(1).get_attribute("aria-pressed") == "false"
    labels(page).nth(1).focus()
    page.keyboard.press("Enter")
    rest(page)
    assert root(page)["query"] == "1,49,105"  # the box's middle: (8 + 90) / 2, (92 + 118) / 2
    assert root(page)["pinned"] == "true"


def test_an_edge_pins_its_object_and_the_inside_pins_here(page: Page) -> None:
    page.mouse.click(*at(large(page), 60, 32))
    rest(page)
    assert root(page)["query"] == "1,48,48"
    page.mouse.click(*at(large(page), 40, 56))
    rest(page)
    assert root(page)["query"] == "1,40,56"
    page.mouse.click(*at(small(page, 3), 48, 64))
    rest(page)
    assert root(page)["query"] == "3,48,80"


def test_an_edge_is_pointed_at_with_a_hand(page: Page) -> None:
    for y, x, hand in ((60, 32, True), (48, 48, False)):
        page.mouse.move(*at(large(page), y, x))
        rest(page)
        assert (
            "nlv-on-object" in (page.locator(".nlv-stage").get_attribute("class") or "")
        ) == hand


def test_objects_are_hidden_and_shown_again(page: Page) -> None:
    page.get_by_role("radiogroup", name="Objects").get_by_text("Hidden").click()
    rest(page)
    assert labels(page).count() == 0
    assert not page.locator(".nlv-objects").is_visible()
    page.mouse.click(*at(large(page), 60, 32))  # where the edge was
    rest(page)
    assert root(page)["query"] == "1,60,32"
    page.get_by_role("radiogroup", name="Objects").get_by_text("Shown").click()
    rest(page)
    assert labels(page).count() == 2


def test_labels_do_not_cover_each_other_on_a_phone(browser: Browser, tmp_path: Path) -> None:
    crowd = [
        Detection(1, "person", n + 1, 0.9, (20.0 + n, 40.0 + 2 * n, 60.0, 90.0)) for n in range(6)
    ]
    file = tmp_path / "crowd.html"
    container = square_container(objects=for_live_view(crowd))
    file.write_text(LIVE_VIEW.page(container, title="crowd"), encoding="utf-8")
    page = opened(browser, file, width=390)
    boxes = [box for button in labels(page).all() if (box := button.bounding_box())]
    frame = large(page).bounding_box()
    assert frame is not None
    assert len(boxes) == 6
    for n, a in enumerate(boxes):
        assert frame["x"] <= a["x"] and a["x"] + a["width"] <= frame["x"] + frame["width"] + 1
        for b in boxes[:n]:
            apart = abs(a["y"] - b["y"]) >= 20 or abs(a["x"] - b["x"]) >= a["width"]
            assert apart
    page.close()


def test_clips_without_objects_offer_no_switch(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "plain.html"
    file.write_text(LIVE_VIEW.page(square_container(), title="plain"), encoding="utf-8")
    page = opened(browser, file)
    assert page.get_by_role("radiogroup", name="Objects").count() == 0
    assert page.locator(".nlv-object").count() == 0
    page.close()
