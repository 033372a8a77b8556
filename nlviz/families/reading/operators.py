"""Effective operators: what a query's output is made of where no queries and keys say it.

    y_i = sum_j A_ij v_j        A as the network computed it in this pass

Outlook attention (Yuan et al. 2021, arXiv 2106.13112), dynamic convolution (Wu et al. 2019, arXiv
1901.10430), involution (Li et al. 2021, arXiv 2103.06255) and others make weights with a layer. The
values that they weigh lie at places of the picture, and so does what they compute, by where it
goes: with the weights held, y is linear in v, and the row of a query is that operator's. Where
windows overlap and are summed, A_ij is the sum over all windows that hold i and j.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.key_sets import KeySets
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.parity import ROUNDING, relative_error
from nlviz.affinity.stored import StoredAffinity
from nlviz.affinity.support import Everything, Support, Window
from nlviz.families.reading.prepared import Prepared
from nlviz.families.reading.product_affinity import said_of
from nlviz.families.reading.token_layout import (
    SAME,
    Array,
    NoLayout,
    Side,
    Whole,
    inside,
    keys_on_grid,
    queries_on_grid,
)
from nlviz.networks.attention.landing import Landed
from nlviz.networks.attention.places import Factors, TokenPlaces
from nlviz.networks.attention.products import AttentionProduct
from nlviz.networks.attention.receipts import HALF

MOST_SETS = 1 << 26  # numbers of a table of sets and keys
CHECKED = 256  # queries at which rows times values are compared with what was computed


@dataclass(frozen=True, eq=False)
class Placed:
    """Where the parts of an operator stand in an affinity.

    Attributes:
        entries: (groups, heads) entry of the batch that each head of each group is.
        keys: the values that are summed.
        key: (groups, keys of a group) their number, those without a place first; -1 for padding.
        queries: where what is computed goes.
        slots: (n,) group times queries of a group plus query.
        cells: (n,) the query that each slot is, or is a summand of.
    """

    entries: Whole
    keys: Side
    key: Whole
    queries: Side
    slots: Whole
    cells: Whole

    @property
    def summed(self) -> bool:
        """Whether several windows are summed in one query."""
        return len(np.unique(self.cells)) < len(self.cells)


def is_operator(product: AttentionProduct, factors: Factors | str) -> bool:
    """Check whether a product whose weights a layer made sums over places.

    A product with unfolded values may also be one of channels with channels, or a convolution's.
    """
    if product.sure:
        return True
    n = product.operator
    if isinstance(factors, str) or n not in factors.of or n not in factors.values:
        return False
    at = factors.values[n].at
    return not bool(np.isnan(factors.of[n][0].at).all()) and _apart(at) > SAME


def _apart(at: Array) -> float:
    """Return how far the keys of an entry lie apart at most."""
    if np.isnan(at).all():
        return 0.0
    low, high = (
        np.nanmin(np.nan_to_num(at, nan=np.inf), 1),
        np.nanmax(np.nan_to_num(at, nan=-np.inf), 1),
    )
    with np.errstate(invalid="ignore"):
        found = (high - low).max(-1)
    return float(found[np.isfinite(found)].max(initial=0.0))


def placed_operator(
    product: AttentionProduct, factors: Factors, size: tuple[int, int, int]
) -> Placed:
    """Return where the parts of an operator stand.

    Args:
        product: as it was seen.
        factors: where its parts lie.
        size: frames, rows and columns of the network's input.

    Raises:
        NoLayout: when they are no map of the picture.
    """
    n = product.operator
    if n not in factors.values or n not in factors.of:
        raise NoLayout("where its tokens lie could not be followed to it")
    v, weights = factors.values[n], factors.of[n][0]
    if np.isnan(v.at).all():
        raise NoLayout("none of the values that it sums has a place in the picture")
    if product.size[2] > 1 and _apart(v.at) <= SAME:
        raise NoLayout(
            "what it weighs lies at one place, so it is a gate between channels or branches, "
            "which has no map of the picture"
        )
    lands = factors.lands.get(n)
    group = _groups(v, weights) if lands is None else lands.group
    entries = _entries(group)
    first = entries[:, 0]
    at = v.at[first]
    within = inside(at, size)
    nowhere = np.isnan(at[..., 0])
    if product.probe is not None:  # what holds nothing and has no place was filled up, too
        held = product.probe[0].cpu()[torch.from_numpy(entries)].abs().amax((1, 3)).numpy()
        nowhere &= held > 0
    keys, key = _without_padding(keys_on_grid(within, size), ~nowhere)
    slots, to = _goes(product, lands, weights.at[first], at)
    if not len(slots):
        raise NoLayout("where what it computes goes could not be followed")
    to = inside(to[None], size)[0]
    kept = ~np.isnan(to).any(-1)
    places, cells = np.unique(to[kept].round(2), axis=0, return_inverse=True)
    queries = queries_on_grid(places[None], size)
    cells = queries.cell[0][cells.reshape(-1)]
    lines = np.unique(np.stack([slots[kept], cells], 1), axis=0)
    return Placed(entries, keys, key, queries, lines[:, 0], lines[:, 1])


def _groups(v: TokenPlaces, weights: TokenPlaces) -> Whole:
    known: dict[bytes, int] = {}
    both = np.concatenate([v.at, weights.at], 1).round(2) + 0.0
    return np.array([known.setdefault(row.tobytes(), len(known)) for row in both], np.int64)


def _entries(group: Whole) -> Whole:
    found: dict[int, list[int]] = {}
    for entry, number in enumerate(group.tolist()):
        found.setdefault(number, []).append(entry)
    if len({len(entries) for entries in found.values()}) != 1:
        raise NoLayout("its batch holds unequal numbers of heads for different places")
    return np.array([found[number] for number in sorted(found)], np.int64)


def _without_padding(keys: Side, placed: npt.NDArray[np.bool_]) -> tuple[Side, Whole]:
    """Return keys without the tokens that lie beyond the picture, and the number of each key."""
    beyond = placed & (keys.cell < keys.prefix)
    apart = ~placed
    prefix = int(apart.sum())
    cell = np.where(beyond, -1, keys.cell - keys.prefix + prefix)
    cell[apart] = np.arange(prefix)
    return replace(keys, cell=cell, prefix=prefix), cell


def _goes(
    product: AttentionProduct, lands: Landed | None, weights: Array, values: Array
) -> tuple[Whole, Array]:
    """Return slots and the places that they go to, as far as they are known.

    They are those of the residual path that they are added to; else those of the values that an
    overlapping window was cut from, which it is put back to; else those of the weights.
    """
    groups, queries, keys = len(values), product.size[1], product.size[2]
    if lands is not None and lands.between and lands.cells is not None:
        raise NoLayout(
            f"{lands.between} came between its weights and the sum of its windows, so its rows "
            "alone do not tell what was computed"
        )
    if lands is not None and not np.isnan(lands.at).all():
        return lands.slots, lands.at
    if lands is not None and lands.cells is not None and queries == keys:
        to = values.reshape(-1, 3)[lands.slots]
        order = np.argsort(lands.cells, kind="stable")
        cells, at = lands.cells[order], to[order]
        again = cells[1:] == cells[:-1]
        if np.abs(at[1:] - at[:-1])[again].max(initial=0.0) <= SAME:
            return lands.slots, to
    every = np.arange(groups * queries)
    at = weights.reshape(-1, 3)
    placed = ~np.isnan(at).any(-1)
    if placed.all() and len(np.unique(at.round(2), axis=0)) == len(at):
        return every, at
    return every[:0], at[:0]


def operator_affinity(
    name: str, product: AttentionProduct, placed: Placed, prepared: Prepared
) -> tuple[StoredAffinity, AttentionProduct]:
    """Return the affinity of an operator, and its product with the receipt of the whole.

    Args:
        name: of the block.
        product: as it was seen, with its weights.
        placed: where its parts stand.
        prepared: the network's input.

    Raises:
        NoLayout: when values at one place are not the same everywhere, or there are too many sets
            of keys to hold.
    """
    assert product.weights is not None
    queries, keys = placed.queries.grid(prepared), placed.keys.grid(prepared)
    count = queries.size + queries.prefix
    per_group = product.size[1]
    entries = torch.from_numpy(placed.entries)
    weights = product.weights.cpu()
    slots, cells = placed.slots, placed.cells
    group, place = slots // per_group, slots % per_group
    if placed.summed:
        laid, key = _added(weights, entries, placed, group, place, count, keys)
        group_of, place_of = np.arange(count), np.zeros(count, np.int64)
    else:
        within = torch.from_numpy(placed.key >= 0)[:, None, None]
        laid, key = weights[entries] * within, placed.key  # zeros beyond the border have no cell
        group_of, place_of = np.zeros(count, np.int64), np.zeros(count, np.int64)
        group_of[cells], place_of[cells] = group, place
    support = _support(key[group_of], queries, keys)
    found = StoredAffinity(
        name=name,
        pairwise=Pairwise("effective_operator"),
        weights=laid,
        group_of=torch.from_numpy(group_of),
        place_of=torch.from_numpy(place_of),
        key_of=torch.from_numpy(key),
        queries=queries,
        keys=keys,
        support=support,
        clip_shape=prepared.clip_shape,
    )
    found = replace(found, note=_note(found, product, placed))
    return found, _checked(found, product, placed, group, place)


def _added(
    weights: Tensor,
    entries: Tensor,
    placed: Placed,
    group: Whole,
    place: Whole,
    count: int,
    keys: TokenGrid,
) -> tuple[Tensor, Whole]:
    """Return weights and keys of each query, (queries, heads, 1, keys), summed over its windows."""
    size = keys.size + keys.prefix
    key = placed.key[group]  # (slots, keys of a group)
    code = placed.cells[:, None] * size + key
    kept = key >= 0
    unique, at = np.unique(code[kept], return_inverse=True)
    cell = unique // size
    first = np.searchsorted(cell, np.arange(count))
    column = np.arange(len(unique)) - first[cell]
    most = int(column.max()) + 1
    flat = torch.from_numpy((cell * most + column)[at.reshape(-1)])
    own = weights[entries[torch.from_numpy(group)], torch.from_numpy(place)[:, None]]
    summed = torch.zeros(count * most, entries.shape[1])
    summed.index_add_(0, flat, own.float().mT[torch.from_numpy(kept)])
    found = summed.reshape(count, most, -1).mT[:, :, None]
    own_keys = np.full((count, most), -1, np.int64)
    own_keys[cell, column] = unique % size
    return found.to(weights.dtype).contiguous(), own_keys


def _support(key: Whole, queries: TokenGrid, keys: TokenGrid) -> Support:
    """Return which keys a query reaches, from those that it sums over; -1 for none."""
    size = keys.size + keys.prefix
    counts = (key >= 0).sum(1)
    if int(counts.min()) == size:
        return Everything()
    sets: dict[bytes, int] = {}
    held: list[tuple[int, ...]] = []
    set_of = []
    for row in np.sort(key, 1):
        number = sets.setdefault(row.tobytes(), len(held))
        if number == len(held):
            held.append(_runs(row[row >= 0]))
        set_of.append(number)
    window, said = _around(key, queries, keys, alone=2 * len(held) > len(key))
    if len(held) * size > MOST_SETS:
        if window is None:
            raise NoLayout("every query reaches keys of its own, which are too many to hold")
        return window
    found = KeySets(tuple(set_of), tuple(held), said)
    if 2 * len(held) <= len(key):  # which are parts of the picture that many share
        reach = torch.zeros(len(held), size, dtype=torch.bool)
        for number, row in zip(set_of, key, strict=True):
            reach[number, torch.from_numpy(row[row >= 0])] = True
        found = replace(found, said=said_of(reach, keys))
    return found


def _around(
    key: Whole, queries: TokenGrid, keys: TokenGrid, *, alone: bool
) -> tuple[Window | None, str]:
    """Return the window that queries reach, if it is one around each, and a sentence of it.

    Args:
        key: (queries, keys) that are summed over; -1 for none.
        queries: where they lie.
        keys: where they lie.
        alone: whether most queries have a set of keys of their own.
    """
    counts = (key >= 0).sum(1)
    several = str(counts.max())
    if counts.min() < counts.max():
        several = f"{counts.min()} to {several}"
    if queries.shape != keys.shape or keys.prefix or queries.prefix or not alone:
        return None, f"A query reaches {several} of {keys.size + keys.prefix} keys."
    query, column = (key >= 0).nonzero()
    at = np.unravel_index(key[query, column], keys.shape)
    own = np.unravel_index(query, queries.shape)
    frames, rows, columns = (int(np.abs(a - b).max()) for a, b in zip(at, own, strict=True))
    window = Window(rows, columns, frames if frames < keys.shape[0] - 1 else None)
    sides = f"{2 * rows + 1} x {2 * columns + 1}"
    times = "" if keys.shape[0] == 1 else " in its own frame"
    if frames:
        times = f" in {min(2 * frames + 1, keys.shape[0])} frames"
    if bool((window.counts(queries, keys).numpy() == counts).all()):
        return window, f"A query reaches a window of {sides} keys around it{times}."
    return None, f"A query reaches {several} keys, at most {sides} cells around it{times}."


def _runs(row: Whole) -> tuple[int, ...]:
    """Return sorted numbers as runs: first and how many, again and again."""
    starts = np.flatnonzero(np.diff(row, prepend=-2) > 1)
    lengths = np.diff(np.append(starts, len(row)))
    return tuple(np.stack([row[starts], lengths], 1).reshape(-1).tolist())


def _note(found: StoredAffinity, product: AttentionProduct, placed: Placed) -> str:
    said = (
        "Effective operator: a row is what y_i = sum_j A_ij v_j is made of, with the weights A "
        "that the network computed in this pass; they are not those of one product of queries and "
        "keys"
    )
    if placed.summed:
        said += ", and are summed over all windows that hold both places"
    told = [f"{said}."]
    used = found.weights[found.group_of, :, found.place_of].float().sum(-1)
    least, most = float(used.min()), float(used.max())
    if not found.distributes:
        told.append(f"Its rows sum to {least:.3g} to {most:.3g}.")
        if bool((placed.key < 0).any()) and product.softmax:
            told.append("Zeros beyond the border take part and have no cell.")
    if len(placed.slots) > product.size[1] * len(placed.entries) and not placed.summed:
        told.append("Many places share one row.")
    if product.weights is not None and product.weights.dtype == torch.float16:
        told.append("Weights are kept in half precision.")
    return " ".join(told)


def _checked(
    found: StoredAffinity,
    product: AttentionProduct,
    placed: Placed,
    group: Whole,
    place: Whole,
) -> AttentionProduct:
    """Return the product with the receipt of the whole operator: |A v - y|, as summed.

    Raises:
        NoLayout: when a place has several values, or the border holds some.
    """
    assert product.probe is not None
    v, y = (x.cpu()[torch.from_numpy(placed.entries)] for x in product.probe)
    base = ROUNDING.get(product.precision, ROUNDING["float32"])[0]
    size = found.keys.size + found.keys.prefix
    heads, mixtures = v.shape[1], v.shape[-1]
    key = torch.from_numpy(placed.key)
    kept = key >= 0
    largest = float(v.abs().max().clamp(min=1e-30))
    beyond = v.transpose(1, 2)[~kept]
    if beyond.numel() and float(beyond.abs().max()) > base * largest:
        raise NoLayout("what fills up its border is not zero, so its rows hold more than places")
    values = torch.zeros(size, heads, mixtures, dtype=v.dtype)
    values[key[kept]] = v.transpose(1, 2)[kept]
    again = values[key.clamp(min=0)].transpose(1, 2) - v
    if float(again.abs().amax((1, 3)).where(kept, 0.0).max()) > base * largest:
        raise NoLayout("its values at one place are not the same for all of its windows")
    computed = torch.zeros(
        found.queries.size + found.queries.prefix, heads, mixtures, dtype=v.dtype
    )
    own = y[torch.from_numpy(group), :, torch.from_numpy(place)]
    computed.index_add_(0, torch.from_numpy(placed.cells), own)
    index = found.evenly(CHECKED)
    error = relative_error(
        found.rows(index).to(v.dtype),
        values.transpose(0, 1),
        computed[index + found.queries.prefix].transpose(0, 1),
        softmax=False,
        of=product.precision,
    )
    return replace(
        product,
        error=max(error, product.error),
        tolerance=max(product.tolerance, HALF if found.weights.dtype == torch.float16 else base),
        queries=len(index) * heads,
    )
