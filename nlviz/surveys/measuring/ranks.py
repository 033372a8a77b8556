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
    order = np.argsort(flat, -1)
    # One row after another: what is taken along an axis is copied as a table of places first.
    found = np.empty(flat.shape)
    every = np.arange(n, dtype=np.float64)
    for row, at, into in zip(flat, order, found, strict=True):
        ordered = row[at]
        first = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
        if len(first) == n:
            into[at] = every
            continue
        many = np.diff(np.append(first, n))
        into[at] = np.repeat(first + (many - 1) / 2, many)
    return found.reshape(values.shape)


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
