"""How far an attribution and a block's map agree, against what chance gives.

Both are laid on the coarser of the two grids, then compared cell by cell: Spearman's rank
correlation, and the share of the strongest tenth of the cells that they have in common.

Chance is what the attribution reaches when it is shifted over the grid as a torus (see
``nlviz.analysis.agreement``). What both maps owe to the picture's middle counts as agreement,
because shifts break that, too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import torch

from nlviz.affinity.attention_map import AttentionMap
from nlviz.affinity.base import Affinity
from nlviz.affinity.grid import TokenGrid
from nlviz.analysis.attribution import Attribution
from nlviz.errors import NlvizError

SAMPLE = 256  # queries, spread evenly, whose mean row stands for a block


@dataclass(frozen=True)
class Agreement:
    """How far two maps agree, and what shifted maps reach.

    Attributes:
        correlation: Spearman's rank correlation, in [-1, 1]; 0 where a map is the same everywhere.
        chance: the middle 95 % of the correlations of shifted maps.
        reached: share of the shifts, the true place among them, that correlate as much or more.
        overlap: share of the k strongest cells in common, in [0, 1].
        overlap_chance: mean overlap of shifted maps.
        overlap_high: overlap that 95 % of the shifted maps stay below or at.
        k: number of strongest cells.
        cells: number of cells compared.
        shifts: number of shifts tried.
    """

    correlation: float
    chance: tuple[float, float]
    reached: float
    overlap: float
    overlap_chance: float
    overlap_high: float
    k: int
    cells: int
    shifts: int


def agreement(found: Attribution, other: AttentionMap | Affinity | Attribution) -> Agreement:
    """Compare an attribution with one query's map, a block's mean row, or another attribution.

    Of signed rows the size counts: reading something with a negative weight is reading it.

    Args:
        found: the attribution.
        other: a map on the same clip; of an affinity, the mean of 256 rows.

    Raises:
        NlvizError: when fewer than four cells can be compared.

    >>> from nlviz.clips.clip import Clip
    >>> grid = TokenGrid((2, 3, 5))
    >>> values = np.arange(30, dtype=np.float32).reshape(2, 3, 5)
    >>> clip = Clip.from_frames(np.zeros((2, 3, 5, 3), np.uint8))
    >>> a = Attribution("occlusion", clip, "b", 0, "cat", 1.0, values, grid, 31, 0.1)
    >>> same = agreement(a, a)
    >>> round(same.correlation, 6), same.overlap, same.cells, same.shifts
    (1.0, 1.0, 30, 29)
    """
    values, grid, mask = _laid_out(other)
    mine, theirs, keep = _on_coarser(found.values, found.grid, values, grid, mask)
    cells = int(keep.sum())
    if cells < LEAST:
        raise NlvizError(
            f"two maps need at least {LEAST} cells in common to be compared, these have {cells}; "
            "take a larger picture or another block"
        )
    k = max(round(SHARE * cells), 1)
    ranked, top = centred_ranks(theirs[keep]), _strongest(theirs[keep], k)
    correlations, overlaps = [], []
    for shift in [(0, 0, 0), *shifts(mine.shape)]:
        moved = np.roll(mine, shift, (0, 1, 2))[keep]
        correlations.append(float(centred_ranks(moved) @ ranked))
        overlaps.append(len(top & _strongest(moved, k)) / k)
    chance, by_chance = np.array(correlations[1:]), np.array(overlaps[1:])
    low, high = np.quantile(chance, (0.025, 0.975))
    return Agreement(
        correlation=correlations[0],
        chance=(float(low), float(high)),
        # The true place is one of the shifts, so that no finite number of them gives 0.
        reached=float((np.array(correlations) >= correlations[0] - 1e-9).mean()),
        overlap=overlaps[0],
        overlap_chance=float(by_chance.mean()),
        overlap_high=float(np.quantile(by_chance, 0.95)),
        k=k,
        cells=cells,
        shifts=len(chance),
    )


def _laid_out(
    other: AttentionMap | Affinity | Attribution,
) -> tuple[Numbers, TokenGrid, Mask | None]:
    if isinstance(other, Attribution):
        return other.values.astype(np.float64), other.grid, None
    if isinstance(other, AttentionMap):
        return np.abs(other.weights.astype(np.float64)), other.keys, other.reachable
    index = other.evenly(SAMPLE)
    mean = sum(other.rows(part).float().abs().mean(0).sum(0) for part in torch.split(index, 64))
    row = cast(torch.Tensor, mean)[other.keys.prefix :] / len(index)
    return row.double().cpu().numpy().reshape(other.keys.shape), other.keys, None


def _on_coarser(
    a: npt.NDArray[np.float32], of_a: TokenGrid, b: Numbers, of_b: TokenGrid, mask: Mask | None
) -> tuple[Numbers, Numbers, Mask]:
    """Return both maps on the grid with fewer cells, and which cells of it both cover."""
    one, other = a.astype(np.float64), b
    reach = np.ones(of_b.shape, bool) if mask is None else mask
    if of_a == of_b:
        return one, other, reach
    if of_a.size <= of_b.size:
        other, count = means(other, of_b, of_a, reach)
        return one, other, count > 0
    one, count = means(one, of_a, of_b, np.ones(of_a.shape, bool))
    return one, other, (count > 0) & reach


def _strongest(values: Numbers, k: int) -> set[int]:
    return set(np.argsort(-values, kind="stable")[:k].tolist())


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
        cell = onto.axes[axis].nearest(grid.axes[axis].centres(n), onto.shape[axis])
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
