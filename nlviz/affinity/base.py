"""Affinities: which keys a query's output is made of, never stored as a matrix.

Equation (1) of Wang et al. 2018 (arXiv 1711.07971): y_i = 1/C(x) sum_j f(x_i, x_j) g(x_j).
An affinity gives rows f/C of the queries that are asked for.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from nlviz.affinity.attention_map import AttentionMap
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.support import Support
from nlviz.clips.point import Point, Shape
from nlviz.errors import AffinityTooLarge, OutsideClip

Indices = Sequence[int] | Tensor
Head = int | Literal["mean", "max"] | None
DENSE_LIMIT = 1 << 30


@runtime_checkable
class Affinity(Protocol):
    """One block's affinity on one clip.

    Queries and keys have two grids, because pooled keys lie elsewhere.
    """

    @property
    def name(self) -> str:
        """The block's name."""
        ...

    @property
    def pairwise(self) -> Pairwise:
        """F and C."""
        ...

    @property
    def queries(self) -> TokenGrid:
        """Where the queries lie."""
        ...

    @property
    def keys(self) -> TokenGrid:
        """Where the keys lie."""
        ...

    @property
    def support(self) -> Support:
        """Which keys a query may reach."""
        ...

    @property
    def heads(self) -> int:
        """Number of heads."""
        ...

    def rows(self, indices: Indices) -> Float[Tensor, "heads n keys"]:
        """Return the rows of these queries."""
        ...

    def column(self, key: int) -> Float[Tensor, "heads queries"]:
        """Return the weight that every query gives to one key."""
        ...

    def dense(self) -> Float[Tensor, "heads queries keys"]:
        """Return all rows."""
        ...

    def map(self, *, frame: float, y: float, x: float, head: Head = None) -> AttentionMap:
        """Return the row of the query at a place of the clip, laid on the key grid."""
        ...


class RowsMixin(ABC):
    """What every affinity derives from its rows."""

    name: str
    pairwise: Pairwise
    queries: TokenGrid
    keys: TokenGrid
    support: Support
    clip_shape: Shape | None

    @abstractmethod
    def rows(self, indices: Indices) -> Float[Tensor, "heads n keys"]:
        """Return the rows of these queries."""

    @property
    def heads(self) -> int:
        """Number of heads."""
        return 1

    def row_chunks(self, chunk: int = 128) -> Iterator[tuple[int, Float[Tensor, "heads n keys"]]]:
        """Yield (first query, rows) over all queries, a chunk at a time."""
        for first in range(0, self.queries.size, chunk):
            yield first, self.rows(range(first, min(first + chunk, self.queries.size)))

    def dense(self) -> Float[Tensor, "heads queries keys"]:
        """Return all rows, (heads, queries, keys).

        Raises:
            AffinityTooLarge: above 1 GiB.
        """
        keys = self.keys.size + self.keys.prefix
        size = self.heads * self.queries.size * keys * 4
        if size > DENSE_LIMIT:
            raise AffinityTooLarge(
                f"a dense affinity may take 1 GiB, {self.heads} x {self.queries.size} x {keys} "
                f"takes {size / 2**30:.1f} GiB; ask for rows(indices) or map(...) instead"
            )
        return torch.cat([rows for _, rows in self.row_chunks()], dim=1)

    def column(self, key: int) -> Float[Tensor, "heads queries"]:
        """Return the weight that every query gives to the key with this flat index."""
        self._check(key, self.keys, "key")
        at = key + self.keys.prefix
        return torch.cat([rows[..., at] for _, rows in self.row_chunks()], dim=1)

    def map(self, *, frame: float, y: float, x: float, head: Head = None) -> AttentionMap:
        """Return the row of the query at a place of the clip, laid on the key grid.

        Args:
            frame: 0-based index of a sampled frame.
            y: row of pixels in the clip.
            x: column of pixels in the clip.
            head: one head's index, ``"max"`` over heads, or their mean (None or ``"mean"``).

        Raises:
            OutsideClip: when the place is not in the clip, or there is no such head.
        """
        self._check_place(frame=frame, y=y, x=x)
        index = self.queries.nearest(frame=frame, y=y, x=x)
        row = self._one_head(self.rows([index])[:, 0], head)
        prefix = self.keys.prefix
        mask = self.support.mask(self.queries, self.keys, torch.tensor([index]))
        return AttentionMap(
            weights=row[prefix:].reshape(self.keys.shape).numpy(),
            query=self.queries.centre(index),
            keys=self.keys,
            off_grid=float(row[:prefix].sum()),
            reachable=None if mask is None else mask[0].reshape(self.keys.shape).numpy(),
            signed=self.pairwise.signed,
            normalised=self.pairwise.softmax and head != "max",
            title=f"{self.name}, from this query",
        )

    def map_to(self, *, frame: float, y: float, x: float, head: Head = None) -> AttentionMap:
        """Return who looks at the key at a place of the clip: its column, on the query grid.

        Raises:
            OutsideClip: when the place is not in the clip, or there is no such head.
        """
        self._check_place(frame=frame, y=y, x=x)
        key = self.keys.nearest(frame=frame, y=y, x=x)
        column = self._one_head(self.column(key), head)
        mask = self.support.reaching(self.queries, self.keys, key)
        return AttentionMap(
            weights=column.reshape(self.queries.shape).numpy(),
            query=self.keys.centre(key),
            keys=self.queries,
            reachable=None if mask is None else mask.reshape(self.queries.shape).numpy(),
            signed=self.pairwise.signed,
            normalised=False,
            choices=self._choices(),
            title=f"{self.name}, to this key",
        )

    def _choices(self) -> int:
        """Return how many keys a query reaches."""
        mask = self.support.mask(self.queries, self.keys, torch.tensor([0]))
        return self.keys.size if mask is None else int(mask.sum())

    def _one_head(self, rows: Float[Tensor, "heads keys"], head: Head) -> Float[Tensor, " keys"]:
        rows = rows.detach().float().cpu()
        if head is None or head == "mean":
            return rows.mean(0)
        if head == "max":
            return rows.amax(0)
        if isinstance(head, str) or not 0 <= head < self.heads:
            raise OutsideClip(
                f"head must be between 0 and {self.heads - 1}, 'mean' or 'max'; got {head!r}"
            )
        return rows[head]

    def _check_place(self, *, frame: float, y: float, x: float) -> None:
        """Refuse a place outside the clip, where the clip's shape is known."""
        if self.clip_shape is not None:
            Point(frame, y, x).inside(self.clip_shape)

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
