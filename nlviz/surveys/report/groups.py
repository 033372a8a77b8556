"""Means by the label of the clips, with intervals over the clips of each label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nlviz.surveys.report.bootstrap import Intervals, intervals
from nlviz.surveys.report.clip_means import ClipMeans

MOST = 12  # labels that are shown: those of most clips


@dataclass(frozen=True, eq=False)
class Groups:
    """Means by label of the clips.

    Attributes:
        labels: those of most clips first.
        sizes: clips of each.
        left_out: number of labels that are not shown.
        values: of each label, arrays (heads, figures).
    """

    labels: tuple[str, ...]
    sizes: tuple[int, ...]
    left_out: int
    values: tuple[Intervals, ...]


def groups(
    means: ClipMeans, labels: Sequence[str], figures: Sequence[str], seed: int
) -> Groups | None:
    """Return the means of the clips of each label; None where no clip has one.

    Args:
        means: of the clips.
        labels: of the clips; empty texts are no label.
        figures: names.
        seed: of the draws.
    """
    sizes = Counter(label for label in labels if label)
    if not sizes:
        return None
    ranked = sorted(sizes, key=lambda label: (-sizes[label], label))
    shown = ranked[:MOST]
    values = np.stack([means.of(name) for name in figures], 2)
    of = np.array(labels)
    parts = []
    for label in shown:
        mine = values[of == label]
        flat = intervals(mine.reshape(len(mine), -1), seed)
        parts.append(flat.reshaped(*values.shape[1:]))
    return Groups(
        tuple(shown), tuple(sizes[n] for n in shown), len(ranked) - len(shown), tuple(parts)
    )
