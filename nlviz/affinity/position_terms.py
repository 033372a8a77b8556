"""Terms of position that differ from query to query, each in a table far smaller than a matrix.

    logit_ij = s theta_i . phi_j + u_i(t_j) + v_i(y_j) + w_i(x_j)  ``AxisBias``: SAM, MViT v2
    logit_ij = s theta_i . phi_j + T[r(i), c(j)]                   ``PairBias``: tables of windows

The first is what decomposed relative positions are: for each query a number for each frame, row and
column of the keys. The second holds a number for each pair of places within a group of tokens, or
of all places where nothing smaller is exact.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nlviz.affinity.bias import Bias
from nlviz.affinity.grid import TokenGrid
from nlviz.errors import NlvizError


@dataclass(frozen=True, eq=False)
class AxisBias(Bias):
    """For each query a number for each frame, row and column of the keys.

    Attributes:
        t, y, x: (heads or 1, queries, frames), (..., rows) and (..., columns) of the keys.

    >>> line = TokenGrid((1, 1, 3))
    >>> x = torch.tensor([[[0.0, 1.0, 2.0], [3.0, 4.0, 5.0], [6.0, 7.0, 8.0]]])
    >>> zero = torch.zeros(1, 3, 1)
    >>> AxisBias(zero, zero, x).at(line, line, torch.tensor([2]))
    tensor([[[6., 7., 8.]]])
    """

    kind: ClassVar[str] = "axes"
    t: Float[Tensor, "heads_or_1 queries frames"]
    y: Float[Tensor, "heads_or_1 queries rows"]
    x: Float[Tensor, "heads_or_1 queries columns"]

    @property
    def tensor(self) -> Tensor:
        """The numbers of each query, frames before rows before columns."""
        return torch.cat([self.t, self.y, self.x], -1)

    def changed(self, change: Callable[[Tensor], Tensor]) -> Bias:
        """Return the bias with its numbers changed one by one."""
        return AxisBias(change(self.t), change(self.y), change(self.x))

    def check(self, queries: TokenGrid, keys: TokenGrid) -> None:
        """Refuse other numbers of queries, frames, rows or columns.

        Raises:
            NlvizError: when they are others.
        """
        got = tuple(part.shape[-1] for part in (self.t, self.y, self.x))
        if got != keys.shape or self.x.shape[1] != queries.size:
            raise NlvizError(
                f"a bias by axes has numbers for {queries.size} queries and {keys.shape} frames, "
                f"rows and columns; got {self.x.shape[1]} and {got}"
            )

    def at(
        self, queries: TokenGrid, keys: TokenGrid, indices: Tensor
    ) -> Float[Tensor, "heads_or_1 n all_keys"]:
        """Return what is added to the logits of these queries, keys without a place first."""
        t, y, x = (part[:, indices] for part in (self.t, self.y, self.x))
        total = t[..., :, None, None] + y[..., None, :, None] + x[..., None, None, :]
        apart = total.new_zeros(len(total), len(indices), keys.prefix)
        return torch.cat([apart, total.flatten(2)], 2)

    def column(
        self, queries: TokenGrid, keys: TokenGrid, key: int
    ) -> Float[Tensor, "heads_or_1 queries"]:
        """Return what is added to the logits of every query with one key that has a place."""
        a, b, c = keys.unravel(key)
        return self.t[..., a] + self.y[..., b] + self.x[..., c]


@dataclass(frozen=True, eq=False)
class PairBias(Bias):
    """A number for each pair of a row and a column of a table, which queries and keys share.

    Attributes:
        table: (heads or 1, rows, columns).
        row_of: the row of each query that has a place.
        column_of: the column of each key, those without a place first.

    >>> line = TokenGrid((1, 1, 4))
    >>> half = torch.tensor([0, 1, 0, 1])
    >>> bias = PairBias(torch.tensor([[[0.0, 1.0], [2.0, 3.0]]]), half, half)
    >>> bias.at(line, line, torch.tensor([3]))
    tensor([[[2., 3., 2., 3.]]])
    """

    kind: ClassVar[str] = "pairs"
    table: Float[Tensor, "heads_or_1 rows columns"]
    row_of: Int[Tensor, " queries"]
    column_of: Int[Tensor, " all_keys"]

    @property
    def tensor(self) -> Tensor:
        """The numbers: the table."""
        return self.table

    def changed(self, change: Callable[[Tensor], Tensor]) -> Bias:
        """Return the bias with its numbers changed one by one."""
        return replace(self, table=change(self.table))

    def check(self, queries: TokenGrid, keys: TokenGrid) -> None:
        """Refuse other numbers of queries and keys, and places beyond the table.

        Raises:
            NlvizError: when they are others.
        """
        wanted = queries.size, keys.size + keys.prefix
        got = len(self.row_of), len(self.column_of)
        _, rows, columns = self.table.shape
        inside = all(
            int(of.min()) >= 0 and int(of.max()) < n
            for of, n in ((self.row_of, rows), (self.column_of, columns))
            if len(of)
        )
        if got != wanted or not inside:
            raise NlvizError(
                f"a bias by pairs has a row for each of {wanted[0]} queries and a column for each "
                f"of {wanted[1]} keys in a table of {rows} x {columns}; got {got[0]} and {got[1]}"
            )

    def at(
        self, queries: TokenGrid, keys: TokenGrid, indices: Tensor
    ) -> Float[Tensor, "heads_or_1 n all_keys"]:
        """Return what is added to the logits of these queries, keys without a place first."""
        rows = self.row_of.to(self.table.device)[indices]
        return self.table[:, rows][..., self.column_of.to(self.table.device)]

    def column(
        self, queries: TokenGrid, keys: TokenGrid, key: int
    ) -> Float[Tensor, "heads_or_1 queries"]:
        """Return what is added to the logits of every query with one key that has a place."""
        return self.table[..., int(self.column_of[keys.prefix + key])][:, self.row_of]
