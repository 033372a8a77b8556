"""What a block gives at one query without some of its links: no pass is needed for that.

Equation (1), y_i = sum_j a_ij g_j. Without the links S a softmax row is shared out among what is
left, so that its sum stays: a'_ij = a_ij sum_j a_ij / sum_{j not in S} a_ij outside of S, and 0 in
it; a row of zeros is left where nothing is. Other rows just lose these terms. A link that is cut
from the beginning, by a logit of -inf, gives the same row.

The change is |y' - y| / |y| over all heads together, Euclidean norms.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nlviz.affinity.asked import rows_at
from nlviz.affinity.base import Affinity
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.interventions.sharp_rows import without

PARTS = 1 << 22  # numbers that are in memory at once

Row = Float[Tensor, "heads all_keys"]
Values = Float[Tensor, "heads all_keys dv"]
Chosen = tuple[int, ...] | None


def exact_row(affinity: Affinity, number: int) -> Row:
    """Return the row of a query in double precision, a softmax from its logits where these are.

    A row that is sharp enough has zeros in float32, and without its strongest links these are all
    that is left.

    Args:
        affinity: whose query.
        number: of the query among all, those without a place first.
    """
    at = number - affinity.queries.prefix
    if at >= 0 and isinstance(affinity, EmbeddedAffinity) and affinity.pairwise.softmax:
        row: Tensor = affinity.logits([at])[:, 0].detach().double().softmax(-1)
        return row.nan_to_num(0.0)  # of a query that reaches no key
    return rows_at(affinity, [number])[:, 0].detach().double()


def output_changes(
    row: Row,
    values: Values,
    cuts: Bool[Tensor, "n all_keys"],
    *,
    shared: bool,
    heads: Chosen = None,
) -> Float[Tensor, " n"]:
    """Return by how much each cut changes the block's output at a query, relative to its size.

    Args:
        row: of the query.
        values: g.
        cuts: which keys each of them cuts.
        shared: whether what is left of a row is scaled to its sum.
        heads: in which heads; None for all.

    >>> row, values = torch.tensor([[0.5, 0.5]]), torch.tensor([[[3.0], [1.0]]])
    >>> output_changes(row, values, torch.tensor([[True, False]]), shared=True)
    tensor([0.5000], dtype=torch.float64)
    """
    row, values = row.double(), values.to(row.device).double()
    before = row[:, None] @ values
    some = list(range(row.shape[0])) if heads is None else list(heads)
    step = max(PARTS // max(row[some].numel(), 1), 1)
    found = []
    for part in torch.split(cuts.to(row.device), step):
        # What is left is summed, not what is lost taken off: that would leave rounding alone.
        each = row[some][:, None].expand(-1, len(part), -1)
        left = without(each, part, softmax=shared) @ values[some]
        found.append((left - before[some]).transpose(0, 1).flatten(1).norm(dim=1))
    changes: Tensor = torch.cat(found) / before.norm().clamp(min=1e-30)
    return changes


def single_changes(
    row: Row, values: Values, keys: Int[Tensor, " n"], *, shared: bool, heads: Chosen = None
) -> Float[Tensor, " n"]:
    """Return what cutting each of these links alone changes, relative to the size of the output."""
    whole = torch.zeros(len(keys), row.shape[-1], dtype=torch.bool)
    whole[torch.arange(len(keys)), keys] = True
    return output_changes(row, values, whole, shared=shared, heads=heads)


class Greedy(NamedTuple):
    """Links cut one after another, each time the one whose cut takes the output farthest away.

    Attributes:
        keys: in the order in which they were cut.
        changes: of the block's output with as many of them cut, from the first.
    """

    keys: tuple[int, ...]
    changes: tuple[float, ...]


def greedy_cuts(
    row: Row,
    values: Values,
    candidates: Int[Tensor, " n"],
    k: int,
    *,
    shared: bool,
    heads: Chosen = None,
) -> Greedy:
    """Cut k links one by one, each time the one that takes the output farthest from what it was.

    Args:
        row: of the query.
        values: g.
        candidates: numbers of the keys that may be cut.
        k: how many; the last one of a row that is shared out stays.
        shared: whether what is left of a row is scaled to its sum.
        heads: in which heads; None for all.

    >>> row, values = torch.tensor([[0.2, 0.4, 0.4]]), torch.tensor([[[9.0], [1.0], [1.0]]])
    >>> greedy_cuts(row, values, torch.arange(3), 1, shared=True).keys
    (0,)
    """
    # In double precision: what is left of a row may be little beside what was cut.
    some = list(range(row.shape[0])) if heads is None else list(heads)
    own, own_values = row[some].double(), values[some].double()
    size = float((row.double()[:, None] @ values.double()).norm())
    before = (own[:, None] @ own_values)[:, 0]
    left, kept = candidates.to(row.device), own.clone()
    keys: list[int] = []
    changes: list[float] = []
    for _ in range(min(k, len(left) - int(shared))):
        y, mass = (kept[:, None] @ own_values)[:, 0], kept.sum(-1)
        best, most = 0, -1.0
        for part in torch.split(left, max(PARTS // max(y.numel(), 1), 1)):
            weight = kept[:, part]
            after = y[:, None] - weight[..., None] * own_values[:, part]
            if shared:
                after *= _factor(own.sum(-1), mass, weight)[..., None]
            # Of a key with most of the weight, taking it off would leave rounding alone.
            for n in (weight > mass[:, None] / 2).any(0).nonzero()[:, 0].tolist():
                rest = kept.clone()
                rest[:, part[n]] = 0.0
                scale = _rest(own.sum(-1), rest.sum(-1)) if shared else own.new_ones(len(own))
                after[:, n] = (rest[:, None] @ own_values)[:, 0] * scale[:, None]
            away = (after - before[:, None]).square().sum((0, 2))
            at = int(away.argmax())
            if float(away[at]) > most:
                best, most = int(part[at]), float(away[at])
        kept[:, best] = 0.0
        left = left[left != best]
        keys.append(best)
        changes.append(most**0.5 / max(size, 1e-30))
    return Greedy(tuple(keys), tuple(changes))


def _factor(whole: Tensor, mass: Tensor, weight: Tensor) -> Tensor:
    """Return what a row is scaled by without each of its links."""
    return _rest(whole[:, None], mass[:, None] - weight)


def _rest(whole: Tensor, rest: Tensor) -> Tensor:
    """Return what the rest of a row is scaled by; 0 where there is none."""
    return torch.where(rest > 0, whole / rest.where(rest > 0, 1.0), 0.0)
