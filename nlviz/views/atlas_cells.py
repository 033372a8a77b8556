"""Where the keys of a grid lie in a small picture of a frame: each has a pixel, or shares one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nlviz.affinity.grid import Axis, TokenGrid

Shares = npt.NDArray[np.float32]
Index = npt.NDArray[np.int64]

LEAST_WIDE, MOST_WIDE = 28, 160  # pixels of a frame that is kept small
PIXELS = 4_000_000  # of all tiles together, about


def cell_size(grids: Sequence[TokenGrid], size: tuple[int, int], *, tiles: int) -> tuple[int, int]:
    """Return height and width in pixels of a frame in which every key has one.

    Grids that lie alike and fill the frame have a pixel for each key, others two. Where there are
    very many tiles of fine grids, pixels stand for several keys.

    Args:
        grids: of the keys.
        size: height and width of the frame.
        tiles: number of frames in all tiles together.

    >>> cell_size([TokenGrid((4, 7, 7), (1, 16, 16), (0, 7.5, 7.5))], (112, 112), tiles=8)
    (7, 7)
    >>> cell_size([TokenGrid((4, 7, 7), (1, 48, 80), (0, 23.5, 39.5))], (336, 560), tiles=8)
    (14, 24)
    """
    height, width = size
    aspect = width / height
    if not grids:
        return max(1, round(LEAST_WIDE / aspect)), LEAST_WIDE
    high = max(math.ceil(height / grid.stride[1] - 1e-6) for grid in grids)
    wide = max(math.ceil(width / grid.stride[2] - 1e-6) for grid in grids)
    alike = {(grid.shape[1:], grid.stride[1:], grid.origin[1:]) for grid in grids}
    exact = len(alike) == 1 and grids[0].shape[1:] == (high, wide)
    if exact and round(wide / aspect) == high:
        found = wide
    else:
        found = 2 * max(wide, math.ceil(high * aspect))
    room = math.sqrt(PIXELS / max(tiles, 1) * aspect)
    found = min(found, round(min(max(room, LEAST_WIDE), MOST_WIDE)))
    return max(1, round(found / aspect)), found


def keys_of_pixels(axis: Axis, count: int, pixels: int, of: int) -> Index:
    """Return the key of each pixel along an axis, -1 where none lies.

    A margin below a cell's width belongs to the outermost key, as in every picture.

    Args:
        axis: where the keys lie.
        count: number of keys.
        pixels: of the small picture.
        of: pixels of the frame.

    >>> keys_of_pixels(Axis(8.0, 3.5), 2, 8, 32).tolist()
    [0, 0, 1, 1, 1, 1, -1, -1]
    """
    places = (np.arange(pixels) + 0.5) * of / pixels - 0.5
    at = (places - axis.origin) / axis.stride
    inside = (at >= -1.5 - 1e-6) & (at <= count + 0.5 + 1e-6)
    return np.where(inside, axis.nearest(places, count), -1)


def along(
    values: Shares, axis: Axis, *, dim: int, pixels: int, of: int
) -> tuple[Shares, Index | None]:
    """Return values of keys laid along one axis of a small picture, and the key of each pixel.

    Where a key would have no pixel, a pixel takes the strongest of those in it, and None is
    returned for the keys.
    """
    count = values.shape[dim]
    index = keys_of_pixels(axis, count, pixels, of)
    inside = (axis.centres(count) > -0.5) & (axis.centres(count) < of - 0.5)
    if np.isin(np.flatnonzero(inside), index).all():
        return _without(np.take(values, index.clip(0), dim), index < 0, dim), index
    own = np.floor((axis.centres(count) + 0.5) * pixels / of).clip(0, pixels - 1)
    first = np.searchsorted(own, np.arange(pixels)).clip(0, count - 1)
    return _without(strongest(values, first, dim), index < 0, dim), None


def strongest(values: Shares, first: Index, dim: int = -1) -> Shares:
    """Return the value of largest size of each group of values, which begin at ``first``.

    >>> strongest(np.array([1, -4, 3, 2], np.float32), np.array([0, 2]))
    array([-4.,  3.], dtype=float32)
    """
    low, high = np.fmin.reduceat(values, first, dim), np.fmax.reduceat(values, first, dim)
    return np.where(-low > high, low, high)


def _without(values: Shares, gone: npt.NDArray[np.bool_], dim: int) -> Shares:
    if not gone.any():
        return values
    shape = [1] * values.ndim
    shape[dim] = -1
    return np.where(gone.reshape(shape), np.float32(np.nan), values)
