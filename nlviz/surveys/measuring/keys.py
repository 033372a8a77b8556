"""The keys over which sampled rows are compared with others: some of those that each reaches."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from nlviz.affinity.base import spread_evenly
from nlviz.affinity.grid import TokenGrid
from nlviz.surveys.measuring.rows import Asked

KEYS = 1024  # of those that a query reaches, that are compared

Mask = npt.NDArray[np.bool_]
Cells = npt.NDArray[np.int64]
Values = npt.NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Keys:
    """Some keys for each query.

    Attributes:
        cells: numbers of all that any query has, ascending.
        at: (n, r) which of the cells each query has; None where all queries have all of them.
        keep: (n, r) which of these count; None for all.
    """

    cells: Cells
    at: Cells | None = None
    keep: Mask | None = None

    @classmethod
    def reached(cls, reach: Mask | None, size: int) -> Keys:
        """Return some keys of each query, spread evenly over those that it reaches.

        Args:
            reach: (n, size) which keys queries reach; None for all.
            size: number of keys.

        >>> found = Keys.reached(np.array([[True, False, True], [False, True, False]]), 3)
        >>> found.cells.tolist(), found.at.tolist(), found.keep.tolist()
        ([0, 1, 2], [[0, 2], [1, 0]], [[True, True], [True, False]])
        """
        if reach is None:
            return cls(spread_evenly(size, KEYS).numpy())
        taken = []
        for row in reach:
            own = np.flatnonzero(row)
            taken.append(own[spread_evenly(len(own), KEYS).numpy()] if len(own) else own)
        most = max(map(len, taken), default=0)
        cells = np.unique(np.concatenate(taken)) if most else np.zeros(0, np.int64)
        at = np.zeros((len(taken), most), np.int64)
        keep = np.zeros((len(taken), most), bool)
        for n, own in enumerate(taken):
            at[n, : len(own)], keep[n, : len(own)] = np.searchsorted(cells, own), True
        return cls(cells, at, None if keep.all() else keep)

    def of(self, values: Values) -> Values:
        """Return what these keys have of values of all keys, (heads, n, keys)."""
        return self.of_cells(values[..., self.cells])

    def of_cells(self, values: Values) -> Values:
        """Return what these keys have of values of the cells, (heads, n, cells)."""
        if self.at is None:
            return values
        at = np.broadcast_to(self.at, (*values.shape[:-1], self.at.shape[-1]))
        found: Values = np.take_along_axis(values, at, -1)
        return found

    def without(self, missing: Mask) -> Keys:
        """Return the keys without some of the cells."""
        there = ~missing if self.at is None else ~missing[self.at]
        return replace(self, keep=np.atleast_2d(there if self.keep is None else self.keep & there))


def keys_in_common(asked: Asked) -> Keys:
    """Return keys with a place that every head reaches from each sampled query."""
    size = asked.affinity.keys.size
    if asked.reach is None:
        return Keys.reached(None, size)
    reach = asked.reach[..., asked.prefix :].all(0).cpu().numpy()
    return Keys.reached(None if reach.all() else reach, size)


def laid_rows(asked: Asked, onto: TokenGrid) -> tuple[Values, Keys]:
    """Return the mean size of rows over the reached cells in each cell of a coarser grid.

    Args:
        asked: the rows.
        onto: the grid.
    """
    grid, prefix = asked.affinity.keys, asked.prefix
    rows = asked.rows[..., prefix:].abs().cpu()
    reach = torch.ones(1, grid.size, dtype=torch.bool)
    if asked.reach is not None:
        reach = asked.reach[..., prefix:].all(0).cpu()
    counts = _summed(reach.to(rows), grid, onto)
    sums = _summed((rows * reach).flatten(0, 1), grid, onto)
    found = sums.reshape(*rows.shape[:2], -1) / counts.clamp(min=1)
    there = (counts > 0).expand(rows.shape[1], -1).numpy()
    return found.numpy(), Keys.reached(None if there.all() else there, onto.size)


def _summed(values: torch.Tensor, grid: TokenGrid, onto: TokenGrid) -> torch.Tensor:
    """Return the sum over the cells whose centres lie in each cell of another grid, (n, onto)."""
    found = values.reshape(len(values), *grid.shape)
    for axis, (n, many) in enumerate(zip(grid.shape, onto.shape, strict=True)):
        cell = onto.axes[axis].nearest(grid.axes[axis].centres(n), many)
        one_hot = F.one_hot(torch.from_numpy(cell), many).to(values)
        found = (found.movedim(axis + 1, -1) @ one_hot).movedim(-1, axis + 1)
    return found.flatten(1)
