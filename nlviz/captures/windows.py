"""Attention whose windows ran one after another: the products of one call of a module as one.

Some networks cut a sequence into windows or frames of unequal length and attend to each by itself.
Products of one call whose tokens are queries and keys alike, and are no other product's, are the
parts of one attention, whose queries reach the keys of their own part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.key_sets import KeySets
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.support import Everything, Support
from nlviz.families.reading.adapter import Prepared
from nlviz.families.reading.product_affinity import said_of
from nlviz.families.reading.token_layout import inside, queries_on_grid
from nlviz.networks.attention.places import Factors
from nlviz.networks.attention.products import AttentionProduct
from nlviz.networks.attention.sites import Group, Site
from nlviz.networks.places import Array

Parts = Mapping[int, Sequence[AttentionProduct]]
NOTE = "It ran {count} times, each time on another part of the tokens."


def windows_together(
    products: Sequence[AttentionProduct], factors: Factors | str, order: Sequence[str]
) -> tuple[list[AttentionProduct], Parts]:
    """Return products with the parts of one attention as its first, and these parts by its number.

    Args:
        products: of one forward pass.
        factors: where their tokens lie, or why that is not known.
        order: of each product by its number, which function computed it in which module.
    """
    calls: dict[str, list[AttentionProduct]] = {}
    for product in products:
        calls.setdefault(product.module, []).append(product)
    parts = {
        found[0].number: found
        for found in calls.values()
        if len(found) > 1 and not isinstance(factors, str) and _are_parts(found, factors, order)
    }
    behind = {part.number for found in parts.values() for part in found[1:]}
    first = [
        _worst(parts[p.number]) if p.number in parts else p
        for p in products
        if p.number not in behind
    ]
    return first, parts


def windows_affinity(
    name: str,
    parts: Sequence[AttentionProduct],
    factors: Factors,
    size: tuple[int, int, int],
    prepared: Prepared,
) -> EmbeddedAffinity:
    """Return the affinity of the parts of one attention.

    Raises:
        NoLayout: when its tokens fill no grid.
    """
    at = np.concatenate([_places(part, factors, 0) for part in parts])
    side = queries_on_grid(inside(at[None], size), size)
    cell = torch.from_numpy(side.cell[0])
    back = cell.argsort()
    counts = torch.tensor([part.size[1] for part in parts])
    window = torch.arange(len(parts)).repeat_interleave(counts)[back]
    grid = side.grid(prepared)
    support: Support = Everything()
    if len(parts) > 1:
        reach = window[None] == torch.arange(len(parts))[:, None]
        support = KeySets.of(window, reach, said_of(reach, grid))
    first = parts[0]

    def gathered(factor: str) -> Tensor:
        whole = torch.cat([getattr(part, factor) for part in parts], 1)
        return whole[:, back.to(whole.device)]

    return EmbeddedAffinity(
        name=name,
        pairwise=Pairwise("embedded_gaussian", first.scale),
        theta=gathered("q"),
        phi=gathered("k"),
        queries=grid,
        keys=grid,
        support=support,
        clip_shape=prepared.clip_shape,
        note=NOTE.format(count=len(parts)),
    ).in_full()


def windows_site(
    parts: Sequence[AttentionProduct], factors: Factors, size: tuple[int, int, int]
) -> Site:
    """Return where the rows of the parts of one attention are computed."""
    at = np.concatenate([_places(part, factors, 0) for part in parts])
    cell = torch.from_numpy(queries_on_grid(inside(at[None], size), size).cell[0])
    groups, first = [], 0
    for part in parts:
        heads, rows, _ = part.size
        own = cell[first : first + rows]
        none = torch.zeros(heads, dtype=torch.long)
        groups.append(Group(part.number, torch.arange(heads), none, own, own, part.turn))
        first += rows
    return Site(parts[0].module, tuple(groups))


def _are_parts(parts: Sequence[AttentionProduct], factors: Factors, order: Sequence[str]) -> bool:
    """Check whether products are those of windows: of all heads, and of tokens of their own."""
    first, last = parts[0], max(p.number for p in parts)
    if factors.order[: last + 1] != tuple(order[: last + 1]):
        return False
    seen: set[bytes] = set()
    for part in parts:
        plain = part.q is not None and part.scales is None and part.softmax
        if not plain or part.terms or part.causal or part.fault or part.share is not None:
            return False
        if part.number not in factors.of or part.operator >= 0 or part.number in factors.shared:
            return False
        if (part.size[0], part.scale) != (first.size[0], first.scale):
            return False
        own = _places(part, factors, 0)
        alike = [factors.of[part.number][side].at for side in (0, 1)]
        if any(x.shape[1] != len(own) or np.abs(x - own).max() > 1e-6 for x in alike):
            return False  # queries and keys are others, or each head has its own; or no places
        tokens = {row.tobytes() for row in own.round(3)}
        if len(tokens) < len(own) or tokens & seen:
            return False
        seen |= tokens
    return True


def _places(part: AttentionProduct, factors: Factors, entry: int) -> Array:
    found: Array = factors.of[part.number][int(part.swapped)].at[entry]
    return found


def _worst(parts: Sequence[AttentionProduct]) -> AttentionProduct:
    """Return the first of the parts with the worst of their receipts."""
    worst = max(parts, key=lambda p: p.error / max(p.tolerance, 1e-12))
    return replace(
        parts[0],
        error=worst.error,
        tolerance=worst.tolerance,
        queries=sum(p.queries for p in parts),
    )
