"""The strongest links as arrows, after Figure 3 of Wang et al. 2018 (arXiv 1711.07971)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

Point = tuple[float, float]


@dataclass(frozen=True)
class Arrow:
    """An arrow from the query (tail) to a key (head).

    Attributes:
        tail, head: (x, y) in pixels of the figure.
        share: weight as a share of the strongest link's, in [0, 1].
    """

    tail: Point
    head: Point
    share: float


def draw_arrows(
    canvas: Image.Image,
    arrows: Sequence[Arrow],
    pictures: Image.Image,
    *,
    unit: float,
    query: Point,
    key: Point,
) -> None:
    """Draw arrows on a figure, white with a dark rim over pictures and grey on paper.

    Args:
        canvas: the figure, RGB.
        arrows: strongest first; drawn last.
        pictures: mask, mode L: 255 where pictures are.
        unit: pixels of the figure per point of its design.
        query: width and height of the query's cell, in which no arrow is drawn.
        key: width and height of a key's cell, of which a head covers a part at most.
    """
    if not arrows:
        return
    on_pictures = canvas.copy()
    for arrow in reversed(arrows):
        weight = math.sqrt(max(arrow.share, 0.0))
        width = (1.6 + 3.0 * weight) * unit
        alpha = 0.4 + 0.6 * weight
        path = _outside(_arc(arrow.tail, arrow.head, unit), query)
        size = min((11 + 8 * weight) * unit, max(0.75 * max(key), 9 * unit))
        shape = _tip(path, size), _cut(path, 0.8 * size)
        rim = 1.5 * unit
        _ink(on_pictures, *shape, width, rim, (0, 0, 0), 0.6 * alpha)
        _ink(on_pictures, *shape, width, 0.0, (255, 255, 255), alpha)
        _ink(canvas, *shape, 0.8 * width, 0.0, (120, 132, 146), 0.6 * alpha)
    canvas.paste(on_pictures, mask=pictures)


def _ink(
    canvas: Image.Image,
    tip: Sequence[Point],
    shaft: Sequence[Point],
    width: float,
    rim: float,
    colour: tuple[int, int, int],
    alpha: float,
) -> None:
    """Draw one arrow in one go, so that its parts do not shine through each other."""
    points = [*tip, *shaft]
    pad = width + 4 * rim + 2
    left, top = (math.floor(min(p[i] for p in points) - pad) for i in (0, 1))
    right, bottom = (math.ceil(max(p[i] for p in points) + pad) for i in (0, 1))
    stencil = Image.new("L", (right - left, bottom - top), 0)
    draw = ImageDraw.Draw(stencil)
    level = round(255 * alpha)
    moved = [(x - left, y - top) for x, y in shaft]
    draw.line(moved, fill=level, width=max(round(width + 2 * rim), 1), joint="curve")
    corners = _grown(tip, rim) if rim else tip
    draw.polygon([(x - left, y - top) for x, y in corners], fill=level)
    canvas.paste(colour, (left, top), stencil)


def _arc(tail: Point, head: Point, unit: float) -> list[Point]:
    """Return points on a gentle arc that bends upwards."""
    (x0, y0), (x1, y1) = tail, head
    length = math.hypot(x1 - x0, y1 - y0)
    control = ((x0 + x1) / 2, (y0 + y1) / 2 - min(90 * unit, 0.16 * length))
    u = np.linspace(0, 1, max(int(length / (6 * unit)), 4))[:, None]
    points = (1 - u) ** 2 * np.array(tail) + 2 * u * (1 - u) * np.array(control)
    points = points + u**2 * np.array(head)
    return [(float(x), float(y)) for x, y in points]


def _outside(path: list[Point], cell: Point) -> list[Point]:
    """Return the path without what lies in the cell around its first point."""
    (x0, y0), (width, height) = path[0], cell
    for n, (x, y) in enumerate(path):
        if abs(x - x0) > width / 2 or abs(y - y0) > height / 2:
            return path[n:] if n < len(path) - 1 else path[-2:]
    return path


def _tip(path: Sequence[Point], size: float) -> list[Point]:
    """Return the corners of an arrow head at the end of a path."""
    (x, y), before = path[-1], _cut(path, size)[-1]
    angle = math.atan2(y - before[1], x - before[0])
    sides = [
        (x - size * math.cos(angle + turn), y - size * math.sin(angle + turn))
        for turn in (0.42, -0.42)
    ]
    return [(x, y), *sides]


def _cut(path: Sequence[Point], length: float) -> list[Point]:
    """Return the path without its last pixels; at least its first point twice."""
    end = path[-1]
    kept = [p for p in path if math.dist(p, end) > length]
    return kept if len(kept) > 1 else [path[0], path[0]]


def _grown(corners: Sequence[Point], by: float) -> list[Point]:
    """Return a triangle whose sides lie further out."""
    cx, cy = (sum(c[i] for c in corners) / len(corners) for i in (0, 1))
    grown = []
    for x, y in corners:
        distance = max(math.dist((x, y), (cx, cy)), 1e-6)
        grown.append((x + (x - cx) / distance * 2 * by, y + (y - cy) / distance * 2 * by))
    return grown
