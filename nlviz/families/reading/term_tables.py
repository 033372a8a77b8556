"""What was added to the logits of a product, in the smallest table that gives it exactly.

A network adds a matrix; what it means is less: a number for each key, for each offset between two
cells, for each axis, or for each pair of places within a window. Each is tried in this order, and
taken only where it gives the matrix back. What is so low that a softmax makes nothing of it is no
number but a mask.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nlviz.affinity.bias import Bias, KeyBias, OffsetBias
from nlviz.affinity.position_terms import AxisBias, PairBias
from nlviz.families.reading.token_layout import NoLayout, TokenLayout
from nlviz.networks.attention.products import AttentionProduct

MASKED = -60.0  # below the largest number of a row by this: a softmax makes 1e-26 of it
ABSORBING = -1e30  # what is added to this leaves no trace in single precision
EXACT = 2e-5  # of the largest number: what a table may be off, as rounding of the sum is
MOST = 1 << 25  # numbers of a table


@dataclass(frozen=True, eq=False)
class Terms:
    """What was added to the logits of a product.

    Attributes:
        bias: between queries that have a place and all keys, or None.
        apart: of queries without a place, (heads or 1, prefix, all keys), or None.
        reach: (groups, queries, keys) which keys of a group each query reaches; None for all.
    """

    bias: Bias | None = None
    apart: Tensor | None = None
    reach: Tensor | None = None


@dataclass(frozen=True, eq=False)
class _Added:
    """A matrix that was added to logits, and where its rows and columns stand.

    Attributes:
        matrix: (groups, heads or 1, queries, keys), 0 where masked.
        reach: (groups, queries, keys) what is not masked.
        cell_q, cell_k: (groups, tokens) places of queries and keys in the order of an affinity.
        layout: of the tokens.
        limit: what a table may be off.
    """

    matrix: Tensor
    reach: Tensor
    cell_q: Tensor
    cell_k: Tensor
    layout: TokenLayout
    limit: float


def terms_of(product: AttentionProduct, layout: TokenLayout) -> Terms:
    """Return what was added to the logits of a product, and masked.

    Raises:
        NoLayout: when it fits into no table.
    """
    if not product.terms and not product.causal:
        return Terms()
    matrix, reach = _matrices(product, layout)
    kept = None if bool(reach.all()) else reach
    matrix = matrix.masked_fill_(~reach[:, None], 0.0)
    lost = (matrix < ABSORBING).any(-1)  # (groups, heads, queries)
    limit = EXACT * max(float(matrix.masked_fill(lost[..., None], 0.0).abs().max()), 1.0)
    if bool(lost.any()):
        placed = torch.from_numpy(layout.queries.cell) >= layout.queries.prefix
        if bool((lost & placed[:, None]).any()):
            raise NoLayout("some of its queries are masked from all keys by a number, not by none")
    elif product.softmax:
        # A softmax drops what is alike for all keys that a query reaches.
        low = matrix.masked_fill(~reach[:, None], torch.inf).amin(-1)
        high = matrix.masked_fill(~reach[:, None], -torch.inf).amax(-1)
        if not bool((high - low > limit).any()):
            return Terms(reach=kept)
    return Terms(*_tables(matrix, reach, layout, limit), kept)


def _matrices(product: AttentionProduct, layout: TokenLayout) -> tuple[Tensor, Tensor]:
    """Return what was added, (groups, heads, queries, keys), and which keys are reached."""
    groups, heads = layout.entries.shape
    _, queries, keys = product.size
    if groups * heads * queries * keys > 2 * MOST:
        raise NoLayout(
            f"what is added to its logits holds {groups * heads * queries * keys} numbers, more "
            f"than {2 * MOST}; a smaller clip may do"
        )
    entries = torch.from_numpy(layout.entries.reshape(-1))
    every = torch.arange(queries)
    added = product.logits(entries, every, content=False)
    added = added.reshape(groups, heads, queries, keys)
    low = added - added.amax(-1, keepdim=True) <= MASKED
    low |= added.isneginf()
    reach = ~low[:, 0]
    if bool((low != low[:, :1]).any()):
        raise NoLayout("its mask is another one for each head")
    return added.nan_to_num(neginf=0.0), reach


def _tables(
    matrix: Tensor, reach: Tensor, layout: TokenLayout, limit: float
) -> tuple[Bias | None, Tensor | None]:
    prefix_q = layout.queries.prefix
    cell_q, cell_k = (torch.from_numpy(side.cell) for side in (layout.queries, layout.keys))
    heads = matrix.shape[1]
    matrix = _for_all_heads(matrix)
    apart = None
    if prefix_q:
        apart = matrix.new_zeros(matrix.shape[1], prefix_q, layout.keys.size)
        for g in range(len(matrix)):
            own = (cell_q[g] < prefix_q).nonzero()[:, 0]
            for n in own.tolist():
                apart[:, cell_q[g, n]] = apart[:, cell_q[g, n]].index_add(
                    1, cell_k[g], matrix[g, :, n]
                )
    if layout.queries.cells is None:
        # Each cell stands for a token without a place, and has the row of it.
        assert apart is not None
        stand_in = list(layout.queries.stand_in)
        columns = torch.arange(layout.keys.size)
        return PairBias(apart[:, stand_in], torch.arange(len(stand_in)), columns), apart
    added = _Added(matrix, reach, cell_q, cell_k, layout, limit)
    tried = (_by_key, _by_offset, _by_axes, _by_pairs)
    for attempt in tried:
        found = attempt(added)
        if found is not None:
            return found, apart
    raise NoLayout(
        f"what is added to the logits of its {heads} heads fits into no table of up to {MOST} "
        "numbers"
    )


def _for_all_heads(matrix: Tensor) -> Tensor:
    same = matrix.shape[1] > 1 and bool((matrix == matrix[:, :1]).all())
    return matrix[:, :1] if same else matrix


def _by_key(added: _Added) -> Bias | None:
    """A number for each key, the same for all queries."""
    placed = added.cell_q >= added.layout.queries.prefix
    there = added.reach & placed[..., None]
    values = added.matrix.new_zeros(added.matrix.shape[1], added.layout.keys.size)
    low = added.matrix.masked_fill(~there[:, None], torch.inf).amin(2)  # (groups, heads, keys)
    high = added.matrix.masked_fill(~there[:, None], -torch.inf).amax(2)
    if bool((high - low > added.limit).any()):
        return None
    for g in range(len(added.matrix)):
        seen = low[g].isfinite().all(0)
        values[:, added.cell_k[g, seen]] = low[g][:, seen]
    found = values[:, added.cell_k].transpose(0, 1)  # (groups, heads, keys)
    off = (found[:, :, None] - added.matrix).abs().masked_fill(~there[:, None], 0.0)
    return KeyBias(values) if float(off.max()) <= added.limit else None


def _by_offset(added: _Added) -> Bias | None:
    """A number for each offset from a query to a key."""
    if added.layout.queries.shape != added.layout.keys.shape:
        return None
    prefix_q, prefix_k = added.layout.queries.prefix, added.layout.keys.prefix
    shape = added.layout.keys.shape
    there = (
        added.reach & (added.cell_q >= prefix_q)[..., None] & (added.cell_k >= prefix_k)[:, None]
    )
    away = [
        k[:, None, :] - q[:, :, None]
        for k, q in zip(
            _unravelled(added.cell_k - prefix_k, shape),
            _unravelled(added.cell_q - prefix_q, shape),
            strict=True,
        )
    ]
    reached = [a[there] for a in away]
    if not len(reached[0]):
        return None
    steps = tuple(_step(r) for r in reached)
    far = [int(r.abs().max()) // s for r, s in zip(reached, steps, strict=True)]
    sizes = [2 * n + 1 for n in far]
    index = torch.zeros_like(reached[0])
    for r, s, n, size in zip(reached, steps, far, sizes, strict=True):
        index = index * size + r // s + n
    values = added.matrix.transpose(0, 1)[:, there]  # (heads, pairs)
    total = added.matrix.new_zeros(added.matrix.shape[1], int(np.prod(sizes)), dtype=torch.float64)
    total.index_add_(1, index, values.double())
    count = torch.zeros(total.shape[1], dtype=torch.float64).index_add_(
        0, index, torch.ones(len(index), dtype=torch.float64)
    )
    table = (total / count.clamp(min=1)).to(added.matrix.dtype)
    if float((table[:, index] - values).abs().max()) > added.limit:
        return None
    apart = None
    if prefix_k:
        apart = _apart_keys(added)
        if apart is None:
            return None
    return OffsetBias(table.reshape(-1, *sizes), (steps[0], steps[1], steps[2]), apart)


def _step(offsets: Tensor) -> int:
    """Return the largest number of which all offsets are multiples; 1 where all are 0."""
    sizes = torch.bincount(offsets.abs()).nonzero()[:, 0].numpy()
    return max(int(np.gcd.reduce(sizes)), 1)


def _apart_keys(added: _Added) -> Tensor | None:
    """Return a number for each key without a place; None where queries have their own."""
    prefix = added.layout.keys.prefix
    values = added.matrix.new_zeros(added.matrix.shape[1], prefix)
    placed = added.cell_q >= added.layout.queries.prefix
    for g in range(len(added.matrix)):
        own = (added.cell_k[g] < prefix).nonzero()[:, 0]
        part = added.matrix[g][:, placed[g]][..., own]
        if part.numel() and float((part - part[:, :1]).abs().max()) > added.limit:
            return None
        if part.numel():
            values[:, added.cell_k[g, own]] = part[:, 0]
    return values


def _by_axes(added: _Added) -> Bias | None:
    """For each query a number for each frame, row and column of the keys."""
    shape = added.layout.keys.shape
    prefix_q, prefix_k = added.layout.queries.prefix, added.layout.keys.prefix
    if len(added.matrix) > 1 or not bool(added.reach.all()):
        return None
    placed_q, placed_k = (added.cell_q[0] >= prefix_q), (added.cell_k[0] >= prefix_k)
    part = added.matrix[0][:, placed_q][..., placed_k]
    on_grid = torch.empty_like(part)
    order_q, order_k = added.cell_q[0][placed_q] - prefix_q, added.cell_k[0][placed_k] - prefix_k
    on_grid[:, order_q[:, None], order_k[None]] = part
    if prefix_k:
        rest = added.matrix[0][:, placed_q][..., ~placed_k]
        if float(rest.abs().max()) > added.limit:
            return None
    grid = on_grid.reshape(*on_grid.shape[:2], *shape)
    t, y, x = grid.mean((3, 4)), grid.mean((2, 4)), grid.mean((2, 3))
    mean = grid.mean((2, 3, 4))[..., None]
    t, y = t - mean, y - mean
    found = AxisBias(t, y, x)
    total = t[..., :, None, None] + y[..., None, :, None] + x[..., None, None, :]
    return found if float((total - grid).abs().max()) <= 4 * added.limit else None


def _by_pairs(added: _Added) -> Bias | None:
    """A number for each pair of places in a group, the same in all groups or of each group."""
    prefix_q = added.layout.queries.prefix
    groups, heads, rows, columns = added.matrix.shape
    partition = len(torch.unique(added.cell_k)) == added.cell_k.numel()
    if not partition:
        return None
    merged = added.matrix[0]
    seen = added.reach[0]
    alike = True
    for g in range(1, groups):
        both = seen & added.reach[g]
        if float(((added.matrix[g] - merged).abs() * both).max()) > added.limit:
            alike = False
            break
        merged = torch.where(seen[None], merged, added.matrix[g])
        seen = seen | added.reach[g]
    local_q = torch.arange(rows).expand(groups, rows)
    local_k = torch.arange(columns).expand(groups, columns)
    row_of = torch.zeros(added.layout.queries.size, dtype=torch.long)
    column_of = torch.zeros(added.layout.keys.size, dtype=torch.long)
    if not alike:
        if heads * groups * rows * columns > MOST:
            return None
        merged = added.matrix.transpose(0, 1).reshape(heads, groups * rows, columns)
        local_q = local_q + rows * torch.arange(groups)[:, None]
    elif heads * rows * columns > MOST:
        return None
    row_of[added.cell_q] = local_q
    column_of[added.cell_k] = local_k
    return PairBias(merged, row_of[prefix_q:], column_of)


def _unravelled(index: Tensor, shape: tuple[int, int, int]) -> tuple[Tensor, Tensor, Tensor]:
    _, h, w = shape
    return index.div(h * w, rounding_mode="floor"), index // w % h, index % w
