"""The clips in which a head does what it usually does, and those in which it does something else.

A clip's figures x_f, its means over queries, are compared with the head's medians over clips m_f in
robust units s_f: 1.4826 times the median of |x_f - m_f|, and a hundredth of the figure's range at
least (of a share 0.01, of a correlation 0.02, of others a hundredth of m_f). Effective keys and
multiples are compared by their logarithms. The distance of the clip is

    sqrt(mean over f of min(|x_f - m_f| / s_f, 10)^2)

over all figures of queries and heads that were measured, cuts aside. The query that stands for a
typical clip is nearest to the clip's own means in these units, that of an untypical one farthest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nlviz.surveys.figures import FIGURES
from nlviz.surveys.report.clip_means import ClipMeans, batches, coded, floats
from nlviz.surveys.report.said import figure_text, value_text

MOST = 10  # clips of each kind that are shown
CAP = 10.0  # units that a figure counts at most
LOGARITHMIC = ("keys", "multiple")
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Example:
    """A clip that is typical of a head, or least so, with the query to look at.

    Attributes:
        clip: number among ``ClipMeans.digests``.
        distance: from the head's medians, in robust units.
        why: figures in words.
        query: number of the query; frame, y, x its place; None where no row was found.
        frame, y, x: see ``query``: sampled frame and pixels of the clip as it was read.
    """

    clip: int
    distance: float
    why: str
    query: int | None = None
    frame: float = 0.0
    y: float = 0.0
    x: float = 0.0


@dataclass(frozen=True)
class Typical:
    """The examples of one head, most and least typical first."""

    most: tuple[Example, ...]
    least: tuple[Example, ...]


def typical(means: ClipMeans, rows: Any, count: int = MOST) -> list[Typical]:
    """Return the most and least typical clips of each head.

    Args:
        means: of the clips.
        rows: that they were computed from: a ``pyarrow`` table or dataset, read once more.
        count: clips of each kind; never more than half of all.
    """
    figures = compared(means.figures)
    picked = [means.figures.index(name) for name in figures]
    values = _scaled(means.values[..., picked], figures)
    middle, unit = _units(values, figures)
    with np.errstate(invalid="ignore"):
        away = (values - middle) / unit
    distance = _distance(away)
    chosen = _chosen(distance, count)
    asked = {(c, h): far for h, sides in enumerate(chosen) for far in (0, 1) for c in sides[far]}
    found = _queries(means, rows, figures, asked, values, unit)
    out = []
    for head, sides in enumerate(chosen):
        kinds = []
        for far in (0, 1):
            examples = []
            for clip in sides[far]:
                why = _why(means, figures, away[clip, head], middle[head], clip, head, far)
                place = found.get((clip, head), (None, 0.0, 0.0, 0.0))
                examples.append(Example(clip, float(distance[clip, head]), why, *place))
            kinds.append(tuple(examples))
        out.append(Typical(*kinds))
    return out


def compared(figures: Sequence[str]) -> list[str]:
    """Return the figures that clips are compared by: of queries and heads, without cuts.

    >>> compared(["effective", "receipt", "knock_out", "concentration"])
    ['effective', 'concentration']
    """
    return [f for f in figures if FIGURES[f].of != "block" and not FIGURES[f].on_request]


def _scaled(values: npt.NDArray[np.floating], figures: Sequence[str]) -> Floats:
    out = values.astype(np.float64)
    for n, name in enumerate(figures):
        if FIGURES[name].unit in LOGARITHMIC:
            with np.errstate(divide="ignore", invalid="ignore"):
                out[..., n] = np.where(out[..., n] > 0, np.log(out[..., n]), np.nan)
    return out


def _units(values: Floats, figures: Sequence[str]) -> tuple[Floats, Floats]:
    """Return median and unit of each head and figure over clips, (heads, figures)."""
    middle = _median(values)
    unit = 1.4826 * _median(np.abs(values - middle))
    for n, name in enumerate(figures):
        kind = FIGURES[name].unit
        least: npt.ArrayLike = {"share": 0.01, "correlation": 0.02}.get(kind, np.nan)
        if kind in LOGARITHMIC:
            least = 0.01
        elif np.isnan(least):
            least = np.maximum(0.01 * np.abs(middle[:, n]), 1e-12)
        unit[:, n] = np.maximum(unit[:, n], least)
    return middle, unit


def _median(values: Floats) -> Floats:
    """Return the median over clips; not a number where no clip has a value."""
    ranked = np.sort(values, 0)  # not a number is last
    told = np.isfinite(ranked).sum(0)
    at = np.maximum(told - 1, 0)
    low = np.take_along_axis(ranked, (at // 2)[None], 0)[0]
    high = np.take_along_axis(ranked, ((at + 1) // 2)[None], 0)[0]
    middle: Floats = np.where(told > 0, (low + high) / 2, np.nan)
    return middle


def _distance(away: Floats) -> Floats:
    """Return the root of the mean square over figures that are told; not a number without any."""
    told = np.isfinite(away)
    squares = np.where(told, np.minimum(np.abs(np.nan_to_num(away)), CAP) ** 2, 0).sum(-1)
    count = told.sum(-1)
    distance: Floats = np.sqrt(squares / np.where(count > 0, count, np.nan))
    return distance


def _chosen(distance: Floats, count: int) -> list[tuple[list[int], list[int]]]:
    """Return numbers of the nearest and the farthest clips of each head; ties by digest."""
    out = []
    for head in range(distance.shape[1]):
        of = distance[:, head]
        order = [int(n) for n in np.argsort(of, kind="stable") if np.isfinite(of[n])]
        near = order[: min(count, (len(order) + 1) // 2)]
        far = order[::-1][: min(count, len(order) // 2)]
        out.append((near, far))
    return out


def _why(
    means: ClipMeans,
    figures: Sequence[str],
    away: Floats,
    middle: Floats,
    clip: int,
    head: int,
    far: int,
) -> str:
    order = [n for n in np.argsort(-np.abs(np.nan_to_num(away))) if np.isfinite(away[n])]
    parts = []
    for n in order[: 2 if far else 1]:
        usual = float(middle[n])
        if FIGURES[figures[n]].unit in LOGARITHMIC:
            usual = float(np.exp(usual))
        text = figure_text(figures[n], float(means.of(figures[n])[clip, head]))
        parts.append(f"{text} against {value_text(figures[n], usual)}")
    if not parts:
        return ""
    return ", ".join(parts) if far else f"farthest from usual: {parts[0]}"


def _queries(
    means: ClipMeans,
    rows: Any,
    figures: Sequence[str],
    asked: dict[tuple[int, int], int],
    values: Floats,
    unit: Floats,
) -> dict[tuple[int, int], tuple[int, float, float, float]]:
    """Return number and place of the query for each (clip, head): the nearest, or the farthest."""
    import pyarrow as pa

    of_queries = [n for n, name in enumerate(figures) if FIGURES[name].of == "query"]
    places = ["query", "frame", "y", "x"]
    names = [figures[n] for n in of_queries]
    pairs = list(asked)
    sign = np.array([-1.0 if far else 1.0 for far in asked.values()])
    clip_of = {digest: n for n, digest in enumerate(means.digests)}
    head_of = {key: n for n, key in enumerate(means.heads)}
    number = np.full((len(means.digests) + 1, len(means.heads)), -1, np.int64)
    for n, pair in enumerate(pairs):
        number[pair] = n
    found: list[Floats] = []
    for batch in batches(rows, ["digest", "block", "head", *places, *names]):
        if not batch.num_rows:
            continue
        digest, digests = coded(batch.column("digest"))
        block, blocks = coded(batch.column("block"))
        head = batch.column("head").to_numpy(zero_copy_only=False).astype(np.int64)
        clip = np.array([clip_of.get(d, -1) for d in digests], np.int64)[digest]
        code, back = np.unique(block * (1 << 16) + head, return_inverse=True)
        known = [head_of.get((blocks[c >> 16], c & 0xFFFF), -1) for c in code.tolist()]
        slot = np.array(known, np.int64)[back]
        at = np.where(slot >= 0, number[clip, np.maximum(slot, 0)], -1)
        kept = np.flatnonzero(at >= 0)
        if not len(kept):
            continue
        part = batch.take(pa.array(kept))
        at, clip, slot = at[kept], clip[kept], slot[kept]
        distance = np.zeros(len(kept))
        if names:
            own = _scaled(np.stack([floats(part.column(name)) for name in names], 1), names)
            away = (own - values[clip, slot][:, of_queries]) / unit[slot][:, of_queries]
            distance = np.nan_to_num(_distance(away))
        place = [floats(part.column(name)) for name in places]
        found.append(_first(np.stack([at, sign[at] * distance, *place], 1)))
    if not found:
        return {}
    best = _first(np.concatenate(found))
    return {
        pairs[int(line[0])]: (int(line[2]), float(line[3]), float(line[4]), float(line[5]))
        for line in best
    }


def _first(lines: Floats) -> Floats:
    """Return of each pair the line of the least distance; ties by the number of the query."""
    order = np.lexsort((lines[:, 2], lines[:, 1], lines[:, 0]))
    lines = lines[order]
    new = np.concatenate([[True], lines[1:, 0] != lines[:-1, 0]])
    first: Floats = lines[new]
    return first
