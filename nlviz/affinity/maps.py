"""Maps: what is asked of an affinity one query at a time, by place, word or box."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nlviz.affinity.attention_map import AttentionMap, Direction, Values
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.support import Support
from nlviz.affinity.token_boxes import TokenBoxes
from nlviz.affinity.token_line import TokenLine
from nlviz.clips.point import Point, Shape
from nlviz.clips.text import found_word
from nlviz.errors import NlvizError, OutsideClip

Indices = Sequence[int] | Tensor
Head = int | Literal["mean", "max"] | None
SUMS_TO_ONE = 0.02  # what weights in half precision may miss, and no head that gives nothing


def _size(box: tuple[float, float, float, float]) -> tuple[float, float]:
    top, left, bottom, right = box
    return bottom - top, right - left


class MeanRows(NamedTuple):
    """The mean row of an affinity.

    Attributes:
        rows: mean row of each group of queries, (heads, groups, all_keys) float32.
        counted: number of queries that it was taken over.
    """

    rows: Float[Tensor, "heads groups all_keys"]
    counted: int


class Maps(ABC):
    """What ``Affinity.map`` needs of an affinity, and what it makes of it.

    Attributes:
        name, pairwise, queries, keys, support, clip_shape, token_names: as of ``Affinity``.
    """

    name: str
    pairwise: Pairwise
    queries: TokenGrid
    keys: TokenGrid
    support: Support
    clip_shape: Shape | None
    token_names: tuple[str, ...] = ()

    @abstractmethod
    def rows(self, indices: Indices) -> Float[Tensor, "heads n all_keys"]:
        """Return the rows of these queries, keys without a place first."""

    @abstractmethod
    def column(self, key: int) -> Float[Tensor, "heads queries"]:
        """Return the weight that every query gives to a key."""

    @abstractmethod
    def logits(self, indices: Indices) -> Float[Tensor, "heads n all_keys"]:
        """Return rows before C."""

    @abstractmethod
    def token_rows(self, indices: Indices | None = None) -> Float[Tensor, "heads n all_keys"]:
        """Return the rows of queries without a place, all by default."""

    @abstractmethod
    def _chunks(self, chunk: int) -> Iterator[range]: ...

    @property
    @abstractmethod
    def heads(self) -> int:
        """Number of heads."""

    @property
    @abstractmethod
    def row_values(self) -> Values:
        """What rows hold."""

    @property
    @abstractmethod
    def distributes(self) -> bool:
        """Whether rows sum to 1."""

    @property
    @abstractmethod
    def balanced(self) -> bool:
        """Whether rows sum to 0."""

    @property
    @abstractmethod
    def mean_rows(self) -> MeanRows:
        """The mean row of each group of queries."""

    @property
    @abstractmethod
    def query_groups(self) -> Int[Tensor, " queries"]:
        """The group that each query is compared within."""

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
        box: int | Sequence[float] | None = None,
    ) -> AttentionMap:
        """Return the row of one query, laid on the grid of the keys.

        The query is a place, ``frame``, ``y`` and ``x``; or a word, ``token``; or a ``box``.

        Args:
            frame: 0-based index of a sampled frame.
            y: row of pixels in the clip.
            x: column of pixels in the clip.
            head: one head's index, ``"max"`` over heads, or their mean (None or ``"mean"``).
            direction: ``"from"`` the query to its keys; ``"to"`` gives the column of the key at
                the place, all queries that look at it, on the query grid.
            values: ``"weights"`` are the rows, ``"logits"`` what they are before C, and
                ``"difference"`` the rows minus the mean row of all queries.
            token: a word of a text, by its number, by itself, or by both (``"9:the"``) where it
                stands several times; or name of a query without a place: ``"cls"``, or
                ``"registers.2"``, or its number among those of a frame. Where each frame has its
                own, ``frame`` chooses; without it the map holds the row of each frame's token in
                that frame, all together summing to 1.
            box: a box that is a query, by its number or by its edges (frame, top, left, bottom,
                right), which must overlap it by half.

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
        asked = self.queries if direction == "from" else self.keys
        index = self._asked(asked, token, box)
        if index is None and token is not None:
            if asked.line is not None and str(token) not in self.token_names:
                number = found_word(asked.line.words, token, what=self.name)
                return self._word_map(number, head, direction, values)
            return self._token_map(token, frame, head, direction, values)
        if index is None:
            index = self._at(asked, frame, y, x)
        line = self._one_head(self._lines(index, direction, values), head)
        return self._laid(index, line, head, direction, values)

    def head_maps(
        self,
        *,
        frame: float | None = None,
        y: float | None = None,
        x: float | None = None,
        token: str | int | None = None,
        box: int | Sequence[float] | None = None,
    ) -> tuple[AttentionMap, ...]:
        """Return the row of one query in every head: what ``map(head=)`` gives, of one product.

        Raises:
            OutsideClip: when the place is not in the clip.
            NlvizError: as ``map``.

        >>> from nlviz.affinity.embedded import EmbeddedAffinity
        >>> line, theta = TokenGrid((1, 1, 3)), torch.randn(2, 3, 5)
        >>> a = EmbeddedAffinity("block", Pairwise("gaussian"), theta, theta, line, line)
        >>> [m.weights.shape for m in a.head_maps(frame=0, y=0, x=1)]
        [(1, 1, 3), (1, 1, 3)]
        """
        index = self._asked(self.queries, token, box)
        if index is None and token is not None:
            return tuple(self.map(frame=frame, token=token, head=n) for n in range(self.heads))
        if index is None:
            index = self._at(self.queries, frame, y, x)
        lines = self._lines(index, "from", "weights").detach().float().cpu()
        return tuple(
            self._laid(index, line, head, "from", "weights") for head, line in enumerate(lines)
        )

    def _at(self, asked: TokenGrid, frame: float | None, y: float | None, x: float | None) -> int:
        """Return the flat index of the token at a place."""
        if frame is None or y is None or x is None:
            raise NlvizError(self._how_to_ask(asked))
        if self.clip_shape is not None:
            Point(frame, y, x).inside(self.clip_shape)
        return asked.nearest(frame=frame, y=y, x=x)

    def _laid(
        self,
        index: int,
        line: Float[Tensor, " all_tokens"],
        head: Head,
        direction: Direction,
        values: Values,
    ) -> AttentionMap:
        """Return the row of a query, or the column of a key, of one head as a map."""
        asked, grid = self.queries, self.keys
        if direction == "to":
            asked, grid = grid, asked
        prefix = grid.prefix if direction == "from" else 0
        apart, weights = line[:prefix], line[prefix:]
        if direction == "to" and grid.line is not None and values == "weights":
            apart = self._one_head(self._by_words(index + self.keys.prefix), head)
        if values == "logits":
            finite = weights.isfinite()
            reached = None if bool(finite.all()) else finite
            weights = weights.where(finite, 0.0)
        else:
            reached = self._reached(index, direction, head)
        shown = self.row_values if values == "weights" else values
        rows, whole = shown == "weights", direction == "from" and head != "max"
        # A head that reaches nothing gives nothing, so that even a mean over heads may miss 1.
        whole = whole and (not rows or abs(float(line.sum(dtype=torch.float64)) - 1) < SUMS_TO_ONE)
        return AttentionMap(
            weights=weights.reshape(grid.shape).numpy(),
            query=asked.centre(index),
            keys=grid,
            off_grid=float(apart.sum()) if values != "logits" else 0.0,
            off_weights=apart.numpy() if len(apart) else None,
            word=asked.names[index] if asked.names else "",
            apart=asked.kind != grid.kind or (asked.kind != "grid" and asked != grid),
            cell=_size(asked.box(index)) if asked.kind in ("boxes", "nodes") else None,
            reachable=None if reached is None else reached.reshape(grid.shape).numpy(),
            signed=self.pairwise.signed or not rows,
            normalised=rows and self.distributes and whole,
            choices=self._shared_by(index, direction),
            balanced=shown == "difference" and (self.balanced or self.distributes) and whole,
            name=self.name,
            values=shown,
            direction=direction,
        )

    def map_to(self, *, frame: float, y: float, x: float, head: Head = None) -> AttentionMap:
        """Return who looks at the key at a place of the clip: ``map(direction="to")``.

        Raises:
            OutsideClip: when the place is not in the clip, or there is no such head.
        """
        return self.map(frame=frame, y=y, x=x, head=head, direction="to")

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
        own = [i for i, name in enumerate(names) if name == token]
        if frame is not None and len(own) > 1:
            at = round(frame * len(own) / self.keys.shape[0]) if self.keys.shape[0] else 0
            own = [own[min(max(at, 0), len(own) - 1)]]
        line = self._one_head(self.token_rows(own).mean(1), head)
        return self._apart_map(own, line, token, frame, head)

    def _apart_map(
        self, own: list[int], line: Tensor, token: str, frame: float | None, head: Head
    ) -> AttentionMap:
        """Return the map of a row of queries without a place, keys without a place first."""
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
            off_weights=line[:prefix].numpy() if prefix else None,
            reachable=None if reached is None else reached.reshape(self.keys.shape).numpy(),
            signed=self.pairwise.signed,
            normalised=self.distributes and head != "max",
            choices=self._shared_by(0, "from"),
            title=f"{self.name}, from {token}",
            name=self.name,
            values=self.row_values,
            token=token,
        )

    def _word_map(
        self, number: int, head: Head, direction: Direction, values: Values
    ) -> AttentionMap:
        """Return the row, or the column, of a word beside a picture."""
        if values != "weights":
            raise NlvizError(
                "a word beside a picture has a row of weights; leave out values, or ask for "
                "values='weights'"
            )
        line = (self.queries if direction == "from" else self.keys).line
        assert line is not None
        token = f"{number}:{line.words[number]}"
        if direction == "from":
            row = self._one_head(self.token_rows([number])[:, 0], head)
            return self._apart_map([number], row, token, None, head)
        grid, keys = self.queries, self.keys
        placed = self._one_head(
            torch.cat([self.rows(part)[..., number] for part in self._chunks(128)], 1), head
        )
        apart = self._one_head(self._by_words(number), head)
        every = torch.arange(grid.size)
        mask = self.support.mask_all(grid, keys, every)
        return AttentionMap(
            weights=placed.reshape(grid.shape).numpy(),
            query=grid.centre(0),
            keys=grid,
            off_grid=float(apart.sum()),
            off_weights=apart.numpy() if grid.prefix else None,
            reachable=None if mask is None else mask[:, number].reshape(grid.shape).cpu().numpy(),
            signed=self.pairwise.signed,
            normalised=False,
            choices=keys.size + keys.prefix,
            title=f"{self.name}, to {token}",
            name=self.name,
            values=self.row_values,
            direction="to",
            token=token,
        )

    def _by_words(self, key: int) -> Float[Tensor, "heads prefix"]:
        """Return the weight that each query without a place gives to a key, a chunk at a time."""
        count = self.queries.prefix
        parts = (range(first, min(first + 64, count)) for first in range(0, count, 64))
        return torch.cat([self.token_rows(part)[..., key] for part in parts], 1)

    def _asked(
        self, asked: TokenGrid, token: str | int | None, box: int | Sequence[float] | None
    ) -> int | None:
        """Return the flat index of what is asked for by word or box; None for anything else."""
        if box is not None:
            if not isinstance(asked, TokenBoxes):
                raise NlvizError(
                    f"the queries of {self.name} are no boxes; ask with frame=, y= and x="
                )
            return asked.number(box)
        if token is None or str(token) in self.token_names or isinstance(asked, TokenBoxes):
            return asked.names.index(str(token)) if str(token) in asked.names else None
        if isinstance(asked, TokenLine):
            return asked.number(token)
        return asked.names.index(str(token)) if str(token) in asked.names else None

    def _how_to_ask(self, asked: TokenGrid) -> str:
        if isinstance(asked, TokenLine):
            return (
                f"a query is a word here, token= its number from 0 to {asked.size - 1}, or itself"
            )
        if isinstance(asked, TokenBoxes):
            return (
                f"a query is a box here, box= its number from 0 to {asked.size - 1}, or its edges"
            )
        known = (*self.token_names, *(asked.line.words if asked.line else ()))
        return (
            "a query is a place, frame=, y= and x=, or a token, "
            f"token={known[0] if known else 'cls'!r} where there is one"
        )

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

    def _reached(
        self, index: int, direction: Direction, head: Head = None
    ) -> Bool[Tensor, " tokens"] | None:
        """Return the keys that a query reaches, or the queries that reach a key; None for all.

        Heads reach the same, but where what is added to their logits hides a key from one.
        """
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
