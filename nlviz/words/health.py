"""Tables of a view: the strongest keys, and what speaks for or against a block's maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nlviz.affinity.attention_map import AttentionMap
from nlviz.affinity.by_frame import shown_frame
from nlviz.affinity.split import SAME_RANKING
from nlviz.analysis.health import (
    DEAD_SIZE,
    LITTLE,
    SAME_MAP,
    UNIFORM,
    BlockHealth,
    Effect,
)
from nlviz.analysis.statistics import BlockStatistics, RowStatistics
from nlviz.clips.clip import Clip
from nlviz.picture import data_url
from nlviz.sentences import listed, seconds_text
from nlviz.words.numbers import change_text, fine_percent_text, percent_text
from nlviz.words.receipt import receipt_text


def top_keys(clip: Clip, attention: AttentionMap, *, k: int = 12) -> list[dict[str, Any]]:
    """Return the strongest keys of a row, one dict each, with a thumbnail as a data URL.

    The thumbnail is the square of pixels around the key's centre, one and a half cells wide.

    >>> import numpy as np
    >>> from nlviz.affinity.grid import TokenGrid
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
        frame = shown_frame(link.frame, len(clip.times))
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
    if s.moved is not None:
        return [
            Line(
                fine_percent_text(s.moved),
                "of its weight lies elsewhere than the mean query's",
                help="The sum of all that this row gives more than the mean row of all queries",
            ),
            Line(change_text(s.own_frame, space=" "), "for its own frame"),
        ]
    lines.append(Line(percent_text(s.own_frame, space=" "), "of the mass in its own frame"))
    lines.append(Line(f"{s.pixels:.0f} px", "mean distance in the picture"))
    if len(s.per_frame) > 1:
        lines.append(Line(seconds_text(s.seconds), "mean distance in time"))
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
                "verified",
                receipt_text(s.parity).removeprefix("verified: "),
                "The rows are those of the block, as far as half precision tells."
                if s.parity > 1e-3
                else "The rows are those of the block.",
                "At capture, the block's own output against these rows times its values, at a few "
                "queries of every head: the largest difference, relative to the size of what is "
                "summed. A block whose rows do not give its output is not shown.",
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
            percent_text(s.shared, space=" "),
            "of the mass goes to the same keys from every query",
            same,
            f"Mean overlap of {s.queries} queries' rows with their mean row",
        ),
        Line(
            percent_text(s.uniform, space=" "),
            "of the mass is as in uniform attention",
            "The block hardly chooses." if s.uniform > 0.8 else "The block chooses.",
            "Mean overlap of rows with the uniform row",
        ),
    ]
    return lines


def health_lines(h: BlockHealth) -> list[Line]:
    """Return whether a block is alive, and whether its map is about the query, verdict first.

    >>> from nlviz.analysis.health import Effect
    >>> effect = Effect(probability=0.12, top1=False, logits=0.3)
    >>> numbers = (0.4, 0.02, 0.01, 60, 60, 0.97, 0.5, 0.98)
    >>> h = BlockHealth(0.34, 0.5, False, effect, *numbers, "gaussian")
    >>> for line in health_lines(h):
    ...     print(line.value, "|", line.label)
    The block is alive; its map is nearly the same for every query. |
    34 % | of its input's size is what the block adds
    0.5 | mean |γ| of its last normalisation
    12 % | largest change of a probability without the block
    0.40 → 0.02 → 0.01 | average distance of input, rows and output
    98 % | of every row is what all queries share
    """
    lines = [
        Line(
            h.verdict,
            "",
            "",
            f"Dead: adds less than {DEAD_SIZE:.0e} of its input's size. Looks untrained: its last "
            "normalisation has the values it starts with, or its rows have more than "
            f"{UNIFORM * 100:.0f} % in common with the uniform row. The same map: rows have more "
            f"than {SAME_MAP * 100:.0f} % in common with their mean.",
        )
    ]
    if h.size is not None:
        lines.append(
            Line(
                fine_percent_text(h.size),
                "of its input's size is what the block adds",
                help="Frobenius norm of the branch BN(W_z y) against that of the input x",
            )
        )
    if h.gamma is not None:
        about = "Where the scale stays 0, as it starts in most codes, the block adds nothing"
        lines.append(Line(f"{h.gamma:.2g}", "mean |γ| of its last normalisation", help=about))
    if h.effect is not None:
        lines.append(_effect_line(h.effect))
    distances = [h.distance_input, h.distance_rows]
    names = ["input", "rows"]
    if h.distance_output is not None:
        distances, names = [*distances, h.distance_output], [*names, "output"]
    lines.append(
        Line(
            " → ".join(f"{d:.2f}" for d in distances),
            f"average distance of {listed(names, 'and')}",
            "Rows differ more than the features they come from."
            if h.distance_rows > h.distance_input
            else "Rows differ less than the features they come from.",
            "Mean cosine distance (1 - cos) / 2 over all pairs of queries, after GCNet (Cao et al. "
            f"2019); 0 if all are the same. Rows: {h.rows:,} queries",
        )
    )
    if h.unary_share is not None:
        lines.append(
            Line(
                fine_percent_text(h.unary_share),
                "of every row is what all queries share",
                help="1 - JSD(row, unary part) / ln 2 of the exact split, mean over "
                f"{h.queries} queries and all heads",
            )
        )
    if h.pairwise == "concatenation":
        lines.append(Line("One order", "of the keys for all queries", SAME_RANKING))
    return lines


def _effect_line(effect: Effect) -> Line:
    label = "The most probable label " + ("changes." if effect.top1 else "stays.")
    little = effect.probability < LITTLE and not effect.top1
    return Line(
        fine_percent_text(effect.probability),
        "largest change of a probability without the block",
        f"{label} The network hardly needs the block here." if little else label,
        f"One forward pass with the block bypassed; its logits differ by {effect.logits:.1%}",
    )
