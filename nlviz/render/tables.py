"""Tables beside a view: the strongest keys, and what speaks for or against a block's maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nlviz.analysis.statistics import BlockStatistics, RowStatistics
from nlviz.attention_map import AttentionMap
from nlviz.clip import Clip
from nlviz.picture import data_url


def top_keys(clip: Clip, attention: AttentionMap, *, k: int = 12) -> list[dict[str, Any]]:
    """Return the strongest keys of a row, one dict each, with a thumbnail as a data URL.

    The thumbnail is the square of pixels around the key's centre, one and a half cells wide.

    >>> import numpy as np
    >>> from nlviz.geometry import TokenGrid
    >>> clip = Clip.from_frames(np.zeros((1, 20, 30, 3), np.uint8))
    >>> grid = TokenGrid((1, 2, 3), (1, 10, 10), (0, 4.5, 4.5))
    >>> weights = np.arange(6, dtype=np.float32).reshape(1, 2, 3) / 15
    >>> rows = top_keys(clip, AttentionMap(weights, (0, 0, 0), grid), k=2)
    >>> [(r["y"], r["x"], round(r["multiple"], 1)) for r in rows]
    [(14.5, 24.5, 2.0), (14.5, 14.5, 1.6)]
    """
    side = max(round(1.5 * max(attention.keys.stride[1:])), 16)
    rows = []
    for link in attention.top(k):
        frame = int(np.clip(round(link.frame), 0, len(clip.times) - 1))
        patch = clip.thumbnail(frame=frame, y=link.y, x=link.x, side=side)
        rows.append(
            {
                "key": data_url(patch),
                "time": float(clip.times[frame]),
                "y": link.y,
                "x": link.x,
                "multiple": link.multiple,
                "weight": link.weight,
            }
        )
    return rows


@dataclass(frozen=True)
class Line:
    """One number in words.

    Attributes:
        value: the number, as text.
        label: what it is.
        meaning: what it means, one sentence, or empty.
        help: how it is computed.
    """

    value: str
    label: str
    meaning: str = ""
    help: str = ""


def row_lines(s: RowStatistics) -> list[Line]:
    """Return what one query's row does, in words.

    >>> import numpy as np
    >>> mass = np.array([0.25, 0.75])
    >>> s = RowStatistics(3.2, 40, 0.25, 18.0, 0.5, mass, np.array([0.0, 1.0]), 0.0)
    >>> [f"{line.value} {line.label}" for line in row_lines(s)][:2]
    ['3.2 of 40 cells, effectively', '25 % of the mass in its own frame']
    """
    lines = []
    if s.effective is not None:
        few = f"{s.effective:.1f}" if s.effective < 10 else f"{s.effective:,.0f}"
        lines.append(
            Line(
                f"{few} of {s.cells:,}",
                "cells, effectively",
                help="exp(entropy): 1 if one key has all the mass, all if every key has the same",
            )
        )
    lines.append(Line(f"{s.own_frame * 100:.0f} %", "of the mass in its own frame"))
    lines.append(Line(f"{s.pixels:.0f} px", "mean distance in the picture"))
    if len(s.per_frame) > 1:
        lines.append(Line(f"{s.seconds:.2f} s", "mean distance in time"))
    return lines


def trust(s: BlockStatistics) -> list[Line]:
    """Return what speaks for or against a block's maps on this clip.

    >>> lines = trust(BlockStatistics(512, 0.2, 0.01, 0.97, 0.9, 900.0, 3e-7))
    >>> lines[1].meaning
    'Nearly every query has the same map: what you see is not about the query.'
    """
    lines = []
    if s.parity is not None:
        lines.append(
            Line(
                f"{s.parity:.0e}",
                "parity error",
                "The block's output follows from these rows."
                if s.parity < 1e-3
                else "The rows do not explain the block's output: do not trust them.",
                "The block's own output against rows times values, largest difference relative to "
                "the largest output",
            )
        )
    if s.shared > 0.9:
        same = "Nearly every query has the same map: what you see is not about the query."
    elif s.shared > 0.6:
        same = "Much of every map is common to all queries; look at what differs between two."
    else:
        same = "Maps differ between queries."
    lines += [
        Line(
            f"{s.shared * 100:.0f} %",
            "of the mass goes to the same keys from every query",
            same,
            f"Mean overlap of {s.queries} queries' rows with their mean row",
        ),
        Line(
            f"{s.distance_rows:.3f}",
            f"average distance of rows (of the features: {s.distance_input:.3f})",
            "Rows differ more than the features they come from."
            if s.distance_rows > s.distance_input
            else "Rows differ less than the features they come from.",
            "Mean cosine distance (1 - cos) / 2 over all pairs, after GCNet (Cao et al. 2019); "
            "0 if all are the same",
        ),
        Line(
            f"{s.uniform * 100:.0f} %",
            "of the mass is as in uniform attention",
            "The block hardly chooses." if s.uniform > 0.8 else "The block chooses.",
            "Mean overlap of rows with the uniform row",
        ),
    ]
    return lines
