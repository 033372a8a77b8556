"""What comparing two maps needs: one grid for both, ranks, and shifts that tell chance.

Chance is no shuffling of cells: maps are smooth, so shuffled maps agree far less than two smooth
maps that have nothing to do with each other, and everything would look significant. A map is
shifted over the grid as a torus instead, in time, rows and columns, which keeps its values and its
smoothness and breaks only its place (the torus translations of Harms et al. 2001, doi
10.1111/j.1365-2745.2001.00615.x, who ask the same of trees and soils).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from nlviz.geometry import TokenGrid

SHARE = 0.1  # of the cells count as strongest
SHIFTS = 499
LEAST = 4  # cells that can be ranked

Numbers = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def means(
    values: Numbers, grid: TokenGrid, onto: TokenGrid, keep: Mask
) -> tuple[Numbers, npt.NDArray[np.int64]]:
    """Return the mean over the cells whose centres lie in each cell of a coarser grid.

    Args:
        values: one for each cell of ``grid``.
        grid: where they lie.
        onto: the coarser grid.
        keep: which of the values count.

    Returns:
        The means, 0 where there is nothing to average, and how many cells each is the mean of.

    >>> fine, coarse = TokenGrid((1, 1, 4)), TokenGrid((1, 1, 2), (1, 1, 2), (0, 0, 0.5))
    >>> values = np.array([[[1.0, 3.0, 5.0, 9.0]]])
    >>> means(values, fine, coarse, values < 9)
    (array([[[2., 5.]]]), array([[[2, 1]]]))
    """
    flat = np.zeros(grid.shape, np.int64)
    for axis, n in enumerate(grid.shape):
        at = grid.origin[axis] + grid.stride[axis] * np.arange(n)
        cell = np.ceil((at - onto.origin[axis]) / onto.stride[axis] - 0.5)
        cell = cell.clip(0, onto.shape[axis] - 1).astype(np.int64)
        flat = flat * onto.shape[axis] + cell.reshape([-1 if i == axis else 1 for i in range(3)])
    count = np.bincount(flat[keep], minlength=onto.size).reshape(onto.shape)
    total = np.bincount(flat[keep], values[keep], minlength=onto.size).reshape(onto.shape)
    return total / np.maximum(count, 1), count.astype(np.int64)


def shifts(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return all shifts of a torus but none, or ``SHIFTS`` of them, the same ones every time.

    >>> shifts((1, 2, 2))
    [(0, 0, 1), (0, 1, 0), (0, 1, 1)]
    """
    size = math.prod(shape)
    flat = np.arange(1, size)
    if size - 1 > SHIFTS:
        flat = np.random.default_rng(0).choice(flat, SHIFTS, replace=False)
    return [tuple(int(v) for v in np.unravel_index(i, shape)) for i in flat]


def centred_ranks(values: Numbers) -> Numbers:
    """Return ranks of mean 0 and length 1, ties sharing theirs; zeros where all are the same.

    The inner product of two such vectors is Spearman's rank correlation.

    >>> centred_ranks(np.array([7.0, 7.0, 9.0])).round(3)
    array([-0.408, -0.408,  0.816])
    """
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Numbers = (counts.cumsum() - (counts + 1) / 2)[inverse.ravel()]
    ranks = ranks - ranks.mean()
    length = float(np.linalg.norm(ranks))
    return ranks / length if length > 0 else ranks
