"""Which links of a query are cut, and which others are cut in their place to see what chance does.

A link (an edge) runs from a query to one of its keys. What cutting the strongest ones changes says
little without what cutting as many others changes: Hong et al. 2024 ("SaCo", arXiv 2404.01415)
found that many measures do not tell a method from random ones.

control       drawn from
``random``    all keys that the query reaches
``distance``  the same, as many at each distance from the query, in space and in time
``mean``      the strongest keys of the mean row of all queries; there is one such choice

Draws are without replacement and may contain links that were cut, so that a cut which chance alone
chose would be beyond all of n draws once in n + 1.
"""

from __future__ import annotations

from collections import Counter
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nlviz.affinity.asked import place_of
from nlviz.affinity.base import Affinity
from nlviz.affinity.embedded import EmbeddedAffinity

Kind = Literal["random", "distance", "mean"]
KINDS: tuple[Kind, ...] = ("random", "distance", "mean")
BINS = 8  # distances of boxes are told apart by as many steps

Keys = Int[Tensor, " _"]


class Refused(NamedTuple):
    """Why there is no such control.

    Attributes:
        why: in a sentence.
    """

    why: str


def reached_keys(affinity: Affinity, number: int) -> Keys:
    """Return the numbers of the keys that a query reaches, those without a place first.

    Args:
        affinity: whose query.
        number: of the query among all, those without a place first.

    >>> from nlviz.affinity.grid import TokenGrid
    >>> from nlviz.affinity.pairwise import Pairwise
    >>> from nlviz.affinity.support import Support
    >>> grid, x = TokenGrid((2, 1, 3)), torch.zeros(1, 6, 4)
    >>> own = Support(frames_per_group=1)
    >>> a = EmbeddedAffinity("b", Pairwise("gaussian"), x, x, grid, grid, own)
    >>> reached_keys(a, 4).tolist()
    [3, 4, 5]
    """
    every = torch.ones(affinity.keys.prefix + affinity.keys.size, dtype=torch.bool)
    at = number - affinity.queries.prefix
    if at < 0:
        mask = affinity.support.mask_apart(affinity.queries, affinity.keys)
        return (every if mask is None else mask[number].cpu()).nonzero()[:, 0]
    if isinstance(affinity, EmbeddedAffinity):  # what is added to logits may hide keys, too
        hidden = affinity.logits([at])[:, 0].isneginf().all(0).cpu()
        return (~hidden).nonzero()[:, 0]
    mask = affinity.support.mask_all(affinity.queries, affinity.keys, torch.tensor([at]))
    return (every if mask is None else mask[0].cpu()).nonzero()[:, 0]


def own_key(affinity: Affinity, number: int) -> int:
    """Return the number of the key that is the query's own cell; -1 where there is none."""
    here, grid = place_of(affinity, number), affinity.keys
    if here is None:
        return number if number < grid.prefix == affinity.queries.prefix else -1
    if grid.kind != affinity.queries.kind:
        return -1
    if grid.kind == "grid":
        return grid.nearest(frame=here.frame, y=here.y, x=here.x) + grid.prefix
    return number - affinity.queries.prefix + grid.prefix if grid == affinity.queries else -1


def strongest(row: Float[Tensor, "heads all_keys"], reached: Keys, k: int) -> Keys:
    """Return the k keys that get most, by the size of their weight, in the mean over heads.

    Args:
        row: of one query.
        reached: the keys that it reaches.
        k: how many; all where there are fewer.

    >>> row = torch.tensor([[0.1, -0.5, 0.3, 0.0]])
    >>> strongest(row, torch.arange(4), 2).tolist()
    [1, 2]
    """
    sizes = row.detach().float().cpu().abs().mean(0)[reached]
    return reached[sizes.argsort(descending=True, stable=True)[:k]]


def random_keys(reached: Keys, k: int, seed: int) -> Keys:
    """Return k of the keys, each as likely as any other; all where there are fewer."""
    drawn = torch.randperm(len(reached), generator=torch.Generator().manual_seed(seed))
    return reached[drawn[:k]].sort().values


def keys_at_distance(
    affinity: Affinity, number: int, cut: Keys, reached: Keys, seed: int
) -> Keys | Refused:
    """Return as many keys at the same distances from the query: drawn anew within each distance.

    Distances are rounded to cells, |frames| are as they are; of words they are 0, 1, 2 to 3, 4 to
    7 and so on, as there are two words at each distance; of boxes they are eighths of the largest.
    Keys without a place are one distance of their own.

    Args:
        affinity: whose query.
        number: of the query among all, those without a place first.
        cut: the keys in whose place others are drawn.
        reached: the keys that the query reaches.
        seed: of the draw.
    """
    steps = _steps(affinity, number, reached)
    if isinstance(steps, Refused):
        return steps
    step_of = dict(zip(reached.tolist(), steps.tolist(), strict=True))
    wanted = [step_of[key] for key in cut.tolist()]
    generator = torch.Generator().manual_seed(seed)
    found = []
    for step, count in Counter(wanted).items():
        among = reached[steps == step]
        found.append(among[torch.randperm(len(among), generator=generator)[:count]])
    return torch.cat(found).sort().values


def keys_of_mean_row(affinity: Affinity, number: int, reached: Keys, k: int) -> Keys | Refused:
    """Return the k strongest keys of the mean row of the queries that are compared with this one.

    Args:
        affinity: whose query.
        number: of the query among all, those without a place first.
        reached: the keys that it reaches; no others are chosen.
        k: how many.
    """
    if affinity.queries.size < 2:
        return Refused("with one query, its row is the mean row")
    groups, at = affinity.query_groups, number - affinity.queries.prefix
    if at < 0 and int(groups.max()) > 0:
        return Refused("a query without a place belongs to none of the groups of queries")
    mean = affinity.mean_rows.rows[:, int(groups[max(at, 0)])]
    return strongest(mean, reached, k)


def in_common(one: Keys, other: Keys) -> float:
    """Return which share of some keys is among others."""
    return float(torch.isin(one, other).float().mean()) if len(one) else 0.0


def as_mask(affinity: Affinity, keys: Keys) -> Bool[Tensor, " all_keys"]:
    """Return keys as a mask over all of an affinity, those without a place first."""
    mask = torch.zeros(affinity.keys.prefix + affinity.keys.size, dtype=torch.bool)
    mask[keys] = True
    return mask


def _steps(affinity: Affinity, number: int, reached: Keys) -> Keys | Refused:
    """Return the number of the distance at which each key lies."""
    grid, here = affinity.keys, place_of(affinity, number)
    if here is None:
        return Refused("a query without a place lies at no distance from its keys")
    if grid.kind != affinity.queries.kind:
        return Refused("queries and keys are of different kinds, with no distance between them")
    if grid.kind == "nodes":
        return Refused("where nodes are drawn means nothing, so that they have no distance")
    frames, rows, columns = (
        torch.from_numpy(axis + 0 * sum(grid.centres())).flatten() for axis in grid.centres()
    )
    away = torch.hypot(rows - here.y, columns - here.x)
    if grid.kind == "line":
        steps = (away + 1).log2().floor()
    elif grid.kind == "boxes":
        steps = (BINS * away / away.max().clamp(min=1e-9)).round()
    else:
        steps = (away / max(grid.stride[1:])).round()
    both = torch.stack([(frames - here.frame).abs(), steps], 1)
    placed: Tensor = torch.unique(both, dim=0, return_inverse=True)[1]
    return torch.cat([placed.new_full((grid.prefix,), -1), placed])[reached]
