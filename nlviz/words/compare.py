"""How far two views of one query agree, and where they differ, in words."""

from __future__ import annotations

from nlviz.analysis.common_ground import CommonGround, Measured
from nlviz.analysis.compare import Comparison
from nlviz.sentences import counted
from nlviz.words.health import Line
from nlviz.words.numbers import change_text, percent_text

FEW_CELLS = 24  # of fewer, ranks say next to nothing
ONE_SCALE = "One colour scale for both maps."
HOW = (
    "On the coarser grid of both. Distance alone: a Gaussian of the distance to the query in the "
    "place of one of the two. Chance: one map shifted over the cells as a torus, which keeps its "
    "smoothness; 95 % of the shifts lie in between"
)


def comparison_lines(found: Comparison) -> list[Line]:
    r"""Return how far the maps of a comparison agree, beside distance and chance.

    >>> measured = Measured(0.61, 0.2, 0.0, -0.1, 0.12)
    >>> ground = CommonGround(measured, measured, measured, 9, 90, (1, 8, 8), (1, 1), (5, 5), 89)
    >>> [line.value for line in ground_lines(ground)]
    ['0.61', '61\xa0%', '61\xa0%']
    """
    if found.ground is None:
        return []
    return ground_lines(found.ground)


def ground_lines(ground: CommonGround) -> list[Line]:
    """Return the measures of two rows on common cells, in words."""
    if ground.cells < FEW_CELLS:
        few = counted(ground.cells, "cell")
        return [Line("", "", f"{few} in common are too few to say whether the two maps agree.")]
    rank = ground.correlation
    low, high = f"{rank.low:.2f}", f"{rank.high:.2f}"
    return [
        Line(
            f"{rank.value:.2f}",
            f"rank correlation of B with A on {ground.cells:,} cells; by chance {low} to {high}, "
            f"by distance alone {rank.distance:.2f}",
            _verdict(rank),
            HOW,
        ),
        _share(ground.overlap, f"of the {counted(ground.k, 'strongest cell')} in common"),
        _share(ground.mass, "of the weight on the same cells"),
    ]


def _share(measured: Measured, what: str) -> Line:
    value, high, near = (
        percent_text(share) for share in (measured.value, measured.high, measured.distance)
    )
    return Line(value, f"{what}; by chance up to {high}, by distance alone {near}", "", HOW)


def _verdict(rank: Measured) -> str:
    if rank.value > max(rank.high, rank.distance):
        return "They agree more than by chance, and more than maps that favour what is near."
    if rank.value > rank.high:
        return (
            "They agree more than by chance, but no more than maps that only favour what is near."
        )
    if rank.value < rank.low:
        return "One is strong where the other is weak, more than by chance."
    return "They agree no more than by chance."


FIGURES = {
    "effective": "effective number of keys",
    "cells": "keys in reach",
    "own_frame": "weight in the query's own frame",
    "pixels": "mean distance, px",
    "seconds": "mean distance, s",
    "off_grid": "weight on tokens without a place",
}


def figure_rows(found: Comparison) -> list[dict[str, str]]:
    """Return the figures of both rows in words: what each is, of A, of B, and their difference."""
    rows = []
    for row in found.table:
        name = row.get("figure")
        if name is None or (name == "off_grid" and not (row["a"] or row["b"])):
            continue
        share = name in ("own_frame", "off_grid")
        say = percent_text if share else _number
        sign = "+" if row["difference"] > 0 else ""
        change = change_text(row["difference"]) if share else sign + _number(row["difference"])
        rows.append(
            {"what": FIGURES[name], "A": say(row["a"]), "B": say(row["b"]), "B minus A": change}
        )
    return rows


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def comparison_sentences(found: Comparison) -> list[str]:
    """Return the caption of a comparison: how far the two agree, then what must be known."""
    told = []
    for line in comparison_lines(found):
        measure = f"{line.value} {line.label}."
        told += [measure[0].upper() + measure[1:]] if line.value else []
        told += [line.meaning] if line.meaning else []
    return [*told, *found.notes]
