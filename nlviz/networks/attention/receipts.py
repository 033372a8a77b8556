"""Whether what is kept of attention products gives what was computed: the receipt of each.

Rows times values against y, on the spot, at a few queries of every head. Small products of one
shape are checked together when the pass is over, from copies of what the check needs, because
there calling costs more than computing.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

from nlviz.affinity.parity import ROUNDING, coarsest, relative_error, relative_errors
from nlviz.affinity.receipt import MOST
from nlviz.networks.attention.products import KEPT, AttentionProduct, flat, of_entries

ROWS = 2048  # of all entries together that are checked, and of one entry at most:
ROWS_OF_ONE = 8
CHANNELS = 16  # of the values, at least, spread evenly: a wrong row is wrong in each
SMALL = 1 << 19  # numbers in the keys of a product up to which calling costs more than computing
WHOLE = 1 << 20  # numbers up to which weights are kept in single precision
LOW, HIGH = 2.0**-10, 2.0**15  # the largest weight, for half precision to hold its row
HALF = 2e-3  # what half precision does to weights, of the size of y


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
    if not _has_numbers(v):
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
    some = _some(v)
    error = relative_error(
        found,
        of_entries(v, entries)[..., some].to(found).contiguous(),
        of_entries(y, entries)[..., some].index_select(1, rows).to(found),
        softmax=product.softmax,
        of=precision,
    )
    tolerance = base
    fits = error <= base
    if not fits and product.softmax and product.q is not None and product.k is not None:
        q = of_entries(product.q, entries).index_select(1, rows)
        largest = _largest_logit(q, of_entries(product.k, entries), product)
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


def _has_numbers(x: Tensor) -> bool:
    """Check whether a tensor is more than a shape, as those are of which memory is estimated."""
    return x.device.type != "meta" and not isinstance(x, FakeTensor)


class Waiting(NamedTuple):
    """A product that is checked later, and copies of what the check needs.

    Attributes:
        at: where it stands among the products of the pass.
        product: as it was seen.
        v: some channels of its values, (entries, keys, c).
        y: the same of what was computed at the queries that are checked, (entries, rows, c).
    """

    at: int
    product: AttentionProduct
    v: Tensor
    y: Tensor


class Receipts:
    """Checks the fused products of a pass, small ones together.

    >>> q, k, v = torch.randn(3, 2, 4, 5, 6).unbind(0)
    >>> y = torch.nn.functional.scaled_dot_product_attention(q, k, v)
    >>> seen = AttentionProduct(0, "", q.reshape(8, 5, 6), k.reshape(8, 5, 6), scale=6**-0.5)
    >>> products = []
    >>> receipts = Receipts(products)
    >>> receipts.add(seen, v, y, (2, 4))
    >>> receipts.settle()
    >>> products[0].error < products[0].tolerance
    True
    """

    def __init__(self, products: list[AttentionProduct]) -> None:
        """Begin with the list that products are put into."""
        self.products = products
        self._waiting: list[Waiting] = []

    def add(self, product: AttentionProduct, v: Tensor, y: Tensor, batch: tuple[int, ...]) -> None:
        """Put a product into the list; its receipt follows at once, or with ``settle``.

        Args:
            product: as it was seen.
            v: (..., keys, dv) values, whose batch may be broadcast.
            y: (..., queries, dv) what was computed.
            batch: shape of the product's batch.
        """
        assert product.k is not None
        count, queries, _ = product.size
        added = bool(product.terms) or product.causal
        if not _has_numbers(v) or added or count > ROWS or product.k.numel() > SMALL:
            v = v.expand(*batch, *v.shape[-2:]).reshape(-1, *v.shape[-2:])
            self.products.append(checked(product, v, y.reshape(-1, *y.shape[-2:])))
            return
        rows = _sample(-1, count, queries)[1].to(y.device)
        v, y = flat(v[..., _some(v)], batch), flat(y.index_select(-2, rows)[..., _some(y)], batch)
        self._waiting.append(Waiting(len(self.products), product, v, y))
        self.products.append(product)

    def settle(self) -> None:
        """Check what waits, products of one shape together."""
        alike: dict[object, list[Waiting]] = {}
        for each in self._waiting:
            one = each.product
            kinds = tuple(
                (x.dtype, x.shape) for x in (one.q, one.k, each.v, each.y) if x is not None
            )
            alike.setdefault((kinds, one.scale, each.v.device), []).append(each)
        self._waiting = []
        for group in alike.values():
            assert group[0].product.k is not None
            most = max(8 * SMALL // max(group[0].product.k.numel(), 1), 1)
            for first in range(0, len(group), most):
                self._settle(group[first : first + most])

    def _settle(self, group: list[Waiting]) -> None:
        count, queries, _ = group[0].product.size
        rows = _sample(-1, count, queries)[1].to(group[0].v.device)
        every = torch.arange(count, device=rows.device)
        found = torch.cat([each.product.logits(every, rows) for each in group])
        found = found.softmax(-1)
        v, y = torch.cat([each.v for each in group]), torch.cat([each.y for each in group])
        product = group[0].product
        precision = coarsest(*(x for x in (product.q, product.k, v, y) if x is not None))
        base, unit = ROUNDING.get(precision, ROUNDING["float32"])
        errors = relative_errors(found, v.to(found), y.to(found), softmax=True, of=precision)
        for each, error in zip(group, errors.reshape(-1, count).amax(1).tolist(), strict=True):
            product, tolerance = each.product, base
            if not error <= base:
                assert product.q is not None
                assert product.k is not None
                q = product.q.index_select(1, rows)
                tolerance += 4 * unit * float(_largest_logit(q, product.k, product).max())
            self.products[each.at] = replace(
                each.product,
                error=error,
                tolerance=min(tolerance, MOST),
                queries=len(rows) * count,
                precision=precision,
            )


def _some(x: Tensor) -> slice:
    """Return which channels of values, or of what was computed with them, are compared."""
    return slice(None, None, max(x.shape[-1] // CHANNELS, 1))


def _largest_logit(q: Tensor, k: Tensor, product: AttentionProduct) -> Tensor:
    """Return a bound of the logits of each entry, |s| max_i |q_i| max_j |k_j|."""
    return _longest(q) * _longest(k) * abs(product.scale)


def _longest(x: Tensor) -> Tensor:
    """Return the largest length of the vectors of each entry, (entries,)."""
    found: Tensor = torch.linalg.vector_norm(x.float(), dim=-1).amax(-1)
    return found


@lru_cache(maxsize=256)
def _sample(number: int, count: int, queries: int) -> tuple[Tensor, Tensor]:
    """Return the entries and the rows of each that are checked of a product."""
    generator = torch.Generator().manual_seed(number + 2)
    entries = torch.arange(count)
    if count > ROWS:
        entries = torch.randperm(count, generator=generator)[:ROWS]
    each = max(1, min(ROWS_OF_ONE, ROWS // max(len(entries), 1), queries))
    return entries, torch.randperm(queries, generator=generator)[:each].sort().values
