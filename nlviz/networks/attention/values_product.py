"""How a product with the values reads the weights: which axes are keys, queries and heads."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from nlviz.networks.attention.contraction import Contraction, arranged
from nlviz.networks.attention.running import RunningProduct, precise
from nlviz.networks.attention.tags import Tag
from nlviz.networks.followed import Placed


@dataclass(frozen=True, eq=False)
class ValuesProduct:
    """A product whose one factor are attention weights.

    Attributes:
        found: the product.
        weights: the factor that they are, ``x`` or ``y``.
        role: of their axis that is summed: ``columns`` of the product that they came from, or rows.
        batch, queries, keys, own: labels of the axes of entries, queries and keys, and of those
            that the values alone have.
    """

    found: Contraction
    weights: str
    role: str
    batch: tuple[str, ...]
    queries: tuple[str, ...]
    keys: tuple[str, ...]
    own: tuple[str, ...]

    def v(self) -> Tensor:
        """Return the values, (entries, keys, dv)."""
        found = self.found
        values, axes = (found.y, found.y_axes) if self.weights == "x" else (found.x, found.x_axes)
        missing = tuple(a for a in self.batch if a not in axes)
        values = values.reshape((1,) * len(missing) + tuple(values.shape))
        groups = ((), self.batch, self.keys, self.own)
        return arranged(values, (*missing, *axes), groups, found.sizes())

    def w(self) -> Tensor:
        """Return the weights, (entries, queries, keys)."""
        found = self.found
        tensor, axes = (found.x, found.x_axes) if self.weights == "x" else (found.y, found.y_axes)
        return arranged(tensor, axes, ((), self.batch, self.queries, self.keys), found.sizes())

    def where_weights_lie(self, tag: Tag) -> Tensor:
        """Return where weights that come from no product lie, (entries, queries, keys)."""
        held = tag.first.places
        assert held is not None
        laid = held.contiguous().as_strided(tag.shadow.shape, tag.shadow.stride())
        axes = self.found.x_axes if self.weights == "x" else self.found.y_axes
        groups = ((), self.batch, self.queries, self.keys)
        return arranged(laid, axes, groups, self.found.sizes()).as_subclass(Placed)

    def y(self, output: Tensor) -> Tensor:
        """Return what was computed, (entries, queries, dv)."""
        return arranged(
            output,
            self.found.out_axes,
            ((), self.batch, self.queries, self.own),
            self.sizes(output),
        )

    def at_queries(self, places: Tensor, output: Tensor) -> Tensor:
        """Return places of queries, (entries, queries), in the axes of what was computed."""
        sizes = self.sizes(output)
        order = (*self.batch, *self.queries, *self.own)
        own = (1,) * len(self.own)
        x = places.reshape(*(sizes[a] for a in (*self.batch, *self.queries)), *own)
        axes = self.found.out_axes
        return x.permute(*(order.index(a) for a in axes)).expand(output.shape)

    def queries_in(self, output: Tensor) -> tuple[int, int]:
        """Return the number of entries, and of queries in each."""
        sizes = self.sizes(output)
        entries, queries = (math.prod(sizes[a] for a in own) for own in (self.batch, self.queries))
        return entries, queries

    def running(self, module: str, number: int, output: Tensor, turn: int = 0) -> RunningProduct:
        """Return the product as it runs, with what it computed, which will be written to."""
        sizes = self.sizes(output)
        order = (*self.batch, *self.queries, *self.own)
        axes = self.found.out_axes
        batch, queries = (tuple(sizes[a] for a in own) for own in (self.batch, self.queries))
        w, v, factor = self.w().detach(), self.v().detach(), self.found.factor

        def weights(entries: Tensor, rows: Tensor) -> Tensor:
            of_entries = w[entries.to(w.device)] if len(w) > 1 or len(entries) > 1 else w
            return of_entries[:, rows.to(w.device)].to(precise(w))

        return RunningProduct(
            module,
            number,
            (int(w.shape[0]), int(w.shape[1]), int(w.shape[2])),
            weights,
            lambda entries: v[entries.to(v.device)] * factor,
            output,
            output.permute(*(axes.index(a) for a in order)),
            batch,
            queries,
            turn,
        )

    def sizes(self, output: Tensor) -> dict[str, int]:
        """Return the length of every axis of the product."""
        return self.found.sizes() | dict(zip(self.found.out_axes, output.shape, strict=True))


def values_product(found: Contraction, weights: str, tag: Tag) -> ValuesProduct | None:
    """Return how a product reads the tagged weights; None where it does not sum over keys.

    Args:
        found: the product.
        weights: its factor that is tagged, ``x`` or ``y``.
        tag: of the weights.
    """
    tensor, axes = (found.x, found.x_axes) if weights == "x" else (found.y, found.y_axes)
    other = found.y_axes if weights == "x" else found.x_axes
    if tensor.dim() != tag.shadow.dim() or not found.plain:
        return None
    roles = dict(zip(axes, tag.roles(), strict=True))
    summed = [a for a in found.summed if roles[a] != "any"]
    kinds = {roles[a] for a in summed}
    size = {"columns": tag.first.size[2], "rows": tag.first.size[1]}
    if not summed and size["columns"] == 1:
        kinds = {"columns"}
    if len(kinds) != 1:
        return None
    role = kinds.pop()
    covered = 1
    for a in summed:
        covered *= tensor.shape[axes.index(a)]
    if role not in size or covered != size[role]:
        return None
    stride = dict(zip(axes, tag.shadow.stride(), strict=True))

    def outermost_first(labels: list[str]) -> tuple[str, ...]:
        return tuple(sorted(labels, key=lambda a: -stride[a]))

    keys = outermost_first(list(found.summed))
    batch = outermost_first([a for a in axes if roles[a] in ("batch", "any") and a not in keys])
    if tag.first.number < 0:  # of these only the values say which axes are entries
        batch = tuple(a for a in batch if a in other or roles[a] == "any")
    queries = outermost_first([a for a in axes if a not in keys and a not in batch])
    if any(a not in found.out_axes for a in (*batch, *queries)):
        return None
    own = tuple(a for a in other if a not in axes)
    return ValuesProduct(found, weights, role, batch, queries, keys, own)
