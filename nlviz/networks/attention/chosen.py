"""Rows of some queries of an attention, kept while it runs: memory in the number of keys.

Of each product the chosen queries are kept, and the keys, once for each group of heads that share
them; of what was added to the logits, the rows of these queries.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from nlviz.affinity.parity import ROUNDING, coarsest, relative_errors
from nlviz.affinity.receipt import MOST

Choose = Callable[[str, int], Tensor | None]
"""Returns which queries of a module's product are kept, by the module's name and their number."""

LOW = -1e4  # what is added to logits and lies below this masks
_SAMPLE = 64  # tokens at which heads are compared
_CHANNELS = 16  # of the values that are summed again, at least


@dataclass(frozen=True, eq=False)
class ChosenRows:
    """Some queries of an attention product, and its keys.

    Attributes:
        number: of the product among those of the pass.
        module: name of the innermost module that it ran in.
        numbers: (n,) which queries they are.
        q: (heads, n, d).
        k: (groups, keys, d), once for each group of heads.
        scale: factor of the logits.
        reach: (n, keys) which keys each reaches; None for all.
        error, tolerance, precision: of rows times values against what was computed.
        fault: why it is not shown, or empty.
    """

    number: int
    module: str
    numbers: Tensor
    q: Tensor
    k: Tensor
    scale: float
    reach: Tensor | None
    error: float
    tolerance: float
    precision: str
    fault: str = ""

    def rows(self) -> Tensor:
        """Return the rows, (heads, n, keys)."""
        return rows_of(self.q, self.k, self.scale, self.reach)


def rows_of(q: Tensor, k: Tensor, scale: float, reach: Tensor | None) -> Tensor:
    """Return softmax rows of queries over keys that groups of heads share, (heads, n, keys)."""
    kind = torch.float64 if q.dtype == torch.float64 else torch.float32
    heads, n, d = q.shape
    logits = (q.to(kind).reshape(len(k), -1, d) * scale) @ k.to(kind).mT
    logits = logits.reshape(heads, n, -1)
    if reach is not None:
        logits = logits.masked_fill(~reach, -torch.inf)
    return logits.softmax(-1).nan_to_num(0.0)


def chosen_rows(
    number: int,
    module: str,
    numbers: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    output: Tensor,
    *,
    mask: Tensor | None,
    causal: bool,
    scale: float,
) -> ChosenRows | None:
    """Return the chosen rows of a fused attention; None where its batch holds several.

    Args:
        number: of the product among those of the pass.
        module: that it runs in.
        numbers: (n,) which queries are chosen.
        q: (1, heads, queries, d).
        k: (1, heads or groups of them, keys, d).
        v: (1, heads or groups of them, keys, dv).
        output: (1, heads, queries, dv).
        mask: what is added or masked, as ``F.scaled_dot_product_attention`` takes it.
        causal: whether a query reaches no key behind it.
        scale: factor of the logits.

    >>> q, k, v = torch.randn(1, 4, 7, 5), torch.randn(1, 2, 7, 5), torch.randn(1, 2, 7, 3)
    >>> y = torch.nn.functional.scaled_dot_product_attention(
    ...     q, k, v, is_causal=True, enable_gqa=True)
    >>> found = chosen_rows(0, "", torch.tensor([2, 6]), q, k, v, y,
    ...                     mask=None, causal=True, scale=5**-0.5)
    >>> found.k.shape, found.error < found.tolerance, found.rows()[0, 0, 3:].tolist()
    (torch.Size([2, 7, 5]), True, [0.0, 0.0, 0.0, 0.0])
    """
    if q.dim() != 4 or len(q) != 1:
        return None
    heads = q.shape[1]
    at = numbers.to(q.device)
    own, keys, values = q[0].index_select(1, at).detach(), k[0].detach(), v[0].detach()
    shared = 1 if len(keys) != heads else _shared(keys)
    keys, values = keys[::shared].clone(), values[::shared]
    reach, fault = _reach(mask, causal, at, q.shape[2], keys.shape[1])
    some = slice(None, None, max(values.shape[-1] // _CHANNELS, 1))
    rows = rows_of(own, keys, scale, reach)
    values = values[..., some].to(rows)
    if len(values) != heads:
        values = values.repeat_interleave(heads // len(values), 0)
    y = output[0].index_select(1, at)[..., some].to(rows)
    precision = coarsest(own, keys, v)
    base, unit = ROUNDING.get(precision, ROUNDING["float32"])
    error = float(relative_errors(rows, values, y, softmax=True, of=precision).max())
    largest = float(own.float().norm(dim=-1).max() * keys.float().norm(dim=-1).max()) * scale
    return ChosenRows(
        number,
        module,
        numbers.cpu(),
        own.clone(),
        keys,
        scale,
        None if reach is None else reach.cpu(),
        error,
        min(base + 4 * unit * largest, MOST),
        precision,
        fault,
    )


def _shared(keys: Tensor) -> int:
    """Return how many heads after one another have the same keys, as where they are repeated.

    Receipts say whether it holds of all tokens; a sample is compared here.
    """
    heads = len(keys)
    some = keys[:, :: max(keys.shape[1] // _SAMPLE, 1)]
    for shared in (n for n in range(heads, 1, -1) if heads % n == 0):
        grouped = some.reshape(heads // shared, shared, *some.shape[1:])
        if torch.equal(grouped, grouped[:, :1].expand_as(grouped)):
            return shared
    return 1


def _reach(
    mask: Tensor | None, causal: bool, at: Tensor, queries: int, keys: int
) -> tuple[Tensor | None, str]:
    """Return which keys the chosen queries reach, and why that is not all, where it is not."""
    if mask is None:
        if not causal:
            return None, ""
        return torch.arange(keys, device=at.device)[None] <= at[:, None], ""
    x = mask.detach().expand(*mask.shape[:-2], queries, keys).index_select(-2, at)
    x = x.reshape(-1, len(at), keys)
    if x.dtype != torch.bool:
        low = x <= LOW
        kept = x.masked_fill(low, 0.0)
        if float(kept.amax() - kept.amin()) > 0:
            return None, "numbers are added to its logits, which rows of chosen words do not hold"
        x = ~low
    if bool((x != x[:1]).any()):
        return None, "its mask is another one for each head"
    return (None if bool(x.all()) else x[0]), ""
