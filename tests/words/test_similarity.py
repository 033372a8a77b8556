"""Rows of similarities in words."""

from __future__ import annotations

import numpy as np

from nlviz.affinity.attention_map import AttentionMap
from nlviz.affinity.grid import TokenGrid
from nlviz.words.keys import keys_heading, row_heading, unit_text
from nlviz.words.similarity import most_alike, similarity_lines


def test_the_own_cell_is_not_among_what_is_alike() -> None:
    drawn = np.random.default_rng(0).uniform(-1, 0.9, (3, 2, 5)).astype(np.float32)
    drawn[1, 1, 3] = 1
    grid = TokenGrid((3, 2, 5), (1, 8, 8), (0, 3.5, 3.5))
    row = AttentionMap(drawn, (1, 11.5, 27.5), grid, values="similarity", signed=True)
    rest = np.where(np.arange(30).reshape(3, 2, 5) == row.own, -9, drawn)
    np.testing.assert_allclose(most_alike(row), rest.max((1, 2)))
    values = [float(line.value) for line in similarity_lines(row)]
    beyond = min(rest[0].max(), rest[2].max())
    np.testing.assert_allclose(values, [rest.max(), beyond, drawn.mean()], atol=6e-4)
    assert unit_text(row) == "cosine"
    assert "like" in row_heading(row) and "like" in keys_heading(row)


def test_a_picture_has_no_other_frames() -> None:
    row = AttentionMap(np.ones((1, 2, 3), np.float32), (0, 0, 0), TokenGrid((1, 2, 3)))
    assert len(similarity_lines(row)) == 2
