"""Intervals of means over clips: the bootstrap over clips, BCa, widened for few clips.

A survey has drawn some clips of many, and asks where the mean over all would lie. So clips are
drawn again with replacement, whole: queries of one clip are no separate witnesses. Of the means of
these draws the interval takes the quantiles that BCa gives, which mends bias and skewness (Efron
1987, "Better bootstrap confidence intervals", JASA 82), with Student's t in the place of the
normal, which mends that a draw of n clips varies by (n - 1) / n too little (Hesterberg 2015, "What
teachers should know about the bootstrap", arXiv 1411.5279, section 5.3: expanded percentiles):

    z    = sqrt(n / (n - 1)) t_{n-1}(0.025 or 0.975)
    z0   = normal quantile of the share of draws below the mean
    a    = sum d^3 / (6 (sum d^2)^1.5), d the clips less their mean
    take the quantile Phi(z0 + (z0 + z) / (1 - a (z0 + z))) of the draws

Beyond ``MANY`` clips the draws tell nothing that the mean and its error do not: Student's interval.
``tests/surveys/report/test_bootstrap.py`` measures how often the truth lies inside.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from nlviz.surveys.report.student import normal_below, normal_quantile, quantile

DRAWS = 1000
LEVEL = 0.95
FEW = 12  # clips below which no interval is told: it would miss the truth too often
MANY = 4096  # clips beyond which the draws are not needed
CHUNK = 250  # draws in memory at once, and numbers of clips that they may have together
CELLS = 1 << 22

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Intervals:
    """Means over clips and where they may lie, one for each column.

    Attributes:
        mean: over the clips that have a value; not a number where none has.
        low, high: of the interval; not a number below ``FEW`` clips.
        clips: that have a value.
    """

    mean: Floats
    low: Floats
    high: Floats
    clips: npt.NDArray[np.int64]

    def reshaped(self, *shape: int) -> Intervals:
        """Return the same with columns in another shape."""
        return Intervals(
            self.mean.reshape(shape),
            self.low.reshape(shape),
            self.high.reshape(shape),
            self.clips.reshape(shape),
        )


def intervals(values: npt.NDArray[np.floating], seed: int, draws: int = DRAWS) -> Intervals:
    """Return the mean over clips of each column with its 95 % interval.

    Args:
        values: (clips, columns); not a number where a clip has no value.
        seed: of the draws.
        draws: how often clips are drawn.

    >>> shares = np.random.default_rng(0).beta(2, 6, (200, 3))
    >>> found = intervals(shares, seed=0)
    >>> bool((found.low < found.mean).all() and (found.mean < found.high).all())
    True
    """
    mean, away, told, clips = _centred(values)
    low, high = np.full(mean.shape, np.nan), np.full(mean.shape, np.nan)
    many, some = clips > MANY, (clips >= FEW) & (clips <= MANY)
    if many.any():
        error = np.sqrt((away[:, many] ** 2).sum(0) / (clips[many] - 1) / clips[many])
        low[many], high[many] = _normal(error, clips[many])
    if some.any():
        drawn = resampled(away[:, some], told[:, some], seed, draws)
        low[some], high[some] = _bca(drawn, away[:, some], clips[some])
    return Intervals(mean, mean + low, mean + high, clips)


def difference_of(first: Floats, second: Floats, seed: int) -> Intervals:
    """Return by how much the mean over other clips is larger, with its 95 % interval.

    Clips of each are drawn by themselves; quantiles as above, with the skewness of the difference.

    Args:
        first: (clips, columns) of the one; not a number where there is no value.
        second: of the other; it has the same columns.
        seed: of the draws.
    """
    (mean, away, told, n), (other, there, known, m) = (_centred(v) for v in (first, second))
    clips = np.minimum(n, m)
    low, high = np.full(mean.shape, np.nan), np.full(mean.shape, np.nan)
    some = clips >= FEW
    if some.any():
        # The difference of means is a sum of as many terms, each with its share of the weight.
        terms = np.concatenate([-away / np.maximum(n, 1), there / np.maximum(m, 1)])[:, some]
        if max(len(first), len(second)) > MANY:
            low[some], high[some] = _normal(np.sqrt((terms**2).sum(0)), clips[some])
        else:
            drawn = resampled(away[:, some], told[:, some], seed)
            drawn = resampled(there[:, some], known[:, some], seed + 1) - drawn
            low[some], high[some] = _bca(drawn, terms, clips[some])
    return Intervals(other - mean, other - mean + low, other - mean + high, clips)


def _centred(
    values: npt.NDArray[np.floating],
) -> tuple[Floats, Floats, npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Return mean, what values are less the mean (0 where not told), which are told, how many."""
    told = np.isfinite(values)
    count = told.sum(0)
    sums = np.where(told, values, 0).sum(0, dtype=np.float64)
    mean = sums / np.where(count > 0, count, np.nan)
    return mean, np.where(told, values - np.nan_to_num(mean), 0.0), told, count


def resampled(
    away: Floats, told: npt.NDArray[np.bool_], seed: int, draws: int = DRAWS
) -> npt.NDArray[np.float32]:
    """Return (draws, columns): means of clips that are drawn with replacement, less the mean.

    Args:
        away: (clips, columns), values less their mean, 0 where there is none.
        told: where there is a value.
        seed: of the draws; the same clips are drawn for all columns.
        draws: how many.
    """
    n = len(away)
    away32 = away.astype(np.float32)
    holes = ~told.all(0)
    with_holes = told[:, holes].astype(np.float32)
    out = np.empty((draws, away.shape[1]), np.float32)
    rng = np.random.default_rng([seed, n])
    chunk = max(1, min(CHUNK, CELLS // n))
    for start in range(0, draws, chunk):
        count = min(chunk, draws - start)
        drawn = rng.integers(0, n, (count, n))
        flat = drawn + n * np.arange(count)[:, None]
        times = np.bincount(flat.ravel(), minlength=count * n).reshape(count, n).astype(np.float32)
        total = times @ away32
        divisor = np.full(total.shape, np.float32(n))
        if holes.any():
            divisor[:, holes] = np.maximum(times @ with_holes, 1)
        out[start : start + count] = total / divisor
    return out


def _bca(
    drawn: npt.NDArray[np.float32], away: Floats, clips: npt.NDArray[np.int64]
) -> tuple[Floats, Floats]:
    squares = (away**2).sum(0)
    skew = (away**3).sum(0) / (6 * np.where(squares > 0, squares, 1) ** 1.5)
    below = ((drawn < 0).mean(0) + (drawn <= 0).mean(0)) / 2
    edge = 1 / (len(drawn) + 1)
    bias = normal_quantile(np.clip(below, edge, 1 - edge))
    wide = np.sqrt(clips / (clips - 1)) * quantile((1 + LEVEL) / 2, clips - 1)
    ranked = np.sort(np.ascontiguousarray(drawn.T), 1).T
    ends = []
    for sign in (-1, 1):
        z = bias + sign * wide
        at = normal_below(bias + z / np.maximum(1 - skew * z, 1e-3)) * (len(drawn) - 1)
        whole = np.clip(np.floor(at).astype(int), 0, len(drawn) - 2)
        columns = np.arange(drawn.shape[1])
        first, second = ranked[whole, columns], ranked[whole + 1, columns]
        ends.append(first + (at - whole) * (second - first))
    return np.minimum(ends[0], 0), np.maximum(ends[1], 0)


def _normal(error: Floats, clips: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
    half = quantile((1 + LEVEL) / 2, clips - 1) * error
    return -half, half


@lru_cache(1)
def said() -> str:
    """Return in a sentence how intervals are computed."""
    return (
        "Intervals are of 95 %, from the bootstrap over clips (BCa, widened by Student's t for few "
        f"clips); of fewer than {FEW} clips none is told."
    )
