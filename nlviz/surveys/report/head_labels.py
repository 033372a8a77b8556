"""The label of each head: by the mean over clips, how sure, and how many clips alone agree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nlviz.surveys.report.bootstrap import DRAWS, FEW, MANY, resampled
from nlviz.surveys.report.clip_means import ClipMeans
from nlviz.surveys.report.labels import CERTAIN, LABELS, NOT_TOLD, READ, RULES, labels_of
from nlviz.surveys.report.said import figure_text

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class HeadLabel:
    """What a head does.

    Attributes:
        label: of the first rule that holds of the means over clips.
        why: the figures that decide, in words.
        share: of the clips that alone would have this label.
        sure: share of the draws of clips that have it; None where there are too few clips.
        certain: whether that is at least 95 %.
        other: the label that most of the other draws have; empty where all agree.
    """

    label: str
    why: str
    share: float
    sure: float | None
    certain: bool
    other: str = ""


def head_labels(means: ClipMeans, seed: int) -> list[HeadLabel]:
    """Return the label of each head of ``means.heads``.

    Args:
        means: of the clips.
        seed: of the draws.
    """
    read = [name for name in READ if name in means.figures]
    if not read:
        return [HeadLabel(LABELS[NOT_TOLD], "no figure was measured", 0.0, None, False)] * len(
            means.heads
        )
    of_clips = {name: means.of(name).astype(np.float64) for name in read}
    told = {name: np.isfinite(v) for name, v in of_clips.items()}
    mean = {
        name: np.where(told[name], v, 0).sum(0)
        / np.where(told[name].any(0), told[name].sum(0), np.nan)
        for name, v in of_clips.items()
    }
    label = labels_of(mean)
    share = (labels_of(of_clips) == label).mean(0)
    clips = np.stack(list(told.values())).any(0).sum(0)
    draws = _drawn_labels(of_clips, mean, seed)
    out = []
    for n, number in enumerate(label):
        known = [
            name
            for name in RULES[number].figures
            if np.isfinite(mean.get(name, np.full(len(label), np.nan))[n])
        ]
        why = ", ".join(figure_text(name, float(mean[name][n])) for name in known)
        sure, other = None, ""
        if clips[n] >= FEW:
            times = np.bincount(draws[:, n], minlength=len(RULES))
            sure = float(times[number] / len(draws))
            times[number] = 0
            other = LABELS[int(times.argmax())] if times.any() else ""
        certain = sure is not None and sure >= CERTAIN and bool(number != NOT_TOLD)
        out.append(HeadLabel(LABELS[number], why, float(share[n]), sure, certain, other))
    return out


def _drawn_labels(
    of_clips: dict[str, np.ndarray], mean: dict[str, np.ndarray], seed: int
) -> np.ndarray:
    """Return the label that each draw of clips gives each head, (draws, heads)."""
    names = list(of_clips)
    values = np.stack([of_clips[name] for name in names], 2)
    told = np.isfinite(values)
    middle = np.stack([mean[name] for name in names], 1)
    clips, heads, figures = values.shape
    away = np.where(told, values - np.nan_to_num(middle), 0.0)
    if clips > MANY:
        whole = _normal_draws(away, told, seed) + middle
    else:
        drawn = resampled(away.reshape(clips, -1), told.reshape(clips, -1), seed)
        whole = drawn.reshape(-1, heads, figures) + middle
    return labels_of({name: whole[..., n] for n, name in enumerate(names)})


def _normal_draws(away: Floats, told: npt.NDArray[np.bool_], seed: int) -> Floats:
    """Return means of draws of so many clips that they are normal, (draws, heads, figures).

    Args:
        away: (clips, heads, figures), values less their mean, 0 where there is none.
        told: where there is a value.
        seed: of the draws.
    """
    count = np.maximum(told.sum(0), 1)
    scaled = away / count
    spread = np.einsum("chf,chg->hfg", scaled, scaled)  # of the means, figures hang together
    size, direction = np.linalg.eigh(spread)
    normal = np.random.default_rng(seed).standard_normal((DRAWS, *count.shape))
    drawn: Floats = np.einsum("hfk,dhk->dhf", direction * np.sqrt(size.clip(0))[:, None], normal)
    return drawn
