"""One attention product as it was seen; see ``receipts`` for whether what is kept is right."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

from nlviz.networks.attention.tags import Share, Tag, Term

MIXTURES = 3  # of channels, in which an operator is checked as a whole
KEPT = 64 << 20  # bytes of weights that are kept of a product whose q and k do not tell them


@dataclass(frozen=True, eq=False)
class AttentionProduct:
    """An attention product, y = f(q k^T) v, each entry of a batch and each head by itself.

    Attributes:
        number: of its first product among those of the pass; below 0 where there was none.
        module: name of the innermost module that it ran in.
        q: (entries, queries, d), or None where weights are kept.
        k: (entries, keys, d), or None.
        swapped: whether q was the second factor of its product.
        scale: factor of the logits.
        scales: a factor for each entry, (entries,), or None.
        terms: what was added to the logits, and masked.
        softmax: whether rows are normalised by a softmax.
        causal: whether a query reaches no key behind it in the order of the network.
        weights: (entries, queries, keys), where q and k do not tell them; many in half precision.
        v: (entries, keys, dv) what is summed, where it was asked for.
        y: (entries, queries, dv) the sums that the network computed, where they were asked for.
        error, tolerance, queries: of the check against y; see ``receipts``.
        precision: the coarsest type of number that took part.
        note: what a reader must know of it, or empty.
        fault: why it is not shown, or empty.
        share: of a softmax over several products side by side, which of them this is; or None.
        role: axis of its first product that holds its keys, ``columns`` or ``rows``.
        operator: where its weights come from no product of queries and keys, the number of the
            product with the values: a linear operator on these; else -1.
        sure: whether it was seen that its weights are such; else positions must say so.
        runs: of how many runs of its module it is, each on another part of the clip.
        numbers: of the products of these runs; empty for one run.
        counts: how many entries each of these runs has.
        batch: sizes of the axes that its entries are, as the network has them; empty where that is
            not known.
        probe: of an operator, its values and what it computed, each in a few random mixtures of
            channels: (entries, keys, m) and (entries, queries, m).
        turn: how often the same weights summed other values before.
    """

    number: int
    module: str
    q: Tensor | None
    k: Tensor | None
    swapped: bool = False
    scale: float = 1.0
    scales: Tensor | None = None
    terms: tuple[Term, ...] = ()
    softmax: bool = True
    causal: bool = False
    weights: Tensor | None = None
    v: Tensor | None = None
    y: Tensor | None = None
    error: float = math.nan
    tolerance: float = 0.0
    queries: int = 0
    precision: str = "float32"
    note: str = ""
    fault: str = ""
    share: Share | None = None
    role: str = "columns"
    operator: int = -1
    sure: bool = True
    runs: int = 1
    numbers: tuple[int, ...] = ()
    counts: tuple[int, ...] = ()
    batch: tuple[int, ...] = ()
    probe: tuple[Tensor, Tensor] | None = None
    turn: int = 0

    @property
    def size(self) -> tuple[int, int, int]:
        """Number of entries, queries and keys."""
        if self.weights is not None:
            entries, queries, keys = self.weights.shape
            return int(entries), int(queries), int(keys)
        assert self.q is not None
        assert self.k is not None
        return int(self.q.shape[0]), int(self.q.shape[1]), int(self.k.shape[1])

    def logits(self, entries: Tensor, rows: Tensor, *, content: bool = True) -> Tensor:
        """Return logits of some rows of each of some entries, (entries, rows, keys).

        Args:
            entries: (e,) numbers of entries.
            rows: (r,) numbers of queries.
            content: with q k^T, or what was added to it alone.
        """
        assert self.q is not None
        assert self.k is not None
        kind = torch.float64 if self.q.dtype == torch.float64 else torch.float32
        q = of_entries(self.q, entries).index_select(1, rows).to(kind)
        k = of_entries(self.k, entries).to(kind)
        logits = (q * self.scale) @ k.mT if content else q.new_zeros(*q.shape[:2], k.shape[1])
        if self.scales is not None and content:
            logits = logits * self.scales[entries].to(kind)[:, None, None]
        for term in self.terms:
            each = entries.repeat_interleave(len(rows)), rows.repeat(len(entries))
            logits = logits + term.at(*each).to(kind).reshape(logits.shape)
        if self.causal:
            later = torch.arange(k.shape[1], device=rows.device)[None] > rows[:, None]
            logits = logits.masked_fill(later, -torch.inf)
        return logits

    def rows(self, entries: Tensor, rows: Tensor) -> Tensor:
        """Return some rows of some entries, (entries, rows, keys); 0 where all is masked."""
        if self.weights is not None:
            return of_entries(self.weights, entries).index_select(1, rows).float()
        logits = self.logits(entries, rows)
        if not self.softmax:
            return logits
        found = logits.softmax(-1)
        return found.nan_to_num(0.0) if self.terms or self.causal else found


def product_of(tag: Tag, role: str, module: str) -> AttentionProduct:
    """Return the attention that a tagged tensor is the weights of.

    Args:
        tag: of the weights.
        role: of their axis that the product with the values sums over.
        module: name of the module that the product with the values ran in.
    """
    first = tag.first
    swapped = role == "rows"
    q, k, terms = first.q, first.k, tag.terms
    if swapped:
        q, k, terms = k, q, tuple(_turned(t) for t in terms)
    fault = tag.unknown
    if tag.normalised and tag.normalised != role:
        fault = "its softmax is over the queries, not over the keys that are summed"
    return AttentionProduct(
        first.number,
        first.module or module,
        q,
        k,
        swapped,
        tag.scale,
        tag.scales,
        terms if not tag.normalised else tuple(t for t in terms if t.by_column),
        softmax=bool(tag.normalised),
        fault=fault,
        share=tag.share,
        role=role,
        batch=first.batch,
    )


def as_operator(
    product: AttentionProduct, number: int, v: Tensor, y: Tensor, *, sure: bool
) -> AttentionProduct:
    """Return a product whose weights come from no queries and keys, with what it summed.

    Args:
        product: as it was seen.
        number: of the product with the values.
        v: (entries, keys, dv).
        y: (entries, queries, dv).
        sure: whether its weights were seen to be such.
    """
    generator = torch.Generator().manual_seed(number + 3)
    mix = torch.randn(v.shape[-1], MIXTURES, generator=generator, dtype=torch.float64)
    mix = mix.to(v.device, torch.float32 if v.dtype != torch.float64 else v.dtype)
    probe = (v.detach().to(mix.dtype) @ mix, y.detach().to(mix.dtype) @ mix)
    return replace(product, operator=number, sure=sure, probe=probe)


def before_softmax(product: AttentionProduct) -> AttentionProduct | None:
    """Return one of several products that share a softmax as it was before; None if not known."""
    share = product.share
    if share is None or share.before.unknown or share.before.normalised:
        return None
    found = product_of(share.before, product.role, product.module)
    return None if found.q is None or found.k is None else found


def of_entries(x: Tensor, entries: Tensor) -> Tensor:
    """Return some entries of a batch, not copied where all are asked for in their order.

    Args:
        x: (entries, ...).
        entries: (e,) their numbers, each once.
    """
    count = len(x)
    if len(entries) == count and torch.equal(entries, _every(count, entries.device)):
        return x
    return x[entries]


@lru_cache(maxsize=64)
def _every(count: int, device: torch.device) -> Tensor:
    return torch.arange(count, device=device)


def _turned(term: Term) -> Term:
    b, r, c = len(term.batch), len(term.rows), len(term.columns)
    axes = (*range(b), *range(b + r, b + r + c), *range(b, b + r))
    return replace(term, tensor=term.tensor.permute(axes), rows=term.columns, columns=term.rows)


def grouped(k: Tensor, v: Tensor, heads: int) -> tuple[Tensor, Tensor]:
    """Return keys and values that groups of heads share, once for each head."""
    return tuple(x.repeat_interleave(heads // x.shape[-3], -3) for x in (k, v))  # type: ignore[return-value]


def flat(x: Tensor, batch: tuple[int, ...]) -> Tensor:
    """Return (*batch, n, d) as (entries, n, d), copied."""
    found = x.detach().expand(*batch, *x.shape[-2:]).reshape(-1, *x.shape[-2:])
    if found.untyped_storage()._cdata != x.untyped_storage()._cdata:
        return found  # it was copied already
    return found.clone(memory_format=torch.contiguous_format)


def joint_batch(*tensors: Tensor) -> tuple[int, ...]:
    """Return the shape of the batch of tensors that are broadcast, all but their last two axes.

    >>> joint_batch(torch.zeros(2, 1, 5, 3), torch.zeros(4, 7, 3))
    (2, 4)
    """
    shapes = [x.shape[:-2] for x in tensors]
    if all(shape == shapes[0] for shape in shapes):
        return tuple(shapes[0])
    return tuple(torch.broadcast_shapes(*shapes))  # type: ignore[no-untyped-call]
