"""Where in a pass the rows of an affinity are computed: which rows of which product are whose.

A layout takes the entries, rows and columns of a product to the grids of an affinity; a site is the
way back, so that a row can be changed where it multiplies the values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch

from nlviz.families.reading.operators import Placed
from nlviz.families.reading.token_layout import TokenLayout
from nlviz.networks.attention.products import AttentionProduct
from nlviz.networks.attention.sites import Group, Site


def site_of(product: AttentionProduct, layout: TokenLayout, *, heads_in_rows: int = 1) -> Site:
    """Return where the rows of a product that was laid out are computed.

    Args:
        product: as it was laid out: its runs together, its heads apart.
        layout: of its tokens.
        heads_in_rows: how many heads its rows held.
    """
    entries, rows, _ = product.size
    own_number = product.operator if product.operator >= 0 else product.number
    runs = product.numbers or (own_number,)
    counts = product.counts or (entries,)
    scale = entries // sum(counts)  # where heads were taken out of the rows
    ends = np.cumsum(counts) * scale  # entries of a run, heads among them
    own = torch.from_numpy(np.asarray(layout.entries))
    groups = []
    for g in range(len(own)):
        at = own[g]
        run = int(np.searchsorted(ends, int(at[0]), "right"))
        inside = at - int(ends[run] - counts[run] * scale)
        groups.append(
            Group(
                runs[run],
                inside // heads_in_rows,
                inside % heads_in_rows * rows,
                torch.from_numpy(np.asarray(layout.queries.cell[g])),
                torch.from_numpy(np.asarray(layout.keys.cell[g])),
                product.turn,
            )
        )
    stand_in: tuple[tuple[int, int], ...] = ()
    if layout.queries.cells is None and not layout.queries.line:
        prefix = layout.queries.prefix
        stand_in = tuple((prefix + i, token) for i, token in enumerate(layout.queries.stand_in))
    return Site(product.module, tuple(groups), stand_in)


def joined_site(
    products: Sequence[AttentionProduct],
    layouts: Sequence[TokenLayout],
    heads_in_rows: Mapping[int, int],
) -> Site:
    """Return where the rows of products that share a softmax are computed.

    Args:
        products: all that share it.
        layouts: where the tokens of each lie; keys without a place of one come behind those of the
            others before it.
        heads_in_rows: how many heads the rows of a product held, by its number.
    """
    every, before = sum(layout.keys.prefix for layout in layouts), 0
    groups: list[Group] = []
    for product, layout in zip(products, layouts, strict=True):
        own = site_of(product, layout, heads_in_rows=heads_in_rows.get(product.number, 1))
        prefix = layout.keys.prefix
        for group in own.groups:
            keys = group.keys
            placed = torch.where(keys >= prefix, keys - prefix + every, keys + before)
            groups.append(replace(group, keys=placed.where(keys >= 0, -1)))
        before += prefix
    return Site(products[0].module, tuple(groups), shared=True)


def operator_site(product: AttentionProduct, placed: Placed) -> Site:
    """Return where the rows of an effective operator are computed.

    Args:
        product: as it was seen.
        placed: where its parts stand.
    """
    per_group = product.size[1]
    slots, cells = placed.slots, placed.cells
    summed = placed.summed
    if len(np.unique(slots)) < len(slots):
        why = "many places share one row, and to change it for one is to change it for all of them"
        return Site(product.module, (), why=why)
    queries = np.full(len(placed.entries) * per_group, -1, np.int64)
    queries[slots] = cells
    by_group = torch.from_numpy(queries.reshape(-1, per_group))
    groups = [
        Group(
            product.operator,
            torch.from_numpy(placed.entries[g]),
            torch.zeros(placed.entries.shape[1], dtype=torch.long),
            by_group[g],
            torch.from_numpy(placed.key[g]),
            product.turn,
        )
        for g in range(len(placed.entries))
    ]
    return Site(product.module, tuple(groups), summed=summed)
