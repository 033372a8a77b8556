"""A report as a few lines of text."""

from __future__ import annotations

from collections import Counter

from nlviz.sentences import counted, listed
from nlviz.surveys.report.labels import LABELS, NOT_TOLD
from nlviz.surveys.report.parts import Parts

MOST = 12  # heads that are listed
UNKNOWN = LABELS[NOT_TOLD]


def in_words(report: Parts) -> str:
    """Return how many clips and heads, and what heads do."""
    lines = []
    for survey, labels in zip(report.surveys, report.labels, strict=True):
        clips = counted(len(survey.means.digests), "clip")
        failed = f", {survey.clips['failed']:,} failed" if survey.clips["failed"] else ""
        lines.append(f"{survey.name}: {clips}{failed}, {counted(len(report.heads), 'head')}")
        if len(labels) <= MOST:
            for (block, head), label in zip(report.heads, labels, strict=True):
                sure = "" if label.certain or label.label == UNKNOWN else ", not certain"
                lines.append(f"  {block} head {head}: {label.label}{sure} ({label.why})")
        else:
            times = Counter(label.label for label in labels)
            lines.append("  " + listed((f"{n} {name}" for name, n in times.most_common()), "and"))
    change = report.changed
    if change is not None:
        told = int(change.told.sum())
        lines.append(f"{counted(told, 'difference')} of heads and figures more than noise")
    return "\n".join(lines)
