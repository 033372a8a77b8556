"""The tokens of an attention product in groups, and their order on the grids of an affinity.

The entries of a product's batch are its heads, times whatever the network put into the batch:
frames, windows, places. Entries whose tokens lie at the same places are heads of one group; the
groups together hold the queries, each once, and the keys, as often as groups look at them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from nlviz.affinity.grid import Axis, TokenGrid
from nlviz.families.reading.adapter import place
from nlviz.families.reading.lines_of_tokens import Batch, is_line, of_frames
from nlviz.families.reading.lines_of_tokens import NoLayout as NoLayout
from nlviz.families.reading.prepared import Prepared
from nlviz.networks.attention.landing import Landed
from nlviz.networks.attention.places import TokenPlaces
from nlviz.networks.places import Cells, NoLattice, Places, lattice

Whole = npt.NDArray[np.int64]
Array = npt.NDArray[np.float64]

SAME = 0.05  # frames and pixels within which positions are one


@dataclass(frozen=True, eq=False)
class Side:
    """Queries or keys of all groups.

    Attributes:
        cell: (groups, tokens) index in the order of an affinity: tokens without a place first,
            group by group, then the cells of the grid.
        shape: of the grid.
        prefix: number of tokens without a place.
        cells: where the cells lie in the network's input; None for tokens that have no place.
        padding: those of the tokens without a place that lie beyond the picture.
        stand_in: where no token has a place, the token that is shown in the place of each cell: one
            for the whole picture, or one for each frame.
        time: where such frames lie, or None.
        means: those of the tokens without a place that are the mean of all others.
        names: of the tokens without a place, empty for those of no known parameter; None where
            that was not asked for. Of a line, of all its tokens.
        line: whether it is a line of tokens that have no place in the picture, one after another,
            group by group.
        frames: of a line, the frame of the input that each group belongs to, where that is known.
    """

    cell: Whole
    shape: tuple[int, int, int]
    prefix: int
    cells: Cells | None
    padding: frozenset[int] = frozenset()
    stand_in: tuple[int, ...] = (0,)
    time: Axis | None = None
    means: frozenset[int] = frozenset()
    names: tuple[str, ...] | None = None
    line: bool = False
    frames: tuple[float, ...] | None = None

    @property
    def size(self) -> int:
        """Number of tokens, those without a place among them."""
        return self.prefix + int(np.prod(self.shape))

    @cached_property
    def order(self) -> tuple[Whole, Whole]:
        """Group and number in it of each token, in the order of an affinity."""
        size = self.prefix + (int(np.prod(self.shape)) if self.cells is not None else 0)
        group, token = np.zeros((2, size), np.int64)
        for g, cells in enumerate(self.cell):
            group[cells], token[cells] = g, np.arange(len(cells))
        return group, token

    def grid(self, prepared: Prepared) -> TokenGrid:
        """Return the grid of the cells in the clip; one cell for all where none has a place."""
        if self.cells is None:
            t, h, w = prepared.clip_shape
            step, first = float(t), (t - 1) / 2
            if self.time is not None:
                frames = place(self.time, prepared.t)
                step, first = frames.stride, frames.origin
            return prepared.line(
                TokenGrid(self.shape, (step, h, w), (first, (h - 1) / 2, (w - 1) / 2), self.prefix)
            )
        axes = self.cells.t, self.cells.y, self.cells.x
        t_, y, x = (
            place(axis, where)
            for axis, where in zip(axes, (prepared.t, prepared.y, prepared.x), strict=True)
        )
        off = tuple(
            o * abs(where.stride)
            for o, where in zip(self.cells.off, (prepared.t, prepared.y, prepared.x), strict=True)
        )
        return prepared.line(
            TokenGrid.of_axes(
                self.shape, t_, y, x, prefix=self.prefix, off=(off[0], off[1], off[2])
            )
        )


@dataclass(frozen=True, eq=False)
class TokenLayout:
    """Where the tokens of a product stand in an affinity.

    Attributes:
        entries: (groups, heads) entry of the batch that each head of each group is.
        queries, keys: their tokens.
        note: what a reader must know, or empty.
        shown: for products with a softmax, or without, to which nothing was added: whether rows
            laid out by it were those of the product.
    """

    entries: Whole
    queries: Side
    keys: Side
    note: str = field(default="")
    shown: set[bool] = field(default_factory=set, repr=False)


def token_layout(
    q: TokenPlaces,
    k: TokenPlaces,
    size: tuple[int, int, int],
    values: TokenPlaces | None = None,
    *,
    alone: bool = True,
    batch: Batch | None = None,
    boxes: int = 0,
) -> TokenLayout:
    """Return how the tokens of a product lie.

    Tokens none of which has a place in the picture (object queries, latents, class tokens of all
    frames) are a line of their own; a single query without a place stands for the picture.

    Args:
        q: places of its queries.
        k: places of its keys.
        size: frames, rows and columns of the network's input.
        values: places of what is summed, one for each key, where they are known.
        alone: whether its keys are all that its queries reach; of others nothing is a line.
        batch: what its entries are, which tells heads from frames where no token has a place.
        boxes: number of boxes that the network was asked about: as many tokens that lie on no grid
            are these.

    Raises:
        NoLayout: when they lie on no grid, or the product is not one of places.
    """
    if q.of_channels or k.of_channels:
        raise NoLayout(
            "it is attention between channels, summed over places, so it has no map of the picture"
        )
    queries_in_line = alone and batch is not None and is_line(q.at, boxes, least=2)
    keys_in_line = alone and batch is not None and is_line(k.at, boxes)
    if alone and np.isnan(k.at).all() and not keys_in_line:
        between = f", it is between {k.at.shape[1]} such tokens" if np.isnan(q.at).all() else ""
        raise NoLayout(f"none of its keys has a place in the picture{between}")
    if values is not None and not _as_keys(values.at, k.at):
        raise NoLayout(
            "its values lie at other places than its keys, so a weight is about two places at once"
        )
    if queries_in_line and keys_in_line:
        assert batch is not None
        entries = batch.groups(len(q.at), size[0])
    else:
        entries = _groups(q.at, k.at)
    first = entries[:, 0]
    if queries_in_line:
        queries = line_side(q.at[first], of_frames(k.at[first], size[0]))
    else:
        queries = _with_padding(queries_on_grid(inside(q.at[first], size), size), q.at[first])
    if keys_in_line:
        keys = line_side(k.at[first], of_frames(q.at[first], size[0]))
    else:
        keys = _with_padding(keys_on_grid(inside(k.at[first], size), size), k.at[first])
    queries, keys = _with_names(queries, q, first), _with_names(keys, k, first)
    if queries.cells is None:
        queries = _by_frame(queries, keys)
    return TokenLayout(entries, queries, keys)


def cells_of(at: Array, size: tuple[int, int, int], *, all_of_them: bool = False) -> Side:
    """Return how elements lie that are each there once: the cells of a grid, and what has no place.

    Args:
        at: (elements, 3) frame, row and column of the input; NaN for what has no place.
        size: frames, rows and columns of the network's input.
        all_of_them: whether those are cells, too, that lie beyond the picture.

    Raises:
        NoLayout: when they lie on no grid.

    >>> at = np.stack(np.meshgrid(0, [1.5, 5.5], [1.5, 5.5, 9.5], indexing="ij"), -1)
    >>> cells_of(at.reshape(6, 3), (1, 8, 12)).shape
    (1, 2, 3)
    """
    placed = at[None] if all_of_them else inside(at[None], size)
    side = queries_on_grid(placed, size, "cells")
    return _with_padding(side, at[None])


def _by_frame(queries: Side, keys: Side) -> Side:
    """Return queries without a place, those of each frame apart where each frame has its own."""
    frames, h, w = keys.shape
    if keys.cells is None or frames != len(queries.cell) or frames == 1:
        return queries
    placed = [cells[cells >= keys.prefix] - keys.prefix for cells in keys.cell]
    own = [np.unique(cells // (h * w)) for cells in placed]
    if any(len(frame) != 1 for frame in own) or len({int(frame[0]) for frame in own}) != frames:
        return queries
    order = np.argsort([int(frame[0]) for frame in own])
    first = tuple(int(queries.cell[g, 0]) for g in order)
    return replace(queries, shape=(frames, 1, 1), stand_in=first, time=keys.cells.t)


def where_output_goes(q: TokenPlaces, lands: Landed) -> TokenPlaces | None:
    """Return queries as the places that what is computed for them goes to; None if not one each.

    Args:
        q: places of queries that are the same for several groups of keys.
        lands: where what is computed goes.
    """
    count = (int(lands.group.max(initial=0)) + 1) * q.at.shape[1]
    if len(np.unique(lands.slots)) != len(lands.slots) or len(lands.group) != len(q.at):
        return None
    at = np.full((count, 3), np.nan)
    at[lands.slots] = lands.at
    return replace(q, at=at.reshape(-1, q.at.shape[1], 3)[lands.group])


def _as_keys(values: Array, k: Array) -> bool:
    """Check whether the values of keys lie where the keys lie, up to half a cell."""
    if values.shape != k.shape or np.isnan(k).all():
        return True  # heads that were mixed, or shared: whose places are compared is not known
    both = ~(np.isnan(values) | np.isnan(k)).any(-1)
    for axis in range(3):
        lines = _lines(k[..., axis][~np.isnan(k[..., axis])])
        half = float(np.diff(lines).min()) / 2 if len(lines) > 1 else np.inf
        if (np.abs(values - k)[both][:, axis] > max(half, SAME)).any():
            return False
    return True


def _groups(q: Array, k: Array) -> Whole:
    """Return the entries of each group, in the order in which groups and heads come."""
    found: dict[bytes, list[int]] = {}
    for entry in range(len(q)):
        places = np.concatenate([q[entry], k[entry]]).round(2) + 0.0
        found.setdefault(places.tobytes(), []).append(entry)
    heads = {len(entries) for entries in found.values()}
    if len(heads) != 1:
        raise NoLayout("its batch holds unequal numbers of heads for different places")
    return np.array(list(found.values()), np.int64)


def _with_padding(side: Side, at: Array) -> Side:
    """Return a side with the tokens marked that lie somewhere, but not in the picture."""
    beyond = ~np.isnan(at[..., 0]) & (side.cell < side.prefix)
    return replace(side, padding=frozenset(side.cell[beyond].tolist()))


def _with_names(side: Side, tokens: TokenPlaces, first: Whole) -> Side:
    """Return a side with its tokens without a place called as what they come from."""
    names = [""] * (side.size if side.line else side.prefix)
    means = set()
    for cells, entry in zip(side.cell, first, strict=True):
        for token, cell in enumerate(cells):
            if (side.line or cell < side.prefix) and tokens.names is not None:
                names[cell] = tokens.names[entry][token]
            if cell < side.prefix and tokens.means is not None and tokens.means[entry, token]:
                means.add(int(cell))
    found = replace(side, means=frozenset(means))
    return found if tokens.names is None else replace(found, names=tuple(names))


def inside(at: Array, size: tuple[int, int, int]) -> Array:
    """Return tokens without a place for those of which no pixel lies in the picture: padding."""
    found = at.copy()
    for axis, length in enumerate(size):
        x = at[..., axis]
        placed = x[~np.isnan(x)]
        gaps = np.diff(_lines(placed)) if len(placed) else placed
        if not len(gaps):
            continue
        # Where the last cell is cut off, what fills up behind it follows at its smaller gap.
        half = float(gaps.min()) / 2
        beyond = half - min(half, 0.5) / 2  # of the edge: a cell of one pixel inside lies nearer
        with np.errstate(invalid="ignore"):
            found[(x < -0.5 - beyond) | (x > length - 0.5 + beyond)] = np.nan
    return found


def queries_on_grid(at: Array, size: tuple[int, int, int], what: str = "queries") -> Side:
    """Return queries on their grid, each at a place of its own.

    Args:
        at: (groups, tokens, 3) where they lie; NaN for those without a place.
        size: frames, rows and columns of the network's input.
        what: what they are, for a refusal.

    Raises:
        NoLayout: when they fill no grid.
    """
    placed = ~np.isnan(at[..., 0])
    if not placed.any():
        return Side(_numbered(placed), (1, 1, 1), at[..., 0].size, None)
    coordinates, shape = lattice_coordinates(at, placed)
    flat = np.ravel_multi_index(tuple(coordinates[placed].T), shape)
    if len(np.unique(flat)) != len(flat):
        raise NoLayout(f"some of its {what} lie at the same place, so they are no map of it")
    if len(flat) != np.prod(shape):
        raise NoLayout(
            f"its {len(flat)} {what} do not fill a grid of {shape[0]} x {shape[1]} x {shape[2]}: "
            "the network drops, merges or moves patches, or attends to them in parts"
        )
    return _side(at, placed, flat, shape, size)


def keys_on_grid(at: Array, size: tuple[int, int, int]) -> Side:
    """Return keys on their grid, which several groups may look at.

    Args:
        at: (groups, tokens, 3) where they lie; NaN for those without a place.
        size: frames, rows and columns of the network's input.

    Raises:
        NoLayout: when they fill no grid.
    """
    placed = ~np.isnan(at[..., 0])
    if not placed.any():
        return Side(_numbered(placed), (1, 1, 1), at[..., 0].size, None)
    coordinates, shape = lattice_coordinates(at, placed)
    flat = np.ravel_multi_index(tuple(coordinates[placed].T), shape)
    if len(np.unique(flat)) != np.prod(shape):
        raise NoLayout(
            f"its keys lie at {len(np.unique(flat))} places, which do not fill a grid of "
            f"{shape[0]} x {shape[1]} x {shape[2]}: the network drops, merges or moves patches"
        )
    groups = np.broadcast_to(np.arange(len(at))[:, None], placed.shape)[placed]
    if len(np.unique(np.stack([groups, flat]), axis=1)[0]) != len(flat):
        raise NoLayout("several of its keys lie at the same place for one query")
    return _side(at, placed, flat, shape, size)


def _side(
    at: Array,
    placed: npt.NDArray[np.bool_],
    flat: Whole,
    shape: tuple[int, int, int],
    size: tuple[int, int, int],
) -> Side:
    cell = _numbered(placed)
    prefix = int((~placed).sum())
    cell[placed] = prefix + flat
    on_grid = np.full((int(np.prod(shape)), 3), np.nan)
    on_grid[flat] = at[placed]
    t, y, x = on_grid.T.reshape(3, *shape)
    try:
        cells = lattice(Places(t, y, x, np.zeros(shape)), size)
    except NoLattice:
        raise NoLayout("its tokens lie on no straight lines of cells") from None
    return Side(cell, shape, prefix, cells)


def line_side(at: Array, frames: tuple[float, ...] | None) -> Side:
    """Return the tokens of all groups on a line, group by group.

    Args:
        at: (groups, tokens, 3) where they lie, if anywhere.
        frames: of each group the frame that it belongs to, where that is known.
    """
    groups, tokens, _ = at.shape
    cell = np.arange(groups * tokens).reshape(groups, tokens)
    shape = (1, 1, groups * tokens)
    if frames is None and groups > 1:
        frames = tuple(map(float, range(groups)))
    return Side(cell, shape, 0, Cells(shape, Axis(), Axis(), Axis()), line=True, frames=frames)


def _numbered(placed: npt.NDArray[np.bool_]) -> Whole:
    """Return numbers for what has no place, group by group from 0; the rest are open."""
    cell = np.full(placed.shape, -1, np.int64)
    cell[~placed] = np.arange(int((~placed).sum()))
    return cell


def lattice_coordinates(
    at: Array, placed: npt.NDArray[np.bool_]
) -> tuple[Whole, tuple[int, int, int]]:
    """Return (groups, tokens, 3) frame, row and column of each token among all of them."""
    found = np.zeros(at.shape, np.int64)
    shape = []
    for axis in range(3):
        values = at[..., axis][placed]
        lines = _lines(values)
        found[..., axis][placed] = _nearest(values, lines)
        shape.append(len(lines))
    return found, (shape[0], shape[1], shape[2])


def _lines(values: Array) -> Array:
    """Return the places of the lines of cells along an axis, near ones taken as one."""
    unique = np.unique(values.round(2))
    if len(unique) < 3:
        gaps = np.diff(unique)
        limit = SAME
    else:
        gaps = np.diff(unique)
        # Cells at a border may lie a little beside their line, where kernels see less.
        limit = max(
            SAME, 0.3 * float(np.median(gaps[gaps > SAME])) if (gaps > SAME).any() else SAME
        )
    starts = np.concatenate([[True], gaps > limit])
    group = np.cumsum(starts) - 1
    return np.bincount(group, unique) / np.bincount(group)


def _nearest(values: Array, lines: Sequence[float] | Array) -> Whole:
    ends = (np.asarray(lines)[1:] + np.asarray(lines)[:-1]) / 2
    return np.searchsorted(ends, values).astype(np.int64)
