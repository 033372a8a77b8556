"""What many queries of a block have in common: column sums, the mean row, and their distance.

They are taken over at most ``MANY`` queries, spread evenly over the block. Where queries see only
their own group of frames, or a window, they are of the groups that hold a sampled query, ``FEW`` of
each at least. Then

figure              definition
``concentration``   c_s of the key s that receives most, c_j the column sum of key j over what
                    uniform rows would give it (``nlviz.affinity.columns``); s is found by one half
                    of the queries and c_s is over the other, and the mean of both ways is told
``sink``            share of a sampled query's row on the sinks of its head, keys to which most of
                    these queries give much (``nlviz.analysis.block_sinks`` has the rule)
``sink_value``      |v_s| / median_j |v_j|, s the strongest sink of the head
``shared``          sum_j min(p_j, m_j), m the mean row of the queries of the same group
``query_distance``  (1 - |mean_i u_i|^2) / 2 of rows u_i of unit length, pairs within a group

The largest of 11,200 column sums over a few hundred sharp rows is large by chance: of the first
block of ``lite-nl`` it was 60 times the median one over 256 queries, where it is 2.4 over all. What
one half finds and the other measures is not. Sinks are safe from that: most queries give them much.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from nlviz.affinity.base import Affinity, spread_evenly
from nlviz.affinity.columns import MUCH
from nlviz.analysis.block_sinks import FEW as LEAST
from nlviz.analysis.statistics import FEW
from nlviz.surveys.measuring.rows import Asked, rows_and_reach

MANY = 256  # queries over which column sums are taken, about
CHUNK = 1 << 18  # weights at a time: few enough for the processor's cache


@dataclass(frozen=True, eq=False)
class Many:
    """What many queries have in common.

    Attributes:
        index: flat numbers of these queries.
        share: what each key receives of all weight.
        expected: the same of uniform rows, (1 or heads, all_keys).
        given: part of the queries that reach a key which give it much.
        halves: (2, heads, all_keys) c_j over every other query, and over the rest.
        means: mean row of each group, as shares of their size.
        groups: number of the group in ``means`` of each sampled query.
        distance: average cosine distance of the rows of each head.
    """

    index: Int[Tensor, " m"]
    share: Float[Tensor, "heads all_keys"]
    expected: Float[Tensor, "heads_or_1 all_keys"]
    given: Float[Tensor, "heads all_keys"]
    halves: Float[Tensor, "2 heads all_keys"]
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
    of_group = F.one_hot(group).mT.to(asked.rows)  # (groups, m)
    of_half = F.one_hot(torch.arange(len(index)) % 2, 2).mT.to(of_group)
    keys, groups = asked.rows.shape[-1], len(of_group)
    chunk = max(CHUNK // (affinity.heads * keys), 16)
    sums = _Sums()
    for first in range(0, len(index), chunk):
        part = slice(first, first + chunk)
        rows, reach = rows_and_reach(affinity, index[part])
        norm = rows.norm(dim=-1).clamp(min=1e-12)
        ones = torch.cat([of_half[:, part], of_group[:, part]]).expand(len(rows), -1, -1)
        units = of_group[:, part] / norm[:, None]
        if affinity.distributes:  # all sums by one product
            units, added = (torch.cat([units, ones], 1) @ rows).tensor_split([groups], 1)
        else:
            units = units @ rows
            rows = rows.abs()
            size = rows.sum(-1, keepdim=True)
            rows = rows / size.clamp(min=1e-30)
            # A row of zeros, all of whose f are below 0 before a ReLU, gives nothing to any key.
            reach = (size > 0) if reach is None else reach & (size > 0)
            reach = reach.expand(-1, -1, keys)
            added = ones @ rows
        sums.add(rows, reach, of_half[:, part], added[:, :2])
        sums.groups = sums.groups + torch.stack([units, added[:, 2:]])
    many = of_group.sum(-1)
    units, means = sums.groups / many[:, None]
    apart = (1 - units.square().sum(-1)) / 2  # (heads, groups)
    return Many(
        index=index,
        share=sums.weight.sum(1) / sums.filled.clamp(min=1),
        expected=sums.even.sum(1) / sums.filled.clamp(min=1),
        given=sums.given / sums.reached.clamp(min=1),
        halves=(sums.weight / sums.even.where(sums.even > 0, torch.nan)).transpose(0, 1),
        means=means,
        groups=own_group,
        distance=(apart * many).sum(-1) / len(index),
    )


@dataclass(eq=False)
class _Sums:
    """Sums over rows, chunk by chunk.

    Attributes:
        weight: of each half of the queries, (heads, 2, all_keys).
        even: what that is of uniform rows, (1 or heads, 2, all_keys).
        given: how many queries give a key much, (heads, all_keys).
        reached: how many reach it, (1 or heads, all_keys).
        filled: how many rows hold any weight, (1 or heads, 1).
        groups: of rows of unit length, and of rows, (2, heads, groups, all_keys).
    """

    weight: Tensor = field(default_factory=lambda: torch.zeros(()))
    even: Tensor = field(default_factory=lambda: torch.zeros(()))
    given: Tensor = field(default_factory=lambda: torch.zeros(()))
    reached: Tensor = field(default_factory=lambda: torch.zeros(()))
    filled: Tensor = field(default_factory=lambda: torch.zeros(()))
    groups: Tensor = field(default_factory=lambda: torch.zeros(()))

    def add(
        self,
        rows: Float[Tensor, "heads n all_keys"],
        reach: Bool[Tensor, "heads_or_1 n all_keys"] | None,
        of_half: Float[Tensor, "2 n"],
        weight: Float[Tensor, "heads 2 all_keys"],
    ) -> None:
        """Add rows that are shares of 1, and their sum over each half."""
        n, keys = rows.shape[1:]
        self.weight = self.weight + weight
        if reach is None:
            even = of_half.sum(1)[None, :, None].expand(-1, -1, keys) / keys
            self.even = self.even + even
            # Truths as numbers at once: a product of them is several times as fast as their sum.
            much = torch.ge(rows, MUCH / keys, out=torch.empty_like(rows))
            self.reached = self.reached + rows.new_full((1, keys), n)
            self.filled = self.filled + rows.new_full((1, 1), n)
        else:
            counts = reach.sum(-1, keepdim=True)
            self.even = self.even + of_half @ (reach / counts.clamp(min=1))
            much = (reach & (rows * counts >= MUCH)).to(rows)
            self.reached = self.reached + reach.sum(1)
            self.filled = self.filled + (counts[..., 0] > 0).sum(1, keepdim=True)
        self.given = self.given + (of_half.sum(0, keepdim=True) @ much)[:, 0]


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
    means = many.means if many.means.shape[1] == 1 else many.means[:, many.groups]
    found: Tensor = torch.minimum(shares, means).sum(-1)
    return found


def concentration(many: Many) -> Float[Tensor, " heads"]:
    """Return c_s of the key that receives most: found by one half of the queries, told by another.

    Args:
        many: the queries.
    """
    one, other = many.halves.double().cpu()
    both = [
        there.gather(-1, found.nan_to_num(-1.0).argmax(-1, keepdim=True))
        for found, there in ((one, other), (other, one))
    ]
    return torch.cat(both, -1).nanmean(-1)


def enough(many: Many) -> bool:
    """Return whether the queries are enough to tell what most of them do."""
    return len(many.index) >= LEAST
