"""Spearman's rank correlation of many rows at once, over the keys that count in each."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ranks = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.floating]
Mask = npt.NDArray[np.bool_]

LEAST = 4  # keys that can be ranked


def ranks(values: Numbers, keep: Mask | None = None) -> Ranks:
    """Return ranks from 0 along the last axis, equal ones the mean of theirs.

    Args:
        values: (..., n) numbers.
        keep: (..., n) which of them count, broadcast; the others come last.

    >>> ranks(np.array([7.0, 7.0, 9.0]))
    array([0.5, 0.5, 2. ])
    """
    if keep is not None:
        values = np.where(keep, values, np.inf)
    n = values.shape[-1]
    flat = np.ascontiguousarray(values).reshape(-1, n)
    at, ordered = sorted_ranks(flat)
    found = np.empty(flat.shape)
    found.ravel()[at] = ordered
    return found.reshape(values.shape)


def sorted_ranks(values: Numbers) -> tuple[npt.NDArray[np.int64], Ranks]:
    """Return where the numbers of each row lie in ascending order, and their ranks from 0.

    Args:
        values: (m, n) numbers, rows one after another in memory.

    Returns:
        (m, n) flat numbers of their places in ``values``, and (m, n) ranks, ascending; equal
        numbers have the mean of theirs.

    >>> at, found = sorted_ranks(np.array([[1.0, 0.0], [7.0, 7.0]]))
    >>> at[0].tolist(), found.tolist()
    ([1, 0], [[0.0, 1.0], [0.5, 0.5]])
    """
    m, n = values.shape
    at = np.argsort(values, -1)
    at += np.arange(m)[:, None] * n
    ordered = values.ravel()[at]
    found = np.tile(np.arange(n, dtype=np.float64), (m, 1))
    same = np.zeros((m, n + 1), bool)  # as the one before
    np.equal(ordered[:, 1:], ordered[:, :-1], out=same[:, 1:-1])
    if same.any():
        ends = np.flatnonzero(same[:, 1:] != same[:, :-1])
        first, last = ends[::2], ends[1::2]
        many = last - first + 1
        tied = np.repeat(first - many.cumsum() + many, many) + np.arange(many.sum())
        flat = found.ravel()
        flat[tied] = np.repeat(flat[first] + (many - 1) / 2, many)
    return at, found


def centred_ranks(values: Numbers, keep: Mask | None = None) -> Ranks:
    """Return ranks of mean 0 and length 1 along the last axis, ties sharing theirs.

    The inner product of two such vectors is Spearman's rank correlation.

    Args:
        values: (..., n) numbers.
        keep: (..., n) which of them count, broadcast; the others get 0.

    >>> centred_ranks(np.array([7.0, 7.0, 9.0])).round(3)
    array([-0.408, -0.408,  0.816])
    """
    found = ranks(values, keep)
    if keep is None:
        found -= (values.shape[-1] - 1) / 2
    else:
        count = np.asarray(keep).sum(-1, keepdims=True)
        found = np.where(keep, found - (count - 1) / 2, 0.0)
    length = np.sqrt(np.einsum("...i,...i->...", found, found))[..., None]
    return found / np.where(length > 0, length, 1.0)


def correlations(one: Ranks, other: Ranks) -> Ranks:
    """Return the inner products along the last axis, broadcast; in [-1, 1]."""
    found: Ranks = np.einsum("...i,...i->...", one, other).clip(-1, 1)
    return found
