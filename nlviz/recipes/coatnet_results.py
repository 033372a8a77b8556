"""The page of CoAtNet's layouts, ``docs/coatnet-layouts.md``, made of their measures.

Which layout did better, if any, is read off by a rule that is written down in ``apart``, whatever
comes out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nlviz.sentences import listed

Results = Mapping[str, Any]
_COLUMNS = {
    "training": "digits of training, places of training",
    "seen": "held-out digits, places of training",
    "unseen": "held-out digits, other places",
    "train-test gap": "train-test gap",
    "gap": "lost at other places",
}


def apart(difference: Mapping[str, Any]) -> int:
    """Return 1 or -1 where two layouts differ, 0 where that cannot be said.

    They differ where the interval over pictures leaves out zero and every seed points the same way.

    >>> apart({"interval": [0.01, 0.03], "seeds": {"0": 0.02, "1": 0.015}})
    1
    >>> apart({"interval": [0.01, 0.03], "seeds": {"0": 0.05, "1": -0.01}})
    0
    """
    low, high = difference["interval"]
    seeds = list(difference["seeds"].values())
    if low > 0 and min(seeds) > 0:
        return 1
    return -1 if high < 0 and max(seeds) < 0 else 0


def compared(results: Results, measure: str) -> str:
    """Return a sentence on how the layouts with attention do beside C-C-C-C on a measure."""
    found: dict[int, list[str]] = {1: [], -1: [], 0: []}
    for layout, told in results["layouts"].items():
        if told["against"]:
            difference = told["against"][measure]
            points = f"{layout} ({100 * difference['mean']:+.1f} points)"
            found[apart(difference)].append(points)
    said = [
        f"{listed(found[way], 'and')} {verb}"
        for way, verb in (
            (1, "higher than C-C-C-C"),
            (-1, "lower than C-C-C-C"),
            (0, "not to be told from C-C-C-C"),
        )
        if found[way]
    ]
    return "; ".join(said)


def page(results: Results) -> str:
    """Return the page in Markdown."""
    task = results["task"]
    shifts = [m for m in next(iter(results["layouts"].values()))["measures"] if "shift" in m]
    sizes = [told["parameters"] for told in results["layouts"].values()]
    rows = results["layouts"].items()
    return "\n".join(
        [
            "# CoAtNet's layouts on a task of shifts",
            "",
            "<!-- made by nlviz.recipes.coatnet_card; do not edit -->",
            "",
            "CoAtNet (Dai et al. 2021, arXiv 2106.04803) puts stages of convolutions (C) before "
            "stages of attention (T). Attention has a learned bias for every offset between query "
            "and key, so both treat a moved picture alike, up to strides and borders. The paper "
            "compares four layouts on large data sets. Here the same four, as timm's `MaxxVit`, "
            f"read one digit on noise; they have {min(sizes):,} to {max(sizes):,} parameters.",
            "",
            f"Training places the digit, {task['digit']} pixels wide, in the upper left quarter "
            f"of its places alone: corners of 0 to {task['seen']} pixels, of 0 to {task['reach']} "
            "both ways. Stem and first stage are convolutions in every layout; they learn first, "
            f"once for each seed ({task['trunk steps']} steps of {task['batch']}), and are frozen. "
            f"The other three stages learn for {task['steps']} steps, all layouts on the same "
            f"pictures. Seeds: {', '.join(map(str, task['seeds']))}. Networks of seed 0 are "
            "bundled, `coatnet.c-c-t-t` for instance; `coatnet.c-c-c-c` answers, and has no "
            "affinity.",
            "",
            f"Each figure is the mean over seeds on {task['pictures']:,} pictures, the same for "
            "all layouts; in brackets the 95 % interval over pictures, drawn again by writing, and "
            "behind it the range over seeds.",
            "",
            "## Right answers, in percent",
            "",
            *_table(
                ["layout", *_COLUMNS.values()],
                ([name, *(_cell(told["measures"][m]) for m in _COLUMNS)] for name, told in rows),
            ),
            "",
            "The train-test gap is between two sets of digits at the same places, what is lost at "
            "other places is between two sets of places with the same digits.",
            "",
            "## Answers that stay when the picture moves, in percent",
            "",
            "A picture begins with its digit at a place of training and moves to the right, or "
            "down, by whole pixels, with all that surrounds the digit. Counted is whether the "
            "answer is the one from before, right or wrong.",
            "",
            *_table(
                ["layout", *(f"{m.removeprefix('shift ')} px" for m in shifts)],
                ([name, *(_cell(told["measures"][m]) for m in shifts)] for name, told in rows),
            ),
            "",
            "## Do the layouts differ?",
            "",
            "Two layouts differ here where the interval of their difference on the same pictures "
            "leaves out zero and all seeds point the same way. By this rule:",
            "",
            f"- Held-out digits at places of training: {compared(results, 'seen')}.",
            f"- Held-out digits at other places: {compared(results, 'unseen')}.",
            f"- What is lost at other places: {compared(results, 'gap')}.",
            f"- Answers that stay after {shifts[-1].removeprefix('shift ')} pixels: "
            f"{compared(results, shifts[-1])}.",
            "",
            "## What this says, and what not",
            "",
            "It is a toy: four blocks of at most 64 channels, 1,200 small digits, minutes of "
            "training on one core, and one size; attention has 64, 16 and 4 cells to look at. It "
            "shows how these layouts behave on this task after these steps, at which "
            f"{_known(results)} of the digits of training: the figures mix what a layout can do "
            "with how soon it learns. They neither confirm nor refute the paper's order of "
            "layouts, which comes from ImageNet and JFT, with networks hundreds of times as large "
            "and more. The first stage, which all share, is trained with a head of its own and not "
            "with any of the layouts; networks that learn as a whole may differ.",
            "",
            "`python -m nlviz.recipes.coatnet_layouts` trains them again, "
            "`python -m nlviz.recipes.coatnet_measures` measures them, "
            "`python -m nlviz.recipes.coatnet_card` writes this page.",
            "",
        ]
    )


def _known(results: Results) -> str:
    right = {name: told["measures"]["training"] for name, told in results["layouts"].items()}
    each = [f"{name} knows {100 * told['mean']:.0f} %" for name, told in right.items()]
    return listed(each, "and")


def _cell(told: Mapping[str, Any]) -> str:
    low, high = told["interval"]
    seeds = told["seeds"].values()
    return (
        f"{100 * told['mean']:.1f} [{100 * low:.1f}, {100 * high:.1f}] "
        f"{100 * min(seeds):.1f}–{100 * max(seeds):.1f}"
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
