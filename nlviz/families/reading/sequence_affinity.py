"""Attention between the words and vision tokens of a sequence, as affinities.

Which of the keys a query reaches follows from the order of the sequence, or from a mask.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nlviz.affinity.causal import Causal
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import Line, TokenGrid
from nlviz.affinity.grouped import GroupedAffinity
from nlviz.affinity.key_sets import KeySets
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.stored import StoredAffinity
from nlviz.affinity.support import ALL_KEYS, Support
from nlviz.families.reading.prepared import Prepared
from nlviz.families.reading.product_affinity import product_affinity
from nlviz.families.reading.sequence_layout import SequenceLayout
from nlviz.families.reading.token_layout import NoLayout, Side, TokenLayout
from nlviz.networks.attention.chosen import LOW, ChosenRows
from nlviz.networks.attention.products import AttentionProduct
from nlviz.networks.attention.sites import Group, Site
from nlviz.networks.places import Cells

WORDS = "the words"
_CHECKED = 6  # rows that are compared with those of the product
_ERROR = 1e-4  # of the largest weight of a row
_MOST = 1 << 26  # pairs of query and key of a mask


def sequence_affinity(
    name: str, product: AttentionProduct, layout: SequenceLayout, prepared: Prepared
) -> EmbeddedAffinity | StoredAffinity:
    """Return the affinity of a product between all tokens of a sequence.

    Raises:
        NoLayout: when the product is none of all tokens, or its rows cannot be laid out.
    """
    _check_size(product, layout)
    order = torch.from_numpy(layout.order)
    if product.q is None or product.k is None:
        return _by_weights(name, product, layout, prepared)
    reach = _reach_of(product)
    if isinstance(reach, str):
        return _by_weights(name, product, layout, prepared)
    at = order.to(product.q.device)
    sums = product.v, product.y
    values, output = (None if x is None else x[:, at] for x in sums)
    found = EmbeddedAffinity(
        name=name,
        pairwise=Pairwise("embedded_gaussian", product.scale),
        theta=product.q[:, at],
        phi=product.k[:, at],
        queries=layout.grid,
        keys=layout.grid,
        support=support_of(reach[order] if isinstance(reach, Tensor) else reach, order, order),
        values=values,
        output=output,
        clip_shape=prepared.clip_shape,
        note=product.note,
        prefix_name=WORDS,
    ).in_full()
    _check(found, product, layout)
    return found


def chosen_affinity(
    name: str, rows: ChosenRows, layout: SequenceLayout, prepared: Prepared, note: str = ""
) -> GroupedAffinity:
    """Return the affinity of chosen words.

    Raises:
        NoLayout: when the keys are not the tokens of the sequence.
    """
    if rows.fault:
        raise NoLayout(rows.fault)
    if rows.k.shape[1] != len(layout.order):
        raise NoLayout(
            f"it has {rows.k.shape[1]} keys, where the sequence has {len(layout.order)} tokens"
        )
    return _of_chosen(
        name, rows.q, rows.k, rows.scale, rows.reach, rows.numbers, layout, prepared, note
    )


def chosen_of_whole(
    name: str, product: AttentionProduct, layout: SequenceLayout, prepared: Prepared, chosen: Tensor
) -> GroupedAffinity:
    """Return the affinity of chosen words of a product that was kept as a whole: no fused one.

    Raises:
        NoLayout: when the product is none of all tokens, or has more than a mask in it.
    """
    _check_size(product, layout)
    reach = _reach_of(product) if product.q is not None else "its weights alone are there"
    if isinstance(reach, str):
        raise NoLayout(f"{reach}, which rows of chosen words do not hold; leave queries= out")
    assert product.q is not None
    assert product.k is not None
    if reach is True:
        reach = torch.arange(len(layout.order))[None] <= chosen[:, None]
    elif isinstance(reach, Tensor):
        reach = reach[chosen]
    assert not isinstance(reach, bool)
    q = product.q[:, chosen.to(product.q.device)]
    return _of_chosen(
        name, q, product.k, product.scale, reach, chosen, layout, prepared, product.note
    )


def _of_chosen(
    name: str,
    q: Tensor,
    k: Tensor,
    scale: float,
    reach: Tensor | None,
    chosen: Tensor,
    layout: SequenceLayout,
    prepared: Prepared,
    note: str,
) -> GroupedAffinity:
    order = torch.from_numpy(layout.order)
    line = layout.grid.line
    assert line is not None
    of = {int(n): i for i, n in enumerate(layout.numbers)}
    words = [of[int(n)] for n in chosen]
    own = Line(
        tuple(line.words[i] for i in words),
        tuple(line.spans[i] for i in words),
        frozenset(n for n, i in enumerate(words) if i in line.special),
    )
    frames, height, width = prepared.clip_shape
    # No word has a place: one cell stands for all of the clip, as for class tokens.
    asked = TokenGrid(
        (1, 1, 1),
        (float(frames), float(height), float(width)),
        ((frames - 1) / 2, (height - 1) / 2, (width - 1) / 2),
        prefix=len(words),
        line=own,
    )
    said = (
        f"Rows of {len(words)} chosen word{'s' if len(words) > 1 else ''} were kept: wherever you "
        f"point, the row is that of “{own.words[-1]}”; token= asks for a word."
    )
    q, chosen = torch.cat([q, q[:, -1:]], 1), torch.cat([chosen, chosen[-1:]])
    reach = None if reach is None else torch.cat([reach, reach[-1:]])
    return GroupedAffinity(
        name=name,
        pairwise=Pairwise("embedded_gaussian", scale),
        theta=q,
        phi=k[:, order.to(k.device)],
        queries=asked,
        keys=layout.grid,
        support=support_of(reach, chosen, order),
        clip_shape=prepared.clip_shape,
        note=" ".join(part for part in (note, said) if part),
        prefix_name=WORDS,
    )


def sequence_site(
    product: AttentionProduct | ChosenRows, layout: SequenceLayout, chosen: Tensor | None
) -> Site:
    """Return where the rows of a product between all tokens of a sequence are computed.

    Args:
        product: of the language model.
        layout: of the sequence.
        chosen: numbers in the sequence of the queries that are kept; None for all.
    """
    order = torch.from_numpy(layout.order)
    cell = torch.empty_like(order)
    cell[order] = torch.arange(len(order))
    heads = len(product.q) if isinstance(product, ChosenRows) else product.size[0]
    queries = cell
    stand_in: tuple[tuple[int, int], ...] = ()
    if chosen is not None:
        queries = torch.full_like(cell, -1)
        queries[chosen.cpu()] = torch.arange(len(chosen))
        stand_in = ((len(chosen), len(chosen) - 1),)  # the cell is the last of the words
    none = torch.zeros(heads, dtype=torch.long)
    turn = 0 if isinstance(product, ChosenRows) else product.turn
    group = Group(product.number, torch.arange(heads), none, queries, cell, turn)
    return Site(product.module, (group,), stand_in)


def support_of(reach: Tensor | bool | None, numbers: Tensor, order: Tensor) -> Support:
    """Return which keys queries reach.

    Args:
        reach: (n, tokens) which tokens of the sequence each query reaches; None for all; True for
            all up to its own.
        numbers: (n,) number in the sequence of each query, in the order of the affinity.
        order: (tokens,) number in the sequence of each key, in the order of the affinity.

    >>> order = torch.tensor([3, 0, 1, 2])
    >>> support_of(torch.ones(4, 4).tril()[order] > 0, order, order).kind
    'causal'
    """
    if reach is None:
        return ALL_KEYS
    at, keys_at = tuple(numbers.tolist()), tuple(order.tolist())
    if reach is True:
        return Causal(at, keys_at)
    assert isinstance(reach, Tensor)
    key = torch.arange(reach.shape[1])[None]
    before = key <= numbers[:, None]
    if torch.equal(reach, before):
        return Causal(at, keys_at)
    most = int(reach.sum(1).max())
    if torch.equal(reach, before & (key > numbers[:, None] - most)):
        return Causal(at, keys_at, most)
    if bool(reach.all()):
        return ALL_KEYS
    table = reach[:, order]
    sets: dict[bytes, int] = {}
    packed = np.packbits(table.numpy(), axis=1)
    of = np.array([sets.setdefault(row.tobytes(), len(sets)) for row in packed])
    first = np.unique(of, return_index=True)[1]
    counts = table.sum(1)
    said = f"A query reaches {int(counts.min())} to {int(counts.max())} of {len(order)} tokens."
    return KeySets.of(torch.from_numpy(of), table[torch.from_numpy(first)], said)


def _check_size(product: AttentionProduct, layout: SequenceLayout) -> None:
    """Refuse a product that is not one of all tokens with all.

    Raises:
        NoLayout: when it is another one.
    """
    _, queries, keys = product.size
    count = len(layout.order)
    if queries != count or keys != count:
        raise NoLayout(
            f"it is between {queries} queries and {keys} keys, where the sequence has {count} "
            "tokens: a part of it was computed before"
        )


def _reach_of(product: AttentionProduct) -> Tensor | bool | str | None:
    """Return which keys each query reaches; or why its logits have more added to them."""
    if product.causal and not product.terms:
        return True
    if not product.terms:
        return None
    entries, queries, keys = product.size
    if queries * keys > _MOST:
        return f"its mask holds {queries * keys} pairs"
    device = product.terms[0].tensor.device
    every = torch.arange(queries, device=device)
    reach: Tensor | None = None
    for entry in range(entries if any(_by_head(t) for t in product.terms) else 1):
        added = product.logits(torch.tensor([entry], device=device), every, content=False)[0].cpu()
        low = (added - added.amax(-1, keepdim=True) <= LOW) | added.isneginf()
        rest = added.masked_fill(low, 0.0)
        if bool((rest - rest.amax(-1, keepdim=True)).masked_fill(low, 0.0).abs().max() > 1e-6):
            return "numbers are added to its logits"
        if reach is not None and not torch.equal(reach, ~low):
            return "its mask is another one for each head"
        reach = ~low
    return reach


def _by_head(term: Any) -> bool:
    return any(n > 1 for n in term.tensor.shape[: len(term.batch)])


def _by_weights(
    name: str, product: AttentionProduct, layout: SequenceLayout, prepared: Prepared
) -> EmbeddedAffinity | StoredAffinity:
    """Return the affinity of a product with more than a mask in it, from tables or its weights."""
    heads, count = product.size[0], len(layout.order)
    cell = np.empty((1, count), np.int64)
    cell[0, layout.order] = np.arange(count)
    cells = _cells(layout.grid)
    side = Side(cell, layout.grid.shape, layout.grid.prefix, cells)
    laid = TokenLayout(np.arange(heads, dtype=np.int64)[None], side, side)
    found = product_affinity(name, product, laid, prepared, prefix_name=WORDS)
    return replace(found, queries=layout.grid, keys=layout.grid, token_names=())


def _cells(grid: TokenGrid) -> Cells:
    t, y, x = grid.axes
    return Cells(grid.shape, t, y, x, grid.off)


def _check(found: EmbeddedAffinity, product: AttentionProduct, layout: SequenceLayout) -> None:
    """Compare rows of an affinity with those of its product.

    Raises:
        NoLayout: when they differ by more than rounding.
    """
    count, prefix = len(layout.order), layout.grid.prefix
    picked = np.unique(np.linspace(0, count - 1, min(_CHECKED, count)).round().astype(int))
    assert product.q is not None
    entries = torch.arange(product.size[0], device=product.q.device)
    numbers = torch.from_numpy(layout.order[picked]).to(product.q.device)
    wanted = product.rows(entries, numbers)[..., torch.from_numpy(layout.order)]
    apart = [int(i) for i in picked if i < prefix]
    placed = [int(i) - prefix for i in picked if i >= prefix]
    rows = torch.cat([found.token_rows(apart), found.rows(placed)], 1)
    off = float((rows.to(wanted) - wanted).abs().max())
    if not off <= _ERROR * max(float(wanted.abs().max()), 1e-30):
        raise NoLayout(f"its rows are off by {off:.1g} from what the network computed")
