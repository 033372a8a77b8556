"""Turn decoded frames into the RGB picture that a player shows."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from nlviz.clips.decoded import Frames
from nlviz.clips.pictures.limits import MAX_PIXELS, too_many_pixels


class Screen:
    """Shows the frames of one video stream.

    Attributes:
        notes: one sentence for each way in which what is shown differs from what is stored.
    """

    def __init__(self) -> None:
        self.notes: list[str] = []

    def shown(self, frame: Any) -> Frames:
        """Return a decoded frame as (H, W, 3) RGB uint8, turned as the file asks for.

        Raises:
            UnreadableClip: when it has too many pixels.
        """
        if frame.width * frame.height > MAX_PIXELS:
            raise too_many_pixels(f"{frame.width} x {frame.height}")
        rgb = frame.to_ndarray(format="rgb24")
        rotation = round(frame.rotation) % 360
        return np.asarray(
            cv2.rotate(rgb, _TURNS[rotation]) if rotation in _TURNS else rgb, np.uint8
        )


_TURNS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}
