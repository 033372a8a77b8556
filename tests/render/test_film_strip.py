from __future__ import annotations

import itertools
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nlviz.affinity.attention_map import AttentionMap
from nlviz.affinity.grid import TokenGrid
from nlviz.render.figure import png
from nlviz.render.film_strip import film_strip, plan_of
from nlviz.render.overlay import overlay
from nlviz.render.sheet import CONTENT, MARGIN
from nlviz.render.shown import ACCENT
from tests.fixtures import make_clip


@pytest.mark.parametrize("aspect", [16 / 9, 9 / 16, 1.0, 5.0, 0.2])
@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 13, 32, 48])
def test_frames_neither_overlap_nor_leave_the_page(count: int, aspect: float) -> None:
    plan = plan_of(count, aspect, top=90)
    w, h = plan.tile
    assert len(plan.tiles) == count
    assert abs(w / h - aspect) / aspect < 0.06
    for left, top in plan.tiles:
        assert left >= MARGIN
        assert left + w <= MARGIN + plan.content <= MARGIN + CONTENT
        assert 90 <= top <= top + h <= plan.bottom
    for (x0, y0), (x1, y1) in itertools.combinations(plan.tiles, 2):
        assert abs(x0 - x1) >= w or abs(y0 - y1) >= h


def strip_of(frames: int, **options: Any) -> tuple[Image.Image, AttentionMap]:
    clip = make_clip(frames, 36, 60)
    keys = TokenGrid((frames, 3, 5), (1, 12, 12), (0, 5.5, 5.5))
    weights = np.full(keys.shape, 0.001, np.float32)
    weights[frames - 1, 0, 4] = 0.6
    attention = AttentionMap(weights, (0, 17.5, 29.5), keys)
    return film_strip(overlay(clip, attention, **options)), attention


def test_the_query_is_outlined_and_its_neighbourhood_is_not_arrowed_away() -> None:
    figure, _ = strip_of(2)
    pixels = np.asarray(figure)
    accented = (np.abs(pixels.astype(int) - ACCENT).sum(-1) < 12).nonzero()
    assert accented[1].min() > MARGIN
    assert accented[1].max() < figure.width / 2  # in the first frame only


def test_an_arrow_ends_at_its_key() -> None:
    without, _ = strip_of(2, links=0)
    with_one, _ = strip_of(2, links=1)
    plan = plan_of(2, 60 / 36, top=MARGIN + 62)
    upper = [np.asarray(strip)[: plan.bottom] for strip in (without, with_one)]
    ys, xs = (upper[0] != upper[1]).any(-1).nonzero()
    (left, top), (w, h) = plan.tiles[1], plan.tile
    key = (left + w * 54 / 60, top + h * 6 / 36)
    assert np.hypot(xs - key[0], ys - key[1]).min() < 6
    assert xs.max() < key[0] + 8


def test_a_strip_of_many_frames_shows_some_of_them_with_the_query() -> None:
    clip = make_clip(61, 20, 30)
    keys = TokenGrid((61, 2, 3), (1, 10, 10), (0, 4.5, 4.5))
    weights = np.full(keys.shape, 1 / keys.size, np.float32)
    shown = film_strip(overlay(clip, AttentionMap(weights, (31, 4.5, 4.5), keys), links=7))
    assert shown.width == CONTENT + 2 * MARGIN


def test_texts_under_narrow_frames_do_not_touch() -> None:
    clip = make_clip(48, 64, 36)
    keys = TokenGrid((48, 8, 4), (1, 8, 9), (0, 3.5, 4.0))
    weights = np.full(keys.shape, 1 / keys.size, np.float32)
    figure = film_strip(overlay(clip, AttentionMap(weights, (47, 30, 20), keys)))
    plan = plan_of(48, 36 / 64, top=MARGIN + 62)
    pixels = np.asarray(figure)
    for left, top in plan.tiles:
        caption = pixels[top + plan.tile[1] + 10 : top + plan.tile[1] + 40]
        inked = (caption[:, left : left + plan.tile[0]] < 200).any((0, 2))
        gaps = np.diff(np.flatnonzero(np.concatenate([[True], inked, [True]])))
        assert gaps.max() >= 6  # between the time and the share


def test_the_file_is_a_png_that_carries_the_view() -> None:
    clip = make_clip(1, 36, 60, name="猫 – été.png")
    keys = TokenGrid((1, 3, 5), (1, 12, 12), (0, 5.5, 5.5))
    weights = np.full(keys.shape, 1 / 15, np.float32)
    content = png(overlay(clip, AttentionMap(weights, (0, 17.5, 29.5), keys)), metadata='{"é": 1}')
    with Image.open(BytesIO(content)) as image:
        image.load()
        assert image.format == "PNG"
        assert image.info["nlviz.view"] == '{"é": 1}'
        assert image.mode == "RGB"


def test_the_same_view_is_the_same_picture() -> None:
    first, _ = strip_of(3, links=5)
    second, _ = strip_of(3, links=5)
    assert first.tobytes() == second.tobytes()
