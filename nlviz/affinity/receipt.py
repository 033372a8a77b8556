"""The receipt of a capture: rows times values against what the block itself computed.

Equation (1) is checked on the spot, at a few queries of every head: |sum_j a_ij g_j - y_i| over the
size of what is summed. Where rows sum to 1, values are taken about their mean, which any row would
give back: values that are nearly alike prove nothing.

What rounding alone may do is known: each type has its own digits, and a softmax multiplies the
error of its logits, which grows with their size. Beyond that the rows are not those of the block.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor

from nlviz.affinity.embedded import EmbeddedAffinity

SAMPLE = 16  # queries of every head, at least
MOST = 0.05  # of the size of y: more is refused, whatever the type
# By type: what its products leave of the size of y, measured and doubled; and its unit roundoff.
_ROUNDING = {
    "float64": (1e-9, 2.0**-53),
    "float32": (2e-5, 2.0**-24),
    "tf32": (6e-3, 2.0**-11),
    "float16": (6e-3, 2.0**-11),
    "bfloat16": (3e-2, 2.0**-8),
}
# Of the largest value: what sums over keys in float32 lose, at least and for each key. Values that
# are nearly alike, as those of a still background, are all rounded to the same side.
SUMMED, SUMMED_BY_KEY = 64 * 2.0**-24, 2.0**-26
Y = "y before the output projection"


@dataclass(frozen=True)
class Receipt:
    """What was checked of one block when it was captured.

    Attributes:
        block: name of the block.
        error: largest difference of rows times values from what the block computed, relative to
            the size of what is summed; not a number where the block computed none.
        tolerance: what rounding may do to it.
        queries: how many were checked, spread evenly over the grid.
        heads: how many were checked, all there are.
        compared: with what, in words.
        precision: the coarsest type of number that took part, ``float32`` for instance.

    >>> Receipt("stage4", 5e-7, 2e-5, 32, 1).holds, Receipt("stage4", 0.3, 2e-5, 32, 1).holds
    (True, False)
    """

    block: str
    error: float
    tolerance: float
    queries: int
    heads: int
    compared: str = Y
    precision: str = "float32"

    @property
    def holds(self) -> bool:
        """Whether the rows give what the block computed, up to rounding."""
        return self.error <= self.tolerance

    @property
    def refusal(self) -> str:
        """Why the block is not shown, as a sentence."""
        if not math.isfinite(self.error):
            return (
                f"{self.block} must compute finite numbers to have rows, its {self.compared} holds "
                f"infinity or what is not a number, in {self.precision}; a wider type may cure it"
            )
        return (
            f"rows times values must give what {self.block} computed ({self.compared}), they are "
            f"off by {self.error:.2g} of its size at {self.queries} queries of {self.heads} "
            f"head{'s' if self.heads > 1 else ''}, where rounding in {self.precision} does "
            f"{self.tolerance:.1g}; something else takes part, a bias, a mask, a gate or dropout "
            "for instance, so its map would be wrong"
        )


def receipt(affinity: EmbeddedAffinity, *, sample: int | None = None) -> Receipt | None:
    """Check an affinity against the output that its block computed; None where none was kept.

    Args:
        affinity: as it was captured, in the types that the network computed in.
        sample: how many queries to check, spread evenly; by default one in each frame at least.

    >>> from nlviz.affinity.grid import TokenGrid
    >>> from nlviz.affinity.pairwise import Pairwise
    >>> torch.manual_seed(0) and None
    >>> theta, phi, g = torch.randn(1, 12, 5), torch.randn(1, 6, 5), torch.randn(1, 6, 3)
    >>> grids = TokenGrid((1, 3, 4)), TokenGrid((1, 2, 3))
    >>> rows = (theta @ phi.mT).softmax(-1)
    >>> kept = ("block", Pairwise("gaussian"), theta, phi, *grids)
    >>> receipt(EmbeddedAffinity(*kept, values=g, output=rows @ g)).holds
    True
    >>> receipt(EmbeddedAffinity(*kept, values=g, output=0.9 * rows @ g)).holds
    False
    """
    if affinity.values is None or affinity.output is None:
        return None
    precision = _coarsest(affinity.theta, affinity.phi, affinity.values, affinity.output)
    base, unit = _ROUNDING.get(precision, _ROUNDING["float32"])
    full = in_full(affinity)
    if sample is None:
        sample = max(SAMPLE, min(full.queries.shape[0], 4 * SAMPLE))
    index = full.evenly(sample).to(full.device)
    rows = full.rows(index)
    values, output = cast(Tensor, full.values), cast(Tensor, full.output)
    difference = rows @ values - output[:, index + full.queries.prefix]
    summed = max(SUMMED, values.shape[1] * SUMMED_BY_KEY)
    size = _size(rows, values, full.pairwise.softmax, (4 * unit + summed) / base)
    error = float((difference.abs().amax((1, 2)) / size).max())
    tolerance = base
    if full.pairwise.softmax:
        tolerance += 4 * unit * _largest_logit(full, index)
    return Receipt(
        affinity.name,
        error,
        min(tolerance, MOST),
        len(index),
        affinity.heads,
        precision=precision,
    )


def _size(rows: Tensor, values: Tensor, softmax: bool, common: float) -> Tensor:
    """Return the size of what is summed, one for each head.

    That is the spread of the values about their mean, where rows sum to 1, times the sum of a row.
    What all values have in common is rounded, too, when y is written and while it is summed.

    Args:
        rows: of some queries.
        values: g.
        softmax: whether rows sum to 1.
        common: share of the largest value that counts at least.
    """
    weight = rows.abs().sum(-1).amax(-1)
    largest = values.abs().amax((1, 2)) * common
    about = values - values.mean(1, keepdim=True) if softmax else values
    spread = about.square().mean(1).amax(-1).sqrt()
    return (weight * torch.maximum(spread, largest)).clamp(min=1e-30)


def in_full(affinity: EmbeddedAffinity) -> EmbeddedAffinity:
    """Return an affinity whose tensors are all of one type: float64 if one is, else float32.

    Rows are computed from them, and a softmax needs the digits.
    """
    kept = [affinity.theta, affinity.phi]
    kept += [x for x in (affinity.values, affinity.output) if x is not None]
    dtype = torch.float64 if any(x.dtype == torch.float64 for x in kept) else torch.float32
    if all(x.dtype == dtype for x in kept):
        return affinity
    bias, values, output = affinity.bias, affinity.values, affinity.output
    return replace(
        affinity,
        theta=affinity.theta.to(dtype),
        phi=affinity.phi.to(dtype),
        bias=None if bias is None else bias.changed(lambda x: x.to(dtype)),
        values=None if values is None else values.to(dtype),
        output=None if output is None else output.to(dtype),
    )


def _coarsest(*tensors: Tensor) -> str:
    """Return the type with the fewest digits; ``tf32`` where a GPU's products round to it."""
    eps = {x.dtype: torch.finfo(x.dtype).eps for x in tensors}
    coarsest = max(eps, key=lambda dtype: eps[dtype])
    if coarsest == torch.float32 and tensors[0].is_cuda and torch.backends.cuda.matmul.allow_tf32:
        return "tf32"
    return str(coarsest).removeprefix("torch.")


def _largest_logit(affinity: EmbeddedAffinity, index: Tensor) -> float:
    """Return a bound of the logits of some queries, |s| |theta_i| max_j |phi_j|."""
    theta = affinity.theta[:, index + affinity.queries.prefix].norm(dim=-1).amax(-1)
    phi = affinity.phi.norm(dim=-1).amax(-1)
    return abs(affinity.pairwise.scale) * float((theta * phi).max())
