"""How far rows times values are from what a block computed, against what rounding leaves."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

# By type: what its products leave of the size of y, measured and doubled; and its unit roundoff.
ROUNDING = {
    "float64": (1e-9, 2.0**-53),
    "float32": (2e-5, 2.0**-24),
    "tf32": (6e-3, 2.0**-11),
    "float16": (6e-3, 2.0**-11),
    "bfloat16": (3e-2, 2.0**-8),
}
# Of the largest value: what sums over keys in float32 lose, at least and for each key. Values that
# are nearly alike, as those of a still background, are all rounded to the same side, and the fast
# exponential of fused attention leaves sums of weights that are off by some 1e-5.
SUMMED, SUMMED_BY_KEY = 192 * 2.0**-24, 2.0**-26


def relative_error(
    rows: Tensor, values: Tensor, output: Tensor, *, softmax: bool, of: str
) -> float:
    """Return the largest distance of rows times values from y, against the size of what is summed.

    Args:
        rows: (heads, queries, keys) of some queries.
        values: (heads, keys, d) g.
        output: (heads, queries, d) y of these queries, as the block computed it.
        softmax: whether rows sum to 1.
        of: the type that the block computed in; see ``coarsest``.
    """
    return float(relative_errors(rows, values, output, softmax=softmax, of=of).max())


def relative_errors(
    rows: Tensor, values: Tensor, output: Tensor, *, softmax: bool, of: str
) -> Float[Tensor, " heads"]:
    """Return ``relative_error`` of each head by itself."""
    base, unit = ROUNDING.get(of, ROUNDING["float32"])
    summed = max(SUMMED, values.shape[1] * SUMMED_BY_KEY)
    size = _size(rows, values, softmax, (4 * unit + summed) / base)
    return (rows @ values - output).abs().amax((1, 2)) / size


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


def coarsest(*tensors: Tensor) -> str:
    """Return the type with the fewest digits; ``tf32`` where a GPU's products round to it."""
    eps = {x.dtype: torch.finfo(x.dtype).eps for x in tensors}
    coarsest = max(eps, key=lambda dtype: eps[dtype])
    if coarsest == torch.float32 and tensors[0].is_cuda and torch.backends.cuda.matmul.allow_tf32:
        return "tf32"
    return str(coarsest).removeprefix("torch.")
