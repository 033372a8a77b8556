"""Lines of text in which some scripts run to the left, pieced together from several fonts.

Within one piece the library that draws it orders and joins the letters. Here lies what it cannot
know: that the line as a whole runs to the right, whatever it begins with, and in which order the
pieces of a passage that runs to the left follow each other (Unicode's rules, UAX 9, for lines
without marks of direction).
"""

from __future__ import annotations

import unicodedata
from itertools import groupby

Piece = tuple[str, str]

_LEFTWARDS = ("R", "AL")


def in_reading_order(pieces: list[Piece]) -> list[Piece]:
    """Return pieces of a line, each with its font, in the order in which they stand on paper.

    >>> in_reading_order([("plain", "font")])
    [('plain', 'font')]
    >>> [piece for piece, _ in in_reading_order([("אב 12.mp4", "font")])]
    ['אב 12', '.mp4']
    >>> [piece for piece, _ in in_reading_order([("אב", "one"), ("*", "two"), ("גד", "one")])]
    ['גד', '*', 'אב']
    """
    text = "".join(piece for piece, _ in pieces)
    if not any(unicodedata.bidirectional(sign) in _LEFTWARDS for sign in text):
        return pieces
    leftwards = _leftwards(text)
    fonts = [path for piece, path in pieces for _ in piece]
    ordered: list[Piece] = []
    for left, passage in groupby(zip(leftwards, text, fonts, strict=True), key=lambda at: at[0]):
        parts = [
            ("".join(sign for _, sign, _ in group), path)
            for path, group in groupby(passage, key=lambda at: at[2])
        ]
        ordered += parts[::-1] if left else parts
    return ordered


def _leftwards(text: str) -> list[bool]:
    """Return for each sign of a line that runs to the right whether its passage runs leftwards."""
    kinds = [unicodedata.bidirectional(sign) for sign in text]
    strong: list[bool | None] = [
        True if kind in _LEFTWARDS else False if kind == "L" else None for kind in kinds
    ]
    before: list[bool] = []
    last = False
    for is_left in strong:
        last = last if is_left is None else is_left
        before.append(last)
    result: list[bool] = []
    following = False
    for kind, is_left, left_before in reversed(list(zip(kinds, strong, before, strict=True))):
        # Numbers belong to the passage before them, marks and spaces stand between two.
        if kind in ("EN", "AN", "NSM"):
            is_left = left_before
        following = following if is_left is None else is_left
        result.append(left_before and following)
    return result[::-1]
