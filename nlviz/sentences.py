"""Rules of sentences that every layer follows: lists and ordinals."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal


def listed(names: Iterable[str], word: Literal["or", "and"] = "or") -> str:
    """Return names as a list in a sentence.

    >>> listed([".png", ".gif", ".mp4"]), listed(["rows"], "and")
    ('.png, .gif or .mp4', 'rows')
    """
    *others, last = names
    return f"{', '.join(others)} {word} {last}" if others else last


def ordinal(n: int) -> str:
    """Return a number as an ordinal.

    >>> [ordinal(n) for n in (1, 2, 3, 4, 11, 22, 113)]
    ['1st', '2nd', '3rd', '4th', '11th', '22nd', '113th']
    """
    ending = "th" if n // 10 % 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{ending}"
