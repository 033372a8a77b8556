"""An affinity whose weights were kept as the network computed them: q and k do not tell them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nlviz.affinity.base import Affinity, Indices
from nlviz.affinity.branches import Branches
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.parity import coarsest, relative_error
from nlviz.affinity.support import ALL_KEYS, Support
from nlviz.clips.point import Shape

HALF = 5e-3  # sums of rows in half precision are off from 1 by less


@dataclass(frozen=True, eq=False, repr=False)
class StoredAffinity(Affinity):
    """An affinity whose weights are kept, in half precision, group by group.

    Attributes:
        name: the block's name.
        pairwise: f and C, in name; its scale plays no part.
        weights: (groups, heads, queries of a group, keys of a group).
        group_of, place_of: the group of each query and its place there, those of queries without a
            place first.
        key_of: (groups, keys of a group) the key of each column, those without a place first; -1
            for a column that is none.
        queries, keys: where the tokens lie.
        support: which keys a query may reach.
        clip_shape: frames, height and width of the clip, where known; places outside are refused.
        note: a sentence on what a reader must know of this affinity, or empty.
        prefix_name: what the tokens without a place are, "the class token" for instance.
        token_names: names of the queries without a place.
        values: g, (heads, keys, dv), where kept.
        output: y as the network computed it, (heads, queries, dv), where kept.
        branches: how much the branches of its layer add, where several run side by side.

    >>> rows = torch.tensor([[[[0.5, 0.5], [1.0, 0.0]]]])
    >>> line, first = TokenGrid((1, 1, 2)), torch.zeros(2, dtype=torch.long)
    >>> a = StoredAffinity("mixed", Pairwise("embedded_gaussian"), rows, first, torch.arange(2),
    ...                    torch.arange(2)[None], line, line)
    >>> a.rows([1])
    tensor([[[1., 0.]]])
    """

    name: str
    pairwise: Pairwise
    weights: Float[Tensor, "groups heads group_queries group_keys"]
    group_of: Int[Tensor, " all_queries"]
    place_of: Int[Tensor, " all_queries"]
    key_of: Int[Tensor, "groups group_keys"]
    queries: TokenGrid
    keys: TokenGrid
    support: Support = ALL_KEYS
    clip_shape: Shape | None = None
    note: str = ""
    prefix_name: str = "tokens without a place"
    token_names: tuple[str, ...] = ()
    values: Float[Tensor, "heads all_keys dv"] | None = None
    output: Float[Tensor, "heads all_queries dv"] | None = None
    branches: Branches | None = None

    @property
    def heads(self) -> int:
        """Number of heads."""
        return int(self.weights.shape[1])

    @cached_property
    def distributes(self) -> bool:
        """Whether rows sum to 1: not where heads were mixed, gated, or a part was cut off."""
        sums = self.weights.float().sum(-1)
        return bool(((sums - 1).abs() < HALF).all())

    @property
    def device(self) -> torch.device:
        """Where rows are computed: the device of the weights."""
        return self.weights.device

    def rows(self, indices: Indices) -> Float[Tensor, "heads n all_keys"]:
        """Return the rows of these queries, keys without a place first.

        Raises:
            OutsideClip: when an index is not on the grid.
        """
        index = self._indices(indices)
        return self._laid_out(index + self.queries.prefix)

    def token_rows(self, indices: Indices | None = None) -> Float[Tensor, "heads n all_keys"]:
        """Return the rows of queries without a place, class token and registers."""
        every = range(self.queries.prefix)
        own = torch.as_tensor(every if indices is None else indices, device=self.device).long()
        return self._laid_out(own)

    def parity_error(self, *, sample: int = 256) -> float | None:
        """Return how far the block's own output is from rows times values.

        None where values or output were not kept; see ``EmbeddedAffinity.parity_error``.
        """
        if self.values is None or self.output is None:
            return None
        index = self.evenly(sample).to(self.device)
        return relative_error(
            self.rows(index),
            self.values.float(),
            self.output[:, index + self.queries.prefix].float(),
            softmax=self.distributes,
            of=coarsest(self.values, self.output),
        )

    def _laid_out(self, index: Tensor) -> Tensor:
        group, place = self.group_of[index], self.place_of[index]
        picked = self.weights[group, :, place].float()  # (n, heads, keys of a group)
        columns = self.key_of[group]
        size = self.keys.size + self.keys.prefix
        rows = picked.new_zeros(len(index), self.heads, size + 1)
        at = torch.where(columns < 0, size, columns)[:, None].expand_as(picked)
        rows.scatter_add_(2, at, picked)
        return rows[..., :size].transpose(0, 1)
