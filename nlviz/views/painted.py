"""Cells of a key grid that a reader painted, as the text that a view and its address hold.

``2x3x4~1.2-5.1`` are cells 1 and 2, then, five further on, cell 8, of a grid of 2 frames, 3 rows
and 4 columns: how many are passed over, how many follow, in base 36.
``web/live_view/pure/painted.js`` writes and reads the same; a test compares them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from nlviz.clips.point import Shape
from nlviz.errors import InvalidView, OutsideClip

MOST_TEXT = 2000  # characters: an address holds few more
RULE = "cells of a grid, as in 2x3x4~1.2-5.1"
_GRID = re.compile(r"(\d{1,4})x(\d{1,4})x(\d{1,4})")
_RUN = re.compile(r"([0-9a-z]{1,6})\.([0-9a-z]{1,6})")
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def painted_cells(text: str, shape: Shape) -> tuple[int, ...]:
    """Return the flat indices of the painted cells, in order; tokens without a place do not count.

    None are where the text is of a grid of another shape: they were painted over another block.

    Args:
        text: ``painted`` of a view's display.
        shape: (t, h, w) of the key grid.

    Raises:
        InvalidView: when the text says no cells of its own grid.

    >>> painted_cells("2x3x4~1.2-5.1", (2, 3, 4)), painted_cells("2x3x4~1.2-5.1", (2, 3, 5))
    ((1, 2, 8), ())
    """
    grid, _, runs = checked_painting(text).partition("~")
    if grid != "x".join(map(str, shape)):
        return ()
    return tuple(cell for run in _runs(runs) for cell in run)


def checked_painting(text: str) -> str:
    """Return the text where it says cells of a grid, or nothing.

    Raises:
        InvalidView: when it does not.

    >>> checked_painting("2x3x4~9.z")
    Traceback (most recent call last):
    nlviz.errors.InvalidView: painted must be cells of a grid, as in 2x3x4~1.2-5.1, got '2x3x4~9.z'
    """
    grid, _, runs = text.partition("~")
    shape = _GRID.fullmatch(grid)
    good = shape is not None and len(text) <= MOST_TEXT
    good = good and all(_RUN.fullmatch(run) for run in runs.split("-"))
    if text and not (good and shape and _fit(runs, [int(count) for count in shape.groups()])):
        raise InvalidView(f"painted must be {RULE}, got {text[:40]!r}")
    return text


def _fit(runs: str, shape: Sequence[int]) -> bool:
    """Check whether there is something in each run, and the last ends on the grid."""
    found = list(_runs(runs))
    return all(found) and found[-1].stop <= math.prod(shape)


def _runs(runs: str) -> Iterator[range]:
    at = 0
    for run in runs.split("-"):
        gap, _, count = run.partition(".")
        first = at + int(gap, 36)
        at = first + int(count, 36)
        yield range(first, at)


def painted_text(cells: Iterable[int], shape: Shape) -> str:
    """Return painted cells as a view's display holds them.

    Args:
        cells: flat indices on the key grid.
        shape: (t, h, w) of it.

    Raises:
        OutsideClip: when a cell is not on the grid.
        InvalidView: when there are more, scattered, than a view holds.

    >>> painted_text([8, 1, 2], (2, 3, 4))
    '2x3x4~1.2-5.1'
    """
    found = sorted(set(cells))
    size = math.prod(shape)
    if not found:
        return ""
    if found[0] < 0 or found[-1] >= size:
        raise OutsideClip(
            f"cells of this grid go from 0 to {size - 1}, got {found[0]} to {found[-1]}"
        )
    starts = [found[0], *(b for a, b in pairwise(found) if b != a + 1)]
    ends = [*(a + 1 for a, b in pairwise(found) if b != a + 1), found[-1] + 1]
    passed = [starts[0], *(start - end for end, start in zip(ends, starts[1:], strict=False))]
    runs = (
        f"{_base36(gap)}.{_base36(end - start)}"
        for gap, start, end in zip(passed, starts, ends, strict=True)
    )
    text = f"{'x'.join(map(str, shape))}~{'-'.join(runs)}"
    if len(text) > MOST_TEXT:
        raise InvalidView(
            f"{len(found)} cells that lie scattered take {len(text)} characters, a view holds "
            f"{MOST_TEXT}; paint fewer, or larger areas"
        )
    return text


def _base36(number: int) -> str:
    digits = ""
    while True:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
        if not number:
            return digits
