"""Text on pictures in any script, and how wide it is.

The bundled fonts draw European scripts, Hebrew, Arabic, Chinese, Japanese and Korean, so that a
picture is the same on every machine. What they lack a font of the machine draws; what no font has,
and what needs shaping where Pillow cannot shape, is spelled as its code, such as ‹U+1F525›, and
``missing_note`` says why. Lines run to the right; Hebrew and Arabic in them run to the left.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import cache
from itertools import groupby

from PIL import ImageDraw, ImageFont

from nlviz.render.fonts import (
    BOLD,
    BUNDLED,
    REGULAR,
    font_for,
    has,
    is_japanese,
    needs_shaping,
    shapes_here,
)
from nlviz.render.text_direction import in_reading_order
from nlviz.resources import asset

Colour = tuple[int, int, int]

_PARTS = ("Mn", "Me", "Cf")  # categories of signs that are drawn with the one before them
_MORE = "…–—−→‘’“”€ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩαβγδεζηθικλμνξοπρστυφχψωςάέήίόύώ"


def runs(text: str, *, bold: bool = False) -> list[tuple[str, str]]:
    """Split a line of text into pieces that one font can draw.

    Args:
        text: the line; line breaks and other control characters become spaces.
        bold: whether the bundled bold font comes first.

    Returns:
        Pairs of a piece and the path of its font file.

    >>> [piece for piece, _ in runs("été 5×")], runs("a", bold=True)[0][1][-19:]
    (['été 5×'], 'DejaVuSans-Bold.ttf')
    >>> [piece for piece, _ in runs("北京 2024.mp4")]
    ['北京', ' 2024.mp4']
    """
    own = str(asset(BOLD if bold else REGULAR))
    text = unicodedata.normalize("NFC", text)
    if plain(text):
        return [(text, own)] if text else []
    signs = _signs(text, own, bold=bold)
    pieces = [
        ("".join(sign for sign, _ in group), path)
        for path, group in groupby(signs, key=lambda pair: pair[1])
    ]
    # What has no font is spelled in letters that have one; neighbours may now share theirs.
    spelled = [(piece if path else _code(piece), path or own) for piece, path in pieces]
    return in_reading_order(
        [
            ("".join(piece for piece, _ in group), path)
            for path, group in groupby(spelled, key=lambda pair: pair[1])
        ]
    )


def _signs(text: str, own: str, *, bold: bool = False) -> list[tuple[str, str]]:
    """Return the signs of a composed text, each with its font, an empty one where there is none."""
    japanese = is_japanese(text)
    signs: list[tuple[str, str]] = []
    for sign in text:
        kind = unicodedata.category(sign)
        if kind in ("Cc", "Zl", "Zp"):
            sign = " "
        if kind in _PARTS:  # belongs to the sign before it, or shows nothing
            path = signs[-1][1] if signs else own
            if path and not has(path, sign):
                if kind == "Cf" or _chooses_shape(sign):
                    continue
                path = ""
        else:
            path = font_for(sign, bold=bold, japanese=japanese)
        signs.append((sign, path))
    return signs


def _chooses_shape(sign: str) -> bool:
    """Return whether a sign only asks for a variant of the one before it."""
    return "\ufe00" <= sign <= "\ufe0f" or "\U000e0100" <= sign <= "\U000e01ef"


def _code(text: str) -> str:
    return "‹" + " ".join(f"U+{ord(sign):04X}" for sign in text) + "›"


def plain(text: str) -> bool:
    """Return whether a text is European, so that the bundled fonts are known to have all of it.

    >>> plain("été 5× – Ωμέγα"), plain("猫")
    (True, False)
    """
    return all(
        " " <= sign <= "~" or ("\u00a0" <= sign < "\u0250" and sign != "\u00ad") or sign in _MORE
        for sign in text
    )


def missing(texts: Iterable[str]) -> list[str]:
    """Return the characters of some texts that cannot be drawn here, each once, in order.

    >>> missing(["plain", "猫", "a private sign: \ue123"])
    ['\ue123']
    """
    own = str(asset(REGULAR))
    signs = [
        pair
        for text in texts
        if not plain(text)
        for pair in _signs(unicodedata.normalize("NFC", text), own)
    ]
    gone = [sign for sign, path in signs if not path and unicodedata.category(sign) != "Cf"]
    return [sign for sign in dict.fromkeys(gone) if not _chooses_shape(sign)]


def missing_note(texts: Iterable[str]) -> str:
    """Return a sentence about the characters that cannot be drawn here, or an empty text.

    >>> missing_note(["a private sign: \ue123", "plain"])[:64]
    'Codes such as ‹U+E123› stand for characters that no font of this'
    """
    signs = missing(texts)
    if not signs:
        return ""
    what = f"Codes such as {_code(signs[0])} stand for characters"
    if needs_shaping(signs[0]) and not shapes_here():
        return (
            f"{what} of a script whose letters join or stack, which Pillow cannot draw here; its "
            "wheels can, by libraqm."
        )
    return (
        f"{what} that no font of this machine can draw; a font that has them, such as one of the "
        "Noto family, shows them."
    )


@cache
def _font(path: str, size: int, shaped: bool) -> ImageFont.FreeTypeFont:
    basic = ImageFont.Layout.BASIC
    return ImageFont.truetype(path, size, layout_engine=None if shaped else basic)


def _face(piece: str, path: str, size: int) -> ImageFont.FreeTypeFont:
    """Return a font at a size; scripts that run leftwards or join are shaped where Pillow can."""
    bundled = path.endswith(BUNDLED)
    joined = any(unicodedata.bidirectional(sign) in ("R", "AL") for sign in piece)
    return _font(path, size, joined or not bundled)


def advance(piece: str, path: str, size: int) -> float:
    """Return the width in pixels of a piece that one font draws, as ``runs`` gives it."""
    return _face(piece, path, size).getlength(piece)


def width(text: str, size: int, *, bold: bool = False) -> float:
    """Return the width of a text in pixels at this size of the font.

    >>> 40 < width("55×", 20) < 45
    True
    """
    return sum(advance(*run, size) for run in runs(text, bold=bold))


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
        bold: whether to take the bold font.
    """
    total = width(text, size, bold=bold)
    x = at[0] - {"l": 0.0, "m": total / 2, "r": total}[align]
    for piece, path in runs(text, bold=bold):
        draw.text((x, at[1]), piece, fill, _face(piece, path, size), anchor="ls")
        x += advance(piece, path, size)
    return total


def shortened(text: str, size: int, room: float, *, bold: bool = False) -> str:
    """Return the text, cut with an ellipsis in its middle where it is wider than the room.

    >>> shortened("a very long name of a clip.mp4", 20, 150)
    'a ver … p.mp4'
    """
    if width(text, size, bold=bold) <= room:
        return text
    for keep in range(len(text) - 1, 1, -1):
        cut = text[: keep // 2].rstrip() + " … " + text[len(text) - (keep - keep // 2) :].lstrip()
        if width(cut, size, bold=bold) <= room:
            return cut
    return "…"


def wrapped(text: str, size: int, room: float) -> list[str]:
    r"""Return the lines of a text that is broken at its plain spaces to fit the room.

    >>> wrapped("at 12\u00a0px of it", 20, 100)
    ['at 12\xa0px', 'of it']
    """
    lines: list[str] = []
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and width(longer, size) <= room:
            lines[-1] = longer
        else:
            lines.append(shortened(word, size, room))
    return lines
