"""Heads that share their keys, written as rows of one product: multi-query attention.

``einsum("bhid,bjd->bhij", q, k)`` has the heads among its rows, because its keys have none. The
places of its queries then come again and again, once for each head.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from torch import Tensor

from nlviz.networks.attention.places import TokenPlaces
from nlviz.networks.attention.products import AttentionProduct
from nlviz.networks.attention.tags import Term
from nlviz.networks.places import Array


def heads_in_rows(at: Array) -> int:
    """Return how often the places of queries come again, all in the same order; 1 for once.

    Args:
        at: (entries, rows, 3) places; NaN for what has none.

    >>> once = np.arange(12.0).reshape(1, 4, 3)
    >>> heads_in_rows(once), heads_in_rows(np.concatenate([once, once, once], 1))
    (1, 3)
    """
    entries, rows = at.shape[:2]
    if rows < 2 or np.isnan(at).all():
        return 1
    first = at[:, :1]
    again = [p for p in range(2, rows // 2 + 1) if rows % p == 0 and _same(at[:, p], first[:, 0])]
    for period in again:
        apart = at.reshape(entries, rows // period, period, 3)
        if _same(apart, np.broadcast_to(apart[:, :1], apart.shape)):
            return int(rows // period)
    return 1


def _same(a: Array, b: Array) -> bool:
    return bool(np.allclose(a, b, atol=1e-3, equal_nan=True))


def places_apart(tokens: TokenPlaces, heads: int) -> TokenPlaces:
    """Return the places of queries with an entry for each head."""
    entries, rows, _ = tokens.at.shape
    own = rows // heads
    names = tokens.names
    return replace(
        tokens,
        at=tokens.at.reshape(entries * heads, own, 3),
        means=None,
        names=None
        if names is None
        else tuple(row[h * own : (h + 1) * own] for row in names for h in range(heads)),
    )


def places_again(tokens: TokenPlaces, heads: int) -> TokenPlaces:
    """Return the places of keys once for each head."""
    means, names = tokens.means, tokens.names
    return replace(
        tokens,
        at=tokens.at.repeat(heads, 0),
        means=None if means is None else means.repeat(heads, 0),
        names=None if names is None else tuple(row for row in names for _ in range(heads)),
    )


def heads_apart(product: AttentionProduct, heads: int) -> AttentionProduct:
    """Return a product with an entry for each of the heads among its rows.

    >>> import torch
    >>> q, k = torch.randn(2, 15, 4), torch.randn(2, 7, 4)
    >>> one = AttentionProduct(0, "layer", q, k)
    >>> found = heads_apart(one, 3)
    >>> found.size
    (6, 5, 7)
    >>> every = torch.arange(2), torch.arange(15)
    >>> apart = found.rows(torch.arange(6), torch.arange(5)).reshape(2, 15, 7)
    >>> torch.allclose(one.rows(*every), apart)
    True
    """
    if heads == 1:
        return product
    entries, rows, keys = product.size
    q, k, weights = product.q, product.k, product.weights

    def again(x: Tensor | None) -> Tensor | None:
        return None if x is None else x.repeat_interleave(heads, 0)

    return replace(
        product,
        q=None if q is None else q.reshape(entries * heads, rows // heads, q.shape[-1]),
        k=again(k),
        scales=again(product.scales),
        weights=None if weights is None else weights.reshape(-1, rows // heads, keys),
        v=again(product.v),
        y=None if product.y is None else product.y.reshape(-1, rows // heads, product.y.shape[-1]),
        terms=tuple(_apart(term, heads) for term in product.terms),
        batch=(*product.batch, heads),
    )


def _apart(term: Term, heads: int) -> Term:
    """Return a term with the heads among its rows in its batch."""
    first, rows = len(term.batch), term.rows
    own = math.prod(rows) // heads
    tensor, batch = term.tensor, (*term.batch, heads)
    if rows[0] == heads and len(rows) > 1:
        return replace(term, batch=batch, rows=rows[1:])
    columns = tensor.shape[first + len(rows) :]
    if all(n == 1 for n in tensor.shape[first : first + len(rows)]):
        tensor = tensor.reshape(*tensor.shape[:first], 1, 1, *columns)
    else:
        tensor = tensor.expand(*tensor.shape[:first], *rows, *columns)
        tensor = tensor.reshape(*tensor.shape[:first], heads, own, *columns)
    return replace(term, tensor=tensor, batch=batch, rows=(own,))
