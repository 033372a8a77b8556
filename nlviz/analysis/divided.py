"""The products of one layer that together reach everything, each along axes of its own.

Divided space-time attention is time first, then space; axial attention a row, then a column. They
are found by what their queries reach, whatever the network is called: products that ran one after
the other on the same tokens, that share no key but the query's own, and whose numbers of keys
multiply to all there are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from nlviz.affinity.base import Affinity
from nlviz.affinity.several import same_places

SAMPLE = 5  # queries whose keys are compared


def divided_layer(affinities: Mapping[str, Affinity], block: str) -> tuple[str, ...]:
    """Return the names of the blocks that share a divided layer with one, in the order they ran.

    Args:
        affinities: of a capture, in the order in which they ran.
        block: name of one.

    Returns:
        All of them, the block among them; empty where it is none of such a layer.

    >>> from nlviz.affinity.embedded import EmbeddedAffinity
    >>> from nlviz.affinity.grid import TokenGrid
    >>> from nlviz.affinity.lines import Lines
    >>> from nlviz.affinity.pairwise import Pairwise
    >>> grid, f = TokenGrid((1, 2, 3)), Pairwise("gaussian")
    >>> def make(n):
    ...     return EmbeddedAffinity(n, f, *torch.randn(2, 1, 6, 4), grid, grid, Lines((n[-1],)))
    >>> layers = {n: make(n) for n in ("1.x", "1.y", "2.x", "2.y")}
    >>> divided_layer(layers, "2.x")
    ('2.x', '2.y')
    """
    known: dict[str, Tensor | None] = {}

    def reach(name: str) -> Tensor | None:
        if name not in known:
            known[name] = _reach(affinities[name])
        return known[name]

    names = [*affinities]
    at = 0
    while at < len(names):
        layer = _layer_from(names[at:], affinities, reach)
        if block in layer:
            return tuple(layer)
        at += max(len(layer), 1)
    return ()


def _layer_from(
    names: Sequence[str], affinities: Mapping[str, Affinity], reach: Callable[[str], Tensor | None]
) -> list[str]:
    """Return the layer that begins with the first of some blocks; empty where none does."""
    found: dict[str, Tensor] = {}
    count, first = 1, affinities[names[0]]
    for at, name in enumerate(names):
        own = reach(name)
        if own is None or not same_places(first.queries, affinities[name].queries):
            return []
        if any(int((other & own).sum(1).max()) > 1 for other in found.values()):
            return []
        found[name] = own
        count *= int(own.sum(1)[0])
        if count == first.keys.size:
            return [] if _belongs_to_next([*found], names[at + 1 :]) else [*found]
        if count > first.keys.size:
            return []
    return []


def _belongs_to_next(layer: Sequence[str], rest: Sequence[str]) -> bool:
    """Check whether the last block of a layer shares more of its name with the block behind it."""
    return bool(rest) and _common(layer[-1], rest[0]) > _common(layer[0], layer[-1])


def _common(a: str, b: str) -> int:
    one, two = (name.partition("/")[0].split(".") for name in (a, b))
    same = [x == y for x, y in zip(one, two, strict=False)]
    return len(same) if all(same) else same.index(False)


def _reach(affinity: Affinity) -> Tensor | None:
    """Return which keys some queries reach, (queries, keys); None for no part of such a layer."""
    queries, keys = affinity.queries, affinity.keys
    if not affinity.distributes or queries.size < 2 or not same_places(queries, keys):
        return None
    index = affinity.evenly(SAMPLE)
    mask = affinity.support.mask(queries, keys, index)
    if mask is None:
        return None
    count = mask.sum(1)
    own = mask[torch.arange(len(index)), index]
    even = int(count.min()) == int(count.max()) and int(count[0]) > 1
    return mask if even and bool(own.all()) else None
