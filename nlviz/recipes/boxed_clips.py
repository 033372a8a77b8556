"""Composed clips with the boxes of their objects, and the trunk's features of them, computed once.

Of half the clips one object has an identical twin on a path of its own. The photographs are cut as
for ``lite_nl``; the features are kept in files, so that an interrupted run goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nlviz.networks.lite_nl import LiteNL
from nlviz.recipes.composed import ComposedClip, Picture, compose
from nlviz.recipes.feature_bank import between, entering_stage3

FRAMES = 8
SIZE = (224, 304)
STRIDE = 16
SEEN = 400  # pixels of an object that must show for it to count as seen: 1.6 cells
ASKED = 1200  # of an object that is asked for

Boxes = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class BoxedClip:
    """Features of one composed clip, and where its objects are.

    Attributes:
        features: (T, C, h, w) float16, what the trunk makes of the frames.
        boxes: (objects, T, 4) float32, (top, left, bottom, right) of the visible part of each
            object in pixels of the clip, half-open; not-a-number where nothing of it shows.
        area: (objects, T) int32, how many pixels of it show.
        labels: (T, h, w) uint8, the layer at the centre of each cell; object k is layer k + 1.
        twins: for every object the one that it is a copy of, or its own number.
    """

    features: Tensor
    boxes: Tensor
    area: Tensor
    labels: Tensor
    twins: tuple[int, ...]

    @property
    def seen(self) -> Tensor:
        """(objects, T) bool: whether an object shows in a frame."""
        return self.area >= SEEN

    @property
    def asked(self) -> Tensor:
        """(objects, T) bool: whether an object shows so well that it may be asked for."""
        return self.area >= ASKED

    def twin_of(self, thing: int) -> int | None:
        """Return the other of two identical objects; None where there is none."""
        pairs = [(k, o) for k, o in enumerate(self.twins) if k != o]
        return next((o if thing == k else k for k, o in pairs if thing in (k, o)), None)


def boxes_of(clip: ComposedClip) -> tuple[Boxes, npt.NDArray[np.int32]]:
    """Return boxes and area of every object in every frame, see `BoxedClip`.

    >>> photo = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
    >>> boxes, area = boxes_of(compose([photo], seed=1, frames=3, size=(64, 96), objects=2))
    >>> boxes.shape, area.shape
    ((2, 3, 4), (2, 3))
    """
    objects, frames = len(clip.twins) - 1, len(clip.labels)
    boxes = np.full((objects, frames, 4), np.nan, np.float32)
    area = np.zeros((objects, frames), np.int32)
    for k in range(objects):
        for t in range(frames):
            rows, columns = np.nonzero(clip.labels[t] == k + 1)
            area[k, t] = len(rows)
            if len(rows):
                ends = rows.min(), columns.min(), rows.max() + 1, columns.max() + 1
                boxes[k, t] = ends
    return boxes, area


def boxed_clip(photos: Sequence[Picture], seed: int) -> ComposedClip:
    """Return a composed clip of two to five objects; every other seed has a twin among them."""
    rng = np.random.default_rng([seed, 3])
    return compose(
        photos,
        seed=seed,
        frames=FRAMES,
        size=SIZE,
        objects=int(rng.integers(2, 5)),
        twins=seed % 2 == 0,
        photometric=float(rng.uniform(0.3, 1.5)),
    )


def seen_by_trunk(net: LiteNL, clip: ComposedClip) -> BoxedClip:
    """Return a composed clip as the trunk sees it."""
    features = between(net, entering_stage3(net, clip.frames, torch.device("cpu")))
    boxes, area = boxes_of(clip)
    middle = (STRIDE - 1) / 2
    h, w = features.shape[2:]
    points = np.indices((h, w)).reshape(2, -1).T.astype(np.float64) * STRIDE + middle
    labels = np.stack([clip.layer_at(t, points) for t in range(len(clip.frames))])
    return BoxedClip(
        features.half(),
        torch.from_numpy(boxes),
        torch.from_numpy(area),
        torch.from_numpy(labels.reshape(-1, h, w).astype(np.uint8)),
        tuple(k - 1 for k in clip.twins[1:]),
    )


def bank(
    net: LiteNL,
    folder: Path,
    photos: Sequence[Picture],
    count: int,
    *,
    seed: int,
    told: Callable[[int], None] = lambda done: None,
) -> list[BoxedClip]:
    """Return composed clips as the trunk sees them, from files where they are there already.

    Args:
        net: whose backbone is the trunk.
        folder: where the files are kept.
        photos: pictures to compose clips from.
        count: number of clips.
        seed: of everything that is drawn.
        told: called with the number of clips that are there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for index in range(count):
        path = folder / f"boxed-{index:05d}.npz"
        if not path.exists():
            one = seen_by_trunk(net, boxed_clip(photos, seed * 1_000_003 + index))
            partial = path.with_suffix(".part.npz")
            np.savez(
                partial,
                features=one.features.numpy(),
                boxes=one.boxes.numpy(),
                area=one.area.numpy(),
                labels=one.labels.numpy(),
                twins=np.array(one.twins),
            )
            partial.replace(path)
        with np.load(path) as stored:
            tensors = {k: torch.from_numpy(stored[k]) for k in stored if k != "twins"}
            found.append(BoxedClip(**tensors, twins=tuple(int(k) for k in stored["twins"])))
        told(index + 1)
    return found
