"""Small multiples of one query's rows: every head a tile, all on one colour scale.

A tile shows the frames of the clip side by side, each at a few pixels a cell, with tokens without a
place as a strip below; words, boxes and nodes are a strip alone. Page, browser and file draw the
same shares.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nlviz.affinity.attention_map import AttentionMap, round_up
from nlviz.affinity.by_frame import key_planes
from nlviz.affinity.grid import TokenGrid
from nlviz.analysis.atlas import HeadMaps, LayerMaps
from nlviz.picture import Picture, resized
from nlviz.sentences import fixed
from nlviz.views.atlas_cells import along, cell_size, strongest

Shares = npt.NDArray[np.float32]

MOST_FRAMES = 16  # of a clip in a tile
WIDE_TILE = 1.5  # wanted width of a tile over its height
MOST_WORDS = 96  # cells of a strip; where there are more, a cell is the strongest of its share
TOPS = 0.9  # share of the maps that the colour scale holds without cutting any off
DECADES = 3  # of a logarithmic scale, as of one map


class Scale(NamedTuple):
    """One colour scale for all maps of an atlas.

    Attributes:
        top: its end, in multiples of uniform attention.
        signed: whether it reaches from -top to top.
        logarithmic: whether equal steps are equal factors, over three decades.
        most: the largest multiple of any map, the query's own cell aside.
        alike: whether the numbers are similarities, whose unit is 1.
    """

    top: float
    signed: bool
    logarithmic: bool
    most: float
    alike: bool

    @property
    def ends(self) -> tuple[str, str]:
        """The labels of both ends; what lies beyond the upper one is marked."""
        beyond = ">" if self.most > self.top * (1 + 1e-6) else ""
        unit = "" if self.alike else "×"
        least = "0"
        if self.signed:
            least = f"-{_number(self.top)}{unit}"
        elif self.logarithmic:
            least = f"≤{_number(self.top / 10**DECADES)}{unit}"
        return least, f"{beyond}{_number(self.top)}{unit}"

    def shares(self, multiples: Shares) -> Shares:
        """Return multiples of uniform as shares of the scale, in [0, 1] or [-1, 1]."""
        if self.logarithmic:
            floor = self.top / 10**DECADES
            sizes = np.log(np.maximum(np.abs(multiples), floor) / floor) / math.log(10**DECADES)
            found = np.sign(multiples) * sizes
        else:
            found = multiples / self.top
        return np.asarray(found.clip(-1.0 if self.signed else 0.0, 1.0), np.float32)


def _number(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else fixed(value, 0)


def atlas_scale(maps: Sequence[AttentionMap], *, logarithmic: bool = False) -> Scale:
    """Return the one colour scale of all maps.

    Each map alone would end at a round multiple near its strongest keys. The common scale ends
    where nine of ten maps would, so that one head which looks at one key does not darken all
    others; a logarithmic one ends at the strongest of all.
    """
    tops = np.array([row.top_of_scale() / row.uniform for row in maps])
    strongest = []
    signed = False
    for row in maps:
        seen = np.ones(row.weights.shape, bool) if row.reachable is None else row.reachable.copy()
        if row.has_own:
            seen[row.keys.unravel(row.own)] = False
        others = row.weights[seen]
        if not others.size:
            continue
        signed = signed or (row.signed and float(others.min()) < 0)
        strongest.append(float(np.abs(others).max()) / row.uniform)
    most = max(strongest, default=1.0)
    top = round_up(float(np.quantile(tops, TOPS))) if len(tops) else 1.0
    if logarithmic:
        top = max(round_up(most), 1e-30)
    return Scale(max(top, 1e-30), signed, logarithmic, most, maps[0].values == "similarity")


@dataclass(frozen=True, eq=False)
class LayerTiles:
    """The tiles of one layer.

    Attributes:
        shares: (heads, height, width) shares of the colour scale; NaN where no key is reached.
        apart: (heads, tokens) of tokens without a place, likewise; None where there are none.
        own: (top, left, bottom, right) of the query's cell in pixels of the tile, or None.
        named: whether the tile is a strip of words, boxes or nodes.
        key_of: (height, width) flat index of the key of each pixel, -1 for none; None where a pixel
            stands for several.
    """

    shares: Shares
    apart: Shares | None
    own: tuple[int, int, int, int] | None
    named: bool
    key_of: npt.NDArray[np.int32] | None


@dataclass(frozen=True, eq=False)
class Tiles:
    """All tiles of an atlas, and what they lie on.

    Attributes:
        layers: of each layer.
        scale: of all.
        frames: which frames of the clip a tile shows.
        columns: frames beside one another.
        cell: height and width of a frame in a tile, in pixels.
    """

    layers: tuple[LayerTiles, ...]
    scale: Scale
    frames: tuple[int, ...]
    columns: int
    cell: tuple[int, int]

    @property
    def rows(self) -> int:
        """Rows of frames in a tile."""
        return -(-len(self.frames) // self.columns)

    @cached_property
    def size(self) -> tuple[int, int]:
        """Height and width of a tile of frames in pixels."""
        return self.rows * self.cell[0], self.columns * self.cell[1]

    @property
    def empty(self) -> tuple[int, int]:
        """Height and width in pixels of the corner of a tile that no frame fills."""
        left = self.rows * self.columns - len(self.frames)
        return (self.cell[0], left * self.cell[1]) if left else (0, 0)

    def ground(self, frames: Picture, zoom: int = 1) -> Picture:
        """Return the frames of the clip laid as in a tile, (height, width, 3).

        Args:
            frames: (T, H, W, 3) of the clip.
            zoom: how much larger than the tile.
        """
        high, wide = self.cell[0] * zoom, self.cell[1] * zoom
        out = np.zeros((self.rows * high, self.columns * wide, 3), np.uint8)
        for n, frame in enumerate(self.frames):
            y, x = n // self.columns * high, n % self.columns * wide
            out[y : y + high, x : x + wide] = resized(frames[frame], (high, wide))
        return out


def tiles_of(atlas: HeadMaps, *, logarithmic: bool = False) -> Tiles:
    """Return the tiles of an atlas.

    Args:
        atlas: whose maps.
        logarithmic: whether the colour scale is logarithmic.
    """
    clip = atlas.capture.clip
    frames, height, width = clip.shape
    maps = [row for layer in atlas.layers for row in layer.maps]
    scale = atlas_scale(maps, logarithmic=logarithmic)
    grids = [layer.maps[0].keys for layer in atlas.layers if layer.maps[0].keys.kind == "grid"]
    shown = _shown(grids, frames, maps[0])
    cell = cell_size(grids, (height, width), tiles=len(maps) * len(shown))
    columns = _columns(len(shown), cell)
    return Tiles(
        tuple(_layer(layer, scale, shown, columns, cell, clip.shape) for layer in atlas.layers),
        scale, shown, columns, cell,
    )  # fmt: skip


def _shown(grids: Sequence[TokenGrid], frames: int, row: AttentionMap) -> tuple[int, ...]:
    """Return which frames of the clip are shown: one for each of the keys, or some of them."""
    if not grids:
        return (0,)
    finest = max(grids, key=lambda grid: grid.shape[0])
    at = [round(float(of)) for of in finest.axes[0].centres(finest.shape[0])]
    found = sorted({min(max(frame, 0), frames - 1) for frame in at})
    if len(found) > MOST_FRAMES:
        own = int(np.abs(np.array(found) - row.query[0]).argmin())
        evenly = np.linspace(0, len(found) - 1, MOST_FRAMES).round().astype(int)
        evenly[np.abs(evenly - own).argmin()] = own
        found = [found[n] for n in sorted(set(evenly.tolist()))]
    return tuple(found)


def _columns(frames: int, cell: tuple[int, int]) -> int:
    """Return how many frames lie beside one another, so that a tile is a little wide."""

    def ugly(columns: int) -> float:
        rows = -(-frames // columns)
        aspect = columns * cell[1] / (rows * cell[0])
        return abs(math.log(aspect / WIDE_TILE)) + 0.7 * (rows * columns - frames) / frames

    return min(range(1, frames + 1), key=ugly)


def _layer(
    layer: LayerMaps,
    scale: Scale,
    shown: tuple[int, ...],
    columns: int,
    cell: tuple[int, int],
    clip: tuple[int, int, int],
) -> LayerTiles:
    first = layer.maps[0]
    multiples = np.stack([row.weights / np.float32(row.uniform) for row in layer.maps])
    if first.reachable is not None:
        seen = np.stack([_seen(row) for row in layer.maps])
        multiples = np.where(seen, multiples, np.nan)
    apart = None
    if first.off_weights is not None:
        off = np.stack([r.off_weights for r in layer.maps if r.off_weights is not None])
        apart = scale.shares(_strip(off / np.float32(first.uniform), MOST_WORDS))
    shares = np.where(np.isnan(multiples), np.float32(np.nan), scale.shares(multiples))
    if first.has_own:  # kept clear, as in the live view: its mark says where it is
        shares.reshape(len(shares), -1)[:, first.own] *= 0
    if first.keys.kind != "grid":
        strip = _strip(shares.reshape(len(shares), -1), MOST_WORDS)
        count = first.keys.size
        own = None
        if first.has_own:
            at = first.own * strip.shape[1] // max(count, 1)
            own = (0, at, 1, at + 1)
        key_of = np.arange(count, dtype=np.int32)[None] if count == strip.shape[1] else None
        return LayerTiles(strip[:, None], apart, own, named=True, key_of=key_of)
    planes = key_planes(first.keys, clip[0])
    laid, rows = along(shares.reshape(-1, *first.keys.shape), first.keys.axes[1], dim=2,
                       pixels=cell[0], of=clip[1])  # fmt: skip
    laid, across = along(laid, first.keys.axes[2], dim=3, pixels=cell[1], of=clip[2])
    high, wide = -(-len(shown) // columns) * cell[0], columns * cell[1]
    out = np.full((len(shares), high, wide), np.nan, np.float32)
    key_of = np.full((high, wide), -1, np.int32)
    box = None
    for n, frame in enumerate(shown):
        plane = planes[frame]
        if plane < 0:
            continue
        y, x = n // columns * cell[0], n % columns * cell[1]
        inside = np.s_[y : y + cell[0], x : x + cell[1]]
        out[:, *inside] = laid[:, plane]
        if rows is None or across is None:
            continue
        cells = (plane * first.keys.shape[1] + rows[:, None]) * first.keys.shape[2] + across
        key_of[inside] = np.where((rows[:, None] < 0) | (across < 0), -1, cells)
        if first.has_own and box is None:
            box = _own_box(first, plane, rows, across, (y, x))
    whole = rows is not None and across is not None
    return LayerTiles(out, apart, box, named=False, key_of=key_of if whole else None)


def _seen(row: AttentionMap) -> npt.NDArray[np.bool_]:
    return np.ones(row.weights.shape, bool) if row.reachable is None else row.reachable


def _own_box(
    row: AttentionMap,
    plane: int,
    rows: npt.NDArray[np.int64],
    across: npt.NDArray[np.int64],
    at: tuple[int, int],
) -> tuple[int, int, int, int] | None:
    """Return the pixels of the query's own cell, where this frame shows it."""
    own, y, x = row.keys.unravel(row.own)
    down, beside = np.flatnonzero(rows == y), np.flatnonzero(across == x)
    if own != plane or not down.size or not beside.size:
        return None
    return (
        at[0] + int(down[0]),
        at[1] + int(beside[0]),
        at[0] + int(down[-1]) + 1,
        at[1] + int(beside[-1]) + 1,
    )


def _strip(values: Shares, most: int) -> Shares:
    """Return values in at most so many cells; of several in a cell the largest in size is kept."""
    n = values.shape[-1]
    return values if n <= most else strongest(values, np.arange(most) * n // most)
