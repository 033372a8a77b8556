"""Patches of clean photographs with noise, drawn from a seed and a step alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from nlviz.errors import NlvizError
from nlviz.recipes.composed import Picture
from nlviz.recipes.footage import read_photo

SHORTER = (900, 600, 400)  # pixels; a photograph is taken at each of these that reduces it enough
REDUCED = 1.8  # by which artefacts of the camera and of JPEG are gone
MOST_SIGMA = 55.0
_LUMA = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)


class Batch(NamedTuple):
    """Patches to train on: clean and noisy (batch, 3, size, size) in [0, 1], sigma (batch,)."""

    clean: Float[Tensor, "batch 3 size size"]
    noisy: Float[Tensor, "batch 3 size size"]
    sigma: Float[Tensor, " batch"]


class PatchBank:
    """Clean pictures to cut patches from.

    Args:
        pictures: (H, W, 3) RGB uint8, all at least as large as the patches.

    >>> bank = PatchBank([np.full((70, 90, 3), 128, np.uint8)])
    >>> batch = bank.draw(2, 32, seed=0, step=5)
    >>> batch.noisy.shape, bool(batch.clean.std() < 1e-6)
    (torch.Size([2, 3, 32, 32]), True)
    """

    def __init__(self, pictures: Sequence[Picture]) -> None:
        if not pictures:
            raise NlvizError("training needs at least one photograph; add --photos DIR")
        self.pictures = pictures
        size = np.array([p.shape[0] * p.shape[1] for p in pictures], float)
        self._chance = size / size.sum()

    def draw(self, count: int, size: int, *, seed: int, step: int) -> Batch:
        """Return patches with noise: half of them grey, sigma uniform in [0, 55] of 255.

        The same seed and step give the same patches whatever was drawn before, so that two
        networks train on the same data and an interrupted run goes on as if it had not been.

        Raises:
            NlvizError: when a picture is smaller than the patches.
        """
        rng = np.random.default_rng([seed, step])
        cut = np.stack([self._patch(size, rng) for _ in range(count)])
        clean = torch.from_numpy(cut).permute(0, 3, 1, 2).float() / 255
        grey = torch.from_numpy(rng.random(count) < 0.5).view(-1, 1, 1, 1)
        clean = torch.where(grey, (clean * _LUMA).sum(1, keepdim=True).expand_as(clean), clean)
        sigma = torch.from_numpy(rng.uniform(0, MOST_SIGMA, count).astype(np.float32)) / 255
        noise = torch.from_numpy(rng.standard_normal(clean.shape, np.float32))
        noise = torch.where(grey, noise[:, :1].expand_as(noise), noise)
        return Batch(clean, clean + noise * sigma.view(-1, 1, 1, 1), sigma)

    def _patch(self, size: int, rng: np.random.Generator) -> Picture:
        picture = self.pictures[rng.choice(len(self.pictures), p=self._chance)]
        height, width = picture.shape[:2]
        if size > min(height, width):
            raise NlvizError(
                f"patches of {size} px do not fit into a picture of {width}x{height} px; leave it "
                "out"
            )
        y = rng.integers(height - size + 1)
        x = rng.integers(width - size + 1)
        patch = picture[y : y + size, x : x + size]
        for flip in (np.s_[:, ::-1], np.s_[::-1]):
            patch = patch[flip] if rng.random() < 0.5 else patch
        return patch.transpose(1, 0, 2) if rng.random() < 0.5 else patch


def read_bank(paths: Iterable[Path], *, kept: Path) -> PatchBank:
    """Return the bank of some photographs, reduced; read again from ``kept`` the next time.

    Raises:
        NlvizError: when a file is not a picture, or no picture is large enough.
    """
    if not kept.exists():
        pictures = []
        for path in sorted(paths, key=lambda p: p.name):
            whole = read_photo(path, shorter=1 << 20)
            for shorter in SHORTER:
                if shorter * REDUCED <= min(whole.shape[:2]):
                    pictures.append(read_photo(path, shorter=shorter))
        if not pictures:
            raise NlvizError(
                "photographs to train on need a shorter side of at least "
                f"{int(SHORTER[-1] * REDUCED)} pixels, as they are reduced; none has it"
            )
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez(kept, *pictures)
    with np.load(kept) as stored:
        return PatchBank([stored[name] for name in stored.files])
