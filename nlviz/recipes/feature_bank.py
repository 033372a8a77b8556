"""Features of the frozen backbone for many short clips, clean and degraded, computed once.

A sample is a clip of a few frames. Composed clips bring the true place of every cell of every frame
in every other frame; footage does not. The features that enter ``stage3`` are kept in files, so
that an interrupted run goes on where it was; those of ``stage4`` follow from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nlviz.networks.lite_nl import LiteNL
from nlviz.recipes.composed import ComposedClip, Picture, compose
from nlviz.recipes.footage import degrade, window

FRAMES = 4
STRIDES = {"stage3": 8, "stage4": 16}


@dataclass(frozen=True, eq=False)
class Sample:
    """Features of one clip at one block, and the truth where it is known.

    Attributes:
        clean: (T, C, h, w) float16 features of the clean frames.
        seen: (T, C, h, w) float16 features of the degraded frames.
        truth: (T, T, h * w, 2) float16, in cells (y, x): where the cell of the first frame is in
            the second, not-a-number where it is hidden; None where it is not known.
        labels: (T, h * w) uint8, the layer of each cell; None where it is not known.
    """

    clean: Tensor
    seen: Tensor
    truth: Tensor | None
    labels: Tensor | None


def normalised(frames: Picture) -> Tensor:
    """Return (T, 3, H, W) float32, as the backbone was trained: (value - 127) / 128.

    >>> normalised(np.full((1, 2, 2, 3), 255, np.uint8))[0, 0, 0, 0].item()
    1.0
    """
    pixels = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2)
    return (pixels.float() - 127) / 128


@torch.no_grad()
def entering_stage3(net: LiteNL, frames: Picture, device: torch.device) -> Tensor:
    """Return (T, 40, h, w) features of frames, before ``stage3``."""
    x = net.backbone.bn1(net.backbone.conv_stem(normalised(frames).to(device)))
    for stage in net.backbone.blocks[:3]:
        x = stage(x)
    features: Tensor = x
    return features


@torch.no_grad()
def between(net: LiteNL, x: Tensor) -> Tensor:
    """Return (T, 112, h, w) features before ``stage4`` from those behind ``stage3``."""
    for stage in net.backbone.blocks[3:5]:
        x = stage(x)
    return x


def true_places(clip: ComposedClip, stride: int) -> tuple[npt.NDArray[np.float16], Picture]:
    """Return truth and labels of a sample (see `Sample`) for cells of this stride.

    >>> photo = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
    >>> truth, labels = true_places(compose([photo], seed=1, frames=3, size=(64, 96)), 16)
    >>> truth.shape, labels.shape
    ((3, 3, 24, 2), (3, 24))
    """
    frames, height, width = clip.labels.shape
    centre = (stride - 1) / 2
    cells = np.indices((height // stride, width // stride)).reshape(2, -1).T
    points = cells * stride + centre
    truth = np.empty((frames, frames, len(points), 2), np.float16)
    for a in range(frames):
        for b in range(frames):
            places, seen = clip.places(frame=a, points=points, to=b)
            truth[a, b] = np.where(seen[:, None], (places - centre) / stride, np.nan)
    labels = np.stack([clip.layer_at(t, points) for t in range(frames)]).astype(np.uint8)
    return truth, labels


def composed_clip(
    photos: Sequence[Picture], seed: int, *, size: tuple[int, int], sigma: float | None
) -> tuple[ComposedClip, Picture]:
    """Return a composed clip of a few objects and its frames as a bad camera sees them."""
    rng = np.random.default_rng([seed, 1])
    clip = compose(
        photos,
        seed=seed,
        frames=FRAMES,
        size=size,
        objects=int(rng.integers(3, 7)),
        photometric=float(rng.uniform(0.3, 2)),
    )
    return clip, degrade(clip.frames, rng, sigma=sigma)


class FeatureBank:
    """Samples at ``stage3``, one file each, made when they are first asked for.

    Args:
        net: the network; its backbone is used.
        folder: where the files are kept.
        photos: pictures to compose clips from.
        films: (T, H, W, 3) films to cut windows from.
        seed: of everything that is drawn.
        size: height and width of the clips in pixels, multiples of 16.
        sigma: noise of the degraded frames, by default a mixture of degradations.
        device: where the backbone runs, the CPU by default.
    """

    def __init__(
        self,
        net: LiteNL,
        folder: Path,
        *,
        photos: Sequence[Picture],
        films: Sequence[Picture],
        seed: int,
        size: tuple[int, int] = (224, 304),
        sigma: float | None = None,
        device: torch.device | None = None,
    ) -> None:
        """Remember the arguments and make the folder."""
        self.net, self.folder, self.photos, self.films = net, folder, photos, films
        self.seed, self.size, self.sigma = seed, size, sigma
        self.device = device or torch.device("cpu")
        folder.mkdir(parents=True, exist_ok=True)

    def composed(self, count: int, told: Callable[[int], None]) -> list[dict[str, Any]]:
        """Return `count` samples of composed clips as dictionaries of arrays."""
        return list(self._samples("composed", count, self._compose, told))

    def footage(self, count: int, told: Callable[[int], None]) -> list[dict[str, Any]]:
        """Return `count` samples of footage as dictionaries of arrays; empty without films."""
        return list(self._samples("footage", count if self.films else 0, self._film, told))

    def _samples(
        self,
        kind: str,
        count: int,
        make: Callable[[int], dict[str, Any]],
        told: Callable[[int], None],
    ) -> Iterator[dict[str, Any]]:
        for index in range(count):
            path = self.folder / f"{kind}-{index:05d}.npz"
            if not path.exists():
                partial = path.with_suffix(".part.npz")
                np.savez(partial, **make(index))
                partial.replace(path)
            with np.load(path) as stored:
                yield dict(stored)
            told(index + 1)

    def _compose(self, index: int) -> dict[str, Any]:
        seed = self.seed * 1_000_003 + index
        clip, seen = composed_clip(self.photos, seed, size=self.size, sigma=self.sigma)
        out = self._features(clip.frames, seen)
        for name, stride in STRIDES.items():
            out[f"truth_{name}"], out[f"labels_{name}"] = true_places(clip, stride)
        return out

    def _film(self, index: int) -> dict[str, Any]:
        rng = np.random.default_rng([self.seed, 2, index])
        film = self.films[index % len(self.films)]
        clean = window(film, frames=FRAMES, size=self.size, rng=rng)
        return self._features(clean, degrade(clean, rng, sigma=self.sigma))

    def _features(self, clean: Picture, seen: Picture) -> dict[str, Any]:
        x = entering_stage3(self.net, np.concatenate([clean, seen]), self.device)
        first, second = x.half().cpu().numpy().reshape(2, len(clean), *x.shape[1:])
        return {"clean": first, "seen": second}


def at_stage3(stored: dict[str, Any]) -> Sample:
    """Return the sample that enters ``stage3``."""
    clean, seen = torch.from_numpy(stored["clean"]), torch.from_numpy(stored["seen"])
    return Sample(clean, seen, *_known(stored, "stage3"))


@torch.no_grad()
def at_stage4(net: LiteNL, stored: dict[str, Any], device: torch.device) -> tuple[Sample, Tensor]:
    """Return the sample that enters ``stage4`` behind the network's ``stage3``, and its target.

    The target is what a backbone without blocks makes of the clean frames, (T, 112, h, w) float16.
    """
    clean, seen = (torch.from_numpy(stored[k]).float().to(device) for k in ("clean", "seen"))
    target = between(net, clean)
    behind = [net.stage3(x.transpose(0, 1)[None])[0].transpose(0, 1) for x in (clean, seen)]
    inputs = [between(net, x).half().cpu() for x in behind]
    return Sample(inputs[0], inputs[1], *_known(stored, "stage4")), target.half().cpu()


def _known(stored: dict[str, Any], name: str) -> tuple[Tensor | None, Tensor | None]:
    if f"truth_{name}" not in stored:
        return None, None
    truth = torch.from_numpy(stored[f"truth_{name}"])
    return truth, torch.from_numpy(stored[f"labels_{name}"])
