"""Pictures of one digit at a known place: the task of the CoAtNet layouts.

A picture is a window of 64 x 64 pixels on a noisy plane that holds one digit. To move the window is
to move the digit with all that surrounds it, by whole pixels: a true shift, with nothing invented
at its borders. Digits are the 1,797 of scikit-learn (8 x 8 grey levels, BSD-3), enlarged.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nlviz.networks.coatnet import SIDE
from nlviz.recipes.recall_clips import HELD_OUT, Split, enlarged_digits

DIGIT = 24  # pixels
REACH = SIDE - DIGIT  # corners of digits lie in [0, REACH], both ways
SEEN = 20  # training places digits at corners in [0, SEEN], both ways
NOISE = 0.08  # of the range of values
CELL = 4  # pixels of a cell of the first stage
Corners = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Planes:
    """Noisy planes with one digit each.

    Attributes:
        values: (planes, 104, 104) grey levels, uint8; the digit's first pixel is at (40, 40).
        digits: (planes,) which digit each holds.
        writings: (planes,) number of the writing, in [0, 597) where they are held out.
    """

    values: npt.NDArray[np.uint8]
    digits: npt.NDArray[np.int64]
    writings: npt.NDArray[np.int64]

    def window(self, corners: Corners) -> npt.NDArray[np.uint8]:
        """Return (planes, 64, 64): the windows in which the digits' first pixels are at corners.

        Args:
            corners: (planes, 2) y and x, in [0, 40].
        """
        return np.stack(
            [
                plane[REACH - y : REACH - y + SIDE, REACH - x : REACH - x + SIDE]
                for plane, (y, x) in zip(self.values, corners, strict=True)
            ]
        )


def planes(count: int, *, seed: int, split: Split = "held-out") -> Planes:
    """Draw planes with one digit each.

    Args:
        count: number of planes.
        seed: the same number gives the same planes.
        split: whose digits are drawn: 1,200 writings for training, 597 that are held out.

    Raises:
        NlvizError: without scikit-learn, which has the digits.

    >>> drawn = planes(3, seed=1)
    >>> drawn.values.shape, drawn.window(np.array([[0, 0], [7, 40], [20, 5]])).shape
    ((3, 104, 104), (3, 64, 64))
    """
    pictures, labels = enlarged_digits(DIGIT)
    which = slice(None, -HELD_OUT) if split == "training" else slice(-HELD_OUT, None)
    pictures, labels = pictures[which], labels[which]
    rng = np.random.default_rng(seed)
    chosen = rng.integers(0, len(labels), count)
    side = SIDE + REACH
    values = rng.standard_normal((count, side, side), dtype=np.float32) * np.float32(NOISE)
    ground = rng.uniform(0.05, 0.3, (count, 1, 1)).astype(np.float32)
    ink = rng.uniform(0.6, 1.0, (count, 1, 1)).astype(np.float32)
    values += ground
    opacity = pictures[chosen].astype(np.float32)
    values[:, REACH : REACH + DIGIT, REACH : REACH + DIGIT] += opacity * (ink - ground)
    return Planes(np.rint(values.clip(0, 1) * 255).astype(np.uint8), labels[chosen].copy(), chosen)


def seen(corners: Corners) -> npt.NDArray[np.bool_]:
    """Return which corners training uses: the upper left quarter of all.

    >>> seen(np.array([[20, 20], [21, 0], [0, 40]]))
    array([ True, False, False])
    """
    return np.asarray((corners <= SEEN).all(axis=-1))


def corners_of(count: int, *, seed: int, unseen: bool = False) -> Corners:
    """Draw (count, 2) corners evenly from the places of training, or from all others.

    >>> inside, outside = corners_of(50, seed=2), corners_of(50, seed=2, unseen=True)
    >>> bool(seen(inside).all()), bool(seen(outside).any())
    (True, False)
    """
    axis = np.arange(REACH + 1)
    every = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    allowed = every[seen(every) != unseen]
    return np.asarray(allowed[np.random.default_rng(seed).integers(0, len(allowed), count)])


def as_input(pictures: npt.NDArray[np.uint8]) -> Float[Tensor, "pictures 3 h w"]:
    """Return grey pictures as three equal channels in [0, 1]."""
    grey = torch.from_numpy(pictures).float() / 255
    return grey[:, None].expand(-1, 3, -1, -1)


def covered(corners: Tensor) -> Bool[Tensor, "pictures 16 16"]:
    """Return which cells of 4 x 4 pixels have their middle in the square of the digit.

    >>> int(covered(torch.tensor([[3, 10]])).sum())
    36
    """
    middles = torch.arange(SIDE // CELL) * CELL + (CELL - 1) / 2
    inside = [(middles >= a) & (middles < a + DIGIT) for a in (corners[:, :1], corners[:, 1:])]
    return inside[0][:, :, None] & inside[1][:, None, :]
