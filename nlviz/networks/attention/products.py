"""One attention product as it was seen, and whether what is kept of it gives what was computed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

from nlviz.affinity.parity import ROUNDING, coarsest, relative_error
from nlviz.affinity.receipt import MOST
from nlviz.networks.attention.tags import Tag, Term

ROWS = 2048  # of all entries together that are checked, and of one entry at most:
ROWS_OF_ONE = 16
KEPT = 64 << 20  # bytes of weights that are kept of a product whose q and k do not tell them
WHOLE = 1 << 20  # numbers up to which weights are kept in single precision
LOW, HIGH = 2.0**-10, 2.0**15  # the largest weight, for half precision to hold its row
HALF = 2e-3  # what half precision does to weights, of the size of y


@dataclass(frozen=True, eq=False)
class AttentionProduct:
    """An attention product, y = f(q k^T) v, each entry of a batch and each head by itself.

    Attributes:
        number: of its first product among those of the pass; -1 where there was none.
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
        error, tolerance, queries: of the check against y; see ``nlviz.affinity.receipt``.
        precision: the coarsest type of number that took part.
        note: what a reader must know of it, or empty.
        fault: why it is not shown, or empty.

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
    error: float = math.nan
    tolerance: float = 0.0
    queries: int = 0
    precision: str = "float32"
    note: str = ""
    fault: str = ""

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
        q, k = self.q[entries][:, rows].to(kind), self.k[entries].to(kind)
        logits = q @ k.mT * self.scale if content else q.new_zeros(*q.shape[:2], k.shape[1])
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
            return self.weights[entries][:, rows].float()
        logits = self.logits(entries, rows)
        return logits.softmax(-1).nan_to_num(0.0) if self.softmax else logits


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
    )


def checked(
    product: AttentionProduct, v: Tensor, y: Tensor, weights: Tensor | None = None
) -> AttentionProduct:
    """Return a product with its receipt; with its weights where q and k do not give what ran.

    Args:
        product: as it was seen.
        v: (entries, keys, dv).
        y: (entries, queries, dv).
        weights: (entries, queries, keys) where the network computed them.
    """
    if v.device.type == "meta":
        return product
    if weights is not None and (product.q is None or product.fault):
        return _by_weights(product, v, y, weights, product.fault)
    if product.fault:
        return product
    found = _receipt(product, v, y)
    if found.error <= found.tolerance or weights is None:
        return found
    return _by_weights(found, v, y, weights, "its rows do not follow from q and k")


def _by_weights(
    product: AttentionProduct, v: Tensor, y: Tensor, weights: Tensor, why: str
) -> AttentionProduct:
    most = KEPT // 2 if weights.numel() * 2 <= KEPT else 0
    kept, kind = weights.detach(), "in half precision"
    largest = float(kept.abs().max()) if kept.numel() else 0.0
    if weights.numel() <= WHOLE or not LOW <= largest <= HIGH:
        # Few are kept as they are; so are numbers that half precision has no room for.
        most //= 2 if weights.numel() > WHOLE else 1
        kept, kind = kept.float().clone(), "as they are"
    if weights.numel() > most:
        return replace(
            product,
            fault=f"{why or 'no q and k were seen'}, and its weights take "
            f"{weights.numel() * 2 >> 20} MiB in half precision, where {KEPT >> 20} are kept at "
            "most; a smaller clip may do",
        )
    half = kind != "as they are"
    kept = kept.half() if half else kept
    note = (
        f"Its weights are kept as the network computed them{', in half precision' if half else ''}"
    )
    rest = (
        ""
        if product.softmax
        else " Rows are what its values are summed with and need not sum to 1."
    )
    found = replace(
        product,
        q=None,
        k=None,
        scale=1.0,
        scales=None,
        terms=(),
        weights=kept,
        fault="",
        note=f"{note}: {why}.{rest}" if why else f"{note}.{rest}",
    )
    found = _receipt(found, v, y)
    return replace(found, tolerance=max(found.tolerance, HALF)) if half else found


def _receipt(product: AttentionProduct, v: Tensor, y: Tensor) -> AttentionProduct:
    """Return the product with how far its rows times values are from y, at a few rows of each."""
    count, queries, _ = product.size
    entries, rows = (index.to(v.device) for index in _sample(product.number, count, queries))
    kept = [x for x in (product.q, product.k, v, y) if x is not None]
    precision = coarsest(*kept)
    base, unit = ROUNDING.get(precision, ROUNDING["float32"])
    found = product.rows(entries, rows)
    error = relative_error(
        found,
        v[entries].to(found),
        y[entries][:, rows].to(found),
        softmax=product.softmax,
        of=precision,
    )
    tolerance = base
    if product.softmax and product.q is not None and product.k is not None:
        q = product.q[entries][:, rows].float().norm(dim=-1).amax(-1)
        largest = q * product.k[entries].float().norm(dim=-1).amax(-1) * abs(product.scale)
        if product.scales is not None:
            largest = largest * product.scales[entries].abs()
        tolerance += 4 * unit * float(largest.max())
    return replace(
        product,
        error=error,
        tolerance=min(tolerance, MOST),
        queries=len(rows) * len(entries),
        precision=precision,
    )


@lru_cache(maxsize=256)
def _sample(number: int, count: int, queries: int) -> tuple[Tensor, Tensor]:
    """Return the entries and the rows of each that are checked of a product."""
    generator = torch.Generator().manual_seed(number + 2)
    entries = torch.arange(count)
    if count > ROWS:
        entries = torch.randperm(count, generator=generator)[:ROWS]
    each = max(1, min(ROWS_OF_ONE, ROWS // max(len(entries), 1), queries))
    return entries, torch.randperm(queries, generator=generator)[:each].sort().values


def _turned(term: Term) -> Term:
    b, r, c = len(term.batch), len(term.rows), len(term.columns)
    axes = (*range(b), *range(b + r, b + r + c), *range(b, b + r))
    return replace(term, tensor=term.tensor.permute(axes), rows=term.columns, columns=term.rows)


def grouped(k: Tensor, v: Tensor, heads: int) -> tuple[Tensor, Tensor]:
    """Return keys and values that groups of heads share, once for each head."""
    return tuple(x.repeat_interleave(heads // x.shape[-3], -3) for x in (k, v))  # type: ignore[return-value]


def flat(x: Tensor, batch: tuple[int, ...]) -> Tensor:
    """Return (*batch, n, d) as (entries, n, d), copied."""
    found = x.expand(*batch, *x.shape[-2:]).reshape(-1, *x.shape[-2:])
    return found.detach().clone(memory_format=torch.contiguous_format)
