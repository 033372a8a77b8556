"""Where queries and keys lie, and what they are, within the header of a capture's file.

Words are written once for all blocks, as the list ``lines`` of the header; a grid names them by
their number there. A file of 0.3 has grids of cells alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from msgspec import Meta

from nlviz.affinity.grid import Line, TokenGrid
from nlviz.affinity.token_boxes import TokenBoxes
from nlviz.affinity.token_line import TokenLine
from nlviz.affinity.token_nodes import TokenNodes
from nlviz.captures.file_tensors import require
from nlviz.clips.text import Text
from nlviz.files.checked_json import HUGE, Count, Finite, FromZero, Positive, Record

Cells = Annotated[int, Meta(ge=1, le=HUGE)]
Edges = tuple[Finite, Finite, Finite, Finite, Finite]  # of a box: frame, top, left, bottom, right
Span = tuple[Count, Count]
Lines = dict[Line, int]  # words of all blocks, and their number in the file


class WordsRecord(Record):
    """Words, the characters that each stands for, and which of them nobody wrote."""

    words: tuple[str, ...]
    spans: tuple[Span, ...] = ()
    special: tuple[Count, ...] = ()


class TextRecord(Record):
    """A text and its tokens, beside what every clip has."""

    text: str
    written: str
    tokens: WordsRecord


class Grid(Record):
    """A ``TokenGrid`` of some kind."""

    shape: tuple[Cells, Cells, Cells]
    stride: tuple[Positive, Positive, Positive]
    origin: tuple[Finite, Finite, Finite]
    prefix: Count
    off: tuple[FromZero, FromZero, FromZero] = (0.0, 0.0, 0.0)  # from 0.4 on, and all below
    kind: Literal["grid", "line", "boxes", "nodes"] = "grid"
    words: Count | None = None
    line: Count | None = None
    boxes: tuple[Edges, ...] = ()
    places: tuple[tuple[Finite, Finite], ...] = ()
    labels: tuple[str, ...] = ()


def described_grid(grid: TokenGrid, lines: Lines) -> dict[str, Any]:
    """Return what the header says of a grid, and put its words among those of all blocks.

    >>> lines = {}
    >>> described_grid(TokenLine.of(("a", "dog")), lines)["words"], list(lines)[0].words
    (0, ('a', 'dog'))
    """
    told: dict[str, Any] = {
        "shape": grid.shape,
        "stride": grid.stride,
        "origin": grid.origin,
        "prefix": grid.prefix,
        "off": grid.off,
        "kind": grid.kind,
    }
    if isinstance(grid, TokenLine):
        own = Line(grid.words, grid.spans, grid.special)
        told["words"] = lines.setdefault(own, len(lines))
    elif isinstance(grid, TokenBoxes):
        told |= {"boxes": grid.boxes, "labels": grid.labels}
    elif isinstance(grid, TokenNodes):
        told |= {"places": grid.places, "labels": grid.labels}
    if grid.line is not None:
        told["line"] = lines.setdefault(grid.line, len(lines))
    return told


def grid_of(given: Grid, lines: Sequence[Line]) -> TokenGrid:
    """Return the grid that a header describes.

    Raises:
        NlvizError: when its parts do not fit together.
    """
    line = None
    if given.line is not None:
        line = _numbered(lines, given.line)
        require(
            line.size == given.prefix,
            f"each of {given.prefix} tokens without a place is a word, got {line.size} words",
        )
    common: dict[str, Any] = {
        "shape": given.shape,
        "stride": given.stride,
        "origin": given.origin,
        "prefix": given.prefix,
        "off": given.off,
        "line": line,
    }
    if given.kind == "line":
        require(given.words is not None, "a line must have words")
        own = _numbered(lines, given.words or 0)
        return TokenLine(**common, words=own.words, spans=own.spans, special=own.special)
    if given.kind == "boxes":
        return TokenBoxes(**common, boxes=given.boxes, labels=given.labels)
    if given.kind == "nodes":
        return TokenNodes(**common, places=given.places, labels=given.labels)
    return TokenGrid(**common)


def described_line(line: Line) -> dict[str, Any]:
    """Return what the header says of words."""
    return {"words": line.words, "spans": line.spans, "special": sorted(line.special)}


def line_of(given: WordsRecord) -> Line:
    """Return the words that a header describes.

    Raises:
        NlvizError: when spans or special words are not theirs.
    """
    count = len(given.words)
    require(len(given.spans) in (0, count), f"{count} words have as many spans, or none")
    require(all(a <= b for a, b in given.spans), "a span must end where it begins, or later")
    require(
        all(n < count for n in given.special), f"special words are numbers from 0 to {count - 1}"
    )
    return Line(given.words, given.spans, frozenset(given.special))


def described_text(text: Text) -> dict[str, Any]:
    """Return what the header says of a text beside what it says of every clip."""
    tokens = described_line(Line(text.tokens, text.spans, text.special))
    return {"text": text.text, "written": text.written, "tokens": tokens}


def _numbered(lines: Sequence[Line], number: int) -> Line:
    require(number < len(lines), f"words are those of a list of {len(lines)}, got {number}")
    return lines[number]
