"""Rows that say how alike features are, in words: cosines, which nothing is shared out of."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nlviz.affinity.attention_map import AttentionMap
from nlviz.words.health import Line
from nlviz.words.numbers import number_text


def most_alike(attention: AttentionMap) -> npt.NDArray[np.float64]:
    """Return the largest similarity in each frame of the key grid, the query's own cell aside.

    >>> from nlviz.affinity.grid import TokenGrid
    >>> weights = np.array([[[1.0, 0.25]], [[-0.5, 0.75]]], np.float32)
    >>> most_alike(AttentionMap(weights, (0, 0, 0), TokenGrid((2, 1, 2)), values="similarity"))
    array([0.25, 0.75])
    """
    others = attention.weights.astype(np.float64)
    if attention.has_own:
        others[attention.keys.unravel(attention.own)] = -np.inf
    found: npt.NDArray[np.float64] = others.max((1, 2))
    return np.where(np.isfinite(found), found, 0.0)


def similarity_lines(attention: AttentionMap) -> list[Line]:
    """Return what a row of similarities does, a line each.

    >>> from nlviz.affinity.grid import TokenGrid
    >>> weights = np.array([[[1.0, 0.25]], [[-0.5, 0.75]]], np.float32)
    >>> row = AttentionMap(weights, (0, 0, 0), TokenGrid((2, 1, 2)), values="similarity")
    >>> for line in similarity_lines(row):
    ...     print(line.value, line.label)
    0.750 the most alike other cell
    0.750 or more for the most alike cell of every other frame
    0.375 all cells on average
    """
    scale = "A cosine: 1 where features point the same way, 0 where they have nothing in common"
    lines = [
        Line(
            number_text(float(most_alike(attention).max())), "the most alike other cell", help=scale
        ),
        Line(
            number_text(float(attention.weights.mean(dtype=np.float64))),
            "all cells on average",
            help="Where it is high, features have much in common everywhere, and what tells cells "
            "apart is what lies above it",
        ),
    ]
    if len(attention.weights) > 1:
        own, _, _ = attention.keys.unravel(attention.own)
        beyond = np.delete(most_alike(attention), own)
        lines.insert(
            1,
            Line(
                number_text(float(beyond.min())),
                "or more for the most alike cell of every other frame",
            ),
        )
    return lines
