"""Which rows of which product of a pass are whose: of which query, over which keys."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Group:
    """Rows of one product that share their keys: all of them, or those of a frame or a window.

    Attributes:
        number: of the product among those of the pass; -1 for one that hooks of a family see.
        entries: (heads,) entry of the product's batch that each head is.
        first: (heads,) row at which each head begins; 0 but where heads are among the rows.
        queries: (rows,) number of the query of each row, those without a place first; -1 for none.
        keys: (columns,) number of the key of each column, likewise.
        turn: how often the same weights summed other values before.
    """

    number: int
    entries: Int[Tensor, " heads"]
    first: Int[Tensor, " heads"]
    queries: Int[Tensor, " rows"]
    keys: Int[Tensor, " columns"]
    turn: int = 0


@dataclass(frozen=True, eq=False)
class Site:
    """Where the rows of an affinity are computed.

    Attributes:
        module: name of the run of the module whose product it is.
        groups: of its rows.
        stand_in: queries that cells stand for which are no tokens themselves, by number.
        shared: whether several products share the softmax that makes its rows, each with a part
            of the keys.
        summed: whether a row is the sum of several groups' rows, as where windows overlap.
        entries: how many entries its product has, where an entry stands for something that another
            pass may have more or less of, as objects; 0 where it does not.
        why: why its rows cannot be changed, as a clause; or empty.
    """

    module: str
    groups: tuple[Group, ...]
    stand_in: tuple[tuple[int, int], ...] = ()
    shared: bool = False
    summed: bool = False
    entries: int = 0
    why: str = ""

    @property
    def products(self) -> frozenset[tuple[int, int]]:
        """Numbers of its products, each with its turn."""
        return frozenset((group.number, group.turn) for group in self.groups)

    def of(self, number: int, turn: int = 0) -> Iterator[Group]:
        """Yield the groups of rows of one product."""
        yield from (g for g in self.groups if g.number == number and g.turn == turn)


def tokens_site(
    heads: int, batch: int, queries: int, keys: int, *, before: tuple[int, int] = (0, 0)
) -> Site:
    """Return the site of a product (batch x heads, tokens, d), its batch one after another.

    Args:
        heads: of each entry of the batch.
        batch: parts of the clip that run side by side.
        queries: of each part.
        keys: of each part.
        before: how many queries and keys come first, those of products that ran before.

    >>> [group.queries.tolist() for group in tokens_site(1, 2, 3, 1).groups]
    [[0, 1, 2], [3, 4, 5]]
    """
    return Site(
        "",
        tuple(
            Group(
                -1,
                torch.arange(heads) + b * heads,
                torch.zeros(heads, dtype=torch.long),
                torch.arange(queries) + b * queries + before[0],
                torch.arange(keys) + b * keys + before[1],
            )
            for b in range(batch)
        ),
    )
