"""A map laid on the frames of its clip: which keys a frame shows, and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from nlviz.affinity.attention_map import AttentionMap
from nlviz.affinity.by_frame import key_planes
from nlviz.affinity.grid import Axis, TokenGrid
from nlviz.clips.clip import Clip
from nlviz.picture import overlay_frame
from nlviz.render.box_maps import box_frame
from nlviz.render.colour_scale import ColourScale

Picture = npt.NDArray[np.uint8]
Weights = npt.NDArray[np.float32]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Look:
    """How a map is drawn.

    Attributes:
        scale: from weights to colours.
        smooth: whether to interpolate between the centres of the keys.
        strength: opacity of the strongest weight, in [0, 1].
        show_map: whether the map is shown at all, or links only.
        links: number of strongest links that are drawn as arrows.
        cell: height and width of the query's cell in clip pixels.
        marked: whether the map has a query, whose cell is marked and kept clear.
    """

    scale: ColourScale
    smooth: bool = False
    strength: float = 0.85
    show_map: bool = True
    links: int = 0
    cell: tuple[float, float] | None = None
    marked: bool = True


def map_frame(
    picture: Picture, clip: Clip, attention: AttentionMap, frame: int, look: Look
) -> Picture:
    """Lay the map on one frame, without marks.

    Args:
        picture: the frame, (h, w, 3), at the clip's size or any other of the same aspect.
        clip: the clip.
        attention: the map.
        frame: index of the frame.
        look: how to draw.

    The query's own cell shows the ground without a colour; unreachable cells are hatched.
    """
    if not look.show_map:
        return picture
    if attention.keys.kind == "boxes":
        own = attention.own if look.marked and attention.has_own else None
        strength, scale = look.strength, look.scale
        return box_frame(picture, clip.shape, attention, frame, scale, strength=strength, clear=own)
    plane = key_planes(attention.keys, len(clip.frames))[frame]
    if plane < 0:
        return overlay_frame(picture, np.full(picture.shape[:2], np.nan, np.float32))
    zoom = zoom_of(picture, clip)
    weights = attention.weights[plane].copy()
    own, own_y, own_x = attention.keys.unravel(attention.own)
    reach = np.ones(weights.shape, bool)
    if attention.reachable is not None:
        reach = attention.reachable[plane]
    shares = look.scale.shares(weights, plane)
    shares[~reach] = 0
    clear = look.marked and attention.has_own and own == plane and bool(reach[own_y, own_x])
    if clear:
        shares[own_y, own_x] = 0
    values = _spread(shares, picture, attention.keys, zoom, smooth=look.smooth)
    if not reach.all():
        mask = _spread(reach.astype(np.float32), picture, attention.keys, zoom, smooth=False)
        values = np.where(mask == 0, np.nan, values)
    out = overlay_frame(picture, values, strength=look.strength, signed=look.scale.diverging)
    if clear:  # a diverging table has no entry without colour
        top, left, bottom, right = pixels(zoomed(attention.keys.box(attention.own), zoom), picture)
        cell = picture[top:bottom, left:right]
        out[top:bottom, left:right] = overlay_frame(cell, np.zeros(cell.shape[:2], np.float32))
    return out


def colour_ramp(look: Look, long: int, high: int) -> Picture:
    """Return the colour bar as it looks over a mid-grey frame, (high, long, 3) RGB uint8."""
    signed = look.scale.diverging
    shares = np.linspace(-1.0 if signed else 0.0, 1.0, long, dtype=np.float32)
    return overlay_frame(
        np.full((high, long, 3), 128, np.uint8),
        np.broadcast_to(shares, (high, long)),
        strength=look.strength,
        signed=signed,
    )


def query_box(attention: AttentionMap, look: Look) -> Box:
    """Return (top, left, bottom, right) of the query's cell in clip pixels, from corner 0."""
    _, y, x = attention.query
    height, width = look.cell or attention.cell or attention.keys.stride[1:]
    return (y + 0.5 - height / 2, x + 0.5 - width / 2, y + 0.5 + height / 2, x + 0.5 + width / 2)


def zoom_of(picture: Picture, clip: Clip) -> tuple[float, float]:
    """Return how much larger a picture is than the clip's frames, in y and x."""
    _, height, width = clip.shape
    return picture.shape[0] / height, picture.shape[1] / width


def zoomed(box: Box, zoom: tuple[float, float]) -> Box:
    """Return a box of the clip in pixels of a larger or smaller picture."""
    top, left, bottom, right = box
    return (top * zoom[0], left * zoom[1], bottom * zoom[0], right * zoom[1])


def pixels(box: Box, picture: Picture) -> tuple[int, int, int, int]:
    """Return the pixels that a box covers, half-open and inside the picture, at least one."""
    height, width = picture.shape[:2]
    top, left, bottom, right = (round(v) for v in box)
    top, left = min(max(top, 0), height - 1), min(max(left, 0), width - 1)
    return top, left, min(max(bottom, top + 1), height), min(max(right, left + 1), width)


def outlined(picture: Picture, box: Box, *, colour: tuple[int, int, int]) -> Picture:
    """Return the picture with a box drawn around these pixels: colour between two dark lines."""
    out = picture.copy()
    top, left, bottom, right = pixels(box, picture)
    for grow, ink in ((3, (0, 0, 0)), (2, colour), (1, colour), (0, (0, 0, 0))):
        y0, x0, y1, x1 = top - grow, left - grow, bottom + grow - 1, right + grow - 1
        cv2.rectangle(out, (x0, y0), (x1, y1), ink, 1)
    return out


def spread(
    weights: Weights,
    *,
    size: tuple[int, int],
    stride: Sequence[float],
    origin: Sequence[float],
    smooth: bool = False,
) -> Weights:
    """Spread the (h, w) weights of one frame's keys over its (H, W) pixels.

    Each pixel takes the weight of the key whose cell it lies in, or NaN where no cell reaches;
    ``smooth`` interpolates between the centres of the keys instead.

    Args:
        weights: (h, w) weights.
        size: height and width in pixels.
        stride: distance of keys (y, x) in pixels.
        origin: centre of the first key (y, x) in pixels.
        smooth: whether to interpolate.

    >>> w = np.array([[1.0, 2.0]], np.float32)
    >>> spread(w, size=(2, 4), stride=(2, 2), origin=(0.5, 0.5))[0]
    array([1., 1., 2., 2.], dtype=float32)
    """
    places = []
    covered = []
    for n, s, o, count in zip(size, stride, origin, weights.shape, strict=True):
        at = (np.arange(n) - o) / s
        covered.append((at >= -0.5 - 1e-6) & (at <= count - 0.5 + 1e-6))
        places.append(np.clip(at, 0, count - 1).astype(np.float32))
    if smooth:
        x, y = np.meshgrid(places[1], places[0])
        out = cv2.remap(weights, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    else:
        cells = [
            Axis(s, o).nearest(np.arange(n), count)
            for n, s, o, count in zip(size, stride, origin, weights.shape, strict=True)
        ]
        out = weights[np.ix_(cells[0], cells[1])].copy()
    out[~np.logical_and.outer(covered[0], covered[1])] = np.nan
    return np.asarray(out, np.float32)


def laid_on(weights: Weights, picture: Picture, grid: TokenGrid) -> Weights:
    """Return the weights of one frame of a grid as a picture that is stretched over the frame.

    Where the cells tile the frame these are the weights themselves; else every pixel has the weight
    of its cell, or NaN.

    Args:
        weights: (h, w) weights.
        picture: the frame, (H, W, 3), at the clip's size.
        grid: where the weights lie.
    """
    sides = zip(grid.stride[1:], grid.origin[1:], weights.shape, picture.shape[:2], strict=True)
    if all(abs(o + 0.5 - s / 2) < 1e-6 and abs(s * n - side) < 1e-6 for s, o, n, side in sides):
        return weights
    return _spread(weights, picture, grid, (1.0, 1.0), smooth=False)


def _spread(
    values: npt.NDArray[np.float32],
    picture: Picture,
    grid: TokenGrid,
    zoom: tuple[float, float],
    *,
    smooth: bool,
) -> npt.NDArray[np.float32]:
    """Spread values over a picture; margins below a cell's width go to the outermost cells.

    Padding shifts cells by a few pixels, and a query there belongs to the outermost token too;
    a wider margin, a crop's for instance, stays without a value.
    """
    stride = [s * z for s, z in zip(grid.stride[1:], zoom, strict=True)]
    origin = [(o + 0.5) * z - 0.5 for o, z in zip(grid.origin[1:], zoom, strict=True)]
    out = spread(values, size=picture.shape[:2], stride=stride, origin=origin, smooth=smooth)
    covered = ~np.isnan(out)
    for axis in (0, 1):
        inside = np.flatnonzero(covered.any(1 - axis))
        if not inside.size:
            continue
        first, last, n = int(inside[0]), int(inside[-1]), out.shape[axis]
        lines = np.arange(n)
        if first <= stride[axis]:
            lines[:first] = first
        if n - 1 - last <= stride[axis]:
            lines[last + 1 :] = last
        out = np.take(out, lines, axis)
    return out
