"""Affinities: which keys a query's output is made of, never stored as a matrix.

Equation (1) of Wang et al. 2018 (arXiv 1711.07971): y_i = 1/C(x) sum_j f(x_i, x_j) g(x_j).
An affinity gives rows f/C of the queries that are asked for.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nlviz.affinity.attention_map import Values
from nlviz.affinity.branches import Branches
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.maps import Head as Head
from nlviz.affinity.maps import Indices as Indices
from nlviz.affinity.maps import Maps
from nlviz.affinity.maps import MeanRows as MeanRows
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.support import Support
from nlviz.clips.point import Shape
from nlviz.errors import AffinityTooLarge, NlvizError, OutsideClip
from nlviz.files.local import bytes_in_words

DENSE_LIMIT = 1 << 30
PAIRS = 1 << 27  # query-key pairs over which a mean row is taken; beyond it a sample of queries
LEAST = 256  # queries of such a sample, however many keys there are
CHUNK = 1 << 22  # query-key pairs that are in memory at once


class Affinity(Maps):
    """One block's affinity on one clip: rows f / C of the queries that are asked for.

    A new kind of affinity gives these attributes and ``rows``; all else follows from them. Queries
    and keys have two grids, because pooled keys lie elsewhere.

    Attributes:
        name: the block's name.
        pairwise: the pairwise function f and its normalisation C, equation (1).
        queries: where the queries lie.
        keys: where the keys lie.
        support: which keys a query may reach.
        clip_shape: frames, height and width of the clip, where known; places outside are refused.
        note: a sentence on what a reader must know of this affinity, or empty.
        prefix_name: what the tokens without a place are, "the class token" for instance.
        token_names: names of the queries without a place, ``cls`` and ``registers.0`` for instance,
            one for each; empty where they cannot be asked for.
        branches: how much the branches of its layer add, where several run side by side.
    """

    name: str
    pairwise: Pairwise
    queries: TokenGrid
    keys: TokenGrid
    support: Support
    clip_shape: Shape | None
    note: str = ""
    prefix_name: str = "tokens without a place"
    token_names: tuple[str, ...] = ()
    branches: Branches | None = None

    @abstractmethod
    def rows(self, indices: Indices) -> Float[Tensor, "heads n all_keys"]:
        """Return the rows of these queries, keys without a place first.

        Args:
            indices: flat indices on the query grid.

        Raises:
            OutsideClip: when an index is not on the grid.
        """

    @property
    def heads(self) -> int:
        """Number of heads."""
        return 1

    @property
    def row_values(self) -> Values:
        """What rows hold: ``weights``, a ``similarity``, or a ``difference`` from the mean row."""
        return "similarity" if self.pairwise.similarity else "weights"

    @property
    def distributes(self) -> bool:
        """Whether rows sum to 1, as those of a softmax that nothing changed behind it."""
        return self.pairwise.softmax

    @property
    def balanced(self) -> bool:
        """Whether rows sum to 0: those of a distribution minus the mean row do."""
        return False

    def logits(self, indices: Indices) -> Float[Tensor, "heads n all_keys"]:
        """Return the logits of these queries: rows before C, -inf where a query may not reach.

        Raises:
            NlvizError: when this affinity has no logits.
            OutsideClip: when an index is not on the grid.
        """
        raise NlvizError(f"the affinity of {self.name} has no logits; show its rows instead")

    def parity_error(self, *, sample: int = 256) -> float | None:
        """Return how far the block's own output is from rows times values, or None if not kept."""
        return None

    def evenly(self, n: int) -> Int[Tensor, " n"]:
        """Return the flat indices of at most ``n`` queries, spread evenly over all of them.

        >>> import numpy as np
        >>> from nlviz.affinity.patches import patch_affinity
        >>> a = patch_affinity(np.zeros((1, 9, 9, 3), np.uint8), clip_shape=(1, 9, 9), h=1, step=2)
        >>> a.evenly(5).tolist()
        [0, 4, 8, 11, 15]
        """
        return spread_evenly(self.queries.size, n)

    def row_chunks(
        self, chunk: int = 128
    ) -> Iterator[tuple[int, Float[Tensor, "heads n all_keys"]]]:
        """Yield (first query, rows) over all queries, a chunk at a time."""
        for part in self._chunks(chunk):
            yield part.start, self.rows(part)

    def dense(self) -> Float[Tensor, "heads queries all_keys"]:
        """Return all rows, (heads, queries, keys).

        Raises:
            AffinityTooLarge: above 1 GiB.
        """
        keys = self.keys.size + self.keys.prefix
        size = self.heads * self.queries.size * keys * 4
        if size > DENSE_LIMIT:
            raise AffinityTooLarge(
                f"a dense affinity may take 1 GiB, {self.heads} x {self.queries.size} x {keys} "
                f"takes {bytes_in_words(size)}; ask for rows(indices) or map(...) instead"
            )
        return torch.cat([rows for _, rows in self.row_chunks()], dim=1)

    def column(self, key: int) -> Float[Tensor, "heads queries"]:
        """Return the weight that every query gives to the key with this flat index.

        Raises:
            OutsideClip: when the index is not on the key grid.
        """
        self._check(key, self.keys, "key")
        at = key + self.keys.prefix
        return torch.cat([rows[..., at] for _, rows in self.row_chunks()], dim=1)

    @cached_property
    def mean_rows(self) -> MeanRows:
        """The mean row of each group of queries; computed once, kept.

        O(queries x keys x d) in bounded memory, a chunk of rows at a time. Above 2^27 pairs of
        query and key it is over queries spread evenly, as many as make that number.
        """
        keys = self.heads * (self.keys.size + self.keys.prefix)
        group = self.query_groups
        groups = int(group.max()) + 1
        most = max(PAIRS // keys // groups, LEAST)
        chunk = max(CHUNK // keys, 16)
        means, counted = [], 0
        for g in range(groups):
            index = (group == g).nonzero()[:, 0]
            if len(index) > most:
                index = index[spread_evenly(len(index), most).to(index.device)]
            parts = torch.split(index, chunk)
            total = sum(
                (self.rows(part).sum(1, dtype=torch.float64) for part in parts),
                start=torch.zeros((), dtype=torch.float64, device=index.device),
            )
            means.append((total / len(index)).to(torch.float32))
            counted += len(index)
        return MeanRows(torch.stack(means, 1), counted)

    def token_rows(self, indices: Indices | None = None) -> Float[Tensor, "heads n all_keys"]:
        """Return the rows of queries without a place, keys without a place first.

        Args:
            indices: their numbers; all by default.

        Raises:
            NlvizError: when this affinity has no such queries.
        """
        raise NlvizError(f"the affinity of {self.name} has no queries without a place")

    @cached_property
    def query_groups(self) -> Int[Tensor, " queries"]:
        """The group that each query is compared within; one for all where most would be alone."""
        groups = self.support.groups(self.queries).to(self.device)
        return groups * (2 * (int(groups.max()) + 1) <= len(groups))

    @property
    def device(self) -> torch.device:
        """Where rows are computed."""
        return torch.device("cpu")

    def _chunks(self, chunk: int) -> Iterator[range]:
        for first in range(0, self.queries.size, chunk):
            yield range(first, min(first + chunk, self.queries.size))

    def _indices(self, indices: Indices) -> Int[Tensor, " n"]:
        """Return flat indices of queries as a tensor on the affinity's device.

        Raises:
            OutsideClip: when one is not on the grid.
        """
        index = torch.as_tensor(indices, dtype=torch.long, device=self.device)
        if index.numel() and not (0 <= int(index.min()) and int(index.max()) < self.queries.size):
            raise OutsideClip(
                f"a query must be between 0 and {self.queries.size - 1} on this grid, "
                f"got {int(index.min())} to {int(index.max())}"
            )
        return index

    @staticmethod
    def _check(index: int, grid: TokenGrid, what: str) -> None:
        if not 0 <= index < grid.size:
            raise OutsideClip(f"a {what} must be between 0 and {grid.size - 1}, got {index}")

    def __repr__(self) -> str:
        q, k = self.queries, self.keys
        shape = "x".join(map(str, q.shape))
        keys = "" if k.shape == q.shape else f" ({'x'.join(map(str, k.shape))})"
        heads = f", {self.heads} heads" if self.heads > 1 else ""
        return (
            f"Affinity({self.name}, {self.pairwise.name}, {q.size} queries ({shape}) "
            f"x {k.size} keys{keys}{heads})"
        )

    def _repr_html_(self) -> str:
        from nlviz.picture import strip_html

        t, h, w = self.queries.shape
        frame, y, x = self.queries.centre((t // 2 * h + h // 2) * w + w // 2)
        middle = self.map(frame=frame, y=y, x=x)
        return strip_html([], captions=[], title=repr(self)) + middle._repr_html_()


RowsMixin = Affinity  # the name of the class in 0.3


def spread_evenly(size: int, n: int) -> Int[Tensor, " n"]:
    """Return at most ``n`` indices below ``size``, spread evenly, first and last among them.

    >>> spread_evenly(16, 5).tolist()
    [0, 4, 8, 11, 15]
    """
    return torch.linspace(0, size - 1, min(n, size), dtype=torch.float64).round().long()
