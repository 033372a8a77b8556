"""Boxes of what stands on a ground of one colour: no detector, for drawings of known truth."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from nlviz.errors import NlvizError

DIFFERS = 24  # of 255, in one channel at least: what a film's compression does to a ground is less
LEAST = 36  # pixels of a box
EVEN = 0.9  # share of a picture's border that has the ground's colour
MOST = 100  # boxes of one picture

Boxes = npt.NDArray[np.float32]


def plain_boxes(frame: npt.NDArray[np.uint8], *, name: str = "the picture") -> Boxes:
    """Return the boxes of a picture's parts that differ from its ground, (n, 4).

    Args:
        frame: (H, W, 3) RGB.
        name: what the picture is called in errors.

    Returns:
        (top, left, bottom, right) in pixels, half-open, from top to bottom and left to right.

    Raises:
        NlvizError: when the border of the picture has no one colour, or there are no boxes.

    >>> page = np.full((30, 40, 3), 230, np.uint8)
    >>> page[5:15, 8:20] = (200, 30, 30)
    >>> plain_boxes(page)
    array([[ 5.,  8., 15., 20.]], dtype=float32)
    """
    border = np.concatenate([frame[0], frame[-1], frame[:, 0], frame[:, -1]]).astype(np.int16)
    ground = np.median(border, axis=0)
    if (np.abs(border - ground).max(1) <= DIFFERS).mean() < EVEN:
        raise NlvizError(
            f"boxes are found on a ground of one colour, the border of {name} has several; take a "
            "drawing such as the bundled tiles.png"
        )
    differs = (np.abs(frame.astype(np.int16) - ground).max(2) > DIFFERS).astype(np.uint8)
    found = cv2.connectedComponentsWithStats(differs, connectivity=8)[2][1:]
    found = found[found[:, cv2.CC_STAT_AREA] >= LEAST]
    if not 1 <= len(found) <= MOST:
        raise NlvizError(
            f"a picture of boxes has 1 to {MOST} of them, {name} has {len(found)}; take a drawing "
            "such as the bundled tiles.png"
        )
    left, top, wide, high = (found[:, i].astype(np.float32) for i in range(4))
    order = np.lexsort([left, top])
    boxes: Boxes = np.stack([top, left, top + high, left + wide], 1)[order]
    return boxes
