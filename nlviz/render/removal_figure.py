"""Deletion and insertion as a page for print, and the same as data."""

from __future__ import annotations

import json
from pathlib import Path

from matplotlib.colors import to_rgb

from nlviz.analysis.compared_maps import BY_CHANCE, OWN
from nlviz.analysis.deletion import Deletion
from nlviz.errors import NlvizError
from nlviz.files.local import suffix_of, write_whole
from nlviz.render.removal_charts import colour_of
from nlviz.render.sheet import CONTENT, GREY, INK, MARGIN, Sheet
from nlviz.render.text_drawing import shortened, wrapped
from nlviz.sentences import fixed
from nlviz.words.deletion import (
    FILL_NAMES,
    MAP_NAMES,
    deletion_sentence,
    insertion_sentence,
    measured,
)

KINDS = ("png", "pdf", "svg", "json")
FORMAT = "nlviz-deletion"
_HEAD, _CHART, _ROW, _LINE = 132, 520, 36, 30


def deletion_bytes(found: Deletion, kind: str) -> bytes:
    """Return deletion and insertion as a ``png``, ``pdf``, ``svg`` or ``json`` file.

    Raises:
        NlvizError: for another kind.
    """
    if kind not in KINDS:
        raise NlvizError(f"deletion is saved as {', '.join(KINDS)}, got {kind!r}")
    data = json.dumps({"format": FORMAT, **found.to_json()})
    if kind == "json":
        return data.encode()
    sheet = _sheet(found)
    if kind == "png":
        return sheet.png(key=FORMAT, metadata=data)
    title = f"Deletion and insertion, {found.block} of {found.clip.name}"
    return sheet.vector("pdf" if kind == "pdf" else "svg", title=title, metadata=data)


def save_deletion(found: Deletion, path: str | Path) -> Path:
    """Write deletion and insertion: .png, .pdf, .svg a page, .json the numbers.

    Raises:
        NlvizError: for another ending, or when the file cannot be written.
    """
    kind = suffix_of(path, KINDS, what="deletion")
    return write_whole(path, deletion_bytes(found, kind))


def _sheet(found: Deletion) -> Sheet:
    said = [
        line
        for sentence in (deletion_sentence(found), insertion_sentence(found))
        for line in wrapped(sentence, 20, CONTENT)
    ]
    table = found.table
    high = _HEAD + _CHART + _ROW * (len(table) + 1) + _LINE * len(said) + 2 * MARGIN
    sheet = Sheet(CONTENT + 2 * MARGIN, high)
    title = f"{found.clip.name} · {found.block}, query {found.query}"
    sheet.text((MARGIN, MARGIN + 28), shortened(title, 30, CONTENT, bold=True), 30, INK, bold=True)
    about = (
        f"{measured(found.of, found.label)[:1].upper()}{measured(found.of, found.label)[1:]} as "
        f"cells are taken out and put back. In their place: {FILL_NAMES[found.fill].lower()}."
    )
    sheet.text((MARGIN, MARGIN + 64), shortened(about, 20, CONTENT), 20, GREY)
    half = (CONTENT - 60) // 2
    for at, kind in enumerate(("deletion", "insertion")):
        left = MARGIN + at * (half + 60)
        _chart(sheet, found, kind, left, half)
    top = _HEAD + _CHART + MARGIN
    columns = (MARGIN + 40, MARGIN + 700, MARGIN + 1200)
    for x, text in zip(columns, ("Area under the curve", "deletion", "insertion"), strict=True):
        sheet.text((x, top), text, 20, GREY)
    for row in table:
        top += _ROW
        colour = _colour(row["map"])
        own = row["map"] == OWN
        sheet.box((MARGIN, top - 16, MARGIN + 26, top - 4), fill=colour, radius=3)
        many = f" ({row['tries']})" if row["map"] in BY_CHANCE else ""
        sheet.text((columns[0], top), MAP_NAMES[row["map"]] + many, 20, INK, bold=own)
        for x, kind in zip(columns[1:], ("deletion", "insertion"), strict=True):
            text = fixed(row[kind], 3)
            if row[f"{kind}_low"] is not None:
                low, upper = (fixed(row[f"{kind}_{end}"], 3) for end in ("low", "high"))
                text += f"   95 %: {low} to {upper}"
            sheet.text((x, top), text, 20, INK, bold=own)
    top += _ROW
    for line in said:
        top += _LINE
        sheet.text((MARGIN, top), line, 20, INK)
    return sheet


def _chart(sheet: Sheet, found: Deletion, kind: str, left: int, wide: int) -> None:
    out = "taken out" if kind == "deletion" else "put back"
    sheet.text((left, _HEAD + 24), f"{kind.capitalize()}: cells {out}", 20, INK, bold=True)
    axes = sheet.chart((left + 70, _HEAD + 44, left + wide, _HEAD + _CHART - 40))
    for name in found.names:
        curves = found.of_map(name)
        lines = [getattr(curve, kind) for curve in curves]
        rgb = to_rgb(colour_of(name))
        shares = 100 * curves[0].shares
        for line in lines:
            single = len(lines) == 1
            axes.plot(
                shares,
                line,
                color=rgb,
                marker="o" if single else None,
                linewidth=1.6 if name == OWN else 0.8,
                alpha=1.0 if single else 0.55,
                zorder=5 if name == OWN else 3,
            )
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0f} %")


def _colour(name: str) -> tuple[int, int, int]:
    red, green, blue = (round(255 * v) for v in to_rgb(colour_of(name)))
    return red, green, blue
