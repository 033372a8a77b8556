"""What many queries of a block have in common: column sums, the mean row, and their distance.

They are taken over at most ``MANY`` queries, spread evenly over the block. Where queries see only
their own group of frames, or a window, they are of the groups that hold a sampled query, ``FEW`` of
each at least. Then

figure              definition
``concentration``   max_j c_j / median_j c_j, c_j the column sum of key j over what uniform rows
                    would give it (``nlviz.affinity.columns``)
``sink``            share of a sampled query's row on the sinks of its head, keys to which most of
                    these queries give much (``nlviz.analysis.block_sinks`` has the rule)
``sink_value``      |v_s| / median_j |v_j|, s the strongest sink, or the key of the largest c_j
``shared``          sum_j min(p_j, m_j), m the mean row of the queries of the same group
``query_distance``  (1 - |mean_i u_i|^2) / 2 of rows u_i of unit length, pairs within a group
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from nlviz.affinity.base import CHUNK, Affinity, spread_evenly
from nlviz.affinity.columns import MUCH
from nlviz.analysis.block_sinks import FEW as LEAST
from nlviz.analysis.block_sinks import BlockSinks, key_place
from nlviz.analysis.sinks import effective_rank, key_names
from nlviz.analysis.statistics import FEW
from nlviz.surveys.measure_rows import Asked, rows_and_reach

MANY = 256  # queries over which column sums are taken, about


@dataclass(frozen=True, eq=False)
class Many:
    """What many queries have in common.

    Attributes:
        index: flat numbers of these queries.
        share: what each key receives of all weight.
        expected: the same of uniform rows, (1 or heads, all_keys).
        given: part of the queries that reach a key which give it much.
        means: mean row of each group, as shares of their size.
        groups: number of the group in ``means`` of each sampled query.
        distance: average cosine distance of the rows of each head.
    """

    index: Int[Tensor, " m"]
    share: Float[Tensor, "heads all_keys"]
    expected: Float[Tensor, "heads_or_1 all_keys"]
    given: Float[Tensor, "heads all_keys"]
    means: Float[Tensor, "heads groups all_keys"]
    groups: Int[Tensor, " n"]
    distance: Float[Tensor, " heads"]

    @property
    def multiple(self) -> Float[Tensor, "heads all_keys"]:
        """The c_j; not a number for a key that none of these queries reaches."""
        there = self.expected > 0
        found: Tensor = torch.where(there, self.share / self.expected.where(there, 1.0), torch.nan)
        return found


def many_queries(asked: Asked, *, most: int = MANY) -> Many:
    """Return what many queries of a block have in common, a chunk of rows at a time.

    Args:
        asked: the sampled queries.
        most: how many others, about.
    """
    affinity = asked.affinity
    index, group, own_group = _compared(affinity, asked.index, most)
    groups = int(group.max()) + 1
    keys = asked.rows.shape[-1]
    chunk = max(CHUNK // (affinity.heads * keys), 16)
    one_hot = torch.nn.functional.one_hot(group, groups).mT.to(asked.rows)  # (groups, m)
    sums = asked.rows.new_zeros(2, affinity.heads, groups, keys)
    expected: Tensor | float = 0.0
    given: Tensor | float = 0.0
    reached: Tensor | float = 0.0
    filled: Tensor | float = 0.0
    for first in range(0, len(index), chunk):
        part = slice(first, first + chunk)
        rows, reach = rows_and_reach(affinity, index[part])
        pick = one_hot[:, part]
        norm = rows.norm(dim=-1).clamp(min=1e-12)
        sums[1] += (pick / norm[:, None]) @ rows
        if not affinity.distributes:
            rows = rows.abs()
            size = rows.sum(-1, keepdim=True)
            rows = rows / size.clamp(min=1e-30)
            # A row of zeros, all of whose f are below 0 before a ReLU, gives nothing to any key.
            reach = (size > 0) if reach is None else reach & (size > 0)
            reach = reach.expand(-1, -1, keys)
        sums[0] += pick @ rows
        n = rows.shape[1]
        if reach is None:
            one = rows.new_ones(1, keys)
            expected, reached = expected + one * (n / keys), reached + one * n
            filled = filled + one[:, :1] * n
            given = given + (rows >= MUCH / keys).sum(1, dtype=torch.int32)
            continue
        counts = reach.sum(-1, keepdim=True)
        expected = expected + (reach / counts.clamp(min=1)).sum(1)
        given = given + (reach & (rows * counts >= MUCH)).sum(1)
        reached = reached + reach.sum(1)
        filled = filled + (counts[..., 0] > 0).sum(1, keepdim=True)
    even, much, reaching, n_rows = (
        torch.as_tensor(x, device=index.device) for x in (expected, given, reached, filled)
    )
    n_rows = n_rows.clamp(min=1)
    of_group = one_hot.sum(-1)
    mean_units = sums[1] / of_group[:, None]
    apart = (1 - mean_units.square().sum(-1)) / 2  # (heads, groups)
    return Many(
        index=index,
        share=sums[0].sum(1) / n_rows,
        expected=even / n_rows,
        given=much / reaching.clamp(min=1),
        means=sums[0] / of_group[:, None],
        groups=own_group,
        distance=(apart * of_group).sum(-1) / len(index),
    )


def _compared(
    affinity: Affinity, asked: Int[Tensor, " n"], most: int
) -> tuple[Int[Tensor, " m"], Int[Tensor, " m"], Int[Tensor, " n"]]:
    """Return queries that are compared, the group of each, and that of each sampled query."""
    of_query = affinity.query_groups
    chosen, own_group = torch.unique(of_query[asked], return_inverse=True)
    if len(chosen) == 1 and int(of_query.min()) == int(of_query.max()):
        index = affinity.evenly(most).to(asked.device)
        return index, torch.zeros_like(index), own_group
    each = max(most // len(chosen), FEW)
    kept, group = [], []
    for number, one in enumerate(chosen):
        own = (of_query == one).nonzero()[:, 0]
        own = own[spread_evenly(len(own), each).to(own.device)]
        kept.append(own)
        group.append(torch.full_like(own, number))
    return torch.cat(kept), torch.cat(group), own_group


def shared_mass(asked: Asked, many: Many) -> Float[Tensor, "heads n"]:
    """Return the mass that each sampled row has in common with the mean row of its group."""
    size = asked.rows.abs() if asked.affinity.pairwise.signed else asked.rows
    total = size.sum(-1, keepdim=True)
    shares = size / total.where(total > 0, torch.nan)
    found: Tensor = torch.minimum(shares, many.means[:, many.groups]).sum(-1)
    return found


def found_sinks(asked: Asked, many: Many) -> BlockSinks:
    """Return the sinks of each head, as ``nlviz.sinks`` tells them, by the same rules."""
    affinity = asked.affinity
    multiple = many.multiple.double().cpu()
    median = multiple.nanquantile(0.5, -1)
    largest = multiple.nan_to_num(0.0).amax(-1)
    values = getattr(affinity, "values", None)
    if not (isinstance(values, Tensor) and len(values) == affinity.heads):
        values = None
    sinks = BlockSinks(
        block=affinity.name,
        keys=affinity.keys,
        names=key_names(affinity),
        multiple=multiple,
        share=many.share.double().cpu(),
        given=many.given.double().cpu(),
        concentration=torch.where(median > 0, largest / median.clamp(min=1e-300), torch.nan),
        value_norms=None if values is None else values.float().norm(dim=-1).double().cpu(),
        output_size=None,
        rank_output=None,
        rank_values=None,
        queries=len(many.index),
    )
    heads = [h for h in range(affinity.heads) if sinks.sinks_of(h)]
    if values is None or not heads:
        return sinks
    return _with_ranks(sinks, asked, many, values.double(), heads)


def _with_ranks(
    sinks: BlockSinks, asked: Asked, many: Many, values: Tensor, heads: list[int]
) -> BlockSinks:
    """Return sinks with the effective ranks that tell whether a head broadcasts."""
    from dataclasses import replace

    affinity = asked.affinity
    outputs = values.new_ones(affinity.heads)
    ranks = values.new_ones(affinity.heads)
    output = getattr(affinity, "output", None)
    prefix, size = affinity.queries.prefix, affinity.queries.size
    for head in heads:
        if isinstance(output, Tensor) and output.shape[1] == prefix + size:
            y = output[head, many.index + prefix].double()
        else:
            y = affinity.rows(many.index)[head].to(values) @ values[head]
        reach = rows_and_reach(affinity, many.index)[1] if _limited(asked) else None
        if reach is not None:
            there = reach[min(head, len(reach) - 1), :, sinks.strongest[head]]
            y = y[there]
        outputs[head] = effective_rank(_gram(y)[None])[0]
        ranks[head] = effective_rank(_gram(values[head])[None])[0]
    return replace(sinks, rank_output=outputs.cpu(), rank_values=ranks.cpu())


def _limited(asked: Asked) -> bool:
    return asked.reach is not None


def _gram(x: Float[Tensor, "n d"]) -> Float[Tensor, "m m"]:
    found: Tensor = x.mT @ x if x.shape[0] >= x.shape[1] else x @ x.mT
    return found


@dataclass(frozen=True)
class SinkPlace:
    """Where the key lies that a head gives most to.

    Attributes:
        kind: what the head does with it; None where that is not known.
        said: its place in words.
        frame, y, x: its centre; None of a key without a place.
    """

    kind: str | None
    said: str
    frame: float | None
    y: float | None
    x: float | None


def sink_places(sinks: BlockSinks) -> list[SinkPlace]:
    """Return the strongest key of each head."""
    found = []
    for head, key in enumerate(sinks.strongest):
        kind = sinks.kind(head)
        said = key_place(sinks.keys, sinks.names, key)
        at = key - sinks.keys.prefix
        place: tuple[float | None, ...] = (None, None, None)
        if at >= 0 and sinks.keys.kind in ("grid", "boxes"):
            place = tuple(sinks.keys.centre(at))
        found.append(SinkPlace(None if kind == "unknown" else kind, said, *place))
    return found


def enough(many: Many) -> bool:
    """Return whether the queries are enough to tell what most of them do."""
    return len(many.index) >= LEAST


def sink_values(sinks: BlockSinks) -> np.ndarray | None:
    """Return |v| of each head's strongest key over the median |v|; None where not known."""
    ratio = sinks.value_ratio
    return None if ratio is None else ratio.numpy()
