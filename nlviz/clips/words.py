"""Where the words of a text begin and end, in any script."""

from __future__ import annotations

import unicodedata

Span = tuple[int, int]

_JOINERS = "\u200d\ufe0e\ufe0f\u20e3"  # joins emoji; asks for a drawing of the sign before
_APOSTROPHES = "'\u2019"
_ALONE = (  # scripts that are written without spaces, character by character
    (0x2E80, 0x2FDF),
    (0x3005, 0x3007),
    (0x3040, 0x30FF),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),
    (0x20000, 0x3FFFF),
)


def words_of(text: str) -> tuple[Span, ...]:
    """Return where the words and marks of a text stand, as [start, end) of its characters.

    A word is a run of letters, digits and what is written over or under them; an apostrophe
    between letters belongs to it. Chinese characters and kana are a word each, as is any other sign
    that is no space.

    >>> text = "Don't look, 看看!"
    >>> [text[a:b] for a, b in words_of(text)]
    ["Don't", 'look', ',', '看', '看', '!']
    """
    spans: list[Span] = []
    at = 0
    while at < len(text):
        end = _end_of_sign(text, at)
        if text[at].isspace():
            at = end
            continue
        if _in_word(text[at]):
            while end < len(text) and (_in_word(text[end]) or _apostrophe(text, end)):
                end = _end_of_sign(text, end)
        spans.append((at, end))
        at = end
    return tuple(spans)


def _end_of_sign(text: str, at: int) -> int:
    """Return the end of a character with all that is written over, under and into it."""
    end = at + 1
    flag = _regional(text[at])
    while end < len(text):
        sign = text[end]
        joined = text[end - 1] == "\u200d" and not sign.isspace()
        tone = 0x1F3FB <= ord(sign) <= 0x1F3FF
        second = flag and end == at + 1 and _regional(sign)
        if not (
            unicodedata.category(sign).startswith("M")
            or sign in _JOINERS
            or joined
            or tone
            or second
        ):
            break
        end += 1
    return end


def _regional(sign: str) -> bool:
    return 0x1F1E6 <= ord(sign) <= 0x1F1FF  # two of them are a flag


def _in_word(sign: str) -> bool:
    code = ord(sign)
    if any(first <= code <= last for first, last in _ALONE):
        return False
    return sign == "_" or unicodedata.category(sign)[0] in "LN"


def _apostrophe(text: str, at: int) -> bool:
    after = text[at + 1 : at + 2]
    return text[at] in _APOSTROPHES and after != "" and _in_word(after)
