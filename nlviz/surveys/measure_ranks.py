"""Spearman's rank correlation of many rows at once, over the keys that count in each."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ranks = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.floating]
Mask = npt.NDArray[np.bool_]

LEAST = 4  # keys that can be ranked


def centred_ranks(values: Numbers, keep: Mask | None = None) -> Ranks:
    """Return ranks of mean 0 and length 1 along the last axis, ties sharing theirs.

    The inner product of two such vectors is Spearman's rank correlation.

    Args:
        values: (..., n) numbers.
        keep: (..., n) which of them count, broadcast; the others get 0.

    >>> centred_ranks(np.array([7.0, 7.0, 9.0])).round(3)
    array([-0.408, -0.408,  0.816])
    """
    if keep is not None:
        keep = np.broadcast_to(keep, values.shape)
        values = np.where(keep, values, np.inf)
    n = values.shape[-1]
    flat = np.ascontiguousarray(values).reshape(-1, n)
    order = np.argsort(flat, -1)
    ordered = np.take_along_axis(flat, order, -1)
    flat_ranks: Ranks = np.empty(flat.shape)
    np.put_along_axis(flat_ranks, order, _shared(ordered), -1)
    ranks: Ranks = flat_ranks.reshape(values.shape)
    if keep is None:
        ranks -= (n - 1) / 2
    else:
        count = keep.sum(-1, keepdims=True)
        ranks = np.where(keep, ranks - (count - 1) / 2, 0.0)
    length = np.sqrt(np.einsum("...i,...i->...", ranks, ranks))[..., None]
    return ranks / np.where(length > 0, length, 1.0)


def _shared(ordered: Numbers) -> Ranks:
    """Return the rank of each of some ordered numbers, the mean of theirs for equal ones."""
    rows, n = ordered.shape
    begins = np.ones((rows, n), bool)
    np.not_equal(ordered[:, 1:], ordered[:, :-1], out=begins[:, 1:])
    every = np.arange(n, dtype=np.float64)
    found: Ranks = np.tile(every, (rows, 1))
    for row in np.flatnonzero(~begins.all(1)):
        first = np.flatnonzero(begins[row])
        many = np.diff(np.append(first, n))
        found[row] = np.repeat(first + (many - 1) / 2, many)
    return found


def correlations(one: Ranks, other: Ranks) -> Ranks:
    """Return the inner products along the last axis, broadcast; in [-1, 1]."""
    found: Ranks = np.einsum("...i,...i->...", one, other).clip(-1, 1)
    return found
