"""Rows without some edges, or flatter, where a softmax left too little for its type of number.

A row that is sharp enough has weights that are 0 in float32, or nearly so. Without its strongest
edges these are all that is left, and they are what a softmax of the other logits makes of them, not
nothing: such rows are worked out from the logits. The same holds for a row that is made flatter.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.interventions.change import Rows

PART = 256  # rows that are worked out at once


def without(
    weights: Float[Tensor, "heads n columns"],
    cut: Bool[Tensor, "*any columns"],
    *,
    softmax: bool,
) -> Float[Tensor, "heads n columns"]:
    """Return rows without some of their edges.

    Args:
        weights: the rows.
        cut: which edges are cut; broadcast.
        softmax: whether what is left is shared out anew, to the sum that the row had. Where
            nothing is left, the row is 0.

    >>> rows = torch.tensor([[[0.5, 0.25, 0.25]]])
    >>> without(rows, torch.tensor([True, False, False]), softmax=True)
    tensor([[[0.0000, 0.5000, 0.5000]]])
    """
    left = weights.masked_fill(cut, 0.0)
    if softmax:
        _share_out(left, weights.sum(-1, keepdim=True), cut)
    return left


def _share_out(left: Tensor, total: Tensor, cut: Tensor) -> Tensor:
    """Bring rows of which something was cut to a sum again, in place; return what they summed to.

    Args:
        left: (heads, n, columns) rows with zeros for what was cut.
        total: (heads, n, 1) the sum.
        cut: which edges were cut; broadcast.
    """
    kept = left.sum(-1, keepdim=True)
    touched = cut.any(-1, keepdim=True) & (kept > 0)
    # Divided first: total / kept may be more than the type of number holds.
    left.div_(kept.where(touched, 1.0)).mul_(total.where(touched, 1.0))
    return kept


def shared_out(rows: Rows, cut: Bool[Tensor, "*any columns"]) -> Float[Tensor, "heads n columns"]:
    """Return rows without some of their edges, sharp ones from their logits.

    Args:
        rows: the rows.
        cut: which edges are cut; broadcast.
    """
    weights, affinity = rows.weights, rows.affinity
    cut = cut.to(weights.device)
    found = weights.masked_fill(cut, 0.0)
    if not affinity.pairwise.softmax:
        return found
    total = weights.sum(-1, keepdim=True)
    kept = _share_out(found, total, cut)
    if not isinstance(affinity, EmbeddedAffinity):
        return found
    kind = torch.finfo(weights.dtype)
    little = kind.tiny / kind.eps * total
    lost = (cut.any(-1, keepdim=True) & (kept < little))[..., 0]
    return _from_logits(found, rows, affinity, lost, hidden=cut.expand(weights.shape))


def at_temperature(rows: Rows, factor: float) -> Float[Tensor, "heads n columns"]:
    """Return p^(1/T) / sum p^(1/T), the softmax of logits over T, sharp rows from their logits.

    Args:
        rows: the rows.
        factor: T.
    """
    weights, affinity, keys = rows.weights, rows.affinity, rows.keys
    peak = weights.amax(-1, keepdim=True).clamp(min=1e-30)
    raised = ((weights / peak) ** (1 / factor)).where(weights > 0, 0.0)
    total = weights.sum(-1, keepdim=True)
    found = raised * (total / raised.sum(-1, keepdim=True).clamp(min=1e-30))
    if not (isinstance(affinity, EmbeddedAffinity) and affinity.pairwise.softmax and factor > 1):
        return found
    kind = torch.finfo(weights.dtype)
    low = weights < kind.tiny / kind.eps * peak
    if not bool(low.any()):
        return found
    # What a mask hides is not lost: logits are those of the capture, rows those of this pass.
    at = (rows.numbers - affinity.queries.prefix).clamp(min=0).to(affinity.device)
    reach = affinity.support.mask_all(affinity.queries, affinity.keys, at)
    if reach is not None:
        own = keys.clamp(min=0).to(reach.device)
        low &= (reach[:, own] & (keys >= 0).to(reach.device)).to(low.device)
    return _from_logits(found, rows, affinity, low.any(-1), factor=factor)


def _from_logits(
    found: Float[Tensor, "heads n columns"],
    rows: Rows,
    affinity: EmbeddedAffinity,
    lost: Bool[Tensor, "heads n"],
    *,
    hidden: Bool[Tensor, "heads n columns"] | None = None,
    factor: float = 1.0,
) -> Float[Tensor, "heads n columns"]:
    """Return rows of which the lost ones are worked out from their logits, to the sum they had."""
    weights, keys = rows.weights, rows.keys
    at = rows.numbers.to(weights.device) - affinity.queries.prefix
    which = (lost.any(0) & (at >= 0)).nonzero()[:, 0]
    none = (keys < 0).to(weights.device)
    columns = keys.clamp(min=0).to(affinity.device)
    for part in torch.split(which, PART) if len(which) else ():
        # Whoever watches the network's products does not see this one.
        with torch._C.DisableTorchFunction():
            logits = affinity.logits(at[part].to(affinity.device))
            logits = logits[rows.heads.to(affinity.device)][..., columns]
        out = none if hidden is None else hidden[:, part] | none
        anew = (logits.to(weights.device).double() / factor).masked_fill(out, -torch.inf)
        anew = anew.softmax(-1).nan_to_num(0.0) * weights[:, part].sum(-1, keepdim=True)
        found[:, part] = torch.where(lost[:, part, None], anew.to(weights), found[:, part])
    return found
