"""The film strip: all frames of a clip under the map, as one figure for a page of print.

Frames are laid in at their final size, so cells stay sharp; text and marks are vectors in PDF and
SVG files.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from nlviz.affinity.by_frame import boxes_of, lengths, masses, nothing_there, shown_frame
from nlviz.affinity.token_boxes import TokenBoxes
from nlviz.picture import resized
from nlviz.render.captions import notes_of
from nlviz.render.figure_frame import QUERY_INK, draw_foot, draw_head, foot_of, head_height
from nlviz.render.frame_maps import map_frame, query_box, zoomed
from nlviz.render.links import Arrow, draw_arrows
from nlviz.render.objects import CARD, OBJECT, PAPER, marks_of
from nlviz.render.sheet import (
    CONTENT,
    GREY,
    GUTTER,
    INK,
    MARGIN,
    Box,
    Corner,
    Sheet,
    rectangles,
)
from nlviz.render.shown import ACCENT, Shown
from nlviz.render.text_drawing import width
from nlviz.render.word_panel import draw_panel, panel_of
from nlviz.words.numbers import percent_text
from nlviz.words.rows import share_text

CAPTION = 50
MOST_FRAMES = 48
MAX_TILE = (1100, 860)
LABELLED = 260  # narrower frames show objects without their names
MOST_NAMES = 24  # boxes of one frame that have their names written on them

RAIL = (226, 230, 236)
MASS = (217, 72, 28)
LESS = (46, 104, 178)  # what a frame loses, in rows minus the mean row


@dataclass(frozen=True)
class Plan:
    """Where things lie, in pixels of the figure.

    Attributes:
        tiles: left and top of every shown frame.
        tile: width and height of a frame.
        content: width between the margins.
        bottom: lower end of the frames and their captions.
    """

    tiles: list[tuple[int, int]]
    tile: tuple[int, int]
    content: int
    bottom: int

    def box(self, corner: tuple[int, int]) -> Box:
        """Return left, top, right and bottom of the frame with this corner."""
        left, top = corner
        return left, top, left + self.tile[0], top + self.tile[1]


def film_strip(drawn: Shown) -> Image.Image:
    """Return the figure as pixels, RGB.

    >>> from nlviz.affinity.attention_map import AttentionMap
    >>> from nlviz.clips.clip import Clip
    >>> from nlviz.affinity.grid import TokenGrid
    >>> from nlviz.render.overlay import overlay
    >>> clip = Clip.from_frames(np.zeros((3, 24, 40, 3), np.uint8))
    >>> keys = TokenGrid((3, 3, 5), (1, 8, 8), (0, 3.5, 3.5))
    >>> attention = AttentionMap(np.full((3, 3, 5), 1 / 45, np.float32), (1, 11.5, 19.5), keys)
    >>> film_strip(overlay(clip, attention, links=4)).width
    1800
    """
    return sheet_of(drawn).image()


def sheet_of(drawn: Shown, *, below: Sheet | None = None) -> Sheet:
    """Lay out the figure: frames with map and query, masses, colour bar and caption."""
    clip, attention, look = drawn.clip, drawn.attention, drawn.look
    shown = _shown(drawn)
    still = len(clip.frames) == 1
    head = head_height(drawn)
    _, height, wide = clip.shape
    plan = plan_of(len(shown), wide / height, top=head, captions=not still)
    notes = [*drawn.notes, *notes_of(drawn, shown=len(shown))]
    panel = panel_of(drawn, plan.content)
    names = [found.name for found in drawn.objects]
    names += [] if panel is None else [word.label.text for word in panel.laid.words]
    foot = foot_of(drawn, notes, names, plan.content)
    under = plan.bottom + (0 if panel is None else panel.height + 20)
    sheet = Sheet(plan.content + 2 * MARGIN, under + 26 + foot.height + MARGIN // 2, below=below)
    places = dict(zip(shown, plan.tiles, strict=True))
    boxes = {index: plan.box(corner) for index, corner in places.items()}
    for index, box in boxes.items():
        frame = resized(clip.frames[index], (plan.tile[1], plan.tile[0]))
        sheet.picture(map_frame(frame, clip, attention, index, look), box)
        _objects(sheet, drawn, plan, index, box)
        _names(sheet, drawn, plan, index, box)
    draw_arrows(sheet, _arrows(drawn, plan, places), list(boxes.values()), **_cells(drawn, plan))
    if look.marked:
        _query(sheet, drawn, plan, boxes[drawn.query_frame])
    if not still:
        _captions(sheet, drawn, plan, places)
    draw_head(sheet, drawn, plan.content)
    if panel is not None:
        draw_panel(sheet, drawn, panel, (MARGIN, plan.bottom))
    draw_foot(sheet, drawn, foot, plan.content, under + 26)
    return sheet


def plan_of(count: int, aspect: float, *, top: int, captions: bool = True) -> Plan:
    """Return where ``count`` frames of this aspect (width / height) lie.

    As few empty places as possible, a figure between 1.3 and 4.5 times as wide as high, and then
    the largest frames.

    >>> len({top for _, top in plan_of(8, 16 / 9, top=90).tiles})
    2
    """
    best: tuple[float, float, int, tuple[int, int]] | None = None
    under = CAPTION if captions else 12
    for columns in range(1, count + 1):
        w = min((CONTENT - GUTTER * (columns - 1)) / columns, MAX_TILE[0], MAX_TILE[1] * aspect)
        h = w / aspect
        rows = math.ceil(count / columns)
        shape = (columns * (w + GUTTER)) / (rows * (h + under))
        cost = max(0.0, math.log(1.3 / shape), math.log(shape / 4.5))
        cost += 0.5 * (rows * columns - count) / columns + max(0.0, 160 / w - 1)
        tile = (max(round(w - 0.5), 1), max(round(h), 1))
        if best is None or (cost, -w * h) < best[:2]:
            best = (cost, -w * h, columns, tile)
    assert best is not None  # count is at least 1
    _, _, columns, tile = best
    used = columns * tile[0] + GUTTER * (columns - 1)
    content = max(used, 1000)
    if content > CONTENT - columns:
        content = CONTENT
    left = MARGIN + (content - used) // 2
    pitch = tile[1] + under
    tiles = [
        (left + n % columns * (tile[0] + GUTTER), top + n // columns * pitch) for n in range(count)
    ]
    return Plan(tiles, tile, content, top + math.ceil(count / columns) * pitch)


def _shown(drawn: Shown) -> list[int]:
    """Return the frames that fit on a page: all, or some spread evenly with the query's."""
    count = len(drawn.clip.frames)
    if count <= MOST_FRAMES:
        return list(range(count))
    spread = np.linspace(0, count - 1, MOST_FRAMES).round().astype(int)
    spread[np.abs(spread - drawn.query_frame).argmin()] = drawn.query_frame
    return [int(i) for i in spread]


def _place(plan: Plan, corner: tuple[int, int], drawn: Shown, y: float, x: float) -> Corner:
    """Return (x, y) on the page of a place in clip pixels."""
    _, height, wide = drawn.clip.shape
    return (
        corner[0] + (x + 0.5) / wide * plan.tile[0],
        corner[1] + (y + 0.5) / height * plan.tile[1],
    )


def _objects(sheet: Sheet, drawn: Shown, plan: Plan, index: int, box: Box) -> None:
    """Draw what was detected, inside its frame; small frames get no labels."""
    _, height, wide = drawn.clip.shape
    size = 16 if plan.tile[0] >= LABELLED else None
    zoom = (plan.tile[1] / height, plan.tile[0] / wide)
    marks = marks_of(drawn.objects_of(index), corner=(box[0], box[1]), zoom=zoom, lettering=size)
    clip, unit = rectangles([box]), min(max(plan.tile[0] / 480, 0.7), 1.6)
    for ink, more in marks.layers:
        for points, line in marks.lines:
            line = (line + more) * unit
            sheet.shape(points, edge=ink, line=line, closed=False, above=2, clip=clip)
        for at in marks.dots:
            sheet.dot(at, (2.2 + more / 2) * unit, ink, above=2, clip=clip)
    for number, label in enumerate(marks.labels):
        above = 2.5 + number / 1000  # card by card
        x, y = label.at
        card = (x, y, x + label.wide, y + label.high)
        sheet.box(card, fill=CARD, above=above, clip=clip)
        side = label.high / 8
        sheet.box((x, y, x + side, card[3]), fill=OBJECT, above=above, clip=clip)
        place = (x + 0.29 * label.high, y + 0.75 * label.high)
        sheet.text(place, label.text, round(label.high / 1.4), PAPER, above=above, clip=clip)


def _names(sheet: Sheet, drawn: Shown, plan: Plan, index: int, box: Box) -> None:
    """Write on each box of a frame what it is called and its share; small frames get no names."""
    keys = drawn.attention.keys
    if not isinstance(keys, TokenBoxes) or plan.tile[0] < LABELLED:
        return
    here = boxes_of(keys, index, len(drawn.clip.frames))
    if len(here) > MOST_NAMES:
        return
    _, height, wide = drawn.clip.shape
    clip, size = rectangles([box]), 15
    weights = drawn.attention.weights.ravel()
    for number, i in enumerate(here):
        top, left, *_ = keys.box(i)
        text = keys.names[i]
        if drawn.look.scale.of_weights and drawn.attention.normalised:
            text = f"{text} · {percent_text(float(weights[i]))}"
        x = max(box[0] + left / wide * plan.tile[0], box[0])
        y = max(box[1] + top / height * plan.tile[1], box[1])
        above = 2.5 + number / 1000
        sheet.box((x, y, x + width(text, size) + 12, y + 21), fill=CARD, above=above, clip=clip)
        sheet.text((x + 6, y + 16), text, size, PAPER, above=above, clip=clip)


def _arrows(drawn: Shown, plan: Plan, places: dict[int, tuple[int, int]]) -> list[Arrow]:
    attention = drawn.attention
    own = () if attention.left_out else attention.own_keys
    links = attention.top(drawn.look.links, without=own) if drawn.look.links else []
    links = [link for link in links if link.weight > 0]
    _, y, x = attention.query
    tail = _place(plan, places[drawn.query_frame], drawn, y, x)
    arrows = []
    for link in links:
        frame = shown_frame(link.frame, len(drawn.clip.frames))
        if frame in places:
            head = _place(plan, places[frame], drawn, link.y, link.x)
            share = link.weight / links[0].weight
            # Between boxes an arrow ends in the one that takes, as along the edges of a graph.
            into = isinstance(attention.keys, TokenBoxes) and attention.direction == "from"
            arrows.append(Arrow(tail, head, share, into=into))
    return arrows


def _cells(drawn: Shown, plan: Plan) -> dict[str, Corner]:
    """Return the sizes (width, height) of the query's cell and of a key's, on the page."""
    _, height, wide = drawn.clip.shape
    zoom = (plan.tile[0] / wide, plan.tile[1] / height)
    keys = drawn.attention.keys
    _, sy, sx = keys.stride
    if isinstance(keys, TokenBoxes):
        edges = np.array(keys.boxes)[:, 1:]
        sy, sx = (float(v) for v in np.median(edges[:, 2:] - edges[:, :2], axis=0))
    qy, qx = drawn.look.cell or drawn.attention.cell or (sy, sx)
    return {"query": (qx * zoom[0], qy * zoom[1]), "key": (sx * zoom[0], sy * zoom[1])}


def _query(sheet: Sheet, drawn: Shown, plan: Plan, box: Box) -> None:
    """Mark the query's frame with a border, and its cell with an outline."""
    left, top, right, bottom = box
    if len(drawn.clip.frames) > 1:
        around = (left - 6, top - 6, right + 6, bottom + 6)
        sheet.box(around, edge=QUERY_INK, line=4, radius=4)
    _, height, wide = drawn.clip.shape
    w, h = plan.tile
    y0, x0, y1, x1 = zoomed(query_box(drawn.attention, drawn.look), (h / height, w / wide))
    # A cell at the border reaches beyond the picture; its outline stays inside.
    x0, x1 = max(x0, 0.0), min(x1, float(w))
    y0, y1 = max(y0, 0.0), min(y1, float(h))
    for grow, line, ink in ((4.0, 6.0, (0, 0, 0)), (3.0, 3.6, ACCENT)):
        cell = (left + x0 - grow, top + y0 - grow, left + x1 + grow, top + y1 + grow)
        sheet.box(cell, edge=ink, line=line, radius=3, above=5)


def _captions(sheet: Sheet, drawn: Shown, plan: Plan, places: dict[int, tuple[int, int]]) -> None:
    """Write time, mass bar and percentage under every frame."""
    clip, attention = drawn.clip, drawn.attention
    shares = masses(attention, len(clip.frames))
    long = lengths(shares)
    logits = not drawn.look.scale.of_weights
    digits = 2 if np.ptp(clip.times) < 100 else 1
    rows = []
    for index in places:
        note = nothing_there(attention, index, len(clip.frames))
        said = "" if logits else share_text(attention, shares[index])
        here = drawn.look.marked and index == drawn.query_frame
        rows.append((index, f"{clip.times[index]:.{digits}f} s", note, said, here))
    size = _caption_size([(time, note or said) for _, time, note, said, _ in rows], plan.tile[0])
    room_left = max(width(time, size, bold=True) for _, time, *_ in rows)
    room_right = max(width(said, size) for *_, said, _ in rows)
    for index, time, note, said, here in rows:
        left, right = places[index][0], places[index][0] + plan.tile[0]
        y = places[index][1] + plan.tile[1] + 34
        sheet.text((left, y), time, size, QUERY_INK if here else INK, bold=here)
        sheet.text((right, y), note or said, size, GREY if note else INK, align="r")
        x0, x1 = left + room_left + 14, right - room_right - 14
        if note or logits or x1 - x0 < 16:
            continue
        sheet.box((x0, y - 13, x1, y - 4), fill=RAIL, radius=4)
        end = x0 + (x1 - x0) * float(long[index])
        if end - x0 >= 1:
            ink = LESS if shares[index] < 0 else MASS
            sheet.box((x0, y - 13, end, y - 4), fill=ink, radius=min(4, (end - x0) / 2))


def _caption_size(captions: list[tuple[str, str]], room: float) -> int:
    """Return the largest size at which both texts under every frame fit its width.

    >>> _caption_size([("0.50 s", "25 %")], 300), _caption_size([("10.50 s", "not reachable")], 130)
    (21, 12)
    """
    for size in range(21, 12, -1):
        if all(width(a, size, bold=True) + width(b, size) + 8 <= room for a, b in captions):
            return size
    return 12
