"""The clip under the map as a GIF or an H.264 video: time runs, the query stays.

Below each frame: what the query is, the time, the share of the weight in every frame, the colour
bar, and what must be known of clip and map. The query's own frame wears a border.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from nlviz.affinity.by_frame import lengths, masses, nothing_there
from nlviz.picture import resized
from nlviz.progress import Listener
from nlviz.render.frame_maps import (
    colour_ramp,
    map_frame,
    outlined,
    query_box,
    zoom_of,
    zoomed,
)
from nlviz.render.moving_pictures import gif_of, mp4_of
from nlviz.render.objects import OBJECT, with_objects
from nlviz.render.shown import ACCENT, Shown
from nlviz.render.text_drawing import shortened, width, wrapped, write
from nlviz.sentences import times_text
from nlviz.words.rows import share_text

Picture = npt.NDArray[np.uint8]

UNIT = 2  # the footer is drawn at twice its size and reduced
LONGEST = (480, 960)  # least and most of the longer side, in pixels
LEAST = (16, 240)  # height and width of the picture with the ground around it, in pixels
FOOTER = 66
SMALL, LINE = 12, 16  # size of the caption's letters, and height of its lines, in pixels

GROUND = (20, 23, 29)
INK = (236, 240, 245)
DIM = (150, 160, 172)
RAIL = (62, 70, 82)
MASS = (240, 106, 52)
LESS = (96, 160, 235)  # what a frame loses, in rows minus the mean row


def gif(drawn: Shown, *, progress: Listener | None = None) -> bytes:
    """Return the clip under the map as a GIF that loops.

    >>> from nlviz.affinity.attention_map import AttentionMap
    >>> from nlviz.clips.clip import Clip
    >>> from nlviz.affinity.grid import TokenGrid
    >>> from nlviz.render.overlay import overlay
    >>> clip = Clip.from_frames(np.zeros((2, 24, 40, 3), np.uint8))
    >>> keys = TokenGrid((2, 3, 5), (1, 8, 8), (0, 3.5, 3.5))
    >>> attention = AttentionMap(np.full((2, 3, 5), 1 / 30, np.float32), (1, 11.5, 19.5), keys)
    >>> gif(overlay(clip, attention))[:6]
    b'GIF89a'
    """
    pictures = [indexed(p, drawn) for p in pages(drawn, progress=progress)]
    return gif_of(pictures, drawn.clip, comment=" ".join(notes_of(drawn)))


def mp4(drawn: Shown, *, progress: Listener | None = None) -> bytes:
    """Return the clip under the map as an MP4 that browsers and QuickTime play."""
    comment = " ".join(notes_of(drawn))
    return mp4_of(pages(drawn, progress=progress), drawn.clip, title=drawn.title, comment=comment)


def pages(
    drawn: Shown, *, progress: Listener | None = None, most: int = LONGEST[1]
) -> Iterator[Picture]:
    """Yield the pictures of the movie, (H, W, 3) RGB of even sides, frame after frame.

    Args:
        drawn: what to draw.
        progress: called with a sentence and a share in [0, 1].
        most: longest side of the clip's frames there, in pixels.
    """
    clip, attention, look = drawn.clip, drawn.attention, drawn.look
    _, height, wide = clip.shape
    longest = min(max(max(height, wide), LONGEST[0]), most)
    factor = longest / max(height, wide)
    h, w = (max(round(n * factor), 1) for n in (height, wide))
    # Even sides, and room for the footer: what is missing is ground, the picture keeps its shape.
    high, broad = max(h + h % 2, LEAST[0]), max(w + w % 2, LEAST[1])
    footer = _Footer(drawn, broad)
    caption = footnotes(notes_of(drawn), broad)
    for index, frame in enumerate(clip.frames):
        big = resized(frame, (h, w))
        page = map_frame(big, clip, attention, index, look)
        found = drawn.objects_of(index)
        page = with_objects(page, found, (height, wide), lettering=True)
        if look.marked and index == drawn.query_frame:
            box = zoomed(query_box(attention, look), zoom_of(page, clip))
            page = outlined(page, box, colour=ACCENT)
            if len(clip.frames) > 1:
                page = _bordered(page)
        yield np.concatenate([_framed(page, high, broad), footer.at(index), *caption])
        if progress is not None:
            progress("Drawing the frames", (index + 1) / len(clip.frames))


def notes_of(drawn: Shown) -> tuple[str, ...]:
    """Return the sentences that belong to a movie: those of the clip, and of what is drawn."""
    return tuple(dict.fromkeys((*drawn.clip.notes, *drawn.notes)))


def footnotes(notes: Sequence[str], wide: int) -> list[Picture]:
    """Return the strip of a movie with these sentences, of even height; nothing for nothing.

    Args:
        notes: the sentences.
        wide: width of the movie in pixels.
    """
    lines = wrapped(" ".join(notes), SMALL, wide - 16) if notes else []
    if not lines:
        return []
    page = Image.new("RGB", (wide * UNIT, (LINE * len(lines) + 8) * UNIT), GROUND)
    draw = ImageDraw.Draw(page)
    for index, line in enumerate(lines):
        write(draw, (8 * UNIT, (LINE * index + 13) * UNIT), line, SMALL * UNIT, DIM)
    return [np.asarray(page.reduce(UNIT), np.uint8)]


def indexed(page: Picture, *drawn: Shown) -> Image.Image:
    """Return a page with 256 colours: the scales' and the footer's own, the rest the picture's.

    Args:
        page: the page.
        drawn: what is on it; those of one look share their colours.
    """
    ramps = {}
    for each in drawn:
        signed = each.look.scale.diverging
        ramp = colour_ramp(each.look, 48, 1)[0]
        ramps[signed, each.look.strength] = ramp[16 * (not signed) :].tolist()
    own = [
        *(colour for ramp in ramps.values() for colour in ramp),
        GROUND,
        INK,
        DIM,
        RAIL,
        MASS,
        LESS,
        ACCENT,
        (0, 0, 0),
        *([OBJECT] if any(each.objects for each in drawn) else []),
    ]
    picture = Image.fromarray(page)
    # Colours are found in seconds of a page of several movies, and in a ninth of it as well.
    some = picture if len(drawn) == 1 else Image.fromarray(np.ascontiguousarray(page[::3, ::3]))
    rest = some.quantize(256 - len(own), Image.Quantize.MEDIANCUT, kmeans=1).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette([*(int(v) for colour in own for v in colour), *rest][:768])
    return picture.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)


def _framed(page: Picture, high: int, broad: int) -> Picture:
    """Return a page in the middle of ground of this size, in pixels."""
    h, w = page.shape[:2]
    if (h, w) == (high, broad):
        return page
    ground = np.full((high, broad, 3), GROUND, np.uint8)
    top, left = (high - h) // 2, (broad - w) // 2
    ground[top : top + h, left : left + w] = page
    return ground


def _bordered(page: Picture) -> Picture:
    page = page.copy()
    for edge in (np.s_[:4], np.s_[-4:], np.s_[:, :4], np.s_[:, -4:]):
        page[edge] = ACCENT
    return page


class _Footer:
    """The strip below the frames; what does not change is drawn once."""

    def __init__(self, drawn: Shown, wide: int) -> None:
        self.drawn = drawn
        self.shares = masses(drawn.attention, len(drawn.clip.frames))
        self.lengths = lengths(self.shares)
        self.ground = Image.new("RGB", (wide * UNIT, FOOTER * UNIT), GROUND)
        draw = ImageDraw.Draw(self.ground)
        self.left, self.right = 10, wide - 10
        if drawn.look.marked:
            size = 50
            thumb = resized(drawn.thumbnail, (size * UNIT, size * UNIT))
            around = [6 * UNIT, 6 * UNIT, 60 * UNIT, 60 * UNIT]
            draw.rounded_rectangle(around, 3 * UNIT, fill=ACCENT)
            self.ground.paste(Image.fromarray(thumb), (8 * UNIT, 8 * UNIT))
            self.left = 72
        if wide >= 420:
            bar = min(round(0.26 * wide), 210)
            self._bar(draw, wide - 10 - bar, bar)
            self.right = wide - 10 - bar - 18

    def _bar(self, draw: ImageDraw.ImageDraw, left: int, long: int) -> None:
        scale = self.drawn.look.scale
        ramp = colour_ramp(self.drawn.look, long * UNIT, 12 * UNIT)
        self.ground.paste(Image.fromarray(ramp), (left * UNIT, 26 * UNIT))
        ends = scale.ends
        title = {
            "uniform": "× uniform attention",
            "absolute": "weight",
            "logit": "raw logit",
            "cosine": "cosine similarity",
        }
        write(draw, (left * UNIT, 19 * UNIT), title[scale.unit], 13 * UNIT, DIM)
        write(draw, (left * UNIT, 55 * UNIT), ends[0], 14 * UNIT, INK)
        write(draw, ((left + long) * UNIT, 55 * UNIT), ends[1], 14 * UNIT, INK, align="r")

    def at(self, index: int) -> Picture:
        """Return the strip below one frame."""
        page = self.ground.copy()
        draw = ImageDraw.Draw(page)
        clip, here = self.drawn.clip, self.drawn.query_frame
        attention, marked = self.drawn.attention, self.drawn.look.marked
        asked = attention.word or attention.token
        if len(clip.frames) == 1:
            name = shortened(asked or "query", 16 * UNIT, (self.right - self.left) * UNIT)
            write(draw, (self.left * UNIT, 38 * UNIT), name, 16 * UNIT, ACCENT)
            return np.asarray(page.reduce(UNIT), np.uint8)
        y = 22 * UNIT
        labels = times_text([float(time) for time in clip.times])
        time = labels[index]
        ink = ACCENT if marked and index == here else INK
        x = self.left + write(draw, (self.left * UNIT, y), time, 17 * UNIT, ink) / UNIT + 12
        logits = not self.drawn.look.scale.of_weights
        here = here if marked else -1  # a token without a place is on no frame
        note = "query's frame" if index == here else f"query at {labels[here]}"
        note = note if marked else f"from {asked}" if asked else ""
        nothing = nothing_there(self.drawn.attention, index, len(clip.frames))
        if nothing:
            x += write(draw, (x * UNIT, y), nothing, 17 * UNIT, DIM) / UNIT + 12
        elif not logits:
            share = share_text(self.drawn.attention, self.shares[index])
            ink = LESS if self.shares[index] < 0 else MASS
            x += write(draw, (x * UNIT, y), share, 16 * UNIT, ink, bold=True) / UNIT + 12
        if x + width(note, 13) <= self.right:
            write(draw, (self.right * UNIT, y), note, 13 * UNIT, DIM, align="r")
        self._masses(draw, index, here, flat=logits)
        return np.asarray(page.reduce(UNIT), np.uint8)

    def _masses(self, draw: ImageDraw.ImageDraw, index: int, here: int, *, flat: bool) -> None:
        """Draw one bar per frame: its share; the shown one bright, the query's underlined."""
        count = len(self.shares)
        step = (self.right - self.left) / count
        gap = min(2.0, step * 0.2)
        most = max(float(self.lengths.max()), 1e-9)
        for n, share in enumerate(self.lengths):
            x0, x1 = self.left + n * step, self.left + (n + 1) * step - gap
            high = 3.0 if flat else max(26 * float(share) / most, 1.0)
            draw.rectangle([x0 * UNIT, 30 * UNIT, x1 * UNIT, 56 * UNIT], fill=(32, 37, 46))
            mass = LESS if self.shares[n] < 0 else MASS
            ink = mass if n == index else RAIL if n != here else (70, 112, 126)
            draw.rectangle([x0 * UNIT, (56 - high) * UNIT, x1 * UNIT, 56 * UNIT], fill=ink)
            if n == here:
                draw.rectangle([x0 * UNIT, 58 * UNIT, x1 * UNIT, 60 * UNIT], fill=ACCENT)
