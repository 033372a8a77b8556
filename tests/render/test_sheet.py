"""A page for print: pictures to the pixel, marks where they are asked for, files that repeat."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import matplotlib
import numpy as np
import pytest
from PIL import Image

from nlviz.render.sheet import Sheet, rectangles


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)


@pytest.mark.parametrize("zoom", [1, 2, 5])
@pytest.mark.parametrize("corner", [(0, 0), (13, 29), (111, 7)])
def test_pixels_of_pictures_are_exact(zoom: int, corner: tuple[int, int]) -> None:
    picture = noise(19, 37)
    (left, top), (h, w) = corner, (19 * zoom, 37 * zoom)
    sheet = Sheet(331, 167)
    sheet.picture(picture, (left, top, left + w, top + h))
    page = np.asarray(sheet.image())
    assert page.shape == (167, 331, 3)
    big = np.kron(picture, np.ones((zoom, zoom, 1), np.uint8))
    assert (page[top : top + h, left : left + w] == big).all()
    page = page.copy()
    page[top : top + h, left : left + w] = 255
    assert (page == 255).all()


def test_a_box_has_its_edge_inside() -> None:
    sheet = Sheet(60, 50)
    sheet.box((10, 12, 41, 33), edge=(200, 10, 30), line=3)
    page = np.asarray(sheet.image()).astype(int)
    inked = (page != 255).any(-1)
    rows, columns = np.nonzero(inked)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (12, 32, 10, 40)
    assert (page[12:15, 10:41] == (200, 10, 30)).all()
    assert (page[15:30, 13:38] == 255).all()


def test_marks_are_clipped_to_where_they_may_be() -> None:
    sheet = Sheet(70, 40)
    clip = rectangles([(5, 5, 20, 30), (40, 5, 60, 30)])
    sheet.shape([(0, 0), (70, 0), (70, 40), (0, 40)], fill=(0, 0, 0), clip=clip)
    inked = (np.asarray(sheet.image()) == 0).all(-1)
    wanted = np.zeros((40, 70), bool)
    wanted[5:30, 5:20] = wanted[5:30, 40:60] = True
    assert (inked == wanted).all()


@pytest.mark.parametrize(("align", "ends"), [("l", (100, None)), ("r", (None, 100)), ("m", None)])
def test_text_lies_where_its_alignment_says(align: str, ends: tuple | None) -> None:
    sheet = Sheet(260, 60)
    wide = sheet.text((100, 40), "HAUS 5× H", 24, align=align)
    columns = np.nonzero((np.asarray(sheet.image()) < 128).all(-1))[1]
    left, right = (100 - wide / 2, 100 + wide / 2) if ends is None else ends
    if left is not None:
        assert columns.min() == pytest.approx(left, abs=4)
    if right is not None:
        assert columns.max() == pytest.approx(right, abs=4)


def page() -> Sheet:
    sheet = Sheet(300, 120)
    sheet.picture(noise(11, 17), (10, 10, 44, 32))
    sheet.text((10, 100), "été $5 × x_i$ \\frac", 20)  # no formula
    sheet.box((60, 10, 90, 40), edge=(9, 9, 9), line=2, radius=3)
    return sheet


def test_the_same_page_is_the_same_file_also_from_threads() -> None:
    def files(_: int) -> tuple[bytes, bytes, bytes]:
        sheet = page()
        return sheet.vector("pdf", metadata="{}"), sheet.vector("svg", title="a"), sheet.png()

    with ThreadPoolExecutor(4) as pool:
        made = set(pool.map(files, range(8)))
    assert len(made) == 1


def test_a_file_does_not_change_the_page_nor_the_process() -> None:
    before = dict(matplotlib.rcParams)
    sheet = page()
    first = sheet.image().tobytes()
    sheet.vector("svg")
    sheet.vector("pdf")
    assert sheet.image().tobytes() == first
    assert dict(matplotlib.rcParams) == before


def test_a_users_settings_do_not_reach_the_page() -> None:
    plain = page().image().tobytes()
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "figure.dpi": 40}):
        assert page().image().tobytes() == plain


def test_the_png_says_its_size_in_print_and_keeps_its_metadata() -> None:
    with Image.open(BytesIO(page().png(key="nlviz.view", metadata='{"é": 2}'))) as image:
        image.load()
        assert image.info["nlviz.view"] == '{"é": 2}'
        assert image.info["dpi"] == pytest.approx((256, 256), abs=0.5)
