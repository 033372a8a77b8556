"""What a change did to a map and to the answer, in words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypedDict

from nlviz.analysis.moved_rows import MovedRow
from nlviz.captures.capture import Capture
from nlviz.words.health import Line
from nlviz.words.numbers import change_text, percent_text

if TYPE_CHECKING:
    from nlviz.interventions.run import Intervened

NEVER = 1e-3  # share of a row below which it moved along with its frames
ANSWERS = 5  # of each pass that are listed
MOVED_HELP = (
    "Sum of |after - before| over all keys, divided by the sum of |before| and |after|: 0 % for "
    "the same row, 100 % for rows that share no key"
)


class AnswerRow(TypedDict):
    """An answer before and after a change: its name, both probabilities, what it gained."""

    answer: str
    before: float
    after: float
    change: float


def on_a_page(said: str) -> str:
    """Return what is said of a change with frames counted from 1, as pages count them.

    Args:
        said: of a change, whose frames count from 0.

    >>> on_a_page("Every frame is frame 2; frames 0, 3 and 7 are noise (seed 4).")
    'Every frame is frame 3; frames 1, 4 and 8 are noise (seed 4).'
    """
    frames = r"\b[Ff]rames? \d+(?:(?:, | and )\d+)*"
    return re.sub(frames, lambda m: re.sub(r"\d+", lambda n: f"{int(n[0]) + 1}", m[0]), said)


def answer_rows(found: Intervened, *, most: int = ANSWERS) -> list[AnswerRow]:
    """Return the most probable answers of both passes, by what they were before.

    Empty where the network gives no class scores.
    """
    sides = [_probabilities(capture) for capture in (found.before, found.after)]
    if not all(sides):
        return []
    best = [name for side in sides for name in list(side)[:most]]
    rows = [
        AnswerRow(answer=n, before=b, after=a, change=round(a - b, 4) + 0.0)
        for n in dict.fromkeys(best)
        for b, a in [(sides[0][n], sides[1][n])]
    ]
    return sorted(rows, key=lambda row: -row["before"])


def answer_sentence(found: Intervened) -> str:
    """Return what happened to the answer, or why there is none."""
    before, after = (_probabilities(capture) for capture in (found.before, found.after))
    if not before or not after:
        return "This network gives no score per class, so there is no answer to compare."
    one, other = next(iter(before)), next(iter(after))
    was, now = (percent_text(p) for p in (before[one], after[one]))
    if one == other:
        return f"The answer stays {one}: {was} before, {now} after."
    new = percent_text(after[other])
    return f"The answer changes from {one} ({was} before, {now} after) to {other} ({new} after)."


def moved_lines(moved: MovedRow) -> list[Line]:
    r"""Return how much of the row lies elsewhere, in words.

    >>> [line.value for line in moved_lines(MovedRow(0.312, 0.0))]
    ['31\xa0%', '0\xa0%']
    """
    lines = [
        Line(
            _percent(moved.in_place),
            "of this query's weight lies elsewhere than before",
            "",
            MOVED_HELP,
        )
    ]
    if moved.along is not None:
        knows = (
            "For this query the block does not know the order of frames: its row moves with them."
            if moved.along < NEVER
            else "So the order of frames is a part of what the network looks at."
        )
        lines.append(
            Line(
                _percent(moved.along),
                "lies elsewhere once query and keys are moved along with their frames",
                knows,
                MOVED_HELP,
            )
        )
    return lines


def logits_line(found: Intervened) -> Line | None:
    """Return how far the logits moved; None where there are none."""
    change = found.logits
    if change is None or found.before.logits is None:
        return None
    size = float(found.before.logits.float().norm())
    share = float(change.norm()) / size if size > 0 else 0.0
    return Line(
        change_text(share).removeprefix("+"),
        "change of the class scores, against their size",
        "",
        "|logits after - logits before| / |logits before|, Euclidean norms",
    )


def _percent(share: float) -> str:
    return percent_text(share if share >= NEVER else 0.0)


def _probabilities(capture: Capture) -> dict[str, float]:
    return dict(capture.prediction(10**9)) if capture.logits is not None else {}
