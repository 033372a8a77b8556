"""Which font draws a character.

Bundled fonts come first, so that a picture is the same on every machine: DejaVu Sans, then for
Chinese, Japanese and Korean Droid Sans Fallback. Chinese and Japanese share codes of characters
whose shapes differ; a line in Japanese takes Japanese ones, of Noto Sans. What no bundled font has,
a font of the machine may have.
"""

from __future__ import annotations

import unicodedata
from functools import cache, lru_cache

from PIL import features

from nlviz.resources import asset

REGULAR, BOLD = "fonts/DejaVuSans.ttf", "fonts/DejaVuSans-Bold.ttf"
EASTERN, JAPANESE = "fonts/DroidSansFallback.ttf", "fonts/NotoSansJP-JIS.ttf"
BUNDLED = (REGULAR, BOLD, EASTERN, JAPANESE)

# Blocks whose letters join, stack or change their order: from and up to these code points.
_SHAPED = (
    (0x0590, 0x08FF), (0x0900, 0x0EFF), (0x0F00, 0x109F), (0x1780, 0x18AF), (0x1A20, 0x1AAF),
    (0xA800, 0xA82F), (0xA840, 0xA87F), (0xA8E0, 0xA8FF), (0xA980, 0xA9DF), (0xFB1D, 0xFDFF),
    (0xFE70, 0xFEFE),
)  # fmt: skip


def font_for(sign: str, *, bold: bool = False, japanese: bool = False) -> str:
    r"""Return the path of the font file that draws a character, or an empty text.

    Args:
        sign: the character.
        bold: whether the bold font comes first; only DejaVu Sans has one.
        japanese: whether the line that it stands in is Japanese.

    >>> [font_for(sign, japanese=True)[-14:] for sign in "a骨"]
    ['DejaVuSans.ttf', 'SansJP-JIS.ttf']
    >>> font_for("骨")[-15:], font_for("\ue123")
    ('ansFallback.ttf', '')
    """
    if not shapes_here() and needs_shaping(sign):
        return ""
    own = str(asset(BOLD if bold else REGULAR))
    if has(own, sign):
        return own
    eastern = (JAPANESE, EASTERN) if japanese else (EASTERN, JAPANESE)
    return next((path for path in map(_bundled, eastern) if has(path, sign)), font_with(sign))


def is_japanese(text: str) -> bool:
    """Return whether a text is Japanese: it has kana, or characters that only Japanese uses.

    These are those of JIS X 0208 that neither GB 2312 nor Big5 has, such as 図 and 駅. A name of
    characters that all share, such as 東京, is taken for Chinese.

    >>> [is_japanese(text) for text in ("猫の動画", "駅前", "东京", "東京", "고양이")]
    [True, True, False, False, False]
    """
    return any(_only_japanese(sign) for sign in text if sign >= "\u3041")


@cache
def _only_japanese(sign: str) -> bool:
    if "\u3041" <= sign <= "\u30ff" or "\uff66" <= sign <= "\uff9f":
        return sign not in "・ー"  # marks that Chinese lines borrow
    return (
        "\u4e00" <= sign <= "\u9fff"
        and _in("shift_jis", sign)
        and not _in("gb2312", sign)
        and not _in("big5", sign)
    )


def _in(codec: str, sign: str) -> bool:
    try:
        sign.encode(codec)
    except UnicodeEncodeError:
        return False
    return True


def needs_shaping(sign: str) -> bool:
    """Return whether a character's letters join, stack or change their order in a word.

    >>> [needs_shaping(sign) for sign in "aéの한سनไ"]
    [False, False, False, False, True, True, True]
    """
    return any(first <= ord(sign) <= last for first, last in _SHAPED)


@cache
def shapes_here() -> bool:
    """Return whether Pillow can shape text here; its wheels can, by libraqm."""
    return bool(features.check_feature("raqm"))


@cache
def _bundled(name: str) -> str:
    return str(asset(name))


@lru_cache(1 << 10)
def _signs(path: str) -> frozenset[int]:
    """Return the code points that a font file can draw at any size."""
    from matplotlib.ft2font import FaceFlags, FT2Font

    try:
        font = FT2Font(path)
    except (OSError, RuntimeError):  # a file that is gone or no font that can be read
        return frozenset()
    return frozenset(font.get_charmap()) if FaceFlags.SCALABLE in font.face_flags else frozenset()


def has(path: str, sign: str) -> bool:
    """Return whether a font file can draw a character at any size."""
    return ord(sign) in _signs(path)


@cache
def _fonts_here() -> list[str]:
    """Return the paths of the fonts of this machine, upright ones of regular weight first."""
    from matplotlib.font_manager import FontEntry, fontManager, weight_dict

    def cost(entry: FontEntry) -> tuple[bool, float, str]:
        weight = entry.weight
        heaviness = weight_dict.get(weight, 400) if isinstance(weight, str) else weight
        return entry.style != "normal", abs(heaviness - 400), entry.fname

    # The font of last resort draws boxes with code points, TeX's fonts have codes of their own.
    unfit = ("Last", ".Last", "cm")
    entries = [entry for entry in fontManager.ttflist if not entry.name.startswith(unfit)]
    return [entry.fname for entry in sorted(entries, key=cost)]


_IN_USE: dict[str, None] = {}  # fonts of the machine that had a character, asked first


@cache
def font_with(sign: str) -> str:
    """Return the path of a font of this machine that has a character, or an empty text."""
    if unicodedata.category(sign) in ("Co", "Cn", "Cs"):  # private, or no character at all
        return ""
    for path in [*_IN_USE, *_fonts_here()]:
        if has(path, sign):
            _IN_USE[path] = None
            return path
    return ""
