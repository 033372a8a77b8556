"""Frames of a clip as the pictures that denoisers take."""

from __future__ import annotations

import numpy as np
from PIL import Image as Pillow

from nlviz.denoise.planes import Image


def picture_of(frame: Image, *, grey: bool = False) -> Image:
    """Return a frame (H, W, 3) as (H, W) where it has no colour or ``grey`` is asked for.

    Grey is the luminance of ITU-R 601-2 in whole numbers, as Pillow computes it.

    >>> picture_of(np.full((5, 7, 3), 9, np.uint8)).shape
    (5, 7)
    """
    if (frame[..., :1] == frame[..., 1:]).all():
        return np.ascontiguousarray(frame[..., 0])
    return np.asarray(Pillow.fromarray(frame).convert("L")) if grey else np.asarray(frame)
