"""The receipt of a capture: rows times values against what the block itself computed.

Equation (1) is checked on the spot, at a few queries of every head: |sum_j a_ij g_j - y_i| over the
size of what is summed. Where rows sum to 1, values are taken about their mean, which any row would
give back: values that are nearly alike prove nothing.

What rounding alone may do is known: each type has its own digits, and a softmax multiplies the
error of its logits, which grows with their size. Beyond that the rows are not those of the block.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

from torch import Tensor

from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.parity import ROUNDING, coarsest, relative_error
from nlviz.affinity.stored import StoredAffinity

SAMPLE = 16  # queries of every head, at least
MOST = 0.05  # of the size of y: more is refused, whatever the type
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


def receipt(
    affinity: EmbeddedAffinity | StoredAffinity, *, sample: int | None = None
) -> Receipt | None:
    """Check an affinity against the output that its block computed; None where none was kept.

    Args:
        affinity: as it was captured, in the types that the network computed in.
        sample: how many queries to check, spread evenly; by default one in each frame at least.

    >>> import torch
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
    kept = [affinity.values, affinity.output]
    kept += [affinity.weights] if isinstance(affinity, StoredAffinity) else []
    kept += [affinity.theta, affinity.phi] if isinstance(affinity, EmbeddedAffinity) else []
    precision = coarsest(*kept)
    base, unit = ROUNDING.get(precision, ROUNDING["float32"])
    full = affinity.in_full() if isinstance(affinity, EmbeddedAffinity) else affinity
    if sample is None:
        sample = max(SAMPLE, min(full.queries.shape[0], 4 * SAMPLE))
    index = full.evenly(sample).to(full.device)
    values, output = cast(Tensor, full.values).float(), cast(Tensor, full.output).float()
    if isinstance(full, EmbeddedAffinity):  # in the type of its rows
        values, output = cast(Tensor, full.values), cast(Tensor, full.output)
    softmax = full.pairwise.softmax
    error = relative_error(
        full.rows(index),
        values,
        output[:, index + full.queries.prefix],
        softmax=softmax,
        of=precision,
    )
    tolerance = base
    if softmax and isinstance(full, EmbeddedAffinity):
        tolerance += 4 * unit * _largest_logit(full, index)
    return Receipt(
        affinity.name,
        error,
        min(tolerance, MOST),
        len(index),
        affinity.heads,
        precision=precision,
    )


def _largest_logit(affinity: EmbeddedAffinity, index: Tensor) -> float:
    """Return a bound of the logits of some queries, |s| |theta_i| max_j |phi_j|."""
    theta = affinity.theta[:, index + affinity.queries.prefix].norm(dim=-1).amax(-1)
    phi = affinity.phi.norm(dim=-1).amax(-1)
    return abs(affinity.pairwise.scale) * float((theta * phi).max())
