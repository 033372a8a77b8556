"""The page of figures of the recall networks, ``docs/choice-of-f.md``, made of measures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nlviz.networks.recall import RecallPairwise, RecallTask

ORDER: tuple[RecallPairwise, ...] = (
    "embedded_gaussian",
    "dot_product",
    "gaussian",
    "concatenation",
)
SAID = {
    "embedded_gaussian": "embedded Gaussian",
    "dot_product": "dot product",
    "gaussian": "Gaussian",
    "concatenation": "concatenation",
    "per_position": "own cell only",
    "none": "no block",
}
ASKS: Mapping[RecallTask, str] = {
    "recall": "Which colour had the digit that stands in grey?",
    "single": "Which colour had the only coloured digit?",
    "missing": "Which of the five colours did no frame show?",
}
_CUTS = {
    "whole": "whole",
    "bypassed": "block bypassed",
    "asked frame": "asked frame cut",
    "asked digit": "its digit's cells cut",
    "other frame": "another frame cut",
    "all frames": "all four cut",
    "uniform": "even rows",
}
Figures = Mapping[str, Any]


def interval(share: float, clips: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of clips (Wilson 1927).

    >>> [round(x, 3) for x in interval(0.5, 100)]
    [0.404, 0.596]
    """
    z2 = 1.959964**2
    middle = (share + z2 / (2 * clips)) / (1 + z2 / clips)
    half = math.sqrt(z2 * share * (1 - share) / clips + z2**2 / (4 * clips**2)) / (1 + z2 / clips)
    return middle - half, middle + half


def over_seeds(results: Figures, task: str, kind: str, part: str, name: str) -> list[float]:
    """Return a figure of a network by seed, in their order; empty where it has none."""
    told = results["networks"].get(f"{task}.{kind}", {})
    return [
        float(told[seed][part][name])
        for seed in sorted(told)
        if told[seed].get(part, {}).get(name) is not None
    ]


def page(results: Figures) -> str:
    """Return the page in Markdown."""
    clips = int(results["clips"])
    seeds = sorted({seed for told in results["networks"].values() for seed in told})
    widest = interval(0.5, clips)[1] - 0.5
    return "\n".join(
        [
            "# The choice of f",
            "",
            "<!-- made by nlviz.recipes.recall_results; do not edit -->",
            "",
            "Wang et al. 2018 (arXiv 1711.07971) tried four pairwise functions f in one block of a "
            "ResNet-50 on Kinetics: top-1 accuracies differ by less than half a point, and many "
            "articles say since then that the choice of f hardly matters. Here the same four stand "
            "in small networks where the block is the only way to the answer, on tasks whose "
            "answer is known by construction.",
            "",
            *_what_follows(results),
            "",
            "## Tasks and networks",
            "",
            "Four context frames show a coloured digit each, of five colours and all different, at "
            "random places on noise; the last frame shows one of these digits, written by another "
            "hand, in grey. The frame that shows it in colour is called *asked* below.",
            "",
            *(f"- `{task}`: {asks}{_more(task)}" for task, asks in ASKS.items()),
            "",
            "A convolutional trunk, trained to tell digits and colours and then frozen, is the "
            "same in all networks of a seed. One block over 5 x 8 x 8 cells is the only path "
            "between frames; a head reads the last frame alone. All networks of a seed learn from "
            "the same clips in the same order, 1,500 steps of 32. *Own cell only* is a control as "
            "large as a block in which every cell sees itself alone.",
            "",
            f"Every figure is over {clips} clips of digits that training never drew, and is a mean "
            f"over seeds {', '.join(seeds)} with the range in brackets. A share of one seed has a "
            f"95 % interval of at most ± {widest:.3f} (Wilson). By chance 0.20 are right; whoever "
            "knows which four colours were shown, and no more, has 0.25 in `recall`.",
            "",
            "`python -m nlviz.recipes.recall` trains them, `python -m "
            "nlviz.recipes.recall_results` measures them and writes this page. Those of seed "
            "0 are bundled: `nlviz models` lists them as `TASK.FUNCTION`. Of these, "
            "`recall.embedded-gaussian` and `recall.dot-product` come from an earlier run of the "
            "same recipe and seed on another processor, whose rounding led to other weights that "
            "answer as well; their cards have their figures.",
            "",
            "## Right answers",
            "",
            *_table(
                ["f", *(f"`{task}`" for task in ASKS)],
                (
                    [said, *(_cell(over_seeds(results, t, kind, "right", "whole")) for t in ASKS)]
                    for kind, said in SAID.items()
                ),
            ),
            "",
            "## Right answers when something is cut",
            "",
            "All edges of the last frame's queries to the named keys are cut, as "
            "`nlviz.interventions.CutFrames` and `CutEdges` do it: rows of a softmax are shared "
            "out anew among the rest, others lose the terms. *Bypassed*: the block adds nothing. "
            "*Even rows*: each key weighs 1/320, as with `GivenRows`.",
            "",
            *_by_task(
                ["f", *_CUTS.values()],
                lambda task, kind: [
                    _cell(over_seeds(results, task, kind, "right", name)) for name in _CUTS
                ],
            ),
            *_of_missing(results),
            "## Where rows lie",
            "",
            "Of each query's row, by absolute weight, averaged over clips and, with the weights "
            "that the head gives them, over the queries of the last frame. *On the asked digit*: "
            "the share on the cells whose middle lies in the 12 x 12 pixels of the coloured digit "
            "that was asked for (4 to 9 of 320 cells). *First*: the share of clips in which it has "
            "the most of the four digits; 0.25 by chance. *Effective keys*: exp of the entropy; a "
            "row of zeros counts as one. *Above 0*: the share of keys with a positive weight. "
            "*Same order*: of two keys that neither of two queries ties, how much more often the "
            "queries order them alike than oppositely, from -1 to 1; 1 means that every query "
            "ranks the keys alike.",
            "",
            *_by_task(
                ["f", "on the asked digit", "first", "on all digits", "effective keys",
                 "above 0", "same order"],
                lambda task, kind: [
                    _cell(
                        []
                        if name == "above 0" and "gaussian" in kind
                        else over_seeds(results, task, kind, "rows", name),
                        1 if name == "effective keys" else 2,
                    )
                    for name in (
                        "on the asked digit", "asked digit first", "on all four digits",
                        "effective keys", "above 0", "same order",
                    )
                ],
            ),
            "## Rows of one network, values of another",
            "",
            "The rows of the network at the left sum the values of the network at the top "
            "(`GivenRows`), and the rest is the latter's. Shares of right answers; rows as they "
            "are, and multiplied by one number for each pair so that their absolute weights sum to "
            "what they do in the taker.",
            "",
            *_swaps(results),
        ]
    )  # fmt: skip


def _more(task: str) -> str:
    return {
        "recall": " The answer needs the match: *which* frame showed this digit.",
        "single": " The same clips without the other three coloured digits. The answer needs "
        "*that* a colour was shown, not which digit it was.",
        "missing": " The clips of `recall`. Again no match is needed, but all four colours are.",
    }[task]


def _what_follows(results: Figures) -> list[str]:
    """Return in a few sentences what the tables say."""

    def mean(task: str, kind: str, name: str = "whole", part: str = "right") -> float:
        found = over_seeds(results, task, kind, part, name)
        return sum(found) / len(found)

    def listed(task: str) -> str:
        ordered = sorted(ORDER, key=lambda kind: -mean(task, kind))
        return ", ".join(f"{SAID[kind]} {mean(task, kind):.2f}" for kind in ordered)

    def given(task: str, giver: str, taker: str) -> float:
        told = results["swaps"][task]
        found = [float(told[seed]["to scale"][giver][taker]) for seed in told]
        return sum(found) / len(found)

    signs = over_seeds(results, "recall", "dot_product", "rows", "on the asked digit, signed")
    listed_signs = ", ".join(f"{on:+.2f}" for on in signs) + " of the row's absolute weight"
    either = ", and either sign is learned" if min(signs) < 0 < max(signs) else ""
    if len(signs) > 1:
        listed_signs += " (a number for each seed)"
    closed = [
        seed
        for seed, told in sorted(results["networks"]["recall.concatenation"].items())
        if told["rows"]["above 0"] < 0.02
    ]
    shut = (
        f" In seed{'s' if len(closed) > 1 else ''} {', '.join(closed)} its ReLU closed during "
        "training, f is 0 for nearly all pairs, and 0 gives no gradient to come back by."
        if closed
        else ""
    )
    return [
        f"- Where the answer needs a match, f decides (`recall`): {listed('recall')}.",
        *_by_luck(results),
        f"- Where it needs only that a colour was shown, they lie closer (`single`): "
        f"{listed('single')}.",
        f"- Where all four colours must be counted, the order is another (`missing`): "
        f"{listed('missing')}. A softmax could do it: with even rows the Gaussian's values and "
        f"head answer {mean('missing', 'gaussian', 'uniform'):.2f}. But the two that are softmaxes "
        "ended with rows on few keys, "
        f"{mean('missing', ORDER[0], 'effective keys', 'rows'):.1f} and "
        f"{mean('missing', 'gaussian', 'effective keys', 'rows'):.1f} in effect, of 320.",
        "- A concatenation relu(a_i + b_j) ranks the keys alike for every query, whatever was "
        f"learned, so it cannot pick the partner of a query.{shut}",
        "- The Gaussian exp(x_i . x_j) has no weights of its own, and the trunk is frozen: its "
        "rows are not learned at all. They say how far features made for reading digits and "
        "colours match as they are; a trunk trained with it might do better.",
        "- Where a network fails, much of that lies in its rows: with the embedded Gaussian's "
        f"rows the Gaussian's values and head answer {given('recall', ORDER[0], 'gaussian'):.2f} "
        f"of `recall` in place of {mean('recall', 'gaussian'):.2f}.",
        f"- Weights of a dot product are signed{either}: on the asked digit of `recall` lies "
        f"{listed_signs}. Rows and values are learned together, so its rows may ruin "
        "another network's answers altogether (0.00 below), and the other way round.",
        "",
        "So the sentence of the articles is one about a task. On Kinetics a class can be told from "
        "what many frames show, which is closer to `single` than to `recall`; that is a reading of "
        "these figures and was not measured on Kinetics.",
    ]


def _by_luck(results: Figures) -> list[str]:
    """Return a sentence for each function that learned a task in some seeds and not in others."""
    found = []
    for task in ASKS:
        for kind in ORDER:
            told = results["networks"][f"{task}.{kind}"]
            right = {seed: float(told[seed]["right"]["whole"]) for seed in sorted(told)}
            poor = {seed: share for seed, share in right.items() if share < 0.5}
            if poor and max(right.values()) > 0.9:
                shares = ", ".join(f"{share:.2f} in seed {seed}" for seed, share in poor.items())
                found.append(
                    f"- What a function can do is not what every training finds: {SAID[kind]} "
                    f"answers {max(right.values()):.2f} of `{task}` at best, and {shares}."
                )
    return found


def _of_missing(results: Figures) -> list[str]:
    name = "asked frame, its colour told"
    cells = [
        f"{SAID[kind]} {_cell(over_seeds(results, 'missing', kind, 'right', name))}"
        for kind in ORDER
    ]
    return [
        "In `missing`, once a frame is cut its colour is missing too. The share of clips in which "
        f"the network then names the colour that was cut: {'; '.join(cells)}.",
        "",
    ]


def _by_task(head: Sequence[str], cells: Any) -> list[str]:
    """Return a table of the four functions for each task."""
    lines = []
    for task, asks in ASKS.items():
        rows = [[SAID[kind], *cells(task, kind)] for kind in ORDER]
        lines += [f"`{task}`: {asks}", "", *_table(head, rows), ""]
    return lines


def _swaps(results: Figures) -> list[str]:
    lines = []
    for task in ASKS:
        told = results["swaps"].get(task, {})
        for how in ("as they are", "to scale"):
            rows = [
                [f"rows of {SAID[a]}"]
                + [_cell([told[seed][how][a][b] for seed in sorted(told)]) for b in ORDER]
                for a in ORDER
            ]
            lines += [f"`{task}`, rows {how}:", ""]
            lines += [*_table(["", *(SAID[b] for b in ORDER)], rows), ""]
    return lines


def _cell(found: Sequence[float], digits: int = 2) -> str:
    """Return the mean of figures, with the range of several.

    >>> _cell([0.5, 0.7]), _cell([0.5]), _cell([])
    ('0.60 [0.50, 0.70]', '0.50', '–')
    """
    if not found:
        return "–"
    mean = f"{sum(found) / len(found):.{digits}f}"
    ends = f" [{min(found):.{digits}f}, {max(found):.{digits}f}]" if len(found) > 1 else ""
    return mean + ends


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]
