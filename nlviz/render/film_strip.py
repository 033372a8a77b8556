"""The film strip: all frames of a clip under the map, as one figure for a page of print.

Drawn at twice its size and reduced, which smooths every edge; frames are laid in at their final
size, so cells stay sharp.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw, PngImagePlugin

from nlviz.affinity.by_frame import lengths, masses, nothing_there, shown_frame
from nlviz.render.captions import notes_of
from nlviz.render.frame_maps import colour_ramp, map_frame, query_box, resized, zoomed
from nlviz.render.lettering import shortened, width, wrapped, write
from nlviz.render.links import Arrow, draw_arrows
from nlviz.render.objects import draw_objects
from nlviz.render.shown import ACCENT, Shown
from nlviz.words.numbers import change_text, percent_text

UNIT = 2  # drawn pixels per pixel of the figure
CONTENT = 1728
MARGIN = 36
GUTTER = 18
CAPTION = 50
INCHES = 7.0  # width of a full figure in print
MOST_FRAMES = 48
MAX_TILE = (1100, 860)
LABELLED = 260  # narrower frames show objects without their names

PAPER = (255, 255, 255)
INK = (24, 28, 36)
GREY = (92, 102, 116)
RAIL = (226, 230, 236)
MASS = (217, 72, 28)
LESS = (46, 104, 178)  # what a frame loses, in rows minus the mean row
QUERY_INK = (0, 122, 158)


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


def png(drawn: Shown, *, metadata: str | None = None) -> bytes:
    """Return the film strip as a PNG file.

    Args:
        drawn: what to draw.
        metadata: JSON of the view, kept in the file as its text ``nlviz.view``.
    """
    figure = film_strip(drawn)
    info = PngImagePlugin.PngInfo()
    info.add_text("Software", "nlviz")
    if metadata is not None:
        info.add_itxt("nlviz.view", metadata)
    buffer = BytesIO()
    dpi = (CONTENT + 2 * MARGIN) / INCHES
    figure.save(buffer, "PNG", pnginfo=info, dpi=(dpi, dpi), compress_level=6)
    return buffer.getvalue()


def film_strip(drawn: Shown) -> Image.Image:
    """Return the figure, RGB: frames with map and query, masses, colour bar and caption.

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
    clip, attention, look = drawn.clip, drawn.attention, drawn.look
    shown = _shown(drawn)
    still = len(clip.frames) == 1
    head = _head_height(drawn)
    _, height, width_ = clip.shape
    plan = plan_of(len(shown), width_ / height, top=head, captions=not still)
    notes = [*drawn.notes, *notes_of(drawn, shown=len(shown))]
    lines = wrapped(" ".join(notes), 23, plan.content - _bar_width(plan) - 56)
    foot = max(108, 32 * len(lines) + 14)
    size = (plan.content + 2 * MARGIN, plan.bottom + 26 + foot + MARGIN // 2)
    canvas = Image.new("RGB", (size[0] * UNIT, size[1] * UNIT), PAPER)
    pictures = Image.new("L", canvas.size, 0)
    for index, (left, top) in zip(shown, plan.tiles, strict=True):
        frame = resized(clip.frames[index], (plan.tile[1], plan.tile[0]))
        tile = Image.fromarray(map_frame(frame, clip, attention, index, look))
        box = (left * UNIT, top * UNIT)
        wide = (plan.tile[0] * UNIT, plan.tile[1] * UNIT)
        canvas.paste(tile.resize(wide, Image.Resampling.NEAREST), box)
        pictures.paste(255, (*box, box[0] + wide[0], box[1] + wide[1]))
    _objects(canvas, drawn, plan, dict(zip(shown, plan.tiles, strict=True)), pictures)
    draw = ImageDraw.Draw(canvas)
    places = dict(zip(shown, plan.tiles, strict=True))
    _query(draw, drawn, plan, places, frame_only=True)
    draw_arrows(canvas, _arrows(drawn, plan, places), pictures, unit=UNIT, **_cells(drawn, plan))
    draw = ImageDraw.Draw(canvas)
    _query(draw, drawn, plan, places, frame_only=False)
    if not still:
        _captions(draw, drawn, plan, places)
    _head(draw, drawn, plan)
    _bar(canvas, drawn, plan, plan.bottom + 26)
    for number, line in enumerate(lines):
        x, y = MARGIN + _bar_width(plan) + 56, plan.bottom + 26 + 22 + 32 * number
        write(draw, (x * UNIT, y * UNIT), line, 23 * UNIT, GREY)
    return canvas.reduce(UNIT)


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


def _place(
    plan: Plan, corner: tuple[int, int], drawn: Shown, y: float, x: float
) -> tuple[float, float]:
    """Return (x, y) on the canvas of a place in clip pixels."""
    _, height, width_ = drawn.clip.shape
    return (
        (corner[0] + (x + 0.5) / width_ * plan.tile[0]) * UNIT,
        (corner[1] + (y + 0.5) / height * plan.tile[1]) * UNIT,
    )


def _objects(
    canvas: Image.Image,
    drawn: Shown,
    plan: Plan,
    places: dict[int, tuple[int, int]],
    pictures: Image.Image,
) -> None:
    """Draw what was detected, inside the frames; small frames get no labels."""
    if not drawn.objects:
        return
    _, height, wide = drawn.clip.shape
    zoom = (plan.tile[1] / height * UNIT, plan.tile[0] / wide * UNIT)
    over = canvas.copy()
    for index, (left, top) in places.items():
        draw_objects(
            ImageDraw.Draw(over),
            drawn.objects_of(index),
            corner=(left * UNIT, top * UNIT),
            zoom=zoom,
            unit=UNIT * min(max(plan.tile[0] / 480, 0.7), 1.6),
            lettering=17 * UNIT if plan.tile[0] >= LABELLED else None,
        )
    canvas.paste(over, mask=pictures)


def _arrows(drawn: Shown, plan: Plan, places: dict[int, tuple[int, int]]) -> list[Arrow]:
    attention = drawn.attention
    own = () if attention.left_out else (attention.own,)
    links = attention.top(drawn.look.links, without=own) if drawn.look.links else []
    links = [link for link in links if link.weight > 0]
    _, y, x = attention.query
    tail = _place(plan, places[drawn.query_frame], drawn, y, x)
    arrows = []
    for link in links:
        frame = shown_frame(link.frame, len(drawn.clip.frames))
        if frame in places:
            head = _place(plan, places[frame], drawn, link.y, link.x)
            arrows.append(Arrow(tail, head, link.weight / links[0].weight))
    return arrows


def _cells(drawn: Shown, plan: Plan) -> dict[str, tuple[float, float]]:
    """Return the sizes (width, height) of the query's cell and of a key's, on the canvas."""
    _, height, width_ = drawn.clip.shape
    zoom = (plan.tile[0] / width_ * UNIT, plan.tile[1] / height * UNIT)
    _, sy, sx = drawn.attention.keys.stride
    qy, qx = drawn.look.cell or (sy, sx)
    return {"query": (qx * zoom[0], qy * zoom[1]), "key": (sx * zoom[0], sy * zoom[1])}


def _query(
    draw: ImageDraw.ImageDraw,
    drawn: Shown,
    plan: Plan,
    places: dict[int, tuple[int, int]],
    *,
    frame_only: bool,
) -> None:
    """Mark the query's frame with a border, or its cell with an outline."""
    if not drawn.look.marked:
        return
    left, top = places[drawn.query_frame]
    w, h = plan.tile
    if frame_only:
        if len(drawn.clip.frames) > 1:
            box = [v * UNIT for v in (left - 6, top - 6, left + w + 5, top + h + 5)]
            draw.rounded_rectangle(box, 5 * UNIT, outline=QUERY_INK, width=4 * UNIT)
        return
    _, height, width_ = drawn.clip.shape
    y0, x0, y1, x1 = zoomed(query_box(drawn.attention, drawn.look), (h / height, w / width_))
    # A cell at the border reaches beyond the picture; its outline stays inside.
    x0, x1 = max(x0, 0.0), min(x1, float(w))
    y0, y1 = max(y0, 0.0), min(y1, float(h))
    for grow, line, ink in ((4.0, 6.0, (0, 0, 0)), (3.0, 3.6, ACCENT)):
        outline = [
            (left + x0 - grow) * UNIT,
            (top + y0 - grow) * UNIT,
            (left + x1 + grow) * UNIT,
            (top + y1 + grow) * UNIT,
        ]
        draw.rounded_rectangle(outline, 3 * UNIT, outline=ink, width=round(line * UNIT))


def _captions(
    draw: ImageDraw.ImageDraw, drawn: Shown, plan: Plan, places: dict[int, tuple[int, int]]
) -> None:
    """Write time, mass bar and percentage under every frame."""
    clip, attention = drawn.clip, drawn.attention
    shares = masses(attention, len(clip.frames))
    long, say = lengths(shares), change_text if attention.balanced else percent_text
    logits = drawn.look.scale.unit == "logit"
    digits = 2 if np.ptp(clip.times) < 100 else 1
    texts = {i: say(shares[i]) for i in places}
    room_right = max((width(t, 23) for t in texts.values()), default=0)
    room_left = max(width(f"{clip.times[i]:.{digits}f} s", 23, bold=True) for i in places)
    for index, (left, top) in places.items():
        y = top + plan.tile[1] + 34
        here = drawn.look.marked and index == drawn.query_frame
        label = f"{clip.times[index]:.{digits}f} s"
        ink = QUERY_INK if here else INK
        write(draw, (left * UNIT, y * UNIT), label, 23 * UNIT, ink, bold=here)
        note = nothing_there(attention, index, len(clip.frames))
        right = left + plan.tile[0]
        if note or logits:
            write(draw, (right * UNIT, y * UNIT), note or "", 23 * UNIT, GREY, align="r")
            continue
        write(draw, (right * UNIT, y * UNIT), texts[index], 23 * UNIT, INK, align="r")
        x0, x1 = left + room_left + 14, right - room_right - 14
        if x1 - x0 < 16:
            continue
        rail = [x0 * UNIT, (y - 13) * UNIT, x1 * UNIT, (y - 4) * UNIT]
        draw.rounded_rectangle(rail, 4 * UNIT, fill=RAIL)
        end = x0 + (x1 - x0) * float(long[index])
        if end - x0 >= 1:
            rail[2] = end * UNIT
            ink = LESS if shares[index] < 0 else MASS
            draw.rounded_rectangle(rail, min(4, (end - x0) / 2) * UNIT, fill=ink)


def _head_height(drawn: Shown) -> int:
    return MARGIN + 46 + (36 if drawn.about else 0) + 16


def _head(draw: ImageDraw.ImageDraw, drawn: Shown, plan: Plan) -> None:
    title = shortened(drawn.title, 36, plan.content, bold=True)
    write(draw, (MARGIN * UNIT, (MARGIN + 32) * UNIT), title, 36 * UNIT, INK, bold=True)
    if drawn.about:
        about = shortened(drawn.about, 25, plan.content)
        write(draw, (MARGIN * UNIT, (MARGIN + 72) * UNIT), about, 25 * UNIT, GREY)


def _bar_width(plan: Plan) -> int:
    return min(round(0.4 * plan.content), 600)


def _bar(canvas: Image.Image, drawn: Shown, plan: Plan, top: int) -> None:
    """Draw the colour bar: its colours as they look over a grey frame."""
    scale = drawn.look.scale
    long = _bar_width(plan)
    draw = ImageDraw.Draw(canvas)
    write(draw, (MARGIN * UNIT, (top + 22) * UNIT), scale.title, 23 * UNIT, INK)
    ramp = colour_ramp(drawn.look, long * UNIT, 24 * UNIT)
    canvas.paste(Image.fromarray(ramp), (MARGIN * UNIT, (top + 36) * UNIT))
    low, high = scale.ends
    y = (top + 88) * UNIT
    write(draw, (MARGIN * UNIT, y), low, 23 * UNIT, INK)
    write(draw, ((MARGIN + long) * UNIT, y), high, 23 * UNIT, INK, align="r")
    if scale.planes is None:
        middle = scale.text((scale.lo + scale.hi) / 2)
        write(draw, ((MARGIN + long / 2) * UNIT, y), middle, 23 * UNIT, INK, align="m")
