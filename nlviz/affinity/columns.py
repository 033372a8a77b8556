"""What each key receives from all queries together: column sums, against what reach alone gives.

With p_ij the row of query i as shares of its size (a softmax row as it is, of other rows
|a_ij| / sum_j |a_ij|), N queries and r_i keys that query i reaches,

    share_j    = 1/N sum_i p_ij             of all weight, sums to 1 over the keys
    expected_j = 1/N sum_{i reaches j} 1/r_i
    c_j        = share_j / expected_j       1 where a key receives what uniform rows would give it
    given_j    = of the queries that reach j, the part with p_ij >= 3 / r_i

A few queries may give one key all they have; ``given`` tells what most queries agree on from that.
Where every query reaches every key, c_j is the column sum times keys / queries. Dividing by what is
expected makes keys comparable that few queries reach: of a causal text, of windows.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nlviz.affinity.base import CHUNK, LEAST, PAIRS, Affinity, spread_evenly
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.reach import asks_without_place
from nlviz.affinity.token_names import PADDING
from nlviz.errors import NlvizError

MUCH = 3.0  # times uniform that a query must give to a key to count as giving it much


class Columns(NamedTuple):
    """What keys receive.

    Attributes:
        share: of all weight, (heads, all_keys) in double precision, keys without a place first.
        expected: the same if every query gave all keys that it reaches the same, (heads or 1,
            all_keys); 0 for a key that no query reaches.
        given: part of the queries that reach a key which give it three times uniform or more, in
            [0, 1], (heads, all_keys).
        counted: number of queries.
    """

    share: Float[Tensor, "heads all_keys"]
    expected: Float[Tensor, "heads_or_1 all_keys"]
    given: Float[Tensor, "heads all_keys"]
    counted: int

    @property
    def multiple(self) -> Float[Tensor, "heads all_keys"]:
        """The c_j; not a number for a key that no query reaches."""
        there = self.expected > 0
        found: Tensor = torch.where(there, self.share / self.expected.where(there, 1.0), torch.nan)
        return found


def columns(affinity: Affinity) -> Columns:
    """Return what each key receives from all queries, those without a place among them.

    One pass over all rows, a chunk at a time, the first time; it is remembered. Above 2^27 pairs
    of query and key it is over queries spread evenly, as many as make that number.

    Raises:
        NlvizError: of features, whose likeness is not shared out among keys.

    >>> from nlviz.affinity.grid import TokenGrid
    >>> from nlviz.affinity.pairwise import Pairwise
    >>> line = TokenGrid((1, 1, 3))
    >>> phi = torch.tensor([[[0.0], [20.0], [0.0]]])
    >>> a = EmbeddedAffinity("b", Pairwise("gaussian"), torch.ones(1, 3, 1), phi, line, line)
    >>> columns(a).multiple.round()
    tensor([[0., 3., 0.]], dtype=torch.float64)
    """
    if affinity.pairwise.similarity:
        raise NlvizError(
            f"keys receive shares of rows, {affinity.name} is a likeness of features that nothing "
            "is shared out of; ask this of a block's own affinity"
        )
    if affinity not in _KNOWN:
        _KNOWN[affinity] = _added_up(affinity)
    return _KNOWN[affinity]


_KNOWN: weakref.WeakKeyDictionary[Affinity, Columns] = weakref.WeakKeyDictionary()


def _added_up(affinity: Affinity) -> Columns:
    total: Tensor | float = 0.0
    expected: Tensor | float = 0.0
    given: Tensor | float = 0.0
    reached: Tensor | float = 0.0
    rows_of_weight: Tensor | float = 0.0
    counted, distributes = 0, affinity.distributes
    for rows, reach in _chunks(affinity):
        n, keys = rows.shape[1:]
        if not distributes:
            rows = rows.double().abs()
            size = rows.sum(-1, keepdim=True)
            rows = rows / size.clamp(min=1e-300)
            # A row of zeros, all of whose f are below 0 before a ReLU, gives nothing to any key.
            reach = (size > 0) if reach is None else reach & (size > 0)
            reach = reach.expand(-1, -1, keys)
        total = total + rows.sum(1, dtype=torch.float64)
        counted += n
        if reach is None:
            one = rows.new_ones((1, keys), dtype=torch.float64)
            expected, reached = expected + one * n / keys, reached + one * n
            given = given + (rows >= MUCH / keys).sum(1)
            rows_of_weight = rows_of_weight + one[:, :1] * n
            continue
        counts = reach.sum(-1, keepdim=True)
        expected = expected + (reach.double() / counts.clamp(min=1)).sum(1)
        given = given + (reach & (rows * counts >= MUCH)).sum(1)
        reached = reached + reach.sum(1)
        rows_of_weight = rows_of_weight + (counts[..., 0] > 0).sum(1, keepdim=True)
    sums = (total, expected, given, reached, rows_of_weight)
    share, even, much, reaching, n_rows = (torch.as_tensor(x).double().cpu() for x in sums)
    n_rows = n_rows.clamp(min=1)
    return Columns(share / n_rows, even / n_rows, much / reaching.clamp(min=1), counted)


def asked(affinity: Affinity) -> tuple[Tensor | None, Tensor | None]:
    """Return the numbers of the queries whose rows count: with a place, and without one.

    Cells that only stand for queries without a place do not count twice, nor does padding.
    """
    placed: Tensor | None = None
    if not asks_without_place(affinity):
        keys = affinity.heads * (affinity.keys.size + affinity.keys.prefix)
        placed = spread_evenly(affinity.queries.size, max(PAIRS // keys, LEAST))
    names = affinity.token_names
    kept = [
        i
        for i in range(affinity.queries.prefix)
        if affinity.queries.line is not None
        or (i < len(names) and not names[i].startswith(PADDING))
    ]
    return placed, torch.tensor(kept, dtype=torch.long) if kept else None


def _chunks(
    affinity: Affinity,
) -> Iterator[
    tuple[Float[Tensor, "heads n all_keys"], Bool[Tensor, "heads_or_1 n all_keys"] | None]
]:
    """Yield rows of all queries that count, and which keys they reach; None for all."""
    placed, apart = asked(affinity)
    chunk = max(CHUNK // (affinity.heads * (affinity.keys.size + affinity.keys.prefix)), 16)
    hidden = _hidden_from_heads(affinity)
    for part in () if placed is None else torch.split(placed, chunk):
        rows = affinity.rows(part)
        if hidden:
            yield rows, ~affinity.logits(part).isneginf()
            continue
        mask = affinity.support.mask_all(affinity.queries, affinity.keys, part)
        yield rows, None if mask is None else mask[None].to(rows.device)
    if apart is not None:
        rows = affinity.token_rows(apart)
        every = affinity.support.mask_apart(affinity.queries, affinity.keys)
        yield rows, None if every is None else every[apart.to(every.device)][None].to(rows.device)


def _hidden_from_heads(affinity: Affinity) -> bool:
    """Return whether what is added to logits hides keys, which the support does not tell."""
    bias = affinity.bias if isinstance(affinity, EmbeddedAffinity) else None
    return bias is not None and bool(bias.tensor.isneginf().any())
