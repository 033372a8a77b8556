"""A text or a graph as a GIF or an H.264 video: the query goes from token to token.

Where only one map is at hand it is a still. One colour scale holds for all pages.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from nlviz.affinity.attention_map import AttentionMap
from nlviz.picture import resized
from nlviz.progress import Listener
from nlviz.render.colour_scale import ColourScale, scale_of
from nlviz.render.movie import DIM, GROUND, INK, SMALL, UNIT, footnotes
from nlviz.render.moving_pictures import gif_of, mp4_of
from nlviz.render.shown import ACCENT, Shown
from nlviz.render.text_drawing import Colour, shortened, write
from nlviz.render.text_figure import Page, page_of
from nlviz.render.word_colours import DARK, steps_of, word_colours
from nlviz.render.word_marks import HIDDEN, arc_path, box_of, rise
from nlviz.words.rows import place_text

Picture = npt.NDArray[np.uint8]

WIDE = 960
INSET = 16
SIZES = range(26, 8, -1)
TALL = 620  # of all lines in pixels
HEAD = 44
FOOT = 54
ARC: Colour = (186, 198, 216)


def gif(drawn: Shown, *, progress: Listener | None = None) -> bytes:
    """Return the map, or one map after the other, as a GIF that loops."""
    shown = [Image.fromarray(p) for p in pages(drawn, progress=progress)]
    pictures = [page.quantize(256, Image.Quantize.MEDIANCUT, kmeans=1) for page in shown]
    return gif_of(pictures, drawn.clip, comment=" ".join((*drawn.clip.notes, *drawn.notes)))


def mp4(drawn: Shown, *, progress: Listener | None = None) -> bytes:
    """Return the map, or one map after the other, as an MP4."""
    comment = " ".join((*drawn.clip.notes, *drawn.notes))
    still = len(_maps(drawn)) == 1
    return mp4_of(
        pages(drawn, progress=progress), drawn.clip, title=drawn.title, comment=comment, still=still
    )


def pages(drawn: Shown, *, progress: Listener | None = None) -> Iterator[Picture]:
    """Yield the pictures of the movie, (H, W, 3) RGB of even sides, one for each query."""
    maps = _maps(drawn)
    scale = _one_scale(drawn, maps)
    look = replace(drawn.look, scale=scale)
    for number, attention in enumerate(maps):
        one = replace(drawn, attention=attention, look=look, sweep=None)
        yield _text_page(one) if attention.keys.kind == "line" else _graph_page(one)
        if progress is not None:
            progress("Drawing the pages", (number + 1) / len(maps))


def _maps(drawn: Shown) -> list[AttentionMap]:
    found = [] if drawn.sweep is None else list(drawn.sweep())
    return found or [drawn.attention]


def _one_scale(drawn: Shown, maps: list[AttentionMap]) -> ColourScale:
    """Return the scale of all maps, which ends where the widest of their own does."""
    own = drawn.look.scale
    if own.fixed or len(maps) == 1:
        return own
    others = [scale_of(one, unit=own.unit, logarithmic=own.floor > 0) for one in maps]
    widest = max(others, key=lambda scale: scale.hi - scale.lo)
    return replace(
        widest,
        most=max(scale.most for scale in others),
        least=min(scale.least for scale in others),
    )


def _text_page(drawn: Shown) -> Picture:
    """Draw the words on dark ground, at twice the size, and reduce them."""
    page = page_of(drawn, (WIDE - 2 * INSET) * UNIT, sizes=_twice(SIZES), tall=TALL * UNIT)
    laid, size = page.laid, page.laid.size
    # Room for arcs above every line alike, so that words stand still while the query moves.
    most = 2.2 * size if laid.lines <= 6 and drawn.look.links else 0.0
    tops = [HEAD * UNIT + most + n * (laid.pitch + most) for n in range(laid.lines)]
    notes = footnotes(tuple(dict.fromkeys((*drawn.clip.notes, *drawn.notes, page.note))), WIDE)
    high = round((tops[-1] + laid.pitch + 8) / UNIT) + FOOT
    sheet = Image.new("RGB", (WIDE * UNIT, (high + high % 2) * UNIT), GROUND)
    draw = ImageDraw.Draw(sheet)
    _head(draw, drawn)
    _words(draw, drawn, page, tops, arcs=most > 0)
    _foot(sheet, draw, drawn, (high - FOOT) * UNIT)
    return np.concatenate([np.asarray(sheet.reduce(UNIT), np.uint8), *notes])


def _head(draw: ImageDraw.ImageDraw, drawn: Shown) -> None:
    title = shortened(drawn.attention.title, 17 * UNIT, (WIDE - 2 * INSET) * UNIT, bold=True)
    write(draw, (INSET * UNIT, 27 * UNIT), title, 17 * UNIT, INK, bold=True)


def _words(
    draw: ImageDraw.ImageDraw, drawn: Shown, page: Page, tops: list[float], *, arcs: bool
) -> None:
    look, laid = drawn.look, page.laid
    ground, inks = word_colours(DARK, signed=look.scale.diverging, strength=look.strength)
    left = INSET * UNIT
    place = {word.index + page.first: word for word in laid.words}
    asked = None if page.query is None else place.get(page.query)
    for number, word in place.items():
        box = box_of(word, laid, left, tops)
        step = page.steps[word.index]
        fill, ink = (_rgb(of[step]) for of in (ground, inks))
        if number == page.query or number in page.hidden:
            fill = DARK.rgb
            ink = DARK.ink if number == page.query else HIDDEN["dark"]
        if fill != DARK.rgb:
            draw.rounded_rectangle(box, 0.18 * laid.size, fill=fill)
        write(
            draw, (left + word.letters, box[1] + 0.96 * laid.size), word.label.text, laid.size, ink
        )
        if number == page.query:
            around = (box[0] - 3, box[1] - 3, box[2] + 3, box[3] + 3)
            draw.rounded_rectangle(around, 0.22 * laid.size, outline=ACCENT, width=2 * UNIT)
    if asked is None or not arcs:
        return
    source = box_of(asked, laid, left, tops)
    for number, share in sorted(page.links, key=lambda link: link[1]):
        other = place[number]
        if other.line != asked.line:
            continue
        target = box_of(other, laid, left, tops)
        if rise(source, target, laid.size) > 0:
            path = arc_path(source, target, 0.6 * laid.size)
            weight = share**0.5
            ink = _rgb(
                [
                    round(g + (a - g) * (0.3 + 0.7 * weight))
                    for g, a in zip(GROUND, ARC, strict=True)
                ]
            )
            draw.line(
                path, fill=ink, width=max(round((0.6 + 1.8 * weight) * UNIT), 1), joint="curve"
            )


def _foot(sheet: Image.Image, draw: ImageDraw.ImageDraw, drawn: Shown, top: int) -> None:
    """Draw the query's name to the left, the colour bar to the right."""
    look = drawn.look
    asked = place_text(drawn.clip, drawn.attention).removeprefix("the ")
    bar = 220 * UNIT
    room = (WIDE - 3 * INSET) * UNIT - bar
    asked = shortened(asked, 15 * UNIT, room)
    write(draw, (INSET * UNIT, top + 30 * UNIT), asked, 15 * UNIT, ACCENT)
    left = (WIDE - INSET) * UNIT - bar
    ground, _ = word_colours(DARK, signed=look.scale.diverging, strength=look.strength)
    shares = np.linspace(-1.0 if look.scale.diverging else 0.0, 1.0, bar, dtype=np.float32)
    ramp = ground[steps_of(shares, signed=look.scale.diverging)][None].repeat(9 * UNIT, 0)
    sheet.paste(Image.fromarray(ramp), (left, top + 20 * UNIT))
    write(draw, (left, top + 14 * UNIT), look.scale.title, SMALL * UNIT, DIM)
    low, high = look.scale.ends
    write(draw, (left, top + 44 * UNIT), low, SMALL * UNIT, INK)
    write(draw, (left + bar, top + 44 * UNIT), high, SMALL * UNIT, INK, align="r")


def _graph_page(drawn: Shown) -> Picture:
    """Return the figure of a graph, reduced to the width of a movie."""
    from nlviz.render.graph_figure import sheet_of_graph

    page = np.asarray(sheet_of_graph(drawn).image(), np.uint8)
    high = round(page.shape[0] * WIDE / page.shape[1])
    return resized(page, (high + high % 2, WIDE))


def _twice(sizes: range) -> range:
    return range(sizes.start * UNIT, sizes.stop * UNIT, sizes.step * UNIT)


def _rgb(colour: npt.ArrayLike) -> Colour:
    red, green, blue = (int(v) for v in np.asarray(colour))
    return red, green, blue
