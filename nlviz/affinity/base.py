"""Affinities: which keys a query's output is made of, never stored as a matrix.

Equation (1) of Wang et al. 2018 (arXiv 1711.07971): y_i = 1/C(x) sum_j f(x_i, x_j) g(x_j).
An affinity gives rows f/C of the queries that are asked for.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nlviz.affinity.attention_map import AttentionMap, Direction, Values
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.support import Support
from nlviz.clips.point import Point, Shape
from nlviz.errors import AffinityTooLarge, NlvizError, OutsideClip
from nlviz.files.local import bytes_in_words

Indices = Sequence[int] | Tensor
Head = int | Literal["mean", "max"] | None
DENSE_LIMIT = 1 << 30
PAIRS = 1 << 27  # query-key pairs over which a mean row is taken; beyond it a sample of queries
LEAST = 256  # queries of such a sample, however many keys there are
CHUNK = 1 << 22  # query-key pairs that are in memory at once


class MeanRows(NamedTuple):
    """The mean row of an affinity.

    Attributes:
        rows: mean row of each group of queries, (heads, groups, all_keys) float32.
        counted: number of queries that it was taken over.
    """

    rows: Float[Tensor, "heads groups all_keys"]
    counted: int


class Affinity(ABC):
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

    def token_rows(self) -> Float[Tensor, "heads prefix all_keys"]:
        """Return the rows of the queries without a place, keys without a place first.

        Raises:
            NlvizError: when this affinity has no such queries.
        """
        raise NlvizError(f"the affinity of {self.name} has no queries without a place")

    def map(
        self,
        *,
        frame: float | None = None,
        y: float | None = None,
        x: float | None = None,
        head: Head = None,
        direction: Direction = "from",
        values: Values = "weights",
        token: str | int | None = None,
    ) -> AttentionMap:
        """Return the row of the query at a place of the clip, laid on the key grid.

        Args:
            frame: 0-based index of a sampled frame.
            y: row of pixels in the clip.
            x: column of pixels in the clip.
            head: one head's index, ``"max"`` over heads, or their mean (None or ``"mean"``).
            direction: ``"from"`` the query to its keys; ``"to"`` gives the column of the key at
                the place, all queries that look at it, on the query grid.
            values: ``"weights"`` are the rows, ``"logits"`` what they are before C, and
                ``"difference"`` the rows minus the mean row of all queries.
            token: name of a query without a place in the stead of one: ``"cls"``, or
                ``"registers.2"``; or its number among those of a frame. Where each frame has its
                own, ``frame`` chooses; without it the map holds the row of each frame's token in
                that frame, all together summing to 1.

        Raises:
            OutsideClip: when the place is not in the clip, or there is no such head.
            NlvizError: for logits of an affinity without logits, a token that is not there, or
                neither a place nor a token.

        >>> theta = torch.tensor([[[0.0], [2.0], [4.0]]])
        >>> from nlviz.affinity.embedded import EmbeddedAffinity
        >>> line = TokenGrid((1, 1, 3))
        >>> a = EmbeddedAffinity("block", Pairwise("gaussian"), theta, theta, line, line)
        >>> a.map(frame=0, y=0, x=1, values="logits").weights
        array([[[0., 4., 8.]]], dtype=float32)
        """
        if token is not None:
            return self._token_map(token, frame, head, direction, values)
        if frame is None or y is None or x is None:
            raise NlvizError(
                "a query is a place, frame=, y= and x=, or a token, "
                f"token={self.token_names[0] if self.token_names else 'cls'!r} where there is one"
            )
        if self.clip_shape is not None:
            Point(frame, y, x).inside(self.clip_shape)
        asked, grid = self.queries, self.keys
        if direction == "to":
            asked, grid = grid, asked
        index = asked.nearest(frame=frame, y=y, x=x)
        line = self._one_head(self._lines(index, direction, values), head)
        prefix = grid.prefix if direction == "from" else 0
        apart, weights = line[:prefix], line[prefix:]
        if values == "logits":
            finite = weights.isfinite()
            reached = None if bool(finite.all()) else finite
            weights = weights.where(finite, 0.0)
        else:
            reached = self._reached(index, direction)
        shown = self.row_values if values == "weights" else values
        rows, whole = shown == "weights", direction == "from" and head != "max"
        return AttentionMap(
            weights=weights.reshape(grid.shape).numpy(),
            query=asked.centre(index),
            keys=grid,
            off_grid=float(apart.sum()) if values != "logits" else 0.0,
            reachable=None if reached is None else reached.reshape(grid.shape).numpy(),
            signed=self.pairwise.signed or not rows,
            normalised=rows and self.distributes and whole,
            choices=self._shared_by(index, direction),
            balanced=shown == "difference" and (self.balanced or self.distributes) and whole,
            name=self.name,
            values=shown,
            direction=direction,
        )

    def _token_map(
        self,
        token: str | int,
        frame: float | None,
        head: Head,
        direction: Direction,
        values: Values,
    ) -> AttentionMap:
        """Return the row of a query without a place, or of one in every frame together."""
        token, names = self.named_token(token), self.token_names
        if direction != "from" or values != "weights":
            raise NlvizError("a token without a place has one row; leave out direction and values")
        rows = self.token_rows()
        own = [i for i, name in enumerate(names) if name == token]
        if frame is not None and len(own) > 1:
            at = round(frame * len(own) / self.keys.shape[0]) if self.keys.shape[0] else 0
            own = [own[min(max(at, 0), len(own) - 1)]]
        line = self._one_head(rows[:, own].mean(1), head)
        prefix = self.keys.prefix
        mask = self.support.mask_apart(self.queries, self.keys)
        reached = None if mask is None else mask[own].any(0)[prefix:]
        if reached is not None and bool(reached.all()):
            reached = None
        middle = self.keys.centre(0) if frame is None else Point(frame, *self.keys.centre(0)[1:])
        return AttentionMap(
            weights=line[prefix:].reshape(self.keys.shape).numpy(),
            query=middle,
            keys=self.keys,
            off_grid=float(line[:prefix].sum()),
            reachable=None if reached is None else reached.reshape(self.keys.shape).numpy(),
            signed=self.pairwise.signed,
            normalised=self.distributes and head != "max",
            choices=self._shared_by(0, direction),
            title=f"{self.name}, from {token}",
            name=self.name,
            values=self.row_values,
            token=token,
        )

    def named_token(self, token: str | int) -> str:
        """Return the name of a query without a place that is given by name or number.

        Raises:
            NlvizError: when there is no such token; the sentence lists those there are.
        """
        names = list(dict.fromkeys(self.token_names))
        if isinstance(token, int) and 0 <= token < len(names):
            token = names[token]
        token = "cls" if token == "class" and "cls" in names else token
        if token not in names or isinstance(token, int):
            known = ", ".join(names) or "no tokens without a place as queries"
            raise NlvizError(
                f"a token is one of those that {self.name} has: {known}; got {token!r}"
            )
        return token

    def map_to(self, *, frame: float, y: float, x: float, head: Head = None) -> AttentionMap:
        """Return who looks at the key at a place of the clip: ``map(direction="to")``.

        Raises:
            OutsideClip: when the place is not in the clip, or there is no such head.
        """
        return self.map(frame=frame, y=y, x=x, head=head, direction="to")

    @cached_property
    def query_groups(self) -> Int[Tensor, " queries"]:
        """The group that each query is compared within; one for all where most would be alone."""
        groups = self.support.groups(self.queries).to(self.device)
        return groups * (2 * (int(groups.max()) + 1) <= len(groups))

    @property
    def device(self) -> torch.device:
        """Where rows are computed."""
        return torch.device("cpu")

    def _lines(
        self, index: int, direction: Direction, values: Values
    ) -> Float[Tensor, "heads all_tokens"]:
        """Return the row of a query, or the column of a key, of every head."""
        if values == "attribution":
            raise NlvizError("an affinity has weights, logits and differences, no attribution")
        at = index + self.keys.prefix
        if values == "logits":
            if direction == "from":
                return self.logits([index])[:, 0]
            return torch.cat([self.logits(part)[..., at] for part in self._chunks(128)], 1)
        line = self.rows([index])[:, 0] if direction == "from" else self.column(index)
        if values in ("weights", self.row_values) or self.row_values == "difference":
            return line
        mean, group = self.mean_rows.rows, self.query_groups.to(self.mean_rows.rows.device)
        return line - (mean[:, group[index]] if direction == "from" else mean[:, group, at])

    def _reached(self, index: int, direction: Direction) -> Bool[Tensor, " tokens"] | None:
        """Return the keys that a query reaches, or the queries that reach a key; None for all."""
        if direction == "to":
            return self.support.reaching(self.queries, self.keys, index)
        mask = self.support.mask(self.queries, self.keys, torch.tensor([index]))
        return None if mask is None else mask[0]

    def _shared_by(self, key: int, direction: Direction) -> int | None:
        """Return over how many a row is shared out, at most; None for the number of its keys."""
        if self.pairwise.similarity:
            return 1
        if direction == "from":
            return None
        reaching = self._reached(key, "to")
        if reaching is None:
            return self.keys.size
        counts = self.support.counts(self.queries, self.keys)
        most = counts.where(reaching, -1).argmax()
        mask = self._reached(int(most), "from")
        return self.keys.size if mask is None else int(mask.sum())

    def _chunks(self, chunk: int) -> Iterator[range]:
        for first in range(0, self.queries.size, chunk):
            yield range(first, min(first + chunk, self.queries.size))

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
