"""The figure of a knock-out: what a cut changes beside what others change, for a page of print."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

from nlviz.analysis.knocked_out import KnockOut
from nlviz.captures.capture import Capture
from nlviz.errors import NlvizError
from nlviz.files.local import suffix_of, write_whole
from nlviz.render.sheet import CONTENT, GREY, INK, MARGIN, RULE, Sheet
from nlviz.render.text_drawing import Colour, missing_note, shortened, wrapped
from nlviz.words.knock_out import (
    UNDER_REPORTS,
    CutChart,
    knock_out_charts,
    knock_out_sentence,
    missing_controls,
)

KINDS = ("png", "pdf", "svg", "csv", "json")  # what a knock-out is saved as
FORMAT = "nlviz.knock_out"
OWN: Colour = (217, 72, 28)
OTHERS: Colour = (92, 102, 116)
NAMES, VALUES = 620, 330  # widths of the columns with what is cut and what it changes
ROW, HEAD, LINE = 62, 74, 30
GAP = 46
BOLD = 0.86  # of a line is filled with bold letters, which are wider than those that lines count


def save_knock_out(found: KnockOut, path: str | Path, *, capture: Capture | None = None) -> Path:
    """Save a knock-out as the kind of file that the path's ending asks for.

    .png, .pdf and .svg the figure, .csv its table, .json the table, the links that were cut and
    what they were cut in. The file is written whole or not at all.

    Args:
        found: what to save.
        path: of the file.
        capture: that it is of, named in the file.

    Raises:
        NlvizError: for another ending, or when the file cannot be written.
    """
    kind = suffix_of(path, KINDS, what="a knock-out")
    return write_whole(path, knock_out_bytes(found, kind, capture=capture))


def knock_out_bytes(found: KnockOut, kind: str, *, capture: Capture | None = None) -> bytes:
    """Return the bytes of a file of this kind, see :func:`save_knock_out`.

    Raises:
        NlvizError: when there is no such kind.

    >>> import nlviz
    >>> from nlviz.resources import asset
    >>> clip = nlviz.read_clip(asset("photos/coffee.jpg"), size=64)
    >>> capture = nlviz.load_model("lite-nl").capture(clip)
    >>> found = nlviz.knock_out(capture, "stage4", (0, 20, 30), 5, logits=False)
    >>> knock_out_bytes(found, "csv").decode().splitlines()[0]
    'cut,draws,weight,in common,output,output least,output most'
    """
    if kind == "csv":
        return _csv(found)
    text = json.dumps(_told(found, capture), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    if kind == "json":
        return text.encode()
    if kind not in KINDS:
        raise NlvizError(f"a knock-out is saved as {', '.join(KINDS)}, got {kind!r}")
    sheet = knock_out_sheet(found, capture=capture)
    if kind == "png":
        return sheet.png(key=FORMAT, metadata=text)
    title = knock_out_sentence(found)
    return sheet.vector("pdf" if kind == "pdf" else "svg", title=title, metadata=text)


def knock_out_sheet(found: KnockOut, *, capture: Capture | None = None) -> Sheet:
    """Lay out the figure: the sentence, a line of each cut for every figure, notes."""
    charts = knock_out_charts(found)
    title = wrapped(knock_out_sentence(found), 34, BOLD * CONTENT)
    about = _about(found, capture)
    notes = " ".join(
        [
            *(f"{chart.name}: {chart.help}." for chart in charts),
            "A line runs from the least to the most of the draws, a dot is one of them.",
            f"{UNDER_REPORTS}.",
            *missing_controls(found),
            *found.notes,
            missing_note([*title, about, found.label]),
        ]
    )
    lines = wrapped(notes.strip(), 20, CONTENT)
    top = MARGIN + 44 * len(title) + 62
    panel = HEAD + ROW * max((len(chart.rows) for chart in charts), default=0)
    foot = top + (panel + GAP) * len(charts)
    sheet = Sheet(CONTENT + 2 * MARGIN, int(foot + LINE * len(lines) + MARGIN))
    for number, line in enumerate(title):
        sheet.text((MARGIN, MARGIN + 32 + 44 * number), line, 34, INK, bold=True)
    sheet.text((MARGIN, top - 30), shortened(about, 22, CONTENT), 22, GREY)
    for number, chart in enumerate(charts):
        _panel(sheet, chart, top + (panel + GAP) * number)
    for number, line in enumerate(lines):
        sheet.text((MARGIN, foot + 22 + LINE * number), line, 20, GREY)
    return sheet


def _panel(sheet: Sheet, chart: CutChart, top: float) -> None:
    """Draw one figure of all cuts, below each other on one scale from zero."""
    sheet.text((MARGIN, top + 26), chart.name, 24, INK, bold=True)
    left, right = MARGIN + NAMES, MARGIN + CONTENT - VALUES
    for number, row in enumerate(chart.rows):
        y = top + HEAD + ROW * number
        colour = OWN if number == 0 else OTHERS
        sheet.text((MARGIN, y + 8), shortened(row.label, 22, NAMES - 20), 22, INK)
        sheet.lines([((left, y), (right, y))], RULE, line=2)
        places = [(left + value / chart.end * (right - left), y) for value in row.values]
        if len(places) > 1:
            sheet.lines([(min(places), max(places))], colour, line=6, above=4)
        sheet.dots(places, 9 if number == 0 else 7, colour, above=5)
        sheet.text((MARGIN + CONTENT, y + 8), row.text, 22, INK, align="r")


def _about(found: KnockOut, capture: Capture | None) -> str:
    parts = [] if capture is None else [capture.about.name, capture.clip.name]
    answer = "" if not found.label else f"answer “{found.label}”"
    return " · ".join(filter(None, [*parts, found.block, f"from {found.query}", answer]))


def _told(found: KnockOut, capture: Capture | None) -> Mapping[str, Any]:
    of = {}
    if capture is not None:
        of = {
            "clip": {"name": capture.clip.name, "digest": capture.clip.digest},
            "model": {"name": capture.about.name, "digest": capture.about.digest},
        }
    greedy = found.greedy
    return {
        "format": FORMAT,
        "version": 1,
        **of,
        "block": found.block,
        "query": {"name": found.query, "number": found.number},
        "sentence": knock_out_sentence(found),
        "answer": {"label": found.label, "probability": found.probability},
        "heads": None if found.heads is None else list(found.heads),
        "keys": list(found.cut.keys),
        "table": found.table(),
        "single": list(found.single),
        "greedy": None
        if greedy is None
        else {"keys": list(greedy.keys), "output": list(greedy.changes)},
        "notes": [*missing_controls(found), *found.notes],
    }


def _csv(found: KnockOut) -> bytes:
    table = found.table()
    columns = list(dict.fromkeys(name for row in table for name in row))
    kept = [c for c in columns if any(row.get(c) is not None for row in table)]
    text = StringIO()
    writer = csv.DictWriter(text, kept, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    return text.getvalue().encode()
