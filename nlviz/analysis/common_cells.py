"""Two maps on the cells that they have in common: the coarser of their grids."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nlviz.affinity.grid import TokenGrid

Numbers = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def coarser(one: TokenGrid, other: TokenGrid) -> TokenGrid:
    """Return the grid with fewer cells, on which two maps are compared; the first of equals."""
    return min(one, other, key=lambda grid: grid.size)


def laid(
    values: Numbers, grid: TokenGrid, onto: TokenGrid, reach: Mask | None
) -> tuple[Numbers, Mask, Numbers]:
    """Lay a map on a grid: the mean value in each cell, which cells it reaches, the sum in each.

    Args:
        values: one for each cell of ``grid``.
        grid: where they lie.
        onto: the grid to lay them on, the same or a coarser one.
        reach: which of the values count; all when None.
    """
    reached = np.ones(values.shape, bool) if reach is None else np.asarray(reach, bool)
    if grid == onto:
        return values, reached, values
    mean, count = means(values, grid, onto, reached)
    return mean, count > 0, mean * count


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
        cell = onto.axes[axis].nearest(grid.axes[axis].centres(n), onto.shape[axis])
        flat = flat * onto.shape[axis] + cell.reshape([-1 if i == axis else 1 for i in range(3)])
    count = np.bincount(flat[keep], minlength=onto.size).reshape(onto.shape)
    total = np.bincount(flat[keep], values[keep], minlength=onto.size).reshape(onto.shape)
    return total / np.maximum(count, 1), count.astype(np.int64)
