"""Clips of the recall task: four coloured digits, one a frame, then one of them in grey.

``recall`` asks for the colour of that one, ``missing`` for the colour that no frame shows; the
clips of ``single`` are the same, less the three coloured digits that are not asked for. The digits
are the 1,797 of scikit-learn (8 x 8 grey levels, BSD-3), enlarged. Everything follows from the
seed, and where every digit stands is known to the pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from nlviz.clips.clip import Clip
from nlviz.errors import NlvizError
from nlviz.networks.recall import COLOURS, FRAMES, SIDE, STRIDE, RecallTask

DIGIT = 12  # pixels
HELD_OUT = 597  # of the digits are drawn only where a network is measured
NOISE = 0.06  # of the range of values
_RGB = np.array([(230, 60, 50), (60, 190, 70), (70, 100, 235), (225, 200, 60), (190, 70, 200)])
_GREY = (205, 205, 205)
Split = Literal["training", "held-out"]


@dataclass(frozen=True, eq=False)
class RecallClips:
    """Clips of the task and what is true of them.

    Attributes:
        frames: (clips, 5, 32, 32, 3) RGB uint8.
        corners: (clips, 5, 2) y and x of the first pixel of the 12 x 12 that hold the digit.
        digits: (clips, 5) which digit each frame shows.
        colours: (clips, 4) numbers of the colours of the first four frames, all different.
        asked: (clips,) the context frame whose digit is shown again; its colour is the answer.
    """

    frames: npt.NDArray[np.uint8]
    corners: npt.NDArray[np.int64]
    digits: npt.NDArray[np.int64]
    colours: npt.NDArray[np.int64]
    asked: npt.NDArray[np.int64]

    @property
    def answers(self) -> npt.NDArray[np.int64]:
        """(clips,) number of the right colour."""
        found: npt.NDArray[np.int64] = np.take_along_axis(
            self.colours, self.asked[:, None], axis=1
        )[:, 0]
        return found

    @property
    def missing(self) -> npt.NDArray[np.int64]:
        """(clips,) number of the one colour that no frame shows."""
        shown = (self.colours[:, :, None] == np.arange(len(COLOURS))).any(axis=1)
        found: npt.NDArray[np.int64] = shown.argmin(axis=1)
        return found

    def labels(self, task: RecallTask) -> npt.NDArray[np.int64]:
        """Return (clips,): the number of the colour that a task asks for."""
        return self.missing if task == "missing" else self.answers

    def centre(self, clip: int, frame: int) -> tuple[int, int]:
        """Return y and x of the pixel in the middle of a frame's digit."""
        y, x = self.corners[clip, frame] + DIGIT // 2
        return int(y), int(x)

    def covered(self, clip: int, frame: int) -> npt.NDArray[np.bool_]:
        """Return (8, 8): the cells whose middle lies in the square of a frame's digit."""
        middles = np.arange(SIDE // STRIDE) * STRIDE + (STRIDE - 1) / 2
        y, x = self.corners[clip, frame]
        inside = [(middles >= a) & (middles <= a + DIGIT - 1) for a in (y, x)]
        return np.asarray(inside[0][:, None] & inside[1][None, :])

    def clip(self, index: int) -> Clip:
        """Return one of them as a clip, one frame a second."""
        right = COLOURS[self.answers[index]]
        return Clip.from_frames(self.frames[index], name=f"recall {index} ({right})")


def recall_clips(
    count: int, *, seed: int, split: Split = "held-out", task: RecallTask = "recall"
) -> RecallClips:
    """Draw clips of a task.

    Args:
        count: number of clips.
        seed: the same number gives the same clips.
        split: whose digits are drawn.
        task: in ``single`` the same clips lack the three coloured digits that are not asked for.

    Raises:
        NlvizError: without scikit-learn, which has the digits.

    >>> clips = recall_clips(3, seed=1)
    >>> clips.frames.shape, len(set(clips.digits[0, :4].tolist()))
    ((3, 5, 32, 32, 3), 4)
    """
    pictures, labels = enlarged_digits(DIGIT)
    which = slice(None, -HELD_OUT) if split == "training" else slice(-HELD_OUT, None)
    pictures, labels = pictures[which], labels[which]
    by_digit = [np.flatnonzero(labels == digit) for digit in range(10)]
    rng = np.random.default_rng(seed)
    shape = (count, FRAMES, SIDE, SIDE, 3)
    values = np.broadcast_to(rng.uniform(0.05, 0.3, (count, FRAMES, 1, 1, 1)), shape).copy()
    corners = rng.integers(0, SIDE - DIGIT + 1, (count, FRAMES, 2))
    digits = np.stack([rng.permutation(10)[:FRAMES] for _ in range(count)])
    colours = np.stack([rng.permutation(len(COLOURS))[: FRAMES - 1] for _ in range(count)])
    asked = rng.integers(0, FRAMES - 1, count)
    digits[:, -1] = digits[np.arange(count), asked]
    for n in range(count):
        for t in range(FRAMES):
            picture = pictures[rng.choice(by_digit[digits[n, t]])][..., None]
            colour = np.array(_GREY if t == FRAMES - 1 else _RGB[colours[n, t]]) / 255
            y, x = corners[n, t]
            if task == "single" and t not in (asked[n], FRAMES - 1):
                rng.uniform(0.85, 1.0)  # all else stays as in the other tasks
                continue
            square = values[n, t, y : y + DIGIT, x : x + DIGIT]
            square += picture * (colour * rng.uniform(0.85, 1.0) - square)
    values += rng.normal(0, NOISE, shape)
    frames = np.rint(values.clip(0, 1) * 255).astype(np.uint8)
    return RecallClips(frames, corners, digits, colours, asked)


@cache
def enlarged_digits(side: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Return (1797, side, side) opacities in [0, 1] and (1797,) digits, in an order of chance.

    The last ``HELD_OUT`` are not for training.

    Raises:
        NlvizError: without scikit-learn, which has the digits.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as err:
        raise NlvizError(
            "the digits of the recall task are those of scikit-learn, which is not installed; run "
            "`pip install scikit-learn`"
        ) from err
    bunch = load_digits()
    order = np.random.default_rng(0).permutation(len(bunch.images))
    large = [cv2.resize(p, (side, side), interpolation=cv2.INTER_CUBIC) for p in bunch.images]
    pictures = np.stack(large)[order].clip(0, 16) / 16
    return pictures, bunch.target[order].astype(np.int64)
