"""Arrows are one shape each: from the query's cell to the key, as wide as asked, with a head."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.path import Path

from nlviz.render.links import Arrow, draw_arrows, outline
from nlviz.render.sheet import Sheet


def line(length: float, angle: float, steps: int = 41) -> list[tuple[float, float]]:
    along = np.linspace(0, length, steps)
    return [(100 + x * np.cos(angle), 80 + x * np.sin(angle)) for x in along]


@pytest.mark.parametrize("angle", [0.0, 0.7, 2.0, -1.1, np.pi])
@pytest.mark.parametrize("length", [31.0, 173.0])
def test_an_arrow_has_the_width_and_the_head_asked_for(length: float, angle: float) -> None:
    corners = np.array(outline(line(length, angle), width=4, head=13))
    along = (corners - (100, 80)) @ (np.cos(angle), np.sin(angle))
    across = (corners - (100, 80)) @ (-np.sin(angle), np.cos(angle))
    assert along.min() == pytest.approx(0, abs=1e-6)
    assert along.max() == pytest.approx(length)
    shaft = along < length - 13
    assert np.abs(across[shaft]) == pytest.approx(np.full(shaft.sum(), 2))
    assert np.abs(across).max() == pytest.approx(np.sin(0.42) * 13)
    assert across.sum() == pytest.approx(0, abs=1e-6)  # symmetric


@pytest.mark.parametrize("steps", [2, 3, 5])
def test_an_arrow_shorter_than_its_head_is_a_head(steps: int) -> None:
    corners = outline(line(6, 0.3, steps), width=3, head=15)
    assert np.isfinite(corners).all()
    assert Path(np.array(corners)).contains_point((100 + 3 * np.cos(0.3), 80 + 3 * np.sin(0.3)))


def test_arrows_are_white_on_pictures_grey_on_paper_and_keep_out_of_the_querys_cell() -> None:
    sheet = Sheet(300, 120)
    boxes = [(10.0, 20.0, 110.0, 100.0), (170.0, 20.0, 290.0, 100.0)]
    for left, top, right, bottom in boxes:
        black = np.zeros((int(bottom - top), int(right - left), 3), np.uint8)
        sheet.picture(black, (left, top, right, bottom))
    bare = np.asarray(sheet.image()).astype(int)
    arrow = Arrow((40, 60), (250, 60), 1.0)
    draw_arrows(sheet, [arrow], boxes, query=(24, 24), key=(20, 20))
    page = np.asarray(sheet.image()).astype(int)
    ys, xs = (page != bare).any(-1).nonzero()
    assert xs.min() >= 40 + 12 - 3  # the rim reaches a little back
    assert xs.max() == pytest.approx(250, abs=3)
    assert page[20:100, 170:290].max() > 240
    gap = page[:, 112:168]
    inked = gap[(gap != 255).any(-1)]
    assert 100 < inked.min() < 230  # grey, neither black nor white
    assert len(ys) > 300


def test_no_arrows_leave_the_page_as_it_was() -> None:
    sheet = Sheet(50, 40)
    before = sheet.image().tobytes()
    draw_arrows(sheet, [], [(0, 0, 50, 40)], query=(5, 5), key=(5, 5))
    assert sheet.image().tobytes() == before
