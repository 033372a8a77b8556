"""The strongest links as arrows, after Figure 3 of Wang et al. 2018 (arXiv 1711.07971)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nlviz.render.sheet import Corner, Sheet, rectangles

_WHITE, _BLACK, _ON_PAPER = (255, 255, 255), (0, 0, 0), (120, 132, 146)
_RIM = 1.5  # pixels


@dataclass(frozen=True)
class Arrow:
    """An arrow from the query (tail) to a key (head).

    Attributes:
        tail, head: (x, y) in pixels of the figure.
        share: weight as a share of the strongest link's, in [0, 1].
        into: whether it is drawn the other way round, its tip at the edge of the query.
    """

    tail: Corner
    head: Corner
    share: float
    into: bool = False


def draw_arrows(
    sheet: Sheet,
    arrows: Sequence[Arrow],
    pictures: Sequence[tuple[float, float, float, float]],
    *,
    query: Corner,
    key: Corner,
) -> None:
    """Draw arrows on a page, white with a dark rim over pictures and grey on paper.

    Args:
        sheet: the page; pictures lie at height 1 of it.
        arrows: strongest first; drawn last.
        pictures: left, top, right and bottom of every picture.
        query: width and height of the query's cell, in which no arrow is drawn.
        key: width and height of a key's cell, of which a head covers a part at most.
    """
    if not arrows:
        return
    frames = rectangles(pictures)
    for arrow in reversed(arrows):
        weight = math.sqrt(max(arrow.share, 0.0))
        width, opacity = 1.6 + 3.0 * weight, 0.4 + 0.6 * weight
        path = _outside(_arc(arrow.tail, arrow.head), query)
        path = path[::-1] if arrow.into else path
        size = min(11 + 8 * weight, max(0.75 * max(key), 9.0))
        shape = outline(path, width=width, head=size)
        # Pictures cover what lies below them, so grey is seen on paper only.
        thin = outline(path, width=0.8 * width, head=size)
        sheet.shape(thin, fill=_ON_PAPER, opacity=0.6 * opacity, above=0.5)
        rim = 0.6 * opacity
        sheet.shape(shape, edge=_BLACK, line=2 * _RIM, opacity=rim, above=4.0, clip=frames)
        sheet.shape(shape, fill=_WHITE, opacity=opacity, above=4.0, clip=frames)


def outline(path: Sequence[Corner], *, width: float, head: float) -> list[Corner]:
    """Return the corners of an arrow of this width along a path, its head as one shape with it.

    Args:
        path: points (x, y) from tail to tip, at least two different ones.
        width: of the shaft, in pixels.
        head: length of the head, in pixels.

    >>> outline([(0, 0), (10, 0), (20, 0)], width=2, head=4)[3]
    (20.0, 0.0)
    """
    points = np.array(path, np.float64)
    tip = points[-1]
    away = np.hypot(*(points - tip).T)
    shaft = points[away > 0.8 * head]
    if len(shaft) < 2:
        shaft = points[:1]
    behind = points[away > head]
    along = tip - (behind[-1] if len(behind) else points[0])
    along /= max(float(np.hypot(*along)), 1e-9)
    across = np.array([-along[1], along[0]])
    neck = tip - 0.8 * head * along
    if len(shaft) > 1:
        slopes = np.gradient(shaft, axis=0)
        slopes /= np.maximum(np.hypot(*slopes.T), 1e-9)[:, None]
        normals = np.stack([-slopes[:, 1], slopes[:, 0]], axis=1) * width / 2
        left, right = list(shaft + normals), list((shaft - normals)[::-1])
    else:
        left, right = [], []
    barb, back = math.sin(0.42) * head * across, tip - math.cos(0.42) * head * along
    half = across * width / 2
    left = [*left[:-1], neck + half] if left else [neck]
    right = [neck - half, *right[1:]] if right else []
    corners = [*left, back + barb, tip, back - barb, *right]
    return [(float(x), float(y)) for x, y in corners]


def _arc(tail: Corner, head: Corner) -> list[Corner]:
    """Return points on a gentle arc that bends upwards."""
    (x0, y0), (x1, y1) = tail, head
    length = math.hypot(x1 - x0, y1 - y0)
    control = ((x0 + x1) / 2, (y0 + y1) / 2 - min(90, 0.16 * length))
    u = np.linspace(0, 1, max(int(length / 6), 4))[:, None]
    points = (1 - u) ** 2 * np.array(tail) + 2 * u * (1 - u) * np.array(control)
    points = points + u**2 * np.array(head)
    return [(float(x), float(y)) for x, y in points]


def _outside(path: list[Corner], cell: Corner) -> list[Corner]:
    """Return the path without what lies in the cell around its first point."""
    (x0, y0), (width, height) = path[0], cell
    for n, (x, y) in enumerate(path):
        if abs(x - x0) > width / 2 or abs(y - y0) > height / 2:
            return path[n:] if n < len(path) - 1 else path[-2:]
    return path
