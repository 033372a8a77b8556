"""What a detection network found on the frames of a clip.

Coordinates are in pixels of the clip, from its corner: pixel 0 covers [0, 1). Those of a query
count from the centre of pixel 0, so ``Detection.centre`` is half a pixel less.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Polygon = npt.NDArray[np.float32]
Places = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

# The limbs of COCO's person: pairs of its 17 keypoints.
LIMBS: tuple[tuple[int, int], ...] = (
    *((0, 1), (0, 2), (1, 3), (2, 4), (5, 6), (5, 7), (7, 9), (6, 8), (8, 10)),
    *((5, 11), (6, 12), (11, 12), (11, 13), (13, 15), (12, 14), (14, 16)),
)


@dataclass(frozen=True, eq=False)
class Detection:
    """One object on one frame.

    Attributes:
        frame: 0-based index of the sampled frame.
        label: what it is.
        number: of the objects of this label in the clip, from 1; see ``numbered``.
        score: confidence of the network, in [0, 1].
        box: (top, left, bottom, right) in pixels from the corner.
        mask: (height, width) of the clip, True on the object, or None.
        keypoints: (n, 3) of y, x in pixels from the corner and the keypoint's logit, or None.

    >>> mask = np.zeros((20, 30), bool)
    >>> mask[4:10, 6:16] = True
    >>> dog = Detection(0, "dog", 1, 0.9, (4, 6, 10, 16), mask)
    >>> dog.name, dog.centre, len(dog.outline)
    ('dog 1', (6.5, 10.5), 1)
    """

    frame: int
    label: str
    number: int
    score: float
    box: tuple[float, float, float, float]
    mask: Mask | None = None
    keypoints: Places | None = None

    @property
    def name(self) -> str:
        """Label and number, which name it within its clip."""
        return f"{self.label} {self.number}"

    @property
    def centre(self) -> tuple[float, float]:
        """(y, x) of its middle as a query's place: on the mask where there is one.

        The middle of a ring lies outside of it; then it is the mask's pixel next to the middle.
        """
        top, left, bottom, right = self.box
        y, x = (top + bottom) / 2 - 0.5, (left + right) / 2 - 0.5
        if self.mask is None or not self.mask.any():
            return y, x
        ys, xs = np.nonzero(self.mask)
        y, x = float(ys.mean()), float(xs.mean())
        if self.mask[round(y), round(x)]:
            return y, x
        nearest = int(np.hypot(ys - y, xs - x).argmin())
        return float(ys[nearest]), float(xs[nearest])

    @cached_property
    def outline(self) -> tuple[Polygon, ...]:
        """The borders of the mask, each (n, 2) of y, x; empty without a mask."""
        if self.mask is None:
            return ()
        # Contours run through the centres of border pixels, half a pixel inside the border.
        found, _ = cv2.findContours(
            self.mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE
        )
        simple = (cv2.approxPolyDP(c, 0.7, closed=True)[:, 0, ::-1] for c in found)
        return tuple(c.astype(np.float32) + 0.5 for c in simple if len(c) > 1)

    def to_dict(self) -> dict[str, Any]:
        """Return the detection as JSON values; the mask is run-length encoded.

        >>> whole = Detection(2, "cat", 3, 0.5, (0, 0, 2, 3), np.eye(2, 3, dtype=bool))
        >>> whole.to_dict()["mask"]
        {'shape': [2, 3], 'runs': [0, 1, 3, 1, 1]}
        >>> (Detection.from_dict(whole.to_dict()).mask == whole.mask).all()
        np.True_
        """
        runs = None
        if self.mask is not None:
            flat = np.concatenate([[False], self.mask.ravel()])
            turns = np.flatnonzero(np.diff(flat))
            lengths = np.diff(np.concatenate([[0], turns, [self.mask.size]]))
            runs = {"shape": list(self.mask.shape), "runs": lengths.tolist()}
        return {
            "frame": self.frame,
            "label": self.label,
            "number": self.number,
            "score": self.score,
            "box": list(self.box),
            "mask": runs,
            "keypoints": None if self.keypoints is None else self.keypoints.tolist(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Detection:
        """Return the detection that ``to_dict`` wrote."""
        mask, keypoints = values.get("mask"), values.get("keypoints")
        top, left, bottom, right = (float(v) for v in values["box"])
        if mask is not None:
            lengths = mask["runs"]
            on = np.arange(len(lengths)) % 2 == 1  # runs begin with what is off the object
            mask = np.repeat(on, lengths).reshape(mask["shape"])
        return cls(
            int(values["frame"]),
            str(values["label"]),
            int(values["number"]),
            float(values["score"]),
            (top, left, bottom, right),
            mask,
            None if keypoints is None else np.array(keypoints, np.float32).reshape(-1, 3),
        )

    def __repr__(self) -> str:
        return f"Detection({self.name}, {self.score:.0%}, frame {self.frame})"


def numbered(labels: Iterable[str]) -> list[int]:
    """Number the objects of each label, from 1, in order.

    >>> numbered(["person", "dog", "person"])
    [1, 1, 2]
    """
    seen: dict[str, int] = {}
    numbers = []
    for label in labels:
        seen[label] = seen.get(label, 0) + 1
        numbers.append(seen[label])
    return numbers


Pixel = tuple[float, float]


SEEN = 0.0  # keypoints below this logit are not drawn


def seen(found: Detection) -> list[Pixel | None]:
    """Return (y, x) of each keypoint, or None where its logit is at most ``SEEN``."""
    if found.keypoints is None:
        return []
    return [(float(y), float(x)) if logit > SEEN else None for y, x, logit in found.keypoints]


def limbs(found: Detection) -> Sequence[tuple[int, int]]:
    """Return the pairs of keypoints that form limbs; only those of COCO's persons are known."""
    return LIMBS if found.keypoints is not None and len(found.keypoints) == 17 else ()
