"""Lettering of the figures: Pillow's built-in font, so that a picture is the same on every machine.

The font knows ASCII and a few signs. The multiplication sign is drawn by hand, letters with accents
lose them, and what is left over becomes a question mark.
"""

from __future__ import annotations

import unicodedata
from functools import cache

from PIL import ImageDraw, ImageFont

Colour = tuple[int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

TIMES = "×"
_ALIKE = str.maketrans({"–": "-", "—": "-", "−": "-", "\u2009": " ", "\u00a0": " "})
_KNOWN = set(map(chr, range(32, 127))) | set("·°±…»«" + TIMES)


def drawable(text: str) -> str:
    """Return the text with what the font cannot draw replaced.

    >>> drawable("café – 5×"), drawable("猫.mp4")
    ('cafe - 5×', '?.mp4')
    """
    out = []
    for sign in text.translate(_ALIKE):
        if sign in _KNOWN:
            out.append(sign)
            continue
        plain = "".join(c for c in unicodedata.normalize("NFKD", sign) if c in _KNOWN)
        out.append(plain or ("" if unicodedata.combining(sign) else "?"))
    return "".join(out)


@cache
def _font(size: int) -> Font:
    return ImageFont.load_default(size)


def _cross(size: int) -> float:
    return 0.58 * size


def width(text: str, size: int, *, bold: bool = False) -> float:
    """Return the width of a text in pixels at this size of the font."""
    pieces = drawable(text).split(TIMES)
    letters = sum(_font(size).getlength(p) + _loosening(size, bold) * len(p) for p in pieces)
    return letters + (len(pieces) - 1) * _cross(size)


def _loosening(size: int, bold: bool) -> float:
    """Return the extra room that each thickened letter needs."""
    return 0.028 * size if bold else 0.0


def write(
    draw: ImageDraw.ImageDraw,
    at: tuple[float, float],
    text: str,
    size: int,
    fill: Colour,
    *,
    align: str = "l",
    bold: bool = False,
) -> float:
    """Write a line of text and return its width.

    Args:
        draw: what to draw on.
        at: x, and y of the baseline.
        text: the text.
        size: of the font in pixels.
        fill: colour.
        align: ``l``, ``m`` or ``r``: x is the left end, the middle or the right end.
        bold: whether to thicken the strokes.
    """
    total = width(text, size, bold=bold)
    x, y = at[0] - {"l": 0.0, "m": total / 2, "r": total}[align], at[1]
    stroke = max(round(size / 40), 1) if bold else 0
    for number, piece in enumerate(drawable(text).split(TIMES)):
        if number:
            half, middle = 0.17 * size, (x + _cross(size) / 2, y - 0.31 * size)
            for turn in (1, -1):
                ends = (middle[0] - half, middle[1] - turn * half)
                draw.line(
                    (*ends, middle[0] + half, middle[1] + turn * half),
                    fill=fill,
                    width=max(round(size / (10 if bold else 13)), 1),
                )
            x += _cross(size)
        if bold:
            for n, letter in enumerate(piece):
                # Lengths of the parts keep the font's kerning.
                at_letter = _font(size).getlength(piece[: n + 1]) - _font(size).getlength(letter)
                place = (x + at_letter + n * _loosening(size, bold), y)
                draw.text(place, letter, fill, _font(size), anchor="ls", stroke_width=stroke)
        else:
            draw.text((x, y), piece, fill, _font(size), anchor="ls")
        x += _font(size).getlength(piece) + _loosening(size, bold) * len(piece)
    return total


def shortened(text: str, size: int, room: float, *, bold: bool = False) -> str:
    """Return the text, cut with an ellipsis in its middle where it is wider than the room.

    >>> shortened("a very long name of a clip.mp4", 20, 150)
    'a very … lip.mp4'
    """
    text = drawable(text)
    if width(text, size, bold=bold) <= room:
        return text
    for keep in range(len(text) - 1, 1, -1):
        cut = text[: keep // 2].rstrip() + " … " + text[len(text) - (keep - keep // 2) :].lstrip()
        if width(cut, size, bold=bold) <= room:
            return cut
    return "…"


def wrapped(text: str, size: int, room: float) -> list[str]:
    """Return the lines of a text that is broken at its plain spaces to fit the room.

    >>> wrapped("at 12\u00a0px of it", 20, 80)
    ['at 12 px', 'of it']
    """
    lines: list[str] = []
    for word in map(drawable, text.split(" ")):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and width(longer, size) <= room:
            lines[-1] = longer
        else:
            lines.append(shortened(word, size, room))
    return lines
