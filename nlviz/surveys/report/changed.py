"""What differs between two surveys, and whether it is more than noise.

Clips of both surveys are paired by digest: the mean over clips of b - a, clip by clip. Where fewer
than ``FEW`` clips are in both, the means of all clips of each are compared. The interval is of the
bootstrap over clips (``bootstrap``); p is that of Student's t, paired, or of Welch's, which has no
smallest value as counted draws have. ``told`` is by Holm's step-down rule over all heads and
figures (Holm 1979, Scandinavian Journal of Statistics 6): where two surveys differ by chance only,
anything at all is told of in at most 5 of 100 pairs of surveys, however figures hang together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nlviz.surveys.report.bootstrap import FEW, difference_of, intervals
from nlviz.surveys.report.clip_means import ClipMeans
from nlviz.surveys.report.student import two_sided

LEVEL = 0.05
SAME_VALUE = 1e-5  # of the larger mean: a difference below it is rounding, however constant
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Changed:
    """Differences b - a of the means over clips, (heads, figures).

    Attributes:
        figures: names.
        difference, low, high: and its interval; not a number where it cannot be told.
        p: by chance alone.
        clips: in both, or in the smaller survey where they are not paired.
        paired: whether the same clips are compared.
        told: whether it is more than noise.
    """

    figures: tuple[str, ...]
    difference: Floats
    low: Floats
    high: Floats
    p: Floats
    clips: npt.NDArray[np.int64]
    paired: bool
    told: npt.NDArray[np.bool_]


def changed(a: ClipMeans, b: ClipMeans, compared: npt.NDArray[np.bool_], seed: int) -> Changed:
    """Compare two surveys whose heads stand in the same order.

    Args:
        a: means of the clips of the one.
        b: of the other.
        compared: heads that correspond, (heads,); of others nothing is told.
        seed: of the draws.
    """
    figures = tuple(name for name in a.figures if name in b.figures)
    heads = len(a.heads)
    first, second = (np.stack([m.of(f) for f in figures], 2).astype(np.float64) for m in (a, b))
    first[:, ~compared], second[:, ~compared] = np.nan, np.nan
    first, second = first.reshape(len(first), -1), second.reshape(len(second), -1)
    ours, theirs = ({d: n for n, d in enumerate(m.digests)} for m in (a, b))
    both = [d for d in a.digests if d in theirs]
    paired = len(both) >= FEW
    if paired:
        first, second = first[[ours[d] for d in both]], second[[theirs[d] for d in both]]
        found = intervals(second - first, seed)
    else:
        found = difference_of(first, second, seed)
    p = chances(first, second, paired=paired)
    p = np.where(found.clips >= FEW, p, np.nan)
    difference, low, high, clips = found.mean, found.low, found.high, found.clips
    shape = (heads, len(figures))
    return Changed(
        figures,
        difference.reshape(shape),
        low.reshape(shape),
        high.reshape(shape),
        p.reshape(shape),
        clips.reshape(shape),
        paired,
        holm(p).reshape(shape),
    )


def holm(p: Floats, level: float = LEVEL) -> npt.NDArray[np.bool_]:
    """Return which of many p are told by Holm's rule; those that are not a number count not.

    >>> holm(np.array([0.06, 0.001, 0.02, np.nan])).tolist()
    [False, True, True, False]
    """
    known = np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known], kind="stable")]
    passed = p[order] <= level / (len(order) - np.arange(len(order)))
    out = np.zeros(p.shape, bool)
    out[order[: len(order) if passed.all() else int(np.argmin(passed))]] = True
    return out


def chances(first: Floats, second: Floats, *, paired: bool) -> Floats:
    """Return p of each column: how often chance alone makes the means differ so much.

    Args:
        first: (clips, columns) of the one survey; not a number where there is no value.
        second: of the other.
        paired: whether clips of both stand in the same order.
    """
    if paired:
        both = np.isfinite(second - first)
        first, second = np.where(both, first, np.nan), np.where(both, second, np.nan)
    p, size = _paired(second - first) if paired else _welch(first, second), _size(first)
    difference = _moments(second)[1] - _moments(first)[1]
    return np.where(np.abs(difference) <= SAME_VALUE * np.maximum(size, _size(second)), 1.0, p)


def _moments(values: Floats) -> tuple[Floats, Floats, Floats]:
    """Return number, mean and variance of each column, of the values that are told."""
    told = np.isfinite(values)
    n = told.sum(0).astype(np.float64)
    mean = np.where(told, values, 0).sum(0) / np.where(n > 0, n, np.nan)
    away = np.where(told, values - np.nan_to_num(mean), 0)
    return n, mean, (away**2).sum(0) / np.where(n > 1, n - 1, np.nan)


def _size(values: Floats) -> Floats:
    told = np.isfinite(values)
    sums: Floats = np.where(told, np.abs(values), 0).sum(0) / np.maximum(told.sum(0), 1)
    return sums


def _paired(difference: Floats) -> Floats:
    n, mean, variance = _moments(difference)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(mean == 0, 0.0, mean / np.sqrt(variance / n))
    return two_sided(t, np.maximum(n - 1, 1))


def _welch(first: Floats, second: Floats) -> Floats:
    n, mean, variance = _moments(first)
    m, other, spread = _moments(second)
    with np.errstate(divide="ignore", invalid="ignore"):
        a, b = variance / n, spread / m
        t = np.where(other == mean, 0.0, (other - mean) / np.sqrt(a + b))
        df = (a + b) ** 2 / (a**2 / (n - 1) + b**2 / (m - 1))
    return two_sided(t, np.where(np.isfinite(df) & (df > 0), df, 1.0))
