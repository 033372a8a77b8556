"""How far two affinities look at the same places, for one query, against distance and chance.

Rows of different affinities lie on different grids (pixels, cells of a network) and reach different
keys (a window, a block, everything). Here both are laid on the coarser grid, as means over the keys
in each of its cells, and cut down to the cells that both reach; there, each is scaled to sum to 1.
Then:

    correlation   Spearman's rank correlation of the weights, in [-1, 1]
    overlap       share of the k strongest cells that both have, in [0, 1]; cells that tie for the
                  last places share them
    mass          sum_j min(a_j, b_j), the weight that both put on the same cells, in [0, 1]

Any two affinities that favour what is near agree, and so does chance a little. So each measure
stands beside what it is when *distance alone* takes the place of one of the two rows (a Gaussian of
the distance to the query, with the effective number of cells of the row that it stands in for; the
larger of both ways), and beside *chance*: one row is shifted over the common cells as a torus (see
``nlviz.analysis.agreement``).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from nlviz.affinity.attention_map import AttentionMap, effective_number
from nlviz.affinity.base import Affinity, Head
from nlviz.affinity.grid import TokenGrid
from nlviz.analysis.agreement import (
    LEAST,
    Mask,
    Numbers,
    Shift,
    against_shifts,
    centred_ranks,
    coarser,
    laid,
    middle,
    strongest_cells,
)
from nlviz.analysis.controls import matched
from nlviz.errors import NlvizError


@dataclass(frozen=True)
class Measured:
    """One measure of two rows, with what distance and chance give.

    Attributes:
        value: of the two rows.
        distance: with a Gaussian of the distance in the place of one of them.
        chance: mean over shifts of one of them.
        low, high: the middle 95 % of the shifts.
    """

    value: float
    distance: float
    chance: float
    low: float
    high: float


@dataclass(frozen=True)
class CommonGround:
    """How far two affinities look at the same places from one query.

    Attributes:
        correlation: Spearman's rank correlation; 0 where a row is the same everywhere.
        overlap: share of the ``k`` strongest cells in common.
        mass: sum over cells of the smaller of the two weights.
        k: number of strongest cells.
        cells: number of cells compared: those that both reach.
        cell: frames, rows and columns of the clip that one cell stands for.
        kept: share of each row's weight that lies on these cells.
        effective: effective number of cells of each row there, exp of its entropy.
        shifts: number of shifts tried.
    """

    correlation: Measured
    overlap: Measured
    mass: Measured
    k: int
    cells: int
    cell: tuple[float, float, float]
    kept: tuple[float, float]
    effective: tuple[float, float]
    shifts: int

    @property
    def table(self) -> list[dict[str, Any]]:
        """One dictionary for each measure: its name and the fields of ``Measured``."""
        names = ("correlation", "overlap", "mass")
        return [{"measure": name, **asdict(getattr(self, name))} for name in names]


def common_ground(
    one: Affinity,
    other: Affinity,
    *,
    frame: float,
    y: float,
    x: float,
    k: int | None = None,
    head: Head = None,
) -> CommonGround:
    """Compare where two affinities of the same clip look from one query.

    Of signed rows the size counts. Weight on tokens without a place takes no part.

    Args:
        one: an affinity.
        other: another one, on any grid, with any support.
        frame: 0-based index of a sampled frame.
        y: row of pixels in the clip.
        x: column of pixels in the clip.
        k: number of strongest cells; a tenth of the common ones by default.
        head: as in ``Affinity.map``; one that has a single head takes that.

    Raises:
        NlvizError: when fewer than four cells are in common, or ``k`` is not among them.
        OutsideClip: when the place is not in the clip, or there is no such head.

    >>> from nlviz.affinity.patches import patch_affinity
    >>> picture = np.random.default_rng(0).normal(90, 30, (1, 24, 40, 1))
    >>> a, b = (
    ...     patch_affinity(picture, clip_shape=(1, 24, 40), h=30.0, patch=p, window=w, step=1)
    ...     for p, w in ((3, 11), (5, 7))
    ... )
    >>> found = common_ground(a, b, frame=0, y=12, x=20)
    >>> found.cells, found.k, found.kept[1], found.correlation.value > found.correlation.high
    (49, 5, 1.0, True)
    """
    most = max(one.heads, other.heads)
    maps = [
        a.map(frame=frame, y=y, x=x, head=None if a.heads == 1 < most else head)
        for a in (one, other)
    ]
    return ground_of_maps(*maps, k=k)


def ground_of_maps(one: AttentionMap, other: AttentionMap, *, k: int | None = None) -> CommonGround:
    """Compare two maps of one clip, as :func:`common_ground` does.

    Args:
        one: a map.
        other: another one, on any grid of the same clip.
        k: number of strongest cells; a tenth of the common ones by default.

    Raises:
        NlvizError: when fewer than four cells are in common, or ``k`` is not among them.
    """
    maps = (one, other)
    grid = coarser(one.keys, other.keys)
    rows, kept, box = _cut([_laid_map(m, grid) for m in maps])
    cells = rows[0].size
    if cells < LEAST:
        raise NlvizError(
            f"two rows need at least {LEAST} cells in common to be compared, these have {cells}; "
            "take a larger window or another block"
        )
    k = strongest_cells(cells) if k is None else k
    if not 1 <= k <= cells:
        raise NlvizError(f"k must be between 1 and the {cells} cells in common, got {k}")
    effective = [float(effective_number(torch.from_numpy(row.ravel()))) for row in rows]
    away = [_away(m.query, grid)[box] for m in maps]
    near = [_gaussian(squares, n) for squares, n in zip(away, effective, strict=True)]
    one_row, other_row = (_Row.of(row, k) for row in rows)
    stand_ins = [
        np.array(_Row.of(near[0], k).measures(other_row)),
        np.array(one_row.measures(_Row.of(near[1], k))),
    ]
    by_distance = np.maximum(*stand_ins)
    as_they_lie, moved = against_shifts(
        lambda shift: one_row.shifted(shift).measures(other_row), rows[0].shape
    )
    columns = zip(as_they_lie, by_distance, moved.mean(0), *middle(moved), strict=True)
    correlation, overlap, mass = (Measured(*(float(v) for v in values)) for values in columns)
    return CommonGround(
        correlation=correlation,
        overlap=overlap,
        mass=mass,
        k=k,
        cells=cells,
        cell=grid.stride,
        kept=kept,
        effective=(effective[0], effective[1]),
        shifts=len(moved),
    )


@dataclass(frozen=True)
class _Row:
    """A row on the common cells, (t, h, w) each: all that the measures need, shifted alike."""

    weights: Numbers
    ranks: Numbers
    strongest: Numbers  # 1 for the k strongest, less where cells tie for the last places
    k: int

    @classmethod
    def of(cls, weights: Numbers, k: int) -> _Row:
        least = np.sort(weights, axis=None)[-k]
        above, ties = weights > least, weights == least
        strongest = above + ties * ((k - above.sum()) / ties.sum())
        return cls(weights, centred_ranks(weights.ravel()).reshape(weights.shape), strongest, k)

    def shifted(self, shift: Shift) -> _Row:
        weights, ranks, strongest = (
            np.roll(values, shift, (0, 1, 2))
            for values in (self.weights, self.ranks, self.strongest)
        )
        return _Row(weights, ranks, strongest, self.k)

    def measures(self, other: _Row) -> tuple[float, float, float]:
        """Return correlation, overlap and mass in common."""
        return (
            float((self.ranks * other.ranks).sum()),
            float((self.strongest * other.strongest).sum()) / self.k,
            float(np.minimum(self.weights, other.weights).sum()),
        )


def _laid_map(found: AttentionMap, grid: TokenGrid) -> tuple[Numbers, Mask, Numbers]:
    """Lay the size of a map's weights on a grid; see ``agreement.laid``."""
    values: Numbers = np.abs(found.weights.astype(np.float64))
    if found.reachable is not None:
        values = np.where(found.reachable, values, 0.0)
    return laid(values, found.keys, grid, found.reachable)


def _cut(
    maps: list[tuple[Numbers, Mask, Numbers]],
) -> tuple[list[Numbers], tuple[float, float], tuple[Any, ...]]:
    """Return rows on the cells that both reach, how much of each lies there, and these cells.

    What a query reaches is a set of frames times a set of rows times a set of columns, and so is
    what it has in common with another: a box, over which rows can be shifted.
    """
    both = maps[0][1] & maps[1][1]
    box = np.ix_(*(np.flatnonzero(both.any((a, b))) for a, b in ((1, 2), (0, 2), (0, 1))))
    rows, kept = [], []
    for mean, _, sums in maps:
        row = mean[box]
        total = row.sum()
        rows.append(row / total if total > 0 else np.full(row.shape, 1 / max(row.size, 1)))
        whole = sums.sum()
        kept.append(min(float(sums[box].sum() / whole), 1.0) if whole > 0 else 1.0)
    return rows, (kept[0], kept[1]), box


def _away(query: tuple[float, float, float], grid: TokenGrid) -> Numbers:
    """Return squared distances of a grid's cells to a query in the picture, alike in all frames."""
    _, y, x = grid.centres()
    squares: Numbers = (y - query[1]) ** 2 + (x - query[2]) ** 2
    return np.broadcast_to(squares, grid.shape)


def _gaussian(squares: Numbers, effective: float) -> Numbers:
    """Return a row that only distance decides, with this effective number of cells."""
    logits = torch.from_numpy(-squares).flatten()
    scale = matched(logits[None], effective)
    return (scale * logits).softmax(-1).reshape(squares.shape).numpy()
