"""A knock-out in words: what cutting links changes, and whether that is more than chance."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from nlviz.analysis.control_edges import Kind
from nlviz.analysis.health import LITTLE
from nlviz.analysis.knocked_out import ROUNDING, Control, Cut, Figure, KnockOut
from nlviz.sentences import counted, fixed, listed
from nlviz.words.health import Line
from nlviz.words.numbers import fine_percent_text

NEXT_TO_NOTHING = "next to nothing"
MUCH_MORE = 1.25  # times what links change one at a time, in sum, from which they stand in
MUCH_ALONE = 0.5  # of what a cut changes, from which one link that does as much is named

FIGURE_NAMES: dict[Figure, str] = {
    "output": "Block's output here",
    "logits": "Logits",
    "answer": "Probability of the answer",
}
_LEAST_END: dict[Figure, float] = {"output": 0.01, "logits": 0.001, "answer": LITTLE}
FIGURE_HELP: dict[Figure, str] = {
    "output": "|y' - y| / |y| of what the block gives at this query, before its projection, over "
    "all heads together. Rows that sum to 1 are shared out anew among what is left",
    "logits": "|l' - l| / |l| over all classes, the network run again from the block on",
    "answer": "p' - p of the class that is most probable as it is",
}
CONTROL_NAMES: dict[Kind, str] = {
    "random": "random links",
    "distance": "links at the same distances",
    "mean": "strongest links of the mean row",
}
CONTROL_HELP: dict[Kind, str] = {
    "random": "As many links, each key that the query reaches as likely as any other",
    "distance": "As many links at each distance from the query, in space and in time, drawn anew "
    "within each distance",
    "mean": "The keys that the average query gives most to: what every query has in common",
}
UNREAD = (
    "Whatever is cut changes nothing: what this query gives is not read after this block, as where "
    "a class token alone is."
)
UNDER_REPORTS = (
    "A cut tells what the network loses without these links. Where other links, heads or layers "
    "carry the same, it loses less than they carry: single cuts under-report where paths are "
    "redundant (arXiv 2603.11142)"
)


def knock_out_sentence(found: KnockOut) -> str:
    """Return what the knock-out says, in one or two sentences.

    Of the answer where the network ran again, else of the block's output.

    >>> import nlviz
    >>> from nlviz.resources import asset
    >>> clip = nlviz.read_clip(asset("photos/coffee.jpg"), size=64)
    >>> capture = nlviz.load_model("lite-nl").capture(clip)
    >>> knock_out_sentence(nlviz.knock_out(capture, "stage4", (0, 20, 30), 5, logits=False))
    'Cutting its 5 strongest links changes the output of stage4 here more than each of 8 cuts of 5 \
random ones.'
    """
    figure: Figure = "output" if found.cut.logits is None else "logits"
    of = f"the output of {found.block} here" if figure == "output" else "the answer"
    size = found.cut.size(figure)
    if size is None:
        return f"Cutting {found.links}: what that changes is not known."
    if size <= ROUNDING[figure]:
        return f"Cutting {found.links} changes nothing in {of}."
    much = _how_much(found, figure)
    if much == NEXT_TO_NOTHING:
        changes = f"Cutting {found.links} changes next to nothing in {of}"
    else:
        changes = f"Cutting {found.links} changes {of}{' little' if much else ''}"
    return f"{changes}{_compared(found, figure, little=bool(much))}."


def knock_out_lines(found: KnockOut) -> list[Line]:
    """Return the figures of a knock-out in words, the sentence that follows from them first."""
    cut = found.cut
    whose = "its row's" if found.number >= 0 else "a row's"
    lines = [Line(knock_out_sentence(found), "", "", UNDER_REPORTS)]
    lines.append(
        Line(
            fine_percent_text(cut.weight),
            f"of {whose} weight is on the links that are cut",
            _others(found, lambda c: c.weight),
            "In the mean over heads; of signed rows, of the size of their weights",
        )
    )
    if cut.output is not None:
        lines.append(
            Line(
                _share_text(cut.output),
                "is what the block's output changes by at this query",
                " ".join(filter(None, (_others(found, lambda c: c.output), _singles(found)))),
                FIGURE_HELP["output"],
            )
        )
    if found.greedy is not None and found.greedy.changes:
        lines.append(_greedy(found))
    if cut.logits is not None:
        lines.append(
            Line(
                _share_text(cut.logits),
                "is what the logits change by",
                _others(found, lambda c: c.logits) if _reaches(found) else UNREAD,
                FIGURE_HELP["logits"],
            )
        )
    if cut.answer is not None and found.probability is not None:
        lines.append(_answer(found, found.probability, cut.answer))
    return lines


def knock_out_table(found: KnockOut) -> list[dict[str, str]]:
    """Return a table of the cut and its controls in words, a row each."""
    measured = [f for f in FIGURE_NAMES if getattr(found.cut, f) is not None]
    rows = [
        {
            "Cut": found.links,
            "Of the weight": fine_percent_text(found.cut.weight),
            **{FIGURE_NAMES[f]: _figure_text(f, [getattr(found.cut, f)]) for f in measured},
        }
    ]
    for control in found.controls:
        if not control.cuts:
            continue
        rows.append(
            {
                "Cut": control_text(found, control),
                "Of the weight": _range_text([cut.weight for cut in control.cuts]),
                **{
                    FIGURE_NAMES[f]: _figure_text(f, [getattr(cut, f) for cut in control.cuts])
                    for f in measured
                },
            }
        )
    return rows


@dataclass(frozen=True)
class CutRow:
    """One cut, or one control, in a chart of a figure.

    Attributes:
        label: what is cut.
        text: the figure in words.
        values: its size, of each draw.
    """

    label: str
    text: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class CutChart:
    """A figure of a knock-out, of the cut and of what others change.

    Attributes:
        name: of the figure.
        help: how it is computed.
        rows: the cut first.
        end: of the scale, which begins at 0: next to nothing looks like next to nothing.
    """

    name: str
    help: str
    rows: tuple[CutRow, ...]
    end: float


def knock_out_charts(found: KnockOut) -> list[CutChart]:
    """Return what is drawn of a knock-out: a chart for each figure that was measured."""
    charts = []
    for figure, name in FIGURE_NAMES.items():
        if getattr(found.cut, figure) is None:
            continue
        spans = found.spans(figure)
        rows = tuple(
            CutRow(row["Cut"], row[name], tuple(span))
            for row, span in zip(knock_out_table(found), spans, strict=True)
        )
        end = max([_LEAST_END[figure], *(value for span in spans for value in span)])
        charts.append(CutChart(name, FIGURE_HELP[figure], rows, end))
    return charts


def control_text(found: KnockOut, control: Control) -> str:
    """Return what a control cuts, in words: how many, which, and how often it was drawn."""
    count = len(found.cut.keys)
    name = CONTROL_NAMES[control.kind]
    name = name if count != 1 else name.replace("links", "link").replace("distances", "distance")
    drawn = f" ({counted(len(control.cuts), 'draw')})" if control.kind != "mean" else ""
    return f"{_many(count)} {name}{drawn}"


def missing_controls(found: KnockOut) -> list[str]:
    """Return a sentence for each control that is not there, and why."""
    return [
        f"No {CONTROL_NAMES[control.kind]}: {control.missing}."
        for control in found.controls
        if control.missing
    ]


def _how_much(found: KnockOut, figure: Figure) -> str:
    """Return whether an answer changes little, or next to nothing; empty where it does not."""
    cut = found.cut
    if figure != "logits" or cut.top1 or cut.logits is None:
        return ""
    moved = abs(cut.answer or 0.0)
    if moved >= LITTLE or cut.logits >= LITTLE:
        return ""
    much_less = moved < LITTLE / 100 and cut.logits < LITTLE / 10
    return NEXT_TO_NOTHING if much_less else "little"


def _compared(found: KnockOut, figure: Figure, *, little: bool) -> str:
    """Return how a change compares with what others change, as the end of a sentence."""
    count = len(found.cut.keys)
    ones = "one" if count == 1 else "ones"
    random = found.control("random")
    if random is None:
        return "; there are no others to compare it with"
    if not found.beyond("random", figure):
        return f"{',' if little else ''} no more than cutting {_many(count)} random {ones}"
    draws = len(random.cuts)
    each = f"each of {draws} cuts of {_many(count)} random {ones}" if draws > 1 else "a random cut"
    said = f"{', though' if little else ''} more than {each}"
    alike = [
        CONTROL_NAMES[kind]
        for kind in ("distance", "mean")
        if found.control(kind) is not None and not found.beyond(kind, figure)
    ]
    if not alike:
        return said
    as_much = "change" if len(alike) > 1 or count != 1 else "changes"
    return f"{said}; {_many(count)} {listed(alike, 'and')} {as_much} it as much"


def _many(count: int) -> str:
    """Return a number of links; where every query has its own, as many."""
    return f"{count:,}" if count else "as many"


def _others(found: KnockOut, value: Callable[[Cut], float | None]) -> str:
    """Return what others change, as a sentence."""
    parts = []
    for control in found.controls:
        values = [abs(v) for v in map(value, control.cuts) if v is not None]
        if values:
            name = {"random": "random ones", "distance": "at the same distances"}.get(
                control.kind, "the mean row's strongest"
            )
            parts.append(f"{name} {_range_text(values)}")
    return f"Others: {', '.join(parts)}." if parts else ""


def _singles(found: KnockOut) -> str:
    """Return what the links change one at a time, where that says something else than together."""
    single, joint = found.single, found.cut.output
    if len(single) < 2 or not joint:
        return ""
    total, most = sum(single), max(single)
    whole = found.row_after.abs().sum() == 0  # nothing is left, so that nothing stands in
    if joint > MUCH_MORE * total and not whole:
        return (
            f"Cut one at a time they change it by {fine_percent_text(total)} in sum, by less than "
            "together: they stand in for each other."
        )
    if most > MUCH_ALONE * joint:
        return f"One of them alone makes {fine_percent_text(most)}."
    return ""


def _greedy(found: KnockOut) -> Line:
    assert found.greedy is not None
    changes = found.greedy.changes
    same = len(set(found.greedy.keys) & set(found.cut.keys))
    return Line(
        fine_percent_text(changes[-1]),
        f"is what {counted(len(changes), 'link')} change it by that are cut one by one, each time "
        "the one that changes most",
        f"{same} of them are among those above.",
        "Greedy: of all links that are left, the one is cut next whose cut takes the block's "
        "output farthest from what it was. Where links stand in for each other, that finds more "
        "than the largest weights",
    )


def _reaches(found: KnockOut) -> bool:
    """Check whether anything at all that was cut changes the logits."""
    every = [found.cut, *(cut for control in found.controls for cut in control.cuts)]
    return any(cut.logits for cut in every) or not any(cut.output for cut in every)


def _answer(found: KnockOut, probability: float, change: float) -> Line:
    before, after = (fine_percent_text(p) for p in (probability, max(probability + change, 0.0)))
    said = (
        "Another class becomes the most probable."
        if found.cut.top1
        else "It stays the most probable."
    )
    return Line(
        f"{before} → {after}",
        f"is the probability of “{found.label}”",
        " ".join(filter(None, (said, _others(found, lambda c: c.answer)))),
        "Softmax of the logits, or the sigmoid where each class has a probability of its own. "
        "Of the others, how much it changes, up or down",
    )


def _share_text(share: float) -> str:
    """Return a share in percent; of a small one, the digit that matters."""
    percent = 100 * abs(share)
    if percent >= 0.1 or percent == 0:
        return fine_percent_text(abs(share))
    if percent < 1e-5:
        return "<0.00001 %"
    return f"{fixed(percent, -math.floor(math.log10(percent)))} %"


def _range_text(values: list[float]) -> str:
    low, high = (_share_text(v) for v in (min(values), max(values)))
    return low if low == high else f"{low.removesuffix(' %')} to {high}"


def _figure_text(figure: Figure, values: list[float | None]) -> str:
    known = [v for v in values if v is not None]
    if not known:
        return "–"
    if figure != "answer":
        return _range_text([abs(v) for v in known])
    low, high = (_points(v) for v in (min(known), max(known)))
    return f"{low} points" if low == high else f"{low} to {high} points"


def _points(share: float) -> str:
    """Return a change of a probability in points of a hundred, with its sign."""
    text = fixed(100 * share, 1)
    if abs(share) < 5e-4:
        return "0"
    return f"+{text}" if share > 0 else text.replace("-", "−")
