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
from nlviz.sentences import seconds_text, times_text
from nlviz.words.numbers import (
    change_text,
    fine_percent_text,
    multiple_text,
    percent_text,
)
from nlviz.words.receipt import receipt_text
from nlviz.words.tokens import token_called


def top_keys(
    clip: Clip, attention: AttentionMap, *, k: int = 12, own: bool = True
) -> list[dict[str, Any]]:
    """Return the strongest keys of a row, one dict each, with a thumbnail as a data URL.

    The thumbnail is the square of pixels around the key's centre, one and a half cells wide.

    Args:
        clip: the pictures.
        attention: the row.
        k: how many keys, at most.
        own: whether the query's own cell may be one of them.

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
    labels = times_text([float(time) for time in clip.times])
    for link in attention.top(k, without=() if own or attention.token else (attention.own,)):
        frame = shown_frame(link.frame, len(clip.times))
        patch = clip.thumbnail(frame=frame, y=link.y, x=link.x, side=side)
        rows.append(
            {
                "key": data_url(patch),
                "time": float(clip.times[frame]),
                "when": labels[frame],
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


def row_lines(s: RowStatistics, *, column: bool = False, placed: bool = True) -> list[Line]:
    """Return what one query's row does, in words.

    Args:
        s: what was counted.
        column: whether it is a key's column: who looks at it.
        placed: whether the query has a place, from which distances are counted.

    >>> import numpy as np
    >>> mass = np.array([0.25, 0.75])
    >>> s = RowStatistics(3.2, 40, 0.25, 18.0, 0.5, mass, np.array([0.0, 1.0]), 0.0)
    >>> [f"{line.value} {line.label}" for line in row_lines(s)][:2]
    ['about 3.2 of 40 cells share its weight', '25 % of its weight lies in its own frame']
    """
    lines = []
    if s.effective is not None:
        few = f"{s.effective:.1f}" if s.effective < 10 else f"{s.effective:,.0f}"
        lines.append(
            Line(
                f"about {few} of {s.cells:,}",
                "cells share the attention it receives" if column else "cells share its weight",
                help=f"exp(entropy): 1 if one key has all the weight; {s.cells:,} if all have the "
                "same",
            )
        )
    if not placed:
        return lines
    if s.moved is not None:
        return [
            Line(
                fine_percent_text(s.moved),
                "of its weight lies elsewhere than the average query's",
                help="The sum of all that this row gives more than the average of all rows",
            ),
            Line(change_text(s.own_frame, space=" "), "for its own frame"),
        ]
    if len(s.per_frame) > 1:
        own = percent_text(s.own_frame, space=" ")
        whole = "of the attention it receives comes from" if column else "of its weight lies in"
        lines.append(Line(own, f"{whole} its own frame"))
    lines.append(Line(f"{s.pixels:.0f} px", "from it in the picture, on average"))
    if len(s.per_frame) > 1:
        lines.append(Line(seconds_text(s.seconds), "from it in time, on average"))
    return lines


def row_heading(attention: AttentionMap) -> str:
    """Return what a panel about a row, or a column, is about.

    >>> import numpy as np
    >>> from nlviz.affinity.grid import TokenGrid
    >>> grid = TokenGrid((1, 1, 2), (1, 8, 8), (0, 3.5, 3.5))
    >>> row_heading(AttentionMap(np.ones((1, 1, 2), np.float32) / 2, (0, 0, 0), grid))
    'Where this point looks'
    """
    if attention.token:
        return f"Where {token_called(attention.token)} looks"
    if attention.values == "difference":
        return "What sets this point apart"
    if attention.values == "similarity":
        return "What is like this point"
    return "Who looks at this point" if attention.direction == "to" else "Where this point looks"


def keys_heading(attention: AttentionMap) -> str:
    """Return what the list of the strongest cells of a row, or a column, is.

    >>> import numpy as np
    >>> from nlviz.affinity.grid import TokenGrid
    >>> grid = TokenGrid((1, 1, 2), (1, 8, 8), (0, 3.5, 3.5))
    >>> keys_heading(AttentionMap(np.ones((1, 1, 2), np.float32) / 2, (0, 0, 0), grid))
    'Its strongest other keys'
    """
    if attention.values == "difference":
        return "Keys with more weight than on average"
    if attention.values == "similarity":
        return "The other cells most like it"
    if attention.direction == "to":
        return "The other points that look at it most"
    return "Its strongest keys" if attention.token else "Its strongest other keys"


def unit_text(attention: AttentionMap) -> str:
    """Return in what a row's strongest keys are counted."""
    return {"logits": "logit", "similarity": "cosine"}.get(attention.values, "× uniform")


def own_line(attention: AttentionMap) -> Line | None:
    """Return what the query's own cell has, which lists of other keys leave out; None if nothing.

    >>> import numpy as np
    >>> from nlviz.affinity.grid import TokenGrid
    >>> grid = TokenGrid((1, 1, 2), (1, 8, 8), (0, 3.5, 3.5))
    >>> row = AttentionMap(np.array([[[0.75, 0.25]]], np.float32), (0, 0, 0), grid)
    >>> own_line(row).value
    '1.5×'
    """
    if attention.token or attention.values != "weights":
        return None
    if attention.left_out or not attention.normalised:
        return None
    weight = float(attention.weights.flat[attention.own])
    return Line(
        multiple_text(weight / attention.uniform),
        "uniform on its own cell",
        help="The weight of the cell that the point lies in, as a multiple of what every key would "
        "get if all got the same",
    )


def _choosing(uniform: float) -> str:
    if uniform > 0.8:
        return "Nearly all keys get the same."
    return "Some keys get far more than others." if uniform < 0.6 else "Some keys get more."


def trust(s: BlockStatistics) -> list[Line]:
    """Return what speaks for or against a block's maps on this clip.

    >>> lines = trust(BlockStatistics(512, 0.2, 0.01, 0.97, 0.9, 900.0, 3e-7))
    >>> lines[1].meaning
    'Nearly every point has the same map: what you see is not about the point.'
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
        same = "Nearly every point has the same map: what you see is not about the point."
    elif s.shared > 0.6:
        same = "Much of every map is common to all points; look at what differs, with *Minus mean*."
    else:
        same = "Maps differ between points."
    lines += [
        Line(
            percent_text(s.shared, space=" "),
            "of the weight is common to all queries",
            same,
            f"Mean overlap of {s.queries} queries' rows with their mean row",
        ),
        Line(
            percent_text(s.uniform, space=" "),
            "of the weight is as if all keys had the same",
            _choosing(s.uniform),
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
    34 % | is what the block changes its input by
    0.5 | mean |γ| of its last normalisation
    12 % | is the most that any class changes by without the block
    0.40 → 0.02 → 0.01 | how different points are: going in, in where they look, coming out
    98 % | likeness of a map to the part that all queries share
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
                "is what the block changes its input by",
                help="Frobenius norm of the branch BN(W_z y) against that of the input x",
            )
        )
    if h.gamma is not None:
        about = "Where the scale stays 0, as it starts in most codes, the block adds nothing"
        lines.append(Line(f"{h.gamma:.2g}", "mean |γ| of its last normalisation", help=about))
    if h.effect is not None:
        lines.append(_effect_line(h.effect))
    distances, stages = [h.distance_rows], ["in where they look"]
    if h.distance_input is not None:
        distances, stages = [h.distance_input, *distances], ["going in", *stages]
    if h.distance_output is not None:
        distances, stages = [*distances, h.distance_output], [*stages, "coming out"]
    lines.append(
        Line(
            " → ".join(f"{d:.2f}" for d in distances),
            f"how different points are: {', '.join(stages)}",
            _differing(h.distance_input, h.distance_rows),
            "Mean cosine distance (1 - cos) / 2 over all pairs of queries, after GCNet (Cao et al. "
            f"2019); 0 if all are the same. Rows: {h.rows:,} queries",
        )
    )
    if h.unary_share is not None:
        lines.append(
            Line(
                fine_percent_text(h.unary_share),
                "likeness of a map to the part that all queries share",
                help="Likeness to the part of the exact split that all queries share: 100 % if a "
                "map is nothing else. 1 - JSD(row, unary part) / ln 2, mean over "
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
        "is the most that any class changes by without the block",
        f"{label} The network hardly needs the block here." if little else label,
        f"One forward pass with the block bypassed; its logits differ by {effect.logits:.1%}",
    )


def _differing(features: float | None, rows: float) -> str:
    """Return whether points differ more in where they look than in their features, in words."""
    if features is None:
        return ""
    more = "more" if rows > features else "less"
    return f"Where points look differs {more} than their features."
