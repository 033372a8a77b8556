"""What is added to the logits of an affinity: a number by key, or by offset; never a matrix.

    logit_ij = s theta_i . phi_j + b_j        ``KeyBias``: the same for every query
    logit_ij = s theta_i . phi_j + b_(j - i)  ``OffsetBias``: relative position, as in CoAtNet

A position term of queries x keys numbers is one of these in every family that we know; as a matrix
it would take what an affinity is there to avoid. ``web/live_view/pure/bias.js`` is the same in the
browser, and one test compares both with a dense reference.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from nlviz.affinity.grid import TokenGrid
from nlviz.clips.point import Shape
from nlviz.errors import NlvizError


class Bias(ABC):
    """What is added to the logits; the base of both kinds.

    Attributes:
        kind: name of the kind, as the browser's header says it.
    """

    kind: ClassVar[str]

    @staticmethod
    def of(tensor: Tensor) -> Bias:
        """Return the bias that a tensor holds: by key (3 axes) or by offset (4 axes).

        Args:
            tensor: (heads or 1, 1, all keys), or (heads or 1, 2t-1, 2h-1, 2w-1).

        Raises:
            NlvizError: for any other shape, of a matrix for instance.

        >>> Bias.of(torch.zeros(1, 1, 12)).kind, Bias.of(torch.zeros(2, 1, 5, 7)).kind
        ('key', 'offset')
        >>> Bias.of(torch.zeros(1, 60, 12))
        Traceback (most recent call last):
        nlviz.errors.NlvizError: a bias is a number for each key, (heads or 1, 1, keys), or for \
each offset, (heads or 1, 2t-1, 2h-1, 2w-1); got shape (1, 60, 12), a matrix of queries and keys \
is not kept
        """
        if tensor.dim() == 3 and tensor.shape[1] == 1:
            return KeyBias(tensor[:, 0])
        if tensor.dim() == 4:
            return OffsetBias(tensor)
        raise NlvizError(
            "a bias is a number for each key, (heads or 1, 1, keys), or for each offset, "
            f"(heads or 1, 2t-1, 2h-1, 2w-1); got shape {tuple(tensor.shape)}, a matrix of "
            "queries and keys is not kept"
        )

    @property
    @abstractmethod
    def tensor(self) -> Tensor:
        """The numbers, of the shape that ``of`` takes."""

    @property
    def heads(self) -> int:
        """Number of heads that have numbers of their own; 1 where all share them."""
        return int(self.tensor.shape[0])

    def changed(self, change: Callable[[Tensor], Tensor]) -> Bias:
        """Return the bias with its numbers changed one by one: scaled, or of another type."""
        return Bias.of(change(self.tensor))

    @abstractmethod
    def check(self, queries: TokenGrid, keys: TokenGrid) -> None:
        """Refuse grids that this bias cannot stand between.

        Raises:
            NlvizError: when the number of keys or of offsets is another.
        """

    @abstractmethod
    def at(
        self, queries: TokenGrid, keys: TokenGrid, indices: Tensor
    ) -> Float[Tensor, "heads_or_1 n_or_1 all_keys"]:
        """Return what is added to the logits of these queries, keys without a place first.

        Args:
            queries: where the queries lie.
            keys: where the keys lie.
            indices: (n,) flat indices on the grid of the queries.
        """

    def between(
        self, queries: TokenGrid, keys: TokenGrid, indices: Tensor, every_key: Tensor
    ) -> Float[Tensor, "heads_or_1 n_or_1 m"]:
        """Return what is added to the logits of these queries with these keys alone.

        Args:
            queries: where the queries lie.
            keys: where the keys lie.
            indices: (n,) flat indices on the grid of the queries.
            every_key: (m,) keys, counted from the first one without a place.
        """
        return self.at(queries, keys, indices)[..., every_key]

    @abstractmethod
    def column(
        self, queries: TokenGrid, keys: TokenGrid, key: int
    ) -> Float[Tensor, "heads_or_1 queries_or_1"]:
        """Return what is added to the logits of every query with one key that has a place."""


@dataclass(frozen=True, eq=False)
class KeyBias(Bias):
    """A number for each key, the same for every query.

    Attributes:
        values: (heads or 1, all keys), keys without a place first.

    >>> line = TokenGrid((1, 1, 3))
    >>> KeyBias(torch.tensor([[0.5, 1.0, 2.0]])).at(line, line, torch.tensor([0, 2]))
    tensor([[[0.5000, 1.0000, 2.0000]]])
    """

    kind: ClassVar[str] = "key"
    values: Float[Tensor, "heads_or_1 all_keys"]

    @property
    def tensor(self) -> Float[Tensor, "heads_or_1 1 all_keys"]:
        """The numbers, (heads or 1, 1, all keys)."""
        return self.values[:, None]

    def check(self, queries: TokenGrid, keys: TokenGrid) -> None:
        """Refuse another number of keys.

        Raises:
            NlvizError: when there are more or fewer keys than numbers.
        """
        wanted = keys.size + keys.prefix
        if self.values.shape[1] != wanted:
            raise NlvizError(
                f"a bias by key has a number for each of {wanted} keys, got {self.values.shape[1]}"
            )

    def at(
        self, queries: TokenGrid, keys: TokenGrid, indices: Tensor
    ) -> Float[Tensor, "heads_or_1 1 all_keys"]:
        """Return what is added to the logits: the same for all of these queries."""
        return self.tensor

    def column(
        self, queries: TokenGrid, keys: TokenGrid, key: int
    ) -> Float[Tensor, "heads_or_1 1"]:
        """Return what is added to the logits of every query with one key."""
        return self.values[:, keys.prefix + key, None]


@dataclass(frozen=True, eq=False)
class OffsetBias(Bias):
    """A number for each offset from a query to a key; queries and keys are one grid.

    Attributes:
        table: (heads or 1, 2t-1, 2h-1, 2w-1); the number in the middle is added where the key is
            the query itself, the next one along an axis where the key lies one step further.
            Offsets beyond the table, as of keys beyond a window, have no number.
        step: cells of one step along each axis.
        apart: (heads or 1, prefix) numbers of the keys without a place; 0 where it is None.

    >>> line = TokenGrid((1, 1, 3))
    >>> table = torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0]).reshape(1, 1, 1, 5)
    >>> OffsetBias(table).at(line, line, torch.tensor([0, 2]))
    tensor([[[ 0.,  1.,  2.],
             [-2., -1.,  0.]]])
    >>> OffsetBias(table[..., 1:4]).at(line, line, torch.tensor([0]))
    tensor([[[0., 1., 0.]]])
    """

    kind: ClassVar[str] = "offset"
    table: Float[Tensor, "heads_or_1 offsets_t offsets_y offsets_x"]
    step: Shape = (1, 1, 1)
    apart: Float[Tensor, "heads_or_1 prefix"] | None = None

    @property
    def tensor(self) -> Float[Tensor, "heads_or_1 offsets_t offsets_y offsets_x"]:
        """The numbers: the table."""
        return self.table

    def changed(self, change: Callable[[Tensor], Tensor]) -> Bias:
        """Return the bias with its numbers changed one by one: scaled, or of another type."""
        apart = None if self.apart is None else change(self.apart)
        return replace(self, table=change(self.table), apart=apart)

    def check(self, queries: TokenGrid, keys: TokenGrid) -> None:
        """Refuse grids that differ, and a table of another size.

        Raises:
            NlvizError: when queries and keys are not one grid, or the table has no middle.
        """
        most = tuple(2 * n - 1 for n in keys.shape)
        got = tuple(self.table.shape[1:])
        if (
            queries.shape != keys.shape
            or any(n % 2 == 0 or n > m for n, m in zip(got, most, strict=True))
            or min(self.step) < 1
            or (self.apart is not None and self.apart.shape[1] != keys.prefix)
        ):
            raise NlvizError(
                f"a bias by offset has {most} numbers between {queries.shape} queries and as "
                f"many keys, or fewer where keys lie in windows; got {got} and {keys.shape} keys"
            )

    def at(
        self, queries: TokenGrid, keys: TokenGrid, indices: Tensor
    ) -> Float[Tensor, "heads_or_1 n all_keys"]:
        """Return what is added to the logits of these queries, keys without a place first."""
        every = torch.arange(keys.size, device=indices.device)
        placed = self._offsets(keys, indices[:, None], every[None])
        apart = placed.new_zeros(len(placed), len(indices), keys.prefix)
        if self.apart is not None:
            apart = apart + self.apart[:, None]
        return torch.cat([apart, placed], 2)

    def between(
        self, queries: TokenGrid, keys: TokenGrid, indices: Tensor, every_key: Tensor
    ) -> Float[Tensor, "heads_or_1 n m"]:
        """Return what is added to the logits of these queries with these keys alone."""
        placed = every_key >= keys.prefix
        away = self._offsets(keys, indices[:, None], (every_key - keys.prefix).clamp(min=0)[None])
        if bool(placed.all()):
            return away
        apart = self.apart
        if apart is None:
            apart = away.new_zeros(len(away), keys.prefix)
        before = apart[:, None, every_key.clamp(max=keys.prefix - 1)]
        return torch.where(placed, away, before)

    def column(
        self, queries: TokenGrid, keys: TokenGrid, key: int
    ) -> Float[Tensor, "heads_or_1 queries"]:
        """Return what is added to the logits of every query with one key that has a place."""
        every = torch.arange(queries.size, device=self.table.device)
        return self._offsets(keys, every, torch.full_like(every, key))

    def _offsets(self, grid: TokenGrid, queries: Tensor, keys: Tensor) -> Tensor:
        """Return the number at the offset from each query to each key, heads first."""
        _, h, w = grid.shape
        sizes = self.table.shape[1:]
        found: Tensor | None = None
        there: Tensor | None = None
        for k, q, n, step in zip(
            _places(keys, h, w), _places(queries, h, w), sizes, self.step, strict=True
        ):
            away = k - q
            at = away.div(step, rounding_mode="floor") + n // 2
            inside = (at >= 0) & (at < n) & (away % step == 0)
            at = at.clamp(0, n - 1)
            found = at if found is None else found * n + at
            there = inside if there is None else there & inside
        assert found is not None
        assert there is not None
        numbers = self.table.flatten(1)[:, found]
        return numbers if bool(there.all()) else numbers.where(there, 0.0)


def _places(indices: Tensor, h: int, w: int) -> tuple[Tensor, Tensor, Tensor]:
    return indices // (h * w), indices // w % h, indices % w
