"""The opening query lies where the texture is, in wide and in tall pictures alike."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import nlviz
from nlviz.analysis.opening_query import RULE_STILL

CELL = 20


def affinity_of(height: int, width: int) -> nlviz.EmbeddedAffinity:
    cells = (1, height // CELL, width // CELL)
    middle = (CELL - 1) / 2
    grid = nlviz.TokenGrid(cells, (1, CELL, CELL), (0, middle, middle))
    embedded = torch.ones(1, grid.size, 2)
    pairwise = nlviz.Pairwise("embedded_gaussian")
    return nlviz.EmbeddedAffinity("toy", pairwise, embedded, embedded, grid, grid)


@pytest.mark.parametrize(("row", "column"), [(1, 12), (4, 2), (3, 13)])
@pytest.mark.parametrize("tall", [False, True])
def test_the_point_is_the_textured_cell(row: int, column: int, tall: bool) -> None:
    pixels = np.full((1, 120, 300, 3), 90, np.uint8)
    here = np.s_[0, row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL]
    noise = np.random.default_rng(4).integers(0, 256, (CELL, CELL, 1), np.uint8)
    pixels[here] = noise
    if tall:
        pixels, row, column = np.ascontiguousarray(pixels.swapaxes(1, 2)), column, row
    clip = nlviz.Clip.from_frames(pixels)
    point, rule = nlviz.opening_query(clip, affinity_of(*clip.shape[1:]))
    assert rule == RULE_STILL
    assert point == (0, row * CELL + (CELL - 1) / 2, column * CELL + (CELL - 1) / 2)


def test_the_first_view_of_the_app_opens_at_the_cup(lite_nl: nlviz.Model) -> None:
    clip = nlviz.read_clip(nlviz.bundled_inputs()["composed-twins.mp4"], frames=8)
    capture = lite_nl.capture(clip)
    point, _ = nlviz.opening_query(clip, capture.affinities["stage4"])
    assert point == pytest.approx((4, 115.2143, 345.1), abs=1e-3)
