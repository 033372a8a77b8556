"""Masks that leave to each query what comes before it: told by a rule rather than by a table."""

from __future__ import annotations

import torch
from jaxtyping import Bool
from torch import Tensor

from nlviz.affinity.causal import Causal
from nlviz.families.reading.token_layout import Side, TokenLayout
from nlviz.networks.attention.products import AttentionProduct

CHUNK = 1 << 24  # numbers of a mask that are looked at together
MASKED = -60.0  # below the largest number of a row by this: a softmax makes 1e-26 of it
LEAST = 3  # tokens of a sequence whose mask says that it is causal, and not another one


def causal_support(product: AttentionProduct, layout: TokenLayout) -> Causal | None:
    """Return the support of a product to whose logits nothing was added but a causal mask.

    Args:
        product: as it was seen.
        layout: where its tokens lie.

    Returns:
        The rule, or None where it is none, or something else was added.
    """
    _, queries, keys = product.size
    if len(layout.entries) != 1 or layout.queries.cells is None or product.q is None:
        return None
    if not product.causal and not product.terms:
        return None
    if any(n > 1 for term in product.terms for n in term.tensor.shape[: len(term.batch)]):
        return None  # another one for each head, or each part of a batch
    first = keys - queries  # keys that were there before the first query
    nearest: int | None = None
    if product.terms:
        found = None if queries < LEAST or first < 0 else _nearest(product, queries, keys, first)
        if found is None:
            return None
        nearest = found if found < keys else None
    elif queries != keys:
        first = 0  # a fused kernel's mask begins at the first key
    return _causal(layout, first, nearest)


def causal_reach(reach: Bool[Tensor, "groups queries keys"], layout: TokenLayout) -> Causal | None:
    """Return the rule of a table of which keys each query reaches; None where it is none."""
    groups, queries, keys = reach.shape
    first = keys - queries
    if groups != 1 or layout.queries.cells is None or queries < LEAST or first < 0:
        return None
    nearest = int(reach[0, -1].sum())
    apart = torch.arange(first, keys)[:, None] - torch.arange(keys)
    wanted = (apart >= 0) & (apart < nearest)
    if not torch.equal(reach[0].cpu(), wanted):
        return None
    return _causal(layout, first, nearest if nearest < keys else None)


def _causal(layout: TokenLayout, first: int, nearest: int | None) -> Causal:
    of_queries, of_keys = _order(layout.queries, first), _order(layout.keys, 0)
    placed = layout.queries.prefix == layout.keys.prefix == 0
    if placed and all(at == tuple(range(len(at))) for at in (of_queries, of_keys)):
        return Causal(nearest=nearest)
    return Causal(of_queries, of_keys, nearest)


def _order(side: Side, first: int) -> tuple[int, ...]:
    """Return the place in the sequence of each token, in the order of an affinity."""
    return tuple((side.order[1] + first).tolist())


def _nearest(product: AttentionProduct, queries: int, keys: int, first: int) -> int | None:
    """Return how many keys a query reaches at most; None where masks are not causal, and no more.

    The terms of the product are the same for all entries; ``first`` keys come before its queries.
    """
    assert product.q is not None
    one = torch.zeros(1, dtype=torch.long, device=product.q.device)
    each = max(CHUNK // keys, 1)
    last = _added(product, one, torch.tensor([queries - 1], device=one.device))
    nearest = int(_kept(last).sum())  # the last query has most of them before it
    for start in range(0, queries, each):
        rows = torch.arange(start, min(start + each, queries), device=one.device)
        added = _added(product, one, rows)
        kept = _kept(added)
        apart = (rows + first)[:, None] - torch.arange(keys, device=rows.device)
        wanted = (apart >= 0) & (apart < nearest)
        if not torch.equal(kept, wanted):
            return None
        top = added.amax(-1, keepdim=True)
        if bool(((added - top).masked_fill(~kept, 0.0).abs() > 1e-6).any()):
            return None  # numbers are added, too
    return nearest


def _added(product: AttentionProduct, entry: Tensor, rows: Tensor) -> Tensor:
    return product.logits(entry, rows, content=False)[0]


def _kept(added: Tensor) -> Tensor:
    low = added - added.amax(-1, keepdim=True) <= MASKED
    return ~(low | added.isneginf())
