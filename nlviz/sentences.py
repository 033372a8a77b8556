"""Rules of sentences that every layer follows: lists, ordinals, numbers, seconds."""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Literal

_CONTEXT = Context(prec=800)  # any float at any number of places


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


def fixed(value: float, digits: int) -> str:
    """Return a number at this many decimals, halves away from zero; zero has no sign.

    >>> fixed(1.125, 2), fixed(-0.001, 2)
    ('1.13', '0.00')
    """
    if not math.isfinite(value):
        return "–"
    text = str(
        Decimal(abs(value)).quantize(
            Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP, context=_CONTEXT
        )
    )
    return f"-{text}" if value < 0 and float(text) else text


def seconds_text(seconds: float, *, space: str = " ") -> str:
    """Return a time of a clip in words, to a hundredth of a second.

    >>> seconds_text(1.125)
    '1.13 s'
    """
    return f"{fixed(seconds, 2)}{space}s"
