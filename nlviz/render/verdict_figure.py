"""The verdict as a page: its sentence, the map it is about, every figure, and the rules."""

from __future__ import annotations

import json
from pathlib import Path

from nlviz.analysis.verdict import Verdict
from nlviz.errors import NlvizError
from nlviz.files.local import suffix_of, write_whole
from nlviz.render.colour_scale import scale_of
from nlviz.render.figure import sheet_of
from nlviz.render.frame_maps import Look
from nlviz.render.overlay import Overlay
from nlviz.render.sheet import CONTENT, GREY, INK, MARGIN, RULE, Sheet
from nlviz.render.text_drawing import shortened, wrapped
from nlviz.sentences import listed
from nlviz.words.map_verdict import (
    VERDICT_RULES,
    headline,
    verdict_lines,
    verdict_record,
    verdict_text,
)

KINDS = ("png", "pdf", "svg", "json")  # what a verdict is saved as
VALUES = 330  # width of the column of numbers
ROW = 40


def save_verdict(v: Verdict, path: str | Path) -> Path:
    """Save a verdict as .png, .pdf, .svg or .json, by the path's ending.

    Args:
        v: the verdict.
        path: where to; the file is written whole or not at all.

    Returns:
        The path.

    Raises:
        NlvizError: for another ending, or when the file cannot be written.
    """
    return write_whole(path, verdict_bytes(v, suffix_of(path, KINDS, what="a verdict")))


def verdict_bytes(v: Verdict, kind: str) -> bytes:
    """Return the bytes of a file of this kind, see :func:`save_verdict`.

    Args:
        v: the verdict.
        kind: ``png``, ``pdf``, ``svg`` or ``json``.

    Raises:
        NlvizError: for another kind.
    """
    if kind not in KINDS:
        raise NlvizError(f"a verdict is saved as {listed(KINDS)}, got {kind!r}")
    record = json.dumps(verdict_record(v), indent=1, allow_nan=False)
    if kind == "json":
        return record.encode()
    sheet = verdict_sheet(v)
    if kind == "png":
        return sheet.png(key="nlviz.verdict", metadata=record)
    return sheet.vector("pdf" if kind == "pdf" else "svg", title=headline(v), metadata=record)


def verdict_sheet(v: Verdict) -> Sheet:
    """Lay out the page: the map on top, sentence, figures and rules below it."""
    scale = scale_of(v.attention)
    page = sheet_of(
        Overlay(
            v.clip,
            v.attention,
            Look(scale),
            title=headline(v),
            about=f"{v.about.name}, {v.about.training} · {v.block}, {v.query} · {v.clip.name}",
        )
    )
    content = max(page.size[0] - 2 * MARGIN, CONTENT // 2)
    sentence = wrapped(verdict_text(v), 25, content)
    lines = verdict_lines(v)
    small = wrapped(" ".join([*v.notes, VERDICT_RULES]), 19, content)
    high = 20 + 34 * len(sentence) + 18 + ROW * len(lines) + 26 + 27 * len(small) + MARGIN // 2
    sheet = Sheet(content + 2 * MARGIN, high, below=page)
    y = 20
    for text in sentence:
        y += 34
        sheet.text((MARGIN, y - 8), text, 25, INK)
    y += 18
    for line in lines:
        sheet.lines([((MARGIN, y), (MARGIN + content, y))], RULE, line=1.5)
        sheet.text((MARGIN + VALUES - 24, y + 27), line.value, 22, INK, align="r", bold=True)
        label = shortened(line.label, 22, content - VALUES)
        sheet.text((MARGIN + VALUES, y + 27), label, 22, INK)
        y += ROW
    y += 26
    for text in small:
        y += 27
        sheet.text((MARGIN, y - 8), text, 19, GREY)
    return page
