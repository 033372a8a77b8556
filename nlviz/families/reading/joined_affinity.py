"""The one affinity of several products that a softmax was taken over together.

Criss-cross attention puts the logits of a column beside those of a row, local attention beside
global tokens puts theirs, and one softmax goes over both; behind it each part is multiplied with
values of its own. The parts' rows sum to less than 1, together to 1: one affinity, on one grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.key_sets import KeySets
from nlviz.affinity.lines import lines_of
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.stored import HALF, StoredAffinity
from nlviz.affinity.support import Everything, Support
from nlviz.families.reading.prepared import Prepared
from nlviz.families.reading.product_affinity import (
    LAYOUT_ERROR,
    MOST_SETS,
    gathered,
    names_of,
    said_of,
)
from nlviz.families.reading.term_tables import terms_of
from nlviz.families.reading.token_layout import NoLayout, TokenLayout
from nlviz.networks.attention.products import AttentionProduct, before_softmax

CHUNK = 1 << 20  # numbers of rows that are compared at once
CHECKED = 256  # queries whose rows are compared with those that were kept
LIMITS = {"float16": 1e-2, "bfloat16": 8e-2}  # of the largest weight, for weights of these types


@dataclass(frozen=True, eq=False)
class _Part:
    """One of the products.

    Attributes:
        product: as it was seen, with its weights behind the softmax.
        logits: the same before the softmax, with q and k; None where more was done to it.
        layout: where its tokens lie.
        group, place: of each query, those without a place first.
        cells: (queries, keys of a group) the key of each column in the order of all parts' keys.
        reached: likewise, whether no mask hides it.
        added: what was added to the logits of all keys of a query alike, (queries, heads); None
            where that is not known.
    """

    product: AttentionProduct
    logits: AttentionProduct | None
    layout: TokenLayout
    group: Tensor
    place: Tensor
    cells: Tensor
    reached: Tensor
    added: Tensor | None = None

    def weights(self) -> Tensor:
        """Return what the network computed, (queries, heads, keys of a group)."""
        assert self.product.weights is not None
        entries = torch.from_numpy(self.layout.entries)[self.group]
        return self.product.weights[entries, self.place[:, None]]


def joined_affinity(
    name: str,
    products: Sequence[AttentionProduct],
    layouts: Sequence[TokenLayout],
    prepared: Prepared,
    *,
    token_names: Sequence[str] = (),
    prefix_name: str = "tokens without a place",
) -> EmbeddedAffinity | StoredAffinity:
    """Return the affinity of products that share a softmax.

    Args:
        name: of the block.
        products: all that share it, with their weights.
        layouts: where the tokens of each lie.
        prepared: the network's input.
        token_names: names of a group's tokens without a place, in their order.
        prefix_name: what they are called together.

    Raises:
        NoLayout: when the parts have other queries than each other, or keys on different grids.
    """
    queries, keys = _grids(layouts, prepared)
    before = 0
    parts = []
    for product, layout in zip(products, layouts, strict=True):
        parts.append(_part(product, layout, before, keys.prefix))
        before += layout.keys.prefix
    names = names_of(layouts[0].queries, token_names)
    cells = torch.cat([p.cells.masked_fill(~p.reached, -1) for p in parts], 1)
    once = _once(cells)
    common: dict[str, Any] = {
        "name": name,
        "queries": queries,
        "keys": keys,
        "support": _support(once, queries, keys),
        "clip_shape": prepared.clip_shape,
        "prefix_name": prefix_name,
        "token_names": names,
    }
    weights = torch.cat([p.weights() for p in parts], 2)
    stored = StoredAffinity(
        **common,
        pairwise=Pairwise("embedded_gaussian"),
        weights=weights[:, :, None],
        group_of=torch.arange(len(cells)),
        place_of=torch.zeros(len(cells), dtype=torch.long),
        key_of=cells,
    )
    share = products[0].share
    assert share is not None
    if share.complete and not stored.distributes:
        raise NoLayout("the rows of its parts do not sum to 1 together")
    twice = bool((once != cells).any())
    found = None if twice else _embedded(parts, stored)
    if found is not None:
        return found
    half = ", in half precision" if weights.dtype == torch.float16 else ""
    why = "with q, k or terms of their own share its softmax"
    if twice:
        why = "share its softmax, and keys that several of them reach count in each"
    note = f"Its weights are kept as the network computed them{half}: {len(parts)} products {why}."
    if not stored.distributes:
        note += " More logits than those of keys took part, so rows sum to less than 1."
    return replace(stored, note=note)


def _once(cells: Tensor) -> Tensor:
    """Return the keys of each query with those that come again left out, as -1."""
    ordered, at = cells.sort(dim=1, stable=True)
    again = torch.zeros_like(cells, dtype=torch.bool)
    again[:, 1:] = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)
    return cells.masked_fill(torch.zeros_like(again).scatter_(1, at, again), -1)


def _grids(layouts: Sequence[TokenLayout], prepared: Prepared) -> tuple[TokenGrid, TokenGrid]:
    """Return the grids of the queries and of all keys.

    Raises:
        NoLayout: when the parts do not share them.
    """
    queries = [layout.queries.grid(prepared) for layout in layouts]
    keys = [x.keys.grid(prepared) for x in layouts if x.keys.cells is not None]
    if any(layout.queries.cells is None for layout in layouts):
        raise NoLayout("its queries have no place")
    if not all(_same(grid, queries[0]) and grid.prefix == queries[0].prefix for grid in queries):
        raise NoLayout("its parts have different queries")
    if not all(_same(grid, keys[0]) for grid in keys):
        shapes = " and ".join("x".join(map(str, grid.shape)) for grid in keys)
        raise NoLayout(f"its keys lie on different grids ({shapes})")
    return queries[0], replace(keys[0], prefix=sum(layout.keys.prefix for layout in layouts))


def _same(a: TokenGrid, b: TokenGrid) -> bool:
    where = [(*grid.stride, *grid.origin) for grid in (a, b)]
    return a.shape == b.shape and bool(np.allclose(where[0], where[1], atol=1e-3))


def _part(product: AttentionProduct, layout: TokenLayout, before: int, prefix: int) -> _Part:
    """Return a part; its keys without a place come behind those of the parts before it."""
    size = layout.queries.size
    group, place = torch.zeros(size, dtype=torch.long), torch.zeros(size, dtype=torch.long)
    for g, own in enumerate(torch.from_numpy(layout.queries.cell)):
        group[own], place[own] = g, torch.arange(len(own))
    cells = torch.from_numpy(layout.keys.cell)
    apart = cells < layout.keys.prefix
    cells = torch.where(apart, cells + before, cells - layout.keys.prefix + prefix)
    logits = before_softmax(product)
    of_query = cells[group]
    reached = torch.ones_like(of_query, dtype=torch.bool)
    if logits is not None:
        try:
            terms = terms_of(replace(logits, softmax=True), layout)
        except NoLayout:
            logits = None
        else:
            if terms.reach is not None:
                reached = terms.reach[group, place].cpu()
            if terms.bias is not None or terms.apart is not None:
                logits = None
    part = _Part(product, logits, layout, group, place, of_query, reached)
    return part if logits is None else replace(part, added=_alike_for_all_keys(part, logits))


def _alike_for_all_keys(part: _Part, logits: AttentionProduct) -> Tensor:
    """Return what was added to all logits of a query, (queries, heads); a part drops it alone.

    A number that is alike for all keys of a part, as the largest logit that is taken away, is
    nothing to its own rows, but it is to those of all parts together where others have another.
    """
    entries = torch.from_numpy(part.layout.entries)
    if not logits.terms:
        return torch.zeros(len(part.group), entries.shape[1])
    every = torch.arange(logits.size[1])
    plain = replace(logits, causal=False)
    added = plain.logits(entries.reshape(-1), every, content=False).amax(-1)
    return added.reshape(*entries.shape, -1)[part.group, :, part.place]


def _support(cells: Tensor, queries: TokenGrid, keys: TokenGrid) -> Support:
    """Return which keys each query reaches, from a list of them for each.

    Raises:
        NoLayout: when every query reaches keys of its own, which are too many to hold.
    """
    prefix, all_keys = keys.prefix, keys.size + keys.prefix
    apart = torch.zeros(len(cells), prefix + 1, dtype=torch.bool)
    apart.scatter_(1, torch.where((cells >= 0) & (cells < prefix), cells, prefix), True)
    if not queries.prefix and queries.shape == keys.shape and bool(apart[:, :prefix].all()):
        placed = torch.where(cells >= prefix, cells - prefix, -1)
        found = lines_of(placed, replace(keys, prefix=0))
        if found is not None:
            return found
    sets: dict[bytes, int] = {}
    rows: list[Tensor] = []
    set_of = torch.zeros(len(cells), dtype=torch.long)
    for i, own in enumerate(cells):
        row = torch.zeros(all_keys, dtype=torch.bool)
        row[own[own >= 0]] = True
        set_of[i] = sets.setdefault(row.numpy().tobytes(), len(rows))
        if int(set_of[i]) == len(rows):
            rows.append(row)
        if len(rows) * all_keys > MOST_SETS:
            raise NoLayout("every query reaches keys of its own, which are too many to hold")
    if len(rows) == 1 and bool(rows[0].all()):
        return Everything()
    reach = torch.stack(rows)
    return KeySets.of(set_of, reach, said_of(reach, keys))


def _embedded(parts: Sequence[_Part], stored: StoredAffinity) -> EmbeddedAffinity | None:
    """Return the affinity as one q and one k, where the parts have the same; None where not."""
    thetas, placed, apart = [], [], []
    scale = None if parts[0].logits is None else parts[0].logits.scale
    for part in parts:
        logits = part.logits
        if logits is None or logits.scales is not None or not scale:
            return None
        assert logits.q is not None
        assert logits.k is not None
        layout = part.layout
        theta = gathered(logits.q, layout, layout.queries)
        thetas.append(theta.to(torch.promote_types(theta.dtype, torch.float32)))
        phi = gathered(logits.k, layout, layout.keys)
        phi = phi.to(torch.promote_types(phi.dtype, torch.float32)) * (logits.scale / scale)
        apart.append(phi[:, : layout.keys.prefix])
        if layout.keys.cells is not None:
            placed.append(phi[:, layout.keys.prefix :])
    added = [part.added for part in parts if part.added is not None]
    if len(added) < len(parts) or not (_alike(thetas) and _alike(placed) and _alike(added)):
        return None
    found = EmbeddedAffinity(
        name=stored.name,
        pairwise=Pairwise("embedded_gaussian", scale or 1.0),
        theta=thetas[0],
        phi=torch.cat([*apart, placed[0]], 1),
        queries=stored.queries,
        keys=stored.keys,
        support=stored.support,
        clip_shape=stored.clip_shape,
        prefix_name=stored.prefix_name,
        token_names=stored.token_names,
    ).in_full()
    precision = max(LIMITS.get(part.product.precision, LAYOUT_ERROR) for part in parts)
    return found if _gives(found, stored, precision) else None


def _alike(several: Sequence[Tensor]) -> bool:
    first = several[0]
    limit = 1e-6 * float(first.abs().max().clamp(min=1e-30))
    return all(x.shape == first.shape and bool(((x - first).abs() <= limit).all()) for x in several)


def _gives(found: EmbeddedAffinity, stored: StoredAffinity, limit: float) -> bool:
    """Check whether rows are those that were kept, of queries spread evenly, up to a limit."""
    limit = max(limit, HALF if stored.weights.dtype == torch.float16 else 0.0)
    chunk = max(CHUNK // (stored.heads * (stored.keys.size + stored.keys.prefix)), 1)
    for part in torch.split(stored.evenly(CHECKED), chunk):
        wanted = stored.rows(part)
        largest = wanted.abs().amax(-1, keepdim=True).clamp(min=1e-30)
        if not bool(((found.rows(part).to(wanted) - wanted).abs() <= limit * largest).all()):
            return False
    if stored.queries.prefix:
        wanted = stored.token_rows()
        return bool(((found.token_rows().to(wanted) - wanted).abs() <= limit).all())
    return True
