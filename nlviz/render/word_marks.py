"""Words on a page: the colour behind each, the query's outline, arcs to the strongest."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np

from nlviz.render.figure_frame import QUERY_INK
from nlviz.render.frame_maps import Look
from nlviz.render.sheet import Box, Corner, Sheet
from nlviz.render.shown import ACCENT
from nlviz.render.text_drawing import Colour
from nlviz.render.text_layout import Laid, Word
from nlviz.render.word_colours import Paper, word_colours

ARC: Colour = (58, 70, 92)
HIDDEN: dict[str, Colour] = {"light": (176, 182, 190), "dark": (92, 98, 108), "film": (58, 60, 66)}
CHIP: dict[str, Colour] = {"light": (206, 212, 220), "dark": (70, 76, 88), "film": (120, 122, 128)}
HIGH = 1.3  # height of a word's ground, in sizes
_NUMBERED = re.compile(r"(\d+):", re.DOTALL)


def query_number(token: str) -> int | None:
    """Return the number in the name of a word that is a query, as ``9:the``; None for others.

    >>> query_number("9:the"), query_number("cls")
    (9, None)
    """
    found = _NUMBERED.match(token)
    return int(found[1]) if found else None


def box_of(word: Word, laid: Laid, left: float, tops: Sequence[float]) -> Box:
    """Return left, top, right and bottom of a word's ground on the page."""
    top = tops[word.line]
    return left + word.left, top, left + word.left + word.wide, top + HIGH * laid.size


def draw_words(
    sheet: Sheet,
    look: Look,
    laid: Laid,
    at: tuple[float, Sequence[float]],
    steps: Sequence[int],
    paper: Paper,
    *,
    query: int | None = None,
    hidden: frozenset[int] = frozenset(),
    first: int = 0,
) -> None:
    """Draw words with their colours behind them.

    Args:
        sheet: the page.
        look: how the map is drawn.
        laid: the words.
        at: left end of all lines, and the top of each.
        steps: of the colour scale, for each word.
        paper: what they stand on.
        query: the word that is outlined.
        hidden: words out of the query's reach.
        first: number of the first word, where only a part is shown.
    """
    ground, inks = word_colours(paper, signed=look.scale.diverging, strength=look.strength)
    left, tops = at
    many = len(laid.words) > 600
    for word in laid.words:
        number = first + word.index
        box = box_of(word, laid, left, tops)
        colour, ink = (tuple(int(v) for v in of[steps[word.index]]) for of in (ground, inks))
        if number == query and look.marked:  # as on pictures, its own weight is said, not drawn
            colour, ink = paper.rgb, paper.ink
        if number in hidden:
            colour, ink = paper.rgb, HIDDEN[paper.name]
        radius = 0.0 if many else 0.18 * laid.size
        if colour != paper.rgb:
            sheet.box(box, fill=_rgb(colour), radius=radius, above=3.0)
        if word.label.chip and not many:
            sheet.box(box, edge=CHIP[paper.name], line=1.5, radius=radius, above=3.1)
        baseline = box[1] + 0.96 * laid.size
        sheet.text(
            (left + word.letters, baseline), word.label.text, laid.size, _rgb(ink), above=8.0
        )
        if number == query:
            _outline(sheet, box, paper, radius)


def draw_arcs(
    sheet: Sheet, source: Box, targets: Sequence[tuple[Box, float]], *, size: float
) -> None:
    """Draw arcs from a word to others: over both in one line, between lines from edge to edge.

    Args:
        sheet: the page; words lie at height 3 of it.
        source: ground of the query.
        targets: ground of each other word, and its weight as a share of the strongest.
        size: of the letters.
    """
    for target, share in sorted(targets, key=lambda pair: pair[1]):
        weight = math.sqrt(max(share, 0.0))
        path = arc_path(source, target, size)
        line, opacity = 1.2 + 3.6 * weight, 0.25 + 0.6 * weight
        same = abs(target[1] - source[1]) < 1
        sheet.shape(
            path, edge=ARC, line=line, opacity=opacity, closed=False, above=4.0 if same else 2.0
        )
        (x0, y0), (x1, y1) = path[-4], path[-1]
        far = max(math.hypot(x1 - x0, y1 - y0), 1e-6)
        dx, dy = (x1 - x0) / far, (y1 - y0) / far
        head = 5 + 1.6 * line
        back = (x1 - head * dx, y1 - head * dy)
        side = 0.45 * head
        corners = [
            (x1, y1),
            (back[0] - side * dy, back[1] + side * dx),
            (back[0] + side * dy, back[1] - side * dx),
        ]
        sheet.shape(corners, fill=ARC, opacity=max(opacity, 0.5), above=4.0 if same else 2.0)


def rise(source: Box, target: Box, size: float) -> float:
    """Return how high an arc between two words of one line goes, in pixels."""
    apart = abs((target[0] + target[2]) - (source[0] + source[2])) / 2
    return min(3.2 * size, 0.7 * size + 0.14 * apart)


def arc_path(source: Box, target: Box, size: float) -> list[Corner]:
    """Return the points of an arc between two words of letters of this size."""
    a, b = ((box[0] + box[2]) / 2 for box in (source, target))
    if abs(target[1] - source[1]) < 1:
        high = min(source[1], target[1]) - 4 / 3 * rise(source, target, size)
        corners = [(a, source[1] - 2), (a, high), (b, high), (b, target[1] - 2)]
    elif target[1] > source[1]:
        y, z = source[3], target[1] - 2
        corners = [(a, y), (a, y + (z - y) / 2), (b, z - (z - y) / 2), (b, z)]
    else:
        y, z = source[1], target[3] + 2
        corners = [(a, y), (a, y + (z - y) / 2), (b, z - (z - y) / 2), (b, z)]
    u = np.linspace(0, 1, 40)[:, None]
    p = np.array(corners)
    points = (1 - u) ** 3 * p[0] + 3 * u * (1 - u) ** 2 * p[1] + 3 * u**2 * (1 - u) * p[2]
    points = points + u**3 * p[3]
    return [(float(x), float(y)) for x, y in points]


def _outline(sheet: Sheet, box: Box, paper: Paper, radius: float) -> None:
    left, top, right, bottom = box
    around = (left - 3, top - 3, right + 3, bottom + 3)
    ink = QUERY_INK if paper.name == "light" else ACCENT
    sheet.box(around, edge=ink, line=3.4, radius=radius + 2, above=5.0)


def _rgb(colour: Sequence[int]) -> Colour:
    red, green, blue = colour
    return red, green, blue
