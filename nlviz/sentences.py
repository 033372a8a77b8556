"""Rules of sentences that every layer follows: lists, ordinals, numbers, seconds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
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


def refusals(refused: Mapping[str, str], most: int = 3) -> list[tuple[str, str]]:
    """Return why blocks are not shown: (names, reason), each reason once.

    Args:
        refused: a sentence by name; where it begins with the name, that is left out.
        most: names that are listed; of more the number is said.

    >>> said = {f"b.{n}": f"b.{n} is not shown: it attends to channels" for n in range(5)}
    >>> refusals(said)
    [('b.0, b.1, b.2 and 2 more', 'it attends to channels')]
    """
    by_reason: dict[str, list[str]] = {}
    for name, sentence in refused.items():
        reason = sentence.removeprefix(f"{name} is not shown: ").rstrip(".")
        by_reason.setdefault(reason, []).append(name)
    return [
        (", ".join(names[:most]) + (f" and {len(names) - most} more" * (len(names) > most)), reason)
        for reason, names in by_reason.items()
    ]


def counted(count: int, word: str, words: str | None = None) -> str:
    """Return a number of things, the word in its right form.

    >>> counted(1, "key"), counted(2800, "query", "queries")
    ('1 key', '2,800 queries')
    """
    return f"{count:,} {word if count == 1 else words or word + 's'}"


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


def times_text(times: Sequence[float], *, space: str = " ") -> list[str]:
    """Return the times of a clip's frames as labels, all different where the times are.

    >>> times_text([0.0, 411.4]), times_text([411.4, 411.45])
    (['0.00 s', '6:51'], ['411.40 s', '411.45 s'])
    """
    labels = [clock_text(time, space=space) for time in times]
    if len(set(labels)) == len(labels):
        return labels
    return [seconds_text(time, space=space) for time in times]


def clock_text(seconds: float, *, space: str = " ") -> str:
    """Return a time of a clip in words: from a minute on in minutes and whole seconds.

    >>> clock_text(59.4), clock_text(411.4), clock_text(3725)
    ('59.40 s', '6:51', '1:02:05')
    """
    whole = math.floor(seconds + 0.5) if math.isfinite(seconds) else 0
    if whole < 60:
        return seconds_text(seconds, space=space)
    minutes, rest = divmod(whole, 60)
    head = f"{minutes // 60}:{minutes % 60:02d}" if minutes >= 60 else f"{minutes}"
    return f"{head}:{rest:02d}"


def seconds_text(seconds: float, *, space: str = " ") -> str:
    """Return a number of seconds in words, to a hundredth.

    >>> seconds_text(1.125)
    '1.13 s'
    """
    return f"{fixed(seconds, 2)}{space}s"
