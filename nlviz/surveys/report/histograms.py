"""How the clips' means of a figure are distributed, per head, on edges that all share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nlviz.surveys.figures import FIGURES
from nlviz.surveys.report.clip_means import ClipMeans

BINS = 24
LOGARITHMIC = ("keys", "multiple")  # units of what spans powers of ten, and is 1 or more


def edges_of(figure: str, surveys: Sequence[ClipMeans]) -> npt.NDArray[np.float64] | None:
    """Return the edges of the bins of a figure over all surveys; None where none has a value.

    Shares have bins over [0, 1] and correlations over [-1, 1], so that pictures of two heads can be
    compared; effective keys and multiples have bins of one ratio, others of one width.

    Args:
        figure: its name.
        surveys: one or two.
    """
    seen = [means.of(figure) for means in surveys]
    values = np.concatenate([v[np.isfinite(v)].astype(np.float64) for v in seen])
    if not len(values):
        return None
    unit = FIGURES[figure].unit
    low, high = float(values.min()), float(values.max())
    if unit == "share" and low >= -1e-6 and high <= 1 + 1e-6:
        return np.linspace(0, 1, BINS + 1)
    if unit == "correlation":
        return np.linspace(-1, 1, BINS + 1)
    if high <= low:
        high = low + (abs(low) or 1.0) * 1e-3
    if unit in LOGARITHMIC and low > 0:
        return np.geomspace(low, high, BINS + 1)
    return np.linspace(min(low, 0.0) if unit != "change" else low, high, BINS + 1)


def counts_of(
    means: ClipMeans, figure: str, edges: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    """Return how many clips of each head lie in each bin, (heads, bins).

    Args:
        means: of the clips.
        figure: its name.
        edges: as ``edges_of`` returns them; what rounds out of them is in the outermost bins.
    """
    values = means.of(figure)
    bins = len(edges) - 1
    told = np.isfinite(values)
    at = np.clip(np.searchsorted(edges, np.nan_to_num(values), "right") - 1, 0, bins - 1)
    flat = at + bins * np.arange(values.shape[1])
    counts = np.bincount(flat[told], minlength=values.shape[1] * bins)
    return counts.reshape(values.shape[1], bins)
