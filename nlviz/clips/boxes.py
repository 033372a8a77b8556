"""Boxes that a network is asked about: where a person or an object is on a frame of the clip."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from nlviz.clips.clip import Box, Clip
from nlviz.errors import OutsideClip

MOST_BOXES = 1024


def with_boxes(clip: Clip, boxes: Sequence[Sequence[float]]) -> Clip:
    """Return a clip with boxes that a network is asked about.

    Args:
        clip: the clip.
        boxes: (frame, top, left, bottom, right) of each, in sampled frames and pixels of the clip;
            edges, so that pixel (y, x) covers [y, y + 1) and [x, x + 1).

    Raises:
        OutsideClip: when one is no such box, or nothing of it lies in the clip.

    >>> import numpy as np
    >>> clip = Clip.from_frames(np.zeros((2, 30, 40, 3), np.uint8))
    >>> with_boxes(clip, [(1, 5, 10, 20, 30)]).boxes
    ((1.0, 5.0, 10.0, 20.0, 30.0),)
    """
    if not 0 < len(boxes) <= MOST_BOXES:
        raise OutsideClip(f"a network is asked about 1 to {MOST_BOXES} boxes, got {len(boxes)}")
    return replace(clip, boxes=tuple(_checked(clip, box) for box in boxes))


def middle_box(clip: Clip) -> Box:
    """Return the box that stands in where none is given: the middle of the middle frame.

    It has half the frame's height and half its width.

    >>> import numpy as np
    >>> middle_box(Clip.from_frames(np.zeros((5, 30, 40, 3), np.uint8)))
    (2.0, 7.5, 10.0, 22.5, 30.0)
    """
    t, h, w = clip.shape
    return (float(t // 2), h / 4, w / 4, 3 * h / 4, 3 * w / 4)


def _checked(clip: Clip, box: Sequence[float]) -> Box:
    try:
        frame, top, left, bottom, right = (float(v) for v in box)
    except (TypeError, ValueError):
        raise OutsideClip(
            f"a box is five numbers, frame, top, left, bottom and right; got {box!r}"
        ) from None
    told = f"({frame:g}, {top:g}, {left:g}, {bottom:g}, {right:g})"
    if not all(map(math.isfinite, (frame, top, left, bottom, right))):
        raise OutsideClip(f"the edges of a box are finite numbers, got {told}")
    if not (bottom > top and right > left):
        raise OutsideClip(
            "a box is (frame, top, left, bottom, right) with bottom below top and right beside "
            f"left, got {told}"
        )
    t, h, w = clip.shape
    if not (0 <= frame <= t - 1 and top < h and left < w and bottom > 0 and right > 0):
        raise OutsideClip(
            f"a box must lie in the clip, on frame 0 to {t - 1} and at least in part within {h} "
            f"rows and {w} columns of pixels; got {told}"
        )
    return (frame, top, left, bottom, right)
