"""Split a row's mass between the object that the query is on, others, and the background."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nlviz.affinity.attention_map import AttentionMap
from nlviz.affinity.by_frame import shown_frame
from nlviz.affinity.grid import TokenGrid
from nlviz.clips.detections import Detection
from nlviz.clips.point import Shape

Floats = npt.NDArray[np.float64]
Regions = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class RegionMass:
    """One part of the clip and what a row gives it.

    Attributes:
        name: ``dog 2``, ``others of dog`` and so on.
        mass: share of the row's magnitude; of a row minus the mean row, what it gains or loses.
        uniform: what a row would give that gives every key the same.
    """

    name: str
    mass: float
    uniform: float


@dataclass(frozen=True)
class InstanceMasses:
    """Where a row's mass lies, by detected objects.

    Attributes:
        instance: the object that the query is on: the smallest around it, or None.
        regions: parts that cover all keys; masses sum to 1 (to 0 in a row minus the mean row).
    """

    instance: Detection | None
    regions: tuple[RegionMass, ...]


def instance_masses(
    attention: AttentionMap, detections: Sequence[Detection], *, clip_shape: Shape
) -> InstanceMasses:
    """Split a row's mass between the query's object, others of its label, the rest and no place.

    A cell's weight is split by the area that each part has of it. Where objects overlap, the
    query's own goes before others of its label, and those before the rest. An object on another
    frame is another one: objects are not followed through time.

    Args:
        attention: a row.
        detections: what was found on the clip.
        clip_shape: frames, height and width of the clip.

    >>> grid = TokenGrid((1, 2, 4), (1, 10, 10), (0, 4.5, 4.5))
    >>> weights = np.array([[[0.5, 0.2, 0.1, 0.0], [0.1, 0.1, 0.0, 0.0]]], np.float32)
    >>> row = AttentionMap(weights, (0, 4.5, 4.5), grid)
    >>> dogs = [Detection(0, "dog", n + 1, 0.9, (0, 20 * n, 10, 20 * n + 20)) for n in (0, 1)]
    >>> for part in instance_masses(row, dogs, clip_shape=(1, 20, 40)).regions:
    ...     print(f"{part.name}: {part.mass:.2f}, uniform {part.uniform:.2f}")
    dog 1: 0.70, uniform 0.25
    others of dog: 0.10, uniform 0.25
    background: 0.20, uniform 0.50
    """
    frames = clip_shape[0]
    frame, y, x = attention.query
    own = _around(detections, shown_frame(frame, frames), y, x)
    names = ["background", "other objects" if own else "objects"]
    if own is not None:
        names += [f"others of {own.label}", own.name]
    regions = np.zeros(clip_shape, np.uint8)
    for found in detections:
        level = 1 if own is None or found.label != own.label else 2
        _paint(regions[found.frame], found, 3 if found is own else level)
    weights = attention.weights.astype(np.float64)
    off_grid = attention.off_grid
    if not attention.balanced:
        total = max(float(np.abs(weights).sum()) + abs(off_grid), 1e-300)
        weights, off_grid = np.abs(weights) / total, abs(off_grid) / total
    reach = np.ones(weights.shape) if attention.reachable is None else attention.reachable
    even = reach / max(float(reach.sum()), 1.0) * (1 if attention.balanced else 1 - off_grid)
    shares = [_shares(regions == level, attention.keys) for level in range(len(names))]
    parts = [
        RegionMass(name, float((weights * share).sum()), float((even * share).sum()))
        for name, share in zip(names, shares, strict=True)
    ]
    there = [p for p, share in zip(parts, shares, strict=True) if share.any()][::-1]
    if attention.off_grid:
        there.append(RegionMass("without a place", off_grid, off_grid))
    return InstanceMasses(own, tuple(there))


def _around(detections: Sequence[Detection], frame: int, y: float, x: float) -> Detection | None:
    """Return the smallest object of a frame that holds a place, counted from a pixel's centre."""
    holding = [d for d in detections if d.frame == frame and _holds(d, y, x)]
    return min(holding, key=_area, default=None)


def _holds(found: Detection, y: float, x: float) -> bool:
    if found.mask is not None:
        height, width = found.mask.shape
        row, column = (
            min(max(math.floor(v + 0.5), 0), n - 1) for v, n in ((y, height), (x, width))
        )
        return bool(found.mask[row, column])
    top, left, bottom, right = found.box
    return top <= y + 0.5 < bottom and left <= x + 0.5 < right


def _area(found: Detection) -> float:
    if found.mask is not None:
        return float(found.mask.sum())
    top, left, bottom, right = found.box
    return (bottom - top) * (right - left)


def _paint(region: Regions, found: Detection, level: int) -> None:
    """Mark an object's pixels, except where a higher level is."""
    if found.mask is not None:
        inside = found.mask
    else:
        inside = np.zeros(region.shape, bool)
        top, left, bottom, right = (max(round(v), 0) for v in found.box)
        inside[top:bottom, left:right] = True
    region[inside] = np.maximum(region[inside], level)


def _shares(inside: npt.NDArray[np.bool_], grid: TokenGrid) -> Floats:
    """Return (t, h, w) which share of each cell's area lies inside, of its part in the clip."""
    t, h, w = grid.shape
    frames, height, width = inside.shape
    nearest = grid.axes[0].nearest(np.arange(frames), t)
    rows, columns = (
        _edges(n, size, grid.stride[axis], grid.origin[axis])
        for axis, n, size in ((1, h, height), (2, w, width))
    )
    area = np.outer(rows[1] - rows[0], columns[1] - columns[0])
    out = np.zeros(grid.shape)
    for plane in range(t):
        shown = inside[nearest == plane]
        if not len(shown):
            middle = min(max(round(grid.origin[0] + plane * grid.stride[0]), 0), frames - 1)
            shown = inside[middle : middle + 1]
        total = np.pad(shown.mean(0).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
        (y0, y1), (x0, x1) = rows, columns
        sums = total[y1][:, x1] - total[y0][:, x1] - total[y1][:, x0] + total[y0][:, x0]
        out[plane] = sums / area
    return out


def _edges(
    cells: int, size: int, stride: float, origin: float
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return first and last-plus-one pixel of every cell on one axis: one at least, in the clip."""
    centres = origin + stride * np.arange(cells) + 0.5
    first = np.clip(np.round(centres - stride / 2), 0, size - 1).astype(np.intp)
    last = np.clip(np.round(centres + stride / 2), first + 1, size).astype(np.intp)
    return first, last
