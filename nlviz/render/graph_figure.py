"""A graph under its map: nodes with their colours, the edges of one node wide by weight."""

from __future__ import annotations

import math

import numpy as np

from nlviz.affinity.token_nodes import TokenNodes
from nlviz.clips.graph import Graph
from nlviz.render.captions import notes_of
from nlviz.render.figure_frame import QUERY_INK, draw_foot, draw_head, foot_of, head_height
from nlviz.render.sheet import CONTENT, INK, MARGIN, PAPER, Box, Corner, Sheet
from nlviz.render.shown import Shown
from nlviz.render.text_drawing import Colour, shortened, width
from nlviz.render.word_colours import LIGHT, steps_of, word_colours
from nlviz.render.word_marks import ARC

EDGE: Colour = (206, 212, 220)
RING: Colour = (120, 128, 140)
FADED: Colour = (150, 158, 168)
LETTERS = 20
NAMED = 80  # nodes; of more only the query and the strongest have their names
ROOM = 200  # longest name, in pixels


def sheet_of_graph(drawn: Shown, *, below: Sheet | None = None) -> Sheet:
    """Lay out the figure: all edges faint, those of the query wide by weight, and all nodes."""
    attention, look = drawn.attention, drawn.look
    keys = attention.keys
    assert isinstance(keys, TokenNodes)
    _, height, wide = drawn.clip.shape
    head = head_height(drawn)
    zoom = CONTENT / wide
    places = [(MARGIN + (x + 0.5) * zoom, head + (y + 0.5) * zoom) for y, x in keys.places]
    radius = _radius(places)
    query = attention.own if attention.has_own and look.marked else None
    own = () if query is None or attention.left_out else (query,)
    links = [k for k in attention.top(look.links, without=own) if k.weight > 0]
    links = links if look.links else []
    notes = [*drawn.notes, *notes_of(drawn, shown=1), _note(query, len(links), attention.direction)]
    foot = foot_of(drawn, notes, keys.names, CONTENT)
    bottom = head + height * zoom + 10
    sheet = Sheet(CONTENT + 2 * MARGIN, round(bottom + 16 + foot.height + MARGIN // 2), below=below)
    draw_head(sheet, drawn, CONTENT)
    if isinstance(drawn.clip, Graph):
        between = {(min(a, b), max(a, b)) for a, b in drawn.clip.edges.T.tolist() if a != b}
        lines = [(places[a], places[b]) for a, b in sorted(between)]
        sheet.lines(lines, EDGE, line=1.6 if len(lines) < 2000 else 0.6, above=1.0)
    if query is not None:
        for link in reversed(links):
            share = link.weight / links[0].weight
            ends = places[link.index], places[query]
            if attention.direction == "to":
                ends = ends[::-1]
            _arrow(sheet, ends, share, radius)
    _nodes(sheet, drawn, places, radius, query, {link.index for link in links[:12]})
    draw_foot(sheet, drawn, foot, CONTENT, bottom + 12, LIGHT)
    return sheet


def _radius(places: list[Corner]) -> float:
    """Return the radius of all nodes: as large as the two nearest ones leave room for."""
    at = np.array(places)
    if len(at) < 2:
        return 26.0
    away = np.hypot(*(at[:, None] - at[None]).transpose(2, 0, 1))
    nearest = float(np.quantile((away + 1e9 * np.eye(len(at))).min(1), 0.1))
    return min(max(0.36 * nearest, 5.0), 26.0)


def _arrow(sheet: Sheet, ends: tuple[Corner, Corner], share: float, radius: float) -> None:
    """Draw what flows along an edge, from the node that is looked at to the one that looks."""
    (x0, y0), (x1, y1) = ends
    far = math.hypot(x1 - x0, y1 - y0)
    if far < 2 * radius + 8:
        return
    dx, dy = (x1 - x0) / far, (y1 - y0) / far
    line = 1.5 + 9 * share
    head = 9 + 1.5 * line
    tip = (x1 - (radius + 5) * dx, y1 - (radius + 5) * dy)
    start = (x0 + (radius + 2) * dx, y0 + (radius + 2) * dy)
    neck = (tip[0] - 0.9 * head * dx, tip[1] - 0.9 * head * dy)
    back = (tip[0] - head * dx, tip[1] - head * dy)
    side = max(0.42 * head, 0.75 * line)
    opacity = 0.35 + 0.55 * share
    sheet.shape([start, neck], edge=ARC, line=line, opacity=opacity, closed=False, above=2.0)
    corners = [
        tip,
        (back[0] - side * dy, back[1] + side * dx),
        (back[0] + side * dy, back[1] - side * dx),
    ]
    sheet.shape(corners, fill=ARC, opacity=max(opacity, 0.6), above=2.1)


def _nodes(
    sheet: Sheet,
    drawn: Shown,
    places: list[Corner],
    radius: float,
    query: int | None,
    strongest: set[int],
) -> None:
    attention, look = drawn.attention, drawn.look
    weights = attention.weights.ravel()
    shares = look.scale.shares(weights, 0) if look.show_map else np.zeros_like(weights)
    steps = steps_of(shares, signed=look.scale.diverging)
    zero = int(steps_of(np.zeros(1, np.float32), signed=look.scale.diverging)[0])
    ground, _ = word_colours(LIGHT, signed=look.scale.diverging, strength=look.strength)
    reach = None if attention.reachable is None else attention.reachable.ravel()
    names = attention.keys.names
    seen = np.ones(len(places), bool) if reach is None else reach
    tint = seen & (steps != zero)
    if query is not None:
        tint[query] = False
    plain = [at for at, own in zip(places, tint, strict=True) if not own]
    rings = [
        [at for at, own in zip(places, seen, strict=True) if bool(own) is which]
        for which in (True, False)
    ]
    for some, colour in zip(rings, (RING, EDGE), strict=True):
        sheet.dots(some, radius + 1.6, colour, above=3.0)
    sheet.dots(plain, radius, PAPER, above=3.1)
    for tinted in np.flatnonzero(tint).tolist():
        red, green, blue = (int(v) for v in ground[steps[tinted]])
        sheet.dot(places[tinted], radius, (red, green, blue), above=3.2)
    if query is not None:
        sheet.dot(places[query], radius + 7, QUERY_INK, above=2.5)
        sheet.dot(places[query], radius + 2.5, PAPER, above=2.9)
    for index, at in enumerate(places):
        if len(places) <= NAMED or index == query or index in strongest:
            ink = QUERY_INK if index == query else INK if seen[index] else FADED
            name = shortened(names[index], LETTERS, ROOM)
            _named(sheet, at, name, ink, radius, bold=index == query)


def _named(sheet: Sheet, at: Corner, name: str, ink: Colour, radius: float, *, bold: bool) -> None:
    """Write the name of a node below it, on a strip of paper that keeps edges off."""
    x, y = at[0], at[1] + radius + 10 + LETTERS
    half = width(name, LETTERS, bold=bold) / 2
    x = min(max(x, MARGIN + half), MARGIN + CONTENT - half)
    strip: Box = (x - half - 4, y - 0.86 * LETTERS, x + half + 4, y + 0.3 * LETTERS)
    sheet.shape(
        [(strip[0], strip[1]), (strip[2], strip[1]), (strip[2], strip[3]), (strip[0], strip[3])],
        fill=PAPER,
        opacity=0.8,
        above=4.0,
    )
    sheet.text((x, y), name, LETTERS, ink, align="m", bold=bold)


def _note(query: int | None, links: int, direction: str) -> str:
    if query is None or not links:
        return ""
    if direction == "to":
        return "Arrows: what the nodes take from this one, each a share of its own whole."
    return (
        "Arrows: what the node takes from its neighbours, the wider the more; arrows into "
        "different nodes are not comparable."
    )
