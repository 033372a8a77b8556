"""Sentences that a reader of a report must know."""

from __future__ import annotations

from nlviz.sentences import counted, listed
from nlviz.surveys.report.parts import Parts
from nlviz.surveys.report.surveyed import Surveyed

OPTIONS = ("queries", "seed", "sampling", "without", "knock_out", "bypass")


def notes(report: Parts) -> list[str]:
    """Return a sentence for everything that the numbers themselves do not say."""
    several = len(report.surveys) > 1
    out = [
        f"{survey.name}: {note}" if several else note
        for survey in report.surveys
        for note in survey.notes
    ]
    for survey, found in zip(report.surveys, report.groups, strict=True):
        if found is not None and found.left_out:
            out.append(
                f"{survey.name + ': ' if several else ''}{counted(found.left_out, 'label')} of "
                f"fewer clips than the {len(found.labels)} that are shown."
            )
    if several:
        out += _of_two(report)
    return out


def _of_two(report: Parts) -> list[str]:
    one, two = report.surveys
    change = report.changed
    assert change is not None
    out = []
    both = len(set(one.means.digests) & set(two.means.digests))
    if change.paired:
        alone = [len(s.means.digests) - both for s in (one, two)]
        rest = (
            f"; {alone[0]:,} and {alone[1]:,} clips that are in one alone are not compared"
            if any(alone)
            else ""
        )
        out.append(f"{counted(both, 'clip is', 'clips are')} in both surveys and paired{rest}.")
    else:
        out.append(
            f"{counted(both, 'clip is', 'clips are')} in both surveys: the means of all clips of "
            "each are compared, so that other clips may be the difference."
        )
    out.append(
        "A difference is told where chance alone would give any so large, of all heads and "
        "figures, in fewer than 5 of 100 pairs of surveys (Holm 1979)."
    )
    differ = [n for n in OPTIONS if _option(one, n) != _option(two, n)]
    if differ:
        out.append(
            f"The surveys differ in {listed(differ, 'and')}: what is told may follow from that."
        )
    compared = sum(report.corresponding)
    if compared < len(report.heads):
        out.append(
            f"{counted(len(report.heads) - compared, 'head has', 'heads have')} no counterpart: "
            "blocks correspond by name, heads by number where both networks have the same layers."
        )
    if one.run.get("weights") != two.run.get("weights") and any(h for _, h in report.heads):
        out.append(
            "Heads correspond by number, which says something of two checkpoints of one training; "
            "head 3 of one training has nothing to do with head 3 of another."
        )
    return out


def _option(survey: Surveyed, name: str) -> object:
    options = survey.run.get("options") or {}
    return options.get(name)
