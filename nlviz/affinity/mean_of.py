"""The mean of several affinities of the same tokens, of one block on several clips for instance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from nlviz.affinity.base import Affinity, Indices
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.support import Support
from nlviz.clips.point import Shape
from nlviz.errors import NlvizError


@dataclass(frozen=True, eq=False, repr=False)
class MeanOf(Affinity):
    """The mean of the rows of several affinities, query by query; rows are computed on demand.

    Attributes:
        of: the affinities.
        name, pairwise, queries, keys, support, clip_shape, note, prefix_name, token_names: as of
            every affinity; of the first of them.
    """

    of: tuple[Affinity, ...]
    name: str
    pairwise: Pairwise
    queries: TokenGrid
    keys: TokenGrid
    support: Support
    clip_shape: Shape | None
    note: str = ""
    prefix_name: str = "tokens without a place"
    token_names: tuple[str, ...] = ()

    @property
    def heads(self) -> int:
        """Number of heads."""
        return self.of[0].heads

    @property
    def device(self) -> torch.device:
        """Where rows are computed."""
        return self.of[0].device

    @property
    def distributes(self) -> bool:
        """Whether rows sum to 1: where those of all of them do."""
        return all(one.distributes for one in self.of)

    def rows(self, indices: Indices) -> Float[Tensor, "heads n all_keys"]:
        """Return the mean rows of these queries.

        Raises:
            OutsideClip: when an index is not on the grid.
        """
        return self._mean([one.rows(indices) for one in self.of])

    def token_rows(self, indices: Indices | None = None) -> Float[Tensor, "heads n all_keys"]:
        """Return the mean rows of queries without a place."""
        return self._mean([one.token_rows(indices) for one in self.of])

    @staticmethod
    def _mean(rows: Sequence[Tensor]) -> Tensor:
        total = sum((r.double() for r in rows), start=torch.zeros((), dtype=torch.float64))
        return (total / len(rows)).float()


def mean_of(affinities: Sequence[Affinity]) -> MeanOf:
    """Return the mean of affinities of the same tokens.

    Raises:
        NlvizError: when there is none, or tokens or heads of one are others.

    >>> from nlviz.affinity.embedded import EmbeddedAffinity
    >>> line, zero = TokenGrid((1, 1, 2)), torch.zeros(1, 2, 1)
    >>> phi = torch.tensor([[[0.0], [50.0]]])
    >>> of = [EmbeddedAffinity("b", Pairwise("gaussian"), zero + 1, p, line, line)
    ...       for p in (zero, phi)]
    >>> mean_of(of).rows([0])
    tensor([[[0.2500, 0.7500]]])
    """
    if not affinities:
        raise NlvizError("a mean is of at least one affinity, got none")
    first = affinities[0]
    for other in affinities[1:]:
        if not same_tokens(first, other):
            raise NlvizError(
                f"a mean is of affinities of the same tokens, got {first!r} and {other!r}"
            )
    return MeanOf(
        of=tuple(affinities),
        name=first.name,
        pairwise=first.pairwise,
        queries=first.queries,
        keys=first.keys,
        support=first.support,
        clip_shape=first.clip_shape,
        prefix_name=first.prefix_name,
        token_names=first.token_names,
    )


def same_tokens(one: Affinity, other: Affinity) -> bool:
    """Return whether two affinities have as many heads, and tokens at the same places."""
    return one.heads == other.heads and all(
        (a.kind, a.shape, a.stride, a.origin, a.prefix)
        == (b.kind, b.shape, b.stride, b.origin, b.prefix)
        for a, b in ((one.queries, other.queries), (one.keys, other.keys))
    )


@dataclass(frozen=True, eq=False)
class MeanPosition:
    """The mean row of each position of a block.

    Attributes:
        block: its name.
        rows: an affinity whose rows are the mean rows.
        clips: number of clips that they are over.
        note: a sentence on what they are.
    """

    block: str
    rows: Affinity
    clips: int
    note: str = ""
