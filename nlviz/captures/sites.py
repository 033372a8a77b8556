"""Where in a pass the rows of an affinity are computed: which rows of which product are whose.

A layout takes the entries, rows and columns of a product to the grids of an affinity; a site is the
way back, so that a row can be changed where it multiplies the values.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from nlviz.families.reading.token_layout import TokenLayout
from nlviz.networks.attention.products import AttentionProduct


@dataclass(frozen=True, eq=False)
class Group:
    """Rows of one product that share their keys: all of them, or those of a frame or a window.

    Attributes:
        number: of the product among those of the pass; -1 for one that hooks of a family see.
        entries: (heads,) entry of the product's batch that each head is.
        first: (heads,) row at which each head begins; 0 but where heads are among the rows.
        queries: (rows,) number of the query of each row, those without a place first; -1 for none.
        keys: (columns,) number of the key of each column, likewise.
    """

    number: int
    entries: Int[Tensor, " heads"]
    first: Int[Tensor, " heads"]
    queries: Int[Tensor, " rows"]
    keys: Int[Tensor, " columns"]


@dataclass(frozen=True, eq=False)
class Site:
    """Where the rows of an affinity are computed.

    Attributes:
        module: name of the run of the module whose product it is.
        groups: of its rows.
        stand_in: queries that cells stand for which are no tokens themselves, by number.
    """

    module: str
    groups: tuple[Group, ...]
    stand_in: tuple[tuple[int, int], ...] = ()

    @property
    def numbers(self) -> frozenset[int]:
        """Numbers of its products."""
        return frozenset(group.number for group in self.groups)

    def of(self, number: int) -> Iterator[Group]:
        """Yield the groups of rows of one product."""
        yield from (group for group in self.groups if group.number == number)


def site_of(product: AttentionProduct, layout: TokenLayout, *, heads_in_rows: int = 1) -> Site:
    """Return where the rows of a product that was laid out are computed.

    Args:
        product: as it was laid out: its runs together, its heads apart.
        layout: of its tokens.
        heads_in_rows: how many heads its rows held.
    """
    entries, rows, _ = product.size
    runs = product.numbers or (product.number,)
    each = entries // len(runs)  # entries of a run, heads among them
    own = torch.from_numpy(np.asarray(layout.entries))
    groups = []
    for g in range(len(own)):
        at = own[g]
        run = int(at[0]) // each
        inside = at - run * each
        groups.append(
            Group(
                runs[run],
                inside // heads_in_rows,
                inside % heads_in_rows * rows,
                torch.from_numpy(np.asarray(layout.queries.cell[g])),
                torch.from_numpy(np.asarray(layout.keys.cell[g])),
            )
        )
    stand_in: tuple[tuple[int, int], ...] = ()
    if layout.queries.cells is None and not layout.queries.line:
        prefix = layout.queries.prefix
        stand_in = tuple((prefix + i, token) for i, token in enumerate(layout.queries.stand_in))
    return Site(product.module, tuple(groups), stand_in)


def tokens_site(heads: int, batch: int, queries: int, keys: int, *, part: int = 0) -> Site:
    """Return the site of a product (batch x heads, tokens, d), its batch one after another.

    Args:
        heads: of each entry of the batch.
        batch: parts of the clip that run side by side.
        queries: of each part.
        keys: of each part.
        part: how many such products were before, whose queries and keys come first.

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
                torch.arange(queries) + (part * batch + b) * queries,
                torch.arange(keys) + (part * batch + b) * keys,
            )
            for b in range(batch)
        ),
    )
