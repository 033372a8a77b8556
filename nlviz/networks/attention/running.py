"""An attention product while it runs: its rows can be looked at, and what it sums replaced.

Nothing is computed that is not asked for, and what is not written to stays as it was, bit by bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nlviz.networks.attention.products import of_entries

Rows = Callable[[Tensor, Tensor], Tensor]
Edit = Callable[["RunningProduct"], None]
EditShared = Callable[[Sequence["RunningProduct"]], None]


@dataclass(frozen=True, eq=False)
class RunningProduct:
    """A product of weights and values that was just computed.

    Entries are those of the batch, heads among them, as of ``AttentionProduct``.

    Attributes:
        module: name of the run of the innermost module that it runs in; empty where hooks of a
            family see it.
        number: of the product among those of the pass; -1 where hooks of a family see it.
        size: number of entries, queries and keys.
        weights: returns rows as they multiply the values, (e, r, keys), of entries (e,) and of
            queries (r,) in each.
        values: returns what is summed, (e, keys, dv), of entries (e,).
        output: the sums as the network has them, which is written to.
        laid: a view of ``output`` as (*batch, *queries, dv), or with an axis for each of its own.
        batch, queries: sizes of the axes that its entries and its queries are.
        turn: how often the same weights summed other values before.
    """

    module: str
    number: int
    size: tuple[int, int, int]
    weights: Rows
    values: Callable[[Tensor], Tensor]
    output: Tensor
    laid: Tensor
    batch: tuple[int, ...]
    queries: tuple[int, ...]
    turn: int = 0

    def sums(self, entries: Tensor, rows: Tensor) -> Tensor:
        """Return the sums of some queries of some entries, (e, r, dv)."""
        return self.laid[self._at(entries, rows)].flatten(2)

    def add(self, entries: Tensor, rows: Tensor, more: Tensor) -> None:
        """Add (e, r, dv) to the sums of some queries of some entries.

        The sums may hold more than these weights and values, and keep it.
        """
        at = self._at(entries, rows)
        before = self.laid[at]
        new = before.to(more.dtype) + more.reshape(before.shape)
        self.laid.index_put_(at, new.to(before.dtype))

    def _at(self, entries: Tensor, rows: Tensor) -> tuple[Tensor, ...]:
        entries, rows = (x.to(self.laid.device) for x in (entries, rows))
        of_entries = torch.unravel_index(entries[:, None].expand(-1, len(rows)), self.batch)
        of_rows = torch.unravel_index(rows[None].expand(len(entries), -1), self.queries)
        # A batch of no axis is one entry.
        return (*(of_entries if self.batch else ()), *(of_rows if self.queries else ()))


def precise(*tensors: Tensor) -> torch.dtype:
    """Return the type of numbers in which rows of some factors are computed again."""
    double = any(x.dtype == torch.float64 for x in tensors)
    return torch.float64 if double else torch.float32


def fused_product(
    module: str,
    number: int,
    given: dict[str, Any],
    batch: tuple[int, ...],
    output: Tensor,
) -> RunningProduct:
    """Return a fused attention that was just computed.

    Args:
        module: name of the run of the module that it runs in.
        number: of the product among those of the pass.
        given: its arguments by name, with ``query``, ``key`` and ``value`` of as many heads each.
        batch: sizes of its batch.
        output: what it returned, (*batch, queries, dv); it will be written to.

    >>> from torch.nn import functional as F
    >>> q, k, v = (torch.randn(2, 3, n, d) for n, d in ((5, 4), (7, 4), (7, 6)))
    >>> y = F.scaled_dot_product_attention(q, k, v)
    >>> given = {"query": q, "key": k, "value": v}
    >>> product = fused_product("layer", 0, given, (2, 3), y)
    >>> entries, rows = torch.tensor([1, 4]), torch.tensor([0, 2])
    >>> again = product.weights(entries, rows) @ product.values(entries)
    >>> torch.allclose(again, product.sums(entries, rows), atol=1e-6)
    True
    """
    q, k, v = (given[name].detach().expand(*batch, -1, -1) for name in ("query", "key", "value"))
    scale, mask = given.get("scale"), given.get("attn_mask")
    scale = q.shape[-1] ** -0.5 if scale is None else float(scale)
    queries, keys = q.shape[-2], k.shape[-2]
    if mask is not None:
        mask = mask.detach().expand(*batch, queries, keys)
    kind = precise(q, k)

    def of(x: Tensor, entries: Tensor) -> Tensor:
        return x[torch.unravel_index(entries.to(x.device), batch)] if batch else x[None]

    def weights(entries: Tensor, rows: Tensor) -> Tensor:
        rows = rows.to(q.device)
        logits = (of(q, entries)[:, rows].to(kind) * scale) @ of(k, entries).to(kind).mT
        if mask is not None:
            added = of(mask, entries)[:, rows]
            if added.dtype == torch.bool:
                logits = logits.masked_fill(~added, -torch.inf)
            else:
                logits = logits + added.to(kind)
        if given.get("is_causal"):
            later = torch.arange(keys, device=q.device)[None] > rows[:, None]
            logits = logits.masked_fill(later, -torch.inf)
        found = logits.softmax(-1)
        return found.nan_to_num(0.0) if mask is not None or given.get("is_causal") else found

    return RunningProduct(
        module,
        number,
        (max(1, q.shape[:-2].numel()), queries, keys),
        weights,
        lambda entries: of(v, entries),
        output,
        output,
        batch,
        (queries,),
    )


def tokens_product(
    weights: Callable[[Tensor], Tensor],
    values: Tensor | Callable[[], Tensor],
    output: Tensor,
    queries: int,
    keys: int = 0,
) -> RunningProduct:
    """Return a product whose factors have the axes (*batch, heads, tokens, d).

    Args:
        weights: returns the rows of some queries of all entries, (entries, r, keys).
        values: (*batch, heads, keys, dv), or what returns them when they are asked for.
        output: (*batch, heads, queries, dv); it will be written to.
        queries: how many there are.
        keys: how many there are, where values are not there yet.
    """
    batch = tuple(output.shape[:-2])
    held: list[Tensor] = []

    def flat() -> Tensor:
        if not held:
            own = values if isinstance(values, Tensor) else values()
            held.append(own.detach().expand(*batch, *own.shape[-2:]).flatten(0, -3))
        return held[0]

    entries = max(1, output.shape[:-2].numel())
    return RunningProduct(
        "",
        -1,
        (entries, queries, values.shape[-2] if isinstance(values, Tensor) else keys),
        lambda entries, rows: of_entries(weights(rows), entries.to(output.device)),
        lambda entries: of_entries(flat(), entries.to(output.device)),
        output,
        output,
        batch,
        (queries,),
    )
