"""Figures of one head for one query, by which an atlas is sorted and coloured: a registry.

A module that knows another figure adds it to ``FIGURES`` with ``add_figure``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from nlviz.affinity.asked import Query, query_number, rows_at
from nlviz.affinity.attention_map import AttentionMap
from nlviz.analysis.knock_out import TOP, knock_out
from nlviz.analysis.mean_position import known_position, position_only
from nlviz.analysis.sinks import sinks
from nlviz.analysis.statistics import RowStatistics
from nlviz.captures.capture import Capture
from nlviz.errors import NlvizError, did_you_mean
from nlviz.progress import Progress
from nlviz.sentences import fixed

Unit = Literal["share", "pixels", "keys", "nats", "multiple", "change"]
Takes = Literal["row", "rows", "passes"]


class AskedHead(NamedTuple):
    """What a figure is measured from: the rows of one query in all heads of a layer.

    Attributes:
        capture: that they are of.
        block: name of the layer.
        query: as it was asked for.
        maps: the row of each head.
        statistics: of each row.
        progress: to be told where it takes long.
    """

    capture: Capture
    block: str
    query: Query
    maps: tuple[AttentionMap, ...]
    statistics: tuple[RowStatistics, ...]
    progress: Progress


Measure = Callable[[AskedHead], Iterable[float | None]]


@dataclass(frozen=True)
class Figure:
    """A number that each head has for a query.

    Attributes:
        name: in Python, files and addresses.
        label: what people call it.
        definition: a sentence with its formula, and its source where it has one.
        unit: of the number.
        takes: what it is computed from: the query's own ``row``, the ``rows`` of all queries, or
            ``passes`` of the network.
        measure: returns the number of each head, None where it cannot be told; an ``NlvizError``
            says so for all.

    >>> FIGURES["own_frame"].text(0.25), FIGURES["effective"].text(None)
    ('25 %', 'not told')
    """

    name: str
    label: str
    definition: str
    unit: Unit
    takes: Takes
    measure: Measure

    def text(self, value: float | None) -> str:
        """Return a value of it in its unit."""
        if value is None or math.isnan(value):
            return "not told"
        if self.unit in ("share", "change"):
            return f"{fixed(100 * value, 0 if abs(value) >= 0.0995 or value == 0 else 1)} %"
        digits = 0 if abs(value) >= 99.5 else 1 if abs(value) >= 9.95 else 2
        number = fixed(value, digits)
        return number + {"pixels": " px", "multiple": "×", "nats": " nats"}.get(self.unit, "")


FIGURES: dict[str, Figure] = {}


def add_figure(figure: Figure) -> Figure:
    """Add a figure to the registry; one of its name is replaced."""
    FIGURES[figure.name] = figure
    return figure


def figure_of(name: str) -> Figure:
    """Return a figure by its name.

    Raises:
        NlvizError: when there is none; the sentence names close ones.

    >>> figure_of("efective")
    Traceback (most recent call last):
    nlviz.errors.NlvizError: no figure is called 'efective'; did you mean 'effective'?
    """
    if name not in FIGURES:
        raise NlvizError(f"no figure is called {name!r}{did_you_mean(name, FIGURES)}")
    return FIGURES[name]


def _peak(asked: AskedHead) -> list[float | None]:
    return [_strongest(row) for row in asked.maps]


def _strongest(row: AttentionMap) -> float | None:
    """Return the largest weight of another key, as a multiple of uniform; None without one."""
    seen = np.ones(row.weights.shape, bool) if row.reachable is None else row.reachable.copy()
    if row.has_own:
        seen[row.keys.unravel(row.own)] = False
    return float(row.weights[seen].max() / row.uniform) if seen.any() else None


def _own_cell(asked: AskedHead) -> list[float | None]:
    return [
        float(row.weights.ravel()[row.own]) if row.has_own and row.values == "weights" else None
        for row in asked.maps
    ]


def _off_grid(asked: AskedHead) -> list[float | None]:
    return [row.off_grid if row.keys.prefix else None for row in asked.maps]


def _on_sinks(asked: AskedHead) -> list[float | None]:
    """Return the share of the row that lies on the sinks of its head."""
    affinity = asked.capture.affinities[asked.block]
    found = sinks(asked.capture, blocks=[asked.block], values=False)[asked.block]
    row = rows_at(affinity, [query_number(affinity, asked.query)])
    return [float(share) for share in found.on_sinks(row)[:, 0]]


def _position(asked: AskedHead) -> list[float | None]:
    """Return the part of how the row varies that the mean row of its position accounts for."""
    mean = known_position(asked.capture, asked.block)
    if mean is None:
        raise NlvizError(
            f"mean rows of {asked.block} over other clips are not known; take them below Position, "
            "or with nlviz.mean_position"
        )
    share = position_only(asked.capture, asked.block, asked.query, mean=mean)
    return [explained for _, explained, _ in share.of_heads]


def _knocked_out(asked: AskedHead) -> list[float | None]:
    """Return how much the block's output changes without the strongest links of one head."""
    found: list[float | None] = []
    for head in range(len(asked.maps)):
        asked.progress(f"Cutting links of {asked.block}, head {head + 1}", head / len(asked.maps))
        cut = knock_out(
            asked.capture, asked.block, asked.query, heads=[head], seeds=1, logits=False
        )
        if cut.cut.output is None:
            raise NlvizError(next(iter(cut.notes), f"values of {asked.block} are not known"))
        found.append(cut.cut.output)
    return found


for _figure in (
    Figure(
        "effective",
        "Effective keys",
        "exp(H) of the row, H its entropy: 1 where one key has all, the number of keys where all "
        "have the same",
        "keys",
        "row",
        lambda asked: (s.effective for s in asked.statistics),
    ),
    Figure(
        "entropy",
        "Entropy",
        "H = -sum p ln p of the row, in nats; what lies on tokens without a place counts as one "
        "more key",
        "nats",
        "row",
        lambda asked: (
            None if s.effective is None else math.log(s.effective) for s in asked.statistics
        ),
    ),
    Figure(
        "own_frame",
        "Own-frame mass",
        "share of the row's weight that lies in the query's own frame",
        "share",
        "row",
        lambda asked: (s.own_frame for s in asked.statistics),
    ),
    Figure(
        "pixels",
        "Mean distance",
        "mean distance in the picture from the query to its keys, weighted by the row",
        "pixels",
        "row",
        lambda asked: (s.pixels for s in asked.statistics),
    ),
    Figure(
        "peak",
        "Strongest key",
        "largest weight of another key, as a multiple of uniform attention",
        "multiple",
        "row",
        _peak,
    ),
    Figure(
        "own_cell",
        "Own cell",
        "weight that the query gives to its own cell",
        "share",
        "row",
        _own_cell,
    ),
    Figure(
        "off_grid",
        "Mass without a place",
        "share of the row that lies on tokens without a place: class token, registers, words",
        "share",
        "row",
        _off_grid,
    ),
    Figure(
        "sink",
        "Sink mass",
        "share of the row that lies on keys to which most queries give much, whatever is asked "
        "(Xiao et al. 2023, arXiv 2309.17453); 0 where the head has no sink",
        "share",
        "rows",
        _on_sinks,
    ),
    Figure(
        "position",
        "Position",
        "r^2 of the row and the mean row of its position over other clips, without the own cell: "
        "how much of how it varies follows from where the query is; told where mean rows come with "
        "the network, or were taken before",
        "share",
        "rows",
        _position,
    ),
    Figure(
        "knock_out",
        "Knock-out effect",
        f"|y' - y| / |y| of the block's output at the query, all heads together, when the {TOP} "
        "strongest links of this head are cut and what is left keeps their sum",
        "change",
        "passes",
        _knocked_out,
    ),
):
    add_figure(_figure)

OF_THE_ROW = tuple(name for name, figure in FIGURES.items() if figure.takes == "row")
