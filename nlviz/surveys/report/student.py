"""Student's t, and the normal, without SciPy: what intervals and tests over clips need.

Tails from the regularised incomplete beta function, I_x(df / 2, 1 / 2) with x = df / (df + t^2), by
its continued fraction (Abramowitz and Stegun 1964, 26.5.8 and 26.7.1; evaluated by Lentz's method).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

Floats = npt.NDArray[np.float64]
STEPS = 300  # of the continued fraction; a dozen suffice almost everywhere


def two_sided(t: npt.ArrayLike, df: npt.ArrayLike) -> Floats:
    """Return how often |t| is at least so large by chance, in [0, 1].

    Args:
        t: Student's t, any shape.
        df: degrees of freedom, above 0.

    >>> np.round(two_sided([0.0, 2.0, -40.0], [5, 12.5, 30]), 4).tolist()
    [1.0, 0.0677, 0.0]
    """
    t, df = np.broadcast_arrays(np.asarray(t, np.float64), np.asarray(df, np.float64))
    x = np.where(np.isinf(t), 0.0, df / (df + np.where(np.isinf(t), 1.0, t) ** 2))
    return np.where(np.isnan(t), np.nan, _beta(x, df / 2, np.full(x.shape, 0.5)))


def quantile(level: float, df: npt.ArrayLike) -> Floats:
    """Return the t above 0 that is not exceeded with this probability, at least a half.

    >>> np.round(quantile(0.975, [9, 29, 1e6]), 3).tolist()
    [2.262, 2.045, 1.96]
    """
    df = np.asarray(df, np.float64)
    each, back = np.unique(df, return_inverse=True)
    low, high = np.zeros(each.shape), np.full(each.shape, 1e4)
    for _ in range(60):
        middle = (low + high) / 2
        above = two_sided(middle, each) / 2 > 1 - level
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    found: Floats = ((low + high) / 2)[back].reshape(df.shape)
    return found


def normal_below(z: npt.ArrayLike) -> Floats:
    """Return the probability that a normal variable is below z."""
    out: Floats = torch.special.ndtr(torch.from_numpy(np.asarray(z, np.float64))).numpy()
    return out


def normal_quantile(p: npt.ArrayLike) -> Floats:
    """Return the z below which a normal variable is with probability p."""
    out: Floats = torch.special.ndtri(torch.from_numpy(np.asarray(p, np.float64))).numpy()
    return out


def _beta(x: Floats, a: Floats, b: Floats) -> Floats:
    """Regularised incomplete beta function I_x(a, b), of x in [0, 1]."""
    turned = x > (a + 1) / (a + b + 2)
    x, a, b = np.where(turned, 1 - x, x), np.where(turned, b, a), np.where(turned, a, b)
    inside = np.clip(x, 1e-300, 1.0)
    log = (
        _log_gamma(a + b)
        - _log_gamma(a)
        - _log_gamma(b)
        + a * np.log(inside)
        + b * np.log1p(-np.minimum(inside, 1 - 1e-16))
    )
    value = np.where(x > 0, np.exp(log) / a / _fraction(x, a, b), 0.0)
    return np.clip(np.where(turned, 1 - value, value), 0.0, 1.0)


def _fraction(x: Floats, a: Floats, b: Floats) -> Floats:
    tiny = 1e-300
    c = np.ones(x.shape)
    d = 1 - (a + b) * x / (a + 1)
    d = 1 / np.where(np.abs(d) < tiny, tiny, d)
    whole = d.copy()
    for m in range(1, STEPS):
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 + numerator * d
            d = 1 / np.where(np.abs(d) < tiny, tiny, d)
            c = 1 + numerator / c
            c = np.where(np.abs(c) < tiny, tiny, c)
            whole = whole * c * d
        if np.all(np.abs(c * d - 1) < 1e-14):
            break
    return 1 / whole


def _log_gamma(x: Floats) -> Floats:
    out: Floats = torch.lgamma(torch.from_numpy(np.ascontiguousarray(x))).numpy()
    return out
