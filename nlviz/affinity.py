"""Affinities: which keys a query's output is made of, never stored as a matrix.

Equation (1) of Wang et al. 2018 (arXiv 1711.07971): y_i = 1/C(x) sum_j f(x_i, x_j) g(x_j).
An affinity gives rows f/C of the queries that are asked for.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol, cast, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from nlviz.attention_map import AttentionMap
from nlviz.errors import AffinityTooLarge, OutsideClip
from nlviz.geometry import Shape, TokenGrid, check_inside
from nlviz.pairwise import Pairwise
from nlviz.support import ALL_KEYS, Support

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
            check_inside(self.clip_shape, frame=frame, y=y, x=x)

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


@dataclass(frozen=True, eq=False, repr=False)
class EmbeddedAffinity(RowsMixin):
    """An affinity that is held as its embeddings.

    Attributes:
        name: the block's name.
        pairwise: f and C.
        theta: (heads, prefix + queries, d); a transformer's q.
        phi: (heads, prefix + keys, d); a transformer's k.
        queries, keys: where the tokens lie.
        support: which keys a query may reach.
        bias: added to the logits, (heads or 1, 1 or queries, keys), or None.
        values: g, (heads, keys, dv), where kept.
        output: y as the network computed it, (heads, queries, dv), where kept.
        clip_shape: frames, height and width of the clip, where known; places outside are refused.
        note: a sentence on what a reader must know of this affinity, or empty.
        prefix_name: what the tokens without a place are, "the class token" for instance.

    >>> torch.manual_seed(0) and None
    >>> theta, phi = torch.randn(1, 12, 5), torch.randn(1, 6, 5)
    >>> queries = TokenGrid((1, 3, 4), (1, 8, 8))
    >>> keys = TokenGrid((1, 2, 3), (1, 16, 16))
    >>> a = EmbeddedAffinity("block", Pairwise("embedded_gaussian"), theta, phi, queries, keys)
    >>> a
    Affinity(block, embedded_gaussian, 12 queries (1x3x4) x 6 keys (1x2x3))
    >>> a.map(frame=0, y=8, x=8).weights.shape, round(float(a.rows([5]).sum()), 5)
    ((1, 2, 3), 1.0)
    """

    name: str
    pairwise: Pairwise
    theta: Float[Tensor, "heads all_queries d"]
    phi: Float[Tensor, "heads all_keys d"]
    queries: TokenGrid
    keys: TokenGrid
    support: Support = ALL_KEYS
    bias: Float[Tensor, "heads_or_1 queries_or_1 all_keys"] | None = None
    values: Float[Tensor, "heads all_keys dv"] | None = None
    output: Float[Tensor, "heads all_queries dv"] | None = None
    clip_shape: Shape | None = None
    note: str = ""
    prefix_name: str = "tokens without a place"

    @property
    def heads(self) -> int:
        """Number of heads."""
        return int(self.theta.shape[0])

    def rows(self, indices: Indices) -> Float[Tensor, "heads n all_keys"]:
        """Return the rows of these queries: O(keys x d) each, on the device of theta.

        Args:
            indices: flat indices on the query grid.

        Raises:
            OutsideClip: when an index is not on the grid.
        """
        return self.pairwise.normalise(self.logits(indices))

    def logits(self, indices: Indices) -> Float[Tensor, "heads n all_keys"]:
        """Return what the rows are before C; -inf where the query may not reach."""
        index = torch.as_tensor(indices, dtype=torch.long, device=self.theta.device)
        if index.numel() and not (0 <= int(index.min()) and int(index.max()) < self.queries.size):
            raise OutsideClip(
                f"a query must be between 0 and {self.queries.size - 1} on this grid, "
                f"got {int(index.min())} to {int(index.max())}"
            )
        logits = self.pairwise.logits(self.theta[:, index + self.queries.prefix], self.phi)
        if self.bias is not None:
            logits = logits + (self.bias[:, index] if self.bias.shape[1] > 1 else self.bias)
        mask = self.support.mask_all(self.queries, self.keys, index)
        if mask is not None:
            logits = logits.masked_fill(~mask, -torch.inf)
        return logits

    def column(self, key: int) -> Float[Tensor, "heads queries"]:
        """Return the weight that every query gives to the key with this flat index.

        O(queries x d): where a row is a softmax, C comes from ``log_normaliser``, which takes one
        pass over all rows the first time.

        Raises:
            OutsideClip: when the index is not on the key grid.
        """
        self._check(key, self.keys, "key")
        at, prefix = key + self.keys.prefix, self.queries.prefix
        logits = self.pairwise.logits(self.theta[:, prefix:], self.phi[:, at : at + 1])[..., 0]
        if self.bias is not None:
            logits = logits + self.bias[..., at]
        if self.log_normaliser is not None:
            column = (logits - self.log_normaliser).exp()
        else:
            column = self.pairwise.numerator(logits) / self._reachable_keys()
        mask = self.support.reaching(self.queries, self.keys, key)
        return column if mask is None else column.where(mask.to(column.device), 0.0)

    def _reachable_keys(self) -> Float[Tensor, " queries"] | int:
        """Return how many keys each query reaches, tokens without a place included."""
        if self.support.frames_per_group is None:
            return self.phi.shape[1]
        frames, h, w = self.queries.shape
        first = torch.arange(frames) * (h * w)
        mask = self.support.mask(self.queries, self.keys, first)
        prefix = self.support.prefix_of_group(self.queries, self.keys)
        count = cast(Tensor, mask).sum(1) + prefix
        return count.clamp(min=1).repeat_interleave(h * w).to(self.theta)

    @cached_property
    def log_normaliser(self) -> Float[Tensor, "heads queries"] | None:
        """Log C of every query for softmax rows (one pass over all rows, kept), else None."""
        if not self.pairwise.softmax:
            return None
        chunk = 256
        n = self.queries.size
        parts = [self.logits(range(i, min(i + chunk, n))).logsumexp(-1) for i in range(0, n, chunk)]
        return torch.cat(parts, dim=1)

    def parity_error(self, *, sample: int = 256) -> float | None:
        """Return how far the block's own output is from rows times values.

        The largest |A g - y| over a sample of queries spread evenly, divided by the largest |y|;
        None where values or output were not kept.
        """
        if self.values is None or self.output is None:
            return None
        n = min(sample, self.queries.size)
        index = torch.linspace(0, self.queries.size - 1, n).round().long()
        mine = self.rows(index) @ self.values
        theirs = self.output[:, index.to(self.output.device) + self.queries.prefix]
        return float((mine - theirs).abs().max() / theirs.abs().max().clamp(min=1e-30))
