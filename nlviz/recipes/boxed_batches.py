"""Boxes of some clips, drawn at random, with the truth about their objects in every frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nlviz.recipes.boxed_clips import STRIDE, BoxedClip


@dataclass(frozen=True, eq=False)
class Batch:
    """Boxes of some clips of equally many frames, and the truth.

    Attributes:
        features: (clips, channels, t, h, w).
        boxes: (clips, n, 5) slice, top, left, bottom, right in cells.
        truth: (clips, n, t, 4) middle y and x in cells, height and width as shares of the frame;
            0 where the object does not show.
        seen: (clips, n, t) whether it shows.
        own: (clips, n, t) the query's own frame.
        things: (clips, n) the numbers of the objects.
        picked: (clips, t) the numbers of the frames in the whole clip.
    """

    features: Tensor
    boxes: Tensor
    truth: Tensor
    seen: Tensor
    own: Tensor
    things: Tensor
    picked: Tensor


def draw(
    clips: Sequence[BoxedClip],
    rng: np.random.Generator,
    *,
    boxes: int,
    frames: int,
    change: bool = True,
) -> Batch:
    """Return boxes of clips, drawn at random among the objects that show well.

    Args:
        clips: the clips of one batch.
        rng: source of chance.
        boxes: queries per clip.
        frames: of each clip, in their order or backwards.
        change: mirror and reverse clips at times.
    """
    found: list[tuple[Tensor, ...]] = []
    for clip in clips:
        picked = np.sort(rng.choice(len(clip.features), frames, replace=False))
        back, mirror = (change and rng.random() < 0.5 for _ in range(2))
        frame = torch.from_numpy(picked[::-1].copy() if back else picked)
        features = clip.features[frame].float().transpose(0, 1)
        edges, area = clip.boxes[:, frame] / STRIDE, clip.area[:, frame]
        h, w = features.shape[2:]
        if mirror:
            features = features.flip(-1)
            top, left, bottom, right = edges.unbind(-1)
            edges = torch.stack([top, w - right, bottom, w - left], -1)
        asked = clip.asked[:, frame]
        candidates = (asked if bool(asked.any()) else area == area.max()).nonzero()
        thing, slice_ = candidates[rng.integers(0, len(candidates), boxes)].T
        own = edges[thing]  # (n, t, 4)
        middle, size = (own[..., :2] + own[..., 2:]) / 2, own[..., 2:] - own[..., :2]
        truth = torch.cat([middle, size / torch.tensor([h, w])], -1).nan_to_num()
        query = torch.cat([slice_[:, None].float(), edges[thing, slice_]], 1)
        mine = torch.arange(frames) == slice_[:, None]
        found.append((features, query, truth, clip.seen[:, frame][thing], mine, thing, frame))
    return Batch(*(torch.stack(parts) for parts in zip(*found, strict=True)))
