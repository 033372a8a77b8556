"""Two maps on one grid: the coarser of both along each axis, weights shared out by overlap.

A cell covers half a stride to each side of its centre. Its weight goes to the cells of the other
grid by the share of it that lies in each, along frames, rows and columns by themselves, so that
sums stay what they are; what lies beyond the outermost cells belongs to these.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from nlviz.affinity.grid import Axis, TokenGrid
from nlviz.clips.point import Point, Shape, nearest_inside
from nlviz.errors import NlvizError
from nlviz.sentences import counted

Numbers = npt.NDArray[np.float64]
NOUNS = {"line": ("word", None), "boxes": ("box", "boxes"), "nodes": ("node", None)}


def common_grid(one: TokenGrid, other: TokenGrid) -> TokenGrid:
    """Return the grid on which maps on both are compared: along each axis the coarser of theirs.

    Words, boxes and nodes are compared by number, so that there must be as many of them.

    Raises:
        NlvizError: when the two hold different kinds of tokens, or other numbers of them.

    >>> fine = TokenGrid((4, 6, 10), (1, 8, 8), (0, 3.5, 3.5))
    >>> coarse = TokenGrid((2, 6, 5), (2, 8, 16), (0.5, 3.5, 7.5))
    >>> common_grid(fine, coarse).shape
    (2, 6, 5)
    """
    if one.kind != other.kind:
        kinds = " and ".join(NOUNS.get(g.kind, ("cell", None))[0] + "s" for g in (one, other))
        raise NlvizError(
            f"two maps are compared over tokens of one kind, these lie on {kinds}; choose blocks "
            "whose keys are alike"
        )
    if one.kind != "grid":
        if one.size != other.size:
            noun = NOUNS[one.kind]
            sizes = f"{counted(one.size, *noun)} and {counted(other.size, *noun)}"
            raise NlvizError(
                f"{noun[1] or noun[0] + 's'} are compared by number, these are {sizes}; take two "
                "inputs with as many"
            )
        return one
    pairs = zip(one.axes, other.axes, one.shape, other.shape, strict=True)
    chosen = [(a, n) if a.stride >= b.stride else (b, m) for a, b, n, m in pairs]
    (t, nt), (y, ny), (x, nx) = chosen
    return TokenGrid.of_axes((nt, ny, nx), t, y, x)


def laid_on(values: Numbers, grid: TokenGrid, onto: TokenGrid) -> Numbers:
    """Return what of each cell lies in each cell of another grid, summed: (t, h, w) of ``onto``.

    Args:
        values: (t, h, w), one for each cell of ``grid``.
        grid: where they lie.
        onto: the other grid.

    >>> fine, coarse = TokenGrid((1, 1, 4)), TokenGrid((1, 1, 2), (1, 1, 2), (0, 0, 0.5))
    >>> laid_on(np.array([[[1.0, 3.0, 5.0, 9.0]]]), fine, coarse)
    array([[[ 4., 14.]]])
    """
    if same_cells(grid, onto):
        return values
    found = values
    for number, shares in enumerate(overlaps(grid, onto)):
        found = np.moveaxis(np.tensordot(shares, found, (1, number)), 0, number)
    return found


def overlaps(grid: TokenGrid, onto: TokenGrid) -> tuple[Numbers, Numbers, Numbers]:
    """Return what share of each cell of a grid lies in each of another, along t, y and x.

    Each is (cells of ``onto``, cells of ``grid``), and its columns sum to 1.
    """
    pairs = zip(grid.axes, onto.axes, grid.shape, onto.shape, strict=True)
    t, y, x = (_overlap(a, n, b, m) for a, b, n, m in pairs)
    return t, y, x


def same_cells(grid: TokenGrid, onto: TokenGrid) -> bool:
    """Return whether two grids have the same cells, so that nothing is shared out."""
    return grid.shape == onto.shape and (grid.kind != "grid" or grid.axes == onto.axes)


def _overlap(axis: Axis, count: int, onto: Axis, cells: int) -> Numbers:
    """Return the share of each cell of one axis in each cell of another, (cells, count)."""
    centres = axis.centres(count)
    low, high = centres - axis.stride / 2, centres + axis.stride / 2
    edges = onto.centres(cells + 1) - onto.stride / 2
    edges[0], edges[-1] = -np.inf, np.inf
    inside = np.minimum(high, edges[1:, None]) - np.maximum(low, edges[:-1, None])
    shares: Numbers = inside.clip(0) / axis.stride
    return shares


def in_frame_of(grid: TokenGrid, own: Shape, other: Shape) -> TokenGrid:
    """Return where a grid lies in another clip, which is stretched over the first one.

    Args:
        grid: of the first clip.
        own: its frames, height and width.
        other: frames, height and width of the other clip.

    >>> grid = TokenGrid((2, 3, 5), (1, 8, 8), (0, 3.5, 3.5))
    >>> in_frame_of(grid, (2, 24, 40), (2, 48, 80)).origin
    (0.0, 7.5, 7.5)
    """
    if own == other or grid.kind != "grid":
        return grid
    scales = [b / a for a, b in zip(own, other, strict=True)]
    axes = [
        axis.placed(scale=s, offset=(s - 1) / 2) for axis, s in zip(grid.axes, scales, strict=True)
    ]
    t, y, x = axes
    found = TokenGrid.of_axes(grid.shape, t, y, x, prefix=grid.prefix)
    return replace(found, line=grid.line)


def point_in(place: tuple[float, float, float], own: Shape, other: Shape) -> Point:
    """Return the place of another clip that a place of a clip has when one is stretched over it.

    >>> point_in((1, 11.5, 19.5), (4, 24, 40), (4, 48, 80))
    Point(frame=1.0, y=23.5, x=39.5)
    """
    if own == other:
        return Point(*map(float, place))
    pairs = zip(place, own, other, strict=True)
    return nearest_inside(tuple((p + 0.5) * b / a - 0.5 for p, a, b in pairs), other)
