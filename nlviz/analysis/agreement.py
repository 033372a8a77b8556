"""How far two maps of one clip agree, against what chance gives: the core, and attributions.

Both maps are laid on the coarser of their grids, then compared cell by cell: Spearman's rank
correlation, and the share of the strongest tenth of the cells that they have in common.
``nlviz.analysis.common_ground`` compares two affinities on the same core.

Chance is what one map reaches when it is shifted over the grid as a torus. What both maps owe to
the picture's middle counts as agreement, because shifts break that, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch

from nlviz.affinity.attention_map import AttentionMap
from nlviz.affinity.base import Affinity
from nlviz.affinity.grid import TokenGrid
from nlviz.analysis.attribution import Attribution
from nlviz.analysis.common_cells import Mask as Mask
from nlviz.analysis.common_cells import Numbers as Numbers
from nlviz.analysis.common_cells import coarser as coarser
from nlviz.analysis.common_cells import laid as laid
from nlviz.analysis.common_cells import means as means
from nlviz.errors import NlvizError

SHARE = 0.1  # of the cells count as strongest
SHIFTS = 499
LEAST = 4  # cells that can be ranked
SAMPLE = 256  # queries, spread evenly, whose mean row stands for a block

Shift = tuple[int, ...]


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
    onto = coarser(found.grid, grid)
    mine, covered, _ = laid(found.values.astype(np.float64), found.grid, onto, None)
    theirs, reach, _ = laid(values, grid, onto, mask)
    keep = covered & reach
    cells = int(keep.sum())
    if cells < LEAST:
        raise NlvizError(
            f"two maps need at least {LEAST} cells in common to be compared, these have {cells}; "
            "take a larger picture or another block"
        )
    k = strongest_cells(cells)
    ranked, top = centred_ranks(theirs[keep]), _strongest(theirs[keep], k)

    def measures(shift: Shift) -> tuple[float, float]:
        moved = np.roll(mine, shift, (0, 1, 2))[keep]
        return float(centred_ranks(moved) @ ranked), len(top & _strongest(moved, k)) / k

    (correlation, overlap), by_chance = against_shifts(measures, mine.shape)
    low, high = middle(by_chance[:, 0])
    return Agreement(
        correlation=float(correlation),
        chance=(float(low), float(high)),
        # The true place is one of the shifts, so that no finite number of them gives 0.
        reached=(1 + int((by_chance[:, 0] >= correlation - 1e-9).sum())) / (1 + len(by_chance)),
        overlap=float(overlap),
        overlap_chance=float(by_chance[:, 1].mean()),
        overlap_high=float(np.quantile(by_chance[:, 1], 0.95)),
        k=k,
        cells=cells,
        shifts=len(by_chance),
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


def _strongest(values: Numbers, k: int) -> set[int]:
    return set(np.argsort(-values, kind="stable")[:k].tolist())


def strongest_cells(cells: int) -> int:
    """Return how many of the cells count as strongest: a tenth, but one at least."""
    return max(round(SHARE * cells), 1)


def against_shifts(
    measures: Callable[[Shift], tuple[float, ...]], shape: tuple[int, ...]
) -> tuple[Numbers, Numbers]:
    """Return measures of two maps as they lie, (m,), and of one shifted over the other, (n, m).

    Args:
        measures: gives the m measures with one map shifted by (frames, rows, columns).
        shape: (t, h, w), over which it is shifted as a torus.
    """
    return np.array(measures((0, 0, 0))), np.array([measures(s) for s in shifts(shape)])


def middle(chance: Numbers) -> Numbers:
    """Return both ends of the middle 95 % of what shifts give, along the first axis."""
    ends: Numbers = np.quantile(chance, (0.025, 0.975), axis=0)
    return ends


def shifts(shape: tuple[int, ...]) -> list[Shift]:
    """Return all shifts of a torus but the one by nothing, or ``SHIFTS`` of them drawn once.

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
