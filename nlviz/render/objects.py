"""Detected objects over the frames: boxes, outlines, keypoints and labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from nlviz.clips.detections import Detection, Pixel, limbs, seen
from nlviz.render.text_drawing import Colour, width, write
from nlviz.sentences import fixed

Picture = npt.NDArray[np.uint8]

OBJECT = (108, 240, 108)  # no colour map and no mark of queries or keys is green
HALO = (8, 22, 8)
CARD = (16, 18, 23)
PAPER = (255, 255, 255)
SMOOTH = 2  # drawn at this many times the size and reduced


@dataclass(frozen=True)
class Label:
    """A label as a card: its text, the corner (x, y) of the card, and its size."""

    text: str
    at: Pixel
    wide: float
    high: float


@dataclass(frozen=True)
class Marks:
    """What is drawn of the objects of a frame, in pixels of the picture.

    Attributes:
        lines: points (x, y) of boxes, outlines and limbs, each with its width in thin lines.
        dots: keypoints (x, y).
        labels: cards, which do not cover each other.
    """

    lines: list[tuple[list[Pixel], float]]
    dots: list[Pixel]
    labels: list[Label]

    @property
    def layers(self) -> tuple[tuple[Colour, float], ...]:
        """Colours in the order of drawing, and how much wider than its mark each is."""
        return (HALO, 1.4), (OBJECT, 0.0)


def marks_of(
    objects: Sequence[Detection],
    *,
    corner: Pixel = (0.0, 0.0),
    zoom: Pixel = (1.0, 1.0),
    lettering: int | None = None,
) -> Marks:
    """Return what to draw of the objects of one frame.

    Args:
        objects: detections of the frame.
        corner: (x, y) of the frame's corner on the picture.
        zoom: pixels of the picture per pixel of the clip, in y and x.
        lettering: size of the labels; None writes no labels.
    """

    def at(y: float, x: float) -> Pixel:
        return corner[0] + float(x) * zoom[1], corner[1] + float(y) * zoom[0]

    lines: list[tuple[list[Pixel], float]] = []
    dots: list[Pixel] = []
    for found in objects:
        top, left, bottom, right = found.box
        around = [at(y, x) for y, x in ((top, left), (top, right), (bottom, right), (bottom, left))]
        lines.append(([*around, around[0]], 1.5))
        for outline in found.outline:
            points = [at(y, x) for y, x in outline]
            lines.append(([*points, points[0]], 1.0))
        places = seen(found)
        lines += [
            ([at(*a), at(*b)], 1.0)
            for a, b in ((places[i], places[j]) for i, j in limbs(found))
            if a is not None and b is not None
        ]
        dots += [at(*p) for p in places if p is not None]
    labels: list[Label] = []
    if lettering is not None:
        for found in sorted(objects, key=lambda found: found.box[0]):
            labels.append(_label(found, at(found.box[0], found.box[1]), lettering, corner, labels))
    return Marks(lines, dots, labels)


def draw_objects(
    draw: ImageDraw.ImageDraw,
    objects: Sequence[Detection],
    *,
    corner: Pixel = (0.0, 0.0),
    zoom: Pixel = (1.0, 1.0),
    unit: float = 1.0,
    lettering: int | None = None,
) -> None:
    """Draw the objects of one frame on pixels.

    Args:
        draw: what to draw on.
        objects: detections of the frame.
        corner: (x, y) of the frame's corner on the picture.
        zoom: pixels of the picture per pixel of the clip, in y and x.
        unit: width of a thin line.
        lettering: size of the labels; None writes no labels.
    """
    marks = marks_of(objects, corner=corner, zoom=zoom, lettering=lettering)
    for ink, more in marks.layers:
        for points, line in marks.lines:
            draw.line(points, fill=ink, width=max(round((line + more) * unit), 1), joint="curve")
        for x, y in marks.dots:
            r = (2.2 + more / 2) * unit
            draw.ellipse((x - r, y - r, x + r, y + r), fill=ink)
    for label in marks.labels:
        assert lettering is not None  # labels have a size
        (x, y), size = label.at, lettering
        draw.rectangle((x, y, x + label.wide, y + label.high), fill=CARD)
        draw.rectangle((x, y, x + 0.18 * size, y + label.high), fill=OBJECT)
        write(draw, (x + 0.4 * size, y + 1.05 * size), label.text, size, PAPER)


def with_objects(
    picture: Picture, objects: Sequence[Detection], clip_size: tuple[int, int], *, lettering: bool
) -> Picture:
    """Return a frame at any size with its objects drawn on it.

    Args:
        picture: (h, w, 3).
        objects: detections of the frame.
        clip_size: height and width of the clip.
        lettering: whether to write their labels.

    >>> frame = np.zeros((40, 60, 3), np.uint8)
    >>> dog = Detection(0, "dog", 1, 0.9, (5, 5, 15, 25))
    >>> with_objects(frame, [dog], (20, 30), lettering=False).max()
    np.uint8(240)
    """
    if not objects:
        return picture
    h, w = picture.shape[:2]
    large = Image.fromarray(picture).resize((w * SMOOTH, h * SMOOTH), Image.Resampling.NEAREST)
    zoom = (h / clip_size[0] * SMOOTH, w / clip_size[1] * SMOOTH)
    unit = SMOOTH * min(max(w / 480, 1.0), 1.6)
    draw_objects(
        ImageDraw.Draw(large),
        objects,
        zoom=zoom,
        unit=unit,
        lettering=round(11 * unit) if lettering else None,
    )
    return np.asarray(large.reduce(SMOOTH), np.uint8)


def _label(found: Detection, at: Pixel, size: int, corner: Pixel, before: Sequence[Label]) -> Label:
    """Return a label above its box, or inside where there is no room; below others in its way."""
    text = f"{found.name} · {fixed(100 * found.score, 0)} %"
    wide, high = width(text, size) + 0.8 * size, 1.4 * size
    x, y = max(at[0], corner[0]), at[1] - high
    if y < corner[1]:
        y = max(at[1], corner[1])
    while hits := [
        b.at[1]
        for b in before
        if b.at[0] < x + wide and x < b.at[0] + b.wide and abs(b.at[1] - y) < high
    ]:
        y = max(hits) + high
    return Label(text, (x, y), wide, high)
