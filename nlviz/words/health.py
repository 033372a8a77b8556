"""Numbers of a row and of a block in words: what speaks for or against its maps."""

from __future__ import annotations

from dataclasses import dataclass

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
from nlviz.sentences import fixed, seconds_text
from nlviz.words.nouns import POINTS, Nouns
from nlviz.words.numbers import (
    change_text,
    fine_percent_text,
    percent_text,
)
from nlviz.words.receipt import receipt_text


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


def row_lines(
    s: RowStatistics, *, column: bool = False, placed: bool = True, nouns: Nouns = POINTS
) -> list[Line]:
    """Return what one query's row does, in words.

    Args:
        s: what was counted.
        column: whether it is a key's column: who looks at it.
        placed: whether the query has a place, from which distances are counted.
        nouns: what the tokens are called that the row is spread over.

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
                f"{nouns.tokens} share "
                + ("the attention it receives" if column else "its weight"),
                help=f"exp(entropy): 1 if one key has all the weight; {s.cells:,} if all have the "
                "same",
            )
        )
    if not placed:
        return lines
    if s.moved is not None:
        elsewhere = Line(
            fine_percent_text(s.moved),
            "of its weight lies elsewhere than the average query's",
            help="The sum of all that this row gives more than the average of all rows",
        )
        of_frames = Line(change_text(s.own_frame, space=" "), "for its own frame")
        return [elsewhere] if nouns is not POINTS else [elsewhere, of_frames]
    if nouns.token == "token":
        return [*lines, Line(f"{fixed(s.pixels, 1)} tokens", "from it in the text, on average")]
    if nouns is not POINTS:  # where boxes and nodes are drawn says little
        return lines
    if len(s.per_frame) > 1:
        own = percent_text(s.own_frame, space=" ")
        whole = "of the attention it receives comes from" if column else "of its weight lies in"
        lines.append(Line(own, f"{whole} its own frame"))
    lines.append(Line(f"{s.pixels:.0f} px", "from it in the picture, on average"))
    if len(s.per_frame) > 1:
        lines.append(Line(seconds_text(s.seconds), "from it in time, on average"))
    return lines


def _choosing(uniform: float) -> str:
    if uniform > 0.8:
        return "Nearly all keys get the same."
    return "Some keys get far more than others." if uniform < 0.6 else "Some keys get more."


def trust(s: BlockStatistics, *, nouns: Nouns = POINTS) -> list[Line]:
    """Return what speaks for or against a block's maps on this clip.

    Args:
        s: what was counted.
        nouns: what queries are called.

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
    if s.queries < 2:  # it has nothing to be compared with
        return lines
    if s.shared > 0.9:
        one = nouns.one
        same = f"Nearly every {one} has the same map: what you see is not about the {one}."
    elif s.shared > 0.6:
        same = (
            f"Much of every map is common to all {nouns.many}; look at what differs, with "
            "*Minus mean*."
        )
    else:
        same = f"Maps differ between {nouns.many}."
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


def health_lines(h: BlockHealth, *, nouns: Nouns = POINTS) -> list[Line]:
    """Return whether a block is alive, and whether its map is about the query, verdict first.

    Args:
        h: what was found.
        nouns: what queries are called.

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
            f"how different {nouns.many} are: {', '.join(stages)}",
            _differing(h.distance_input, h.distance_rows, h.distance_reach, nouns),
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


def _differing(features: float | None, rows: float, reach: float, nouns: Nouns) -> str:
    """Return whether queries differ more in where they look than in their features, in words."""
    if reach >= 0.005:
        return (
            f"They reach different keys: maps without any preference would differ by {reach:.2f} "
            "already."
        )
    if features is None:
        return ""
    more = "more" if rows > features else "less"
    return f"Where {nouns.many} look differs {more} than their features."
