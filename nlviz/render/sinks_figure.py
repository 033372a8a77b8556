"""Sinks of all heads as a page for print, and the same as data."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from nlviz.analysis.block_sinks import Sinks
from nlviz.errors import NlvizError
from nlviz.files.local import suffix_of, write_whole
from nlviz.render.sheet import CONTENT, GREY, INK, MARGIN, Sheet
from nlviz.render.text_drawing import shortened, wrapped
from nlviz.sentences import counted, fixed
from nlviz.words.numbers import multiple_text
from nlviz.words.sinks import KINDS as DOES
from nlviz.words.sinks import SINK_RULE

KINDS = ("png", "pdf", "svg", "json")
FORMAT = "nlviz-sinks"
MOST = 48  # heads that have a row on a page, those whose strongest key receives most
_HEAD, _ROW, _LINE = 150, 34, 28
_BAR = 330  # pixels of the longest bar
_COLOURS = {
    "none": (200, 204, 210),
    "off": (63, 127, 208),
    "broadcast": (217, 72, 28),
    "neither": (233, 159, 38),
    "unknown": (160, 164, 170),
}
_LEFT = (0, 430, 700, 1100, 1440, 1560)  # of the columns, from the margin


def sinks_bytes(found: Sinks, kind: str, *, title: str = "") -> bytes:
    """Return the sinks of all heads as a ``png``, ``pdf``, ``svg`` or ``json`` file.

    Args:
        found: the sinks.
        kind: of the file.
        title: first line of the page, the clip and the network for instance.

    Raises:
        NlvizError: for another kind.
    """
    if kind not in KINDS:
        raise NlvizError(f"sinks are saved as {', '.join(KINDS)}, got {kind!r}")
    told = {
        "format": FORMAT,
        "title": title,
        "rule": SINK_RULE,
        "heads": found.table(),
        "not_told": dict(found.refused),
    }
    data = json.dumps(told)
    if kind == "json":
        return data.encode()
    sheet = _sheet(found, title)
    if kind == "png":
        return sheet.png(key=FORMAT, metadata=data)
    return sheet.vector("pdf" if kind == "pdf" else "svg", title="Sinks", metadata=data)


def save_sinks(found: Sinks, path: str | Path, *, title: str = "") -> Path:
    """Write the sinks of all heads: .png, .pdf, .svg a page, .json the numbers.

    Raises:
        NlvizError: for another ending, or when the file cannot be written.
    """
    return write_whole(
        path, sinks_bytes(found, suffix_of(path, KINDS, what="a page of sinks"), title=title)
    )


def _sheet(found: Sinks, title: str) -> Sheet:
    records = sorted(found.table(), key=lambda r: -(r["multiple"] or 0.0))
    shown = sorted(records[:MOST], key=found.table().index)
    rest = len(records) - len(shown)
    told = wrapped(SINK_RULE, 18, CONTENT)
    if rest:
        told = [f"{counted(rest, 'head')} whose strongest key receives less are left out.", *told]
    sheet = Sheet(CONTENT + 2 * MARGIN, _HEAD + _ROW * len(shown) + _LINE * len(told) + 3 * MARGIN)
    heading = f"Sinks · {title}" if title else "Sinks"
    sheet.text(
        (MARGIN, MARGIN + 28), shortened(heading, 30, CONTENT, bold=True), 30, INK, bold=True
    )
    about = "What the key receives that gets most from all queries, in multiples of uniform rows."
    sheet.text((MARGIN, MARGIN + 64), about, 20, GREY)
    names = ("Block, head", "What it does", "Key", "× uniform, logarithmic", "|v|", "rank A·V, V")
    for left, name in zip(_LEFT, names, strict=True):
        sheet.text((MARGIN + left, _HEAD), name, 18, GREY)
    largest = max((r["multiple"] or 1.0 for r in shown), default=1.0)
    several = any(of.heads > 1 for of in found.values())
    for i, record in enumerate(shown):
        _row(sheet, record, _HEAD + _ROW * (i + 1), largest, several)
    top = _HEAD + _ROW * (len(shown) + 1) + MARGIN
    for i, line in enumerate(told):
        sheet.text((MARGIN, top + _LINE * i), line, 18, GREY)
    return sheet


def _row(sheet: Sheet, record: dict[str, Any], y: int, largest: float, several: bool) -> None:
    x = [MARGIN + left for left in _LEFT]
    own = f", {record['head']}" if several else ""
    sheet.text((x[0], y), shortened(f"{record['block']}{own}", 18, _LEFT[1] - 16), 18, INK)
    sheet.text((x[1], y), DOES[record["kind"]], 18, INK, bold=record["sinks"] > 0)
    sheet.text((x[2], y), shortened(str(record["where"]), 18, _LEFT[3] - _LEFT[2] - 16), 18, INK)
    multiple = max(record["multiple"] or 0.0, 1.0)
    long = max(_BAR * math.log(multiple) / math.log(max(largest, 1.001)), 2.0)
    colour = _COLOURS[record["kind"]]
    sheet.box((x[3], y - 16, x[3] + 0.65 * long, y + 2), fill=colour, radius=3)
    sheet.text((x[3] + 0.65 * long + 8, y), multiple_text(record["multiple"] or 0.0), 18, INK)
    if record["value_ratio"] is not None:
        sheet.text((x[4], y), fixed(record["value_ratio"], 2), 18, INK)
        ranks = f"{fixed(record['rank_output'], 1)}, {fixed(record['rank_values'], 1)}"
        sheet.text((x[5], y), ranks, 18, INK)
