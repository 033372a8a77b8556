"""Detected objects as the browser draws them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nlviz.clips.detections import (
    Detection,
    limbs,
    seen,
)


def for_live_view(objects: Sequence[Detection]) -> list[dict[str, Any]]:
    """Return the detections as the browser draws them: places (y, x) in pixels from the corner.

    >>> for_live_view([Detection(2, "dog", 1, 0.987, (5, 6, 15, 26))])[0]["centre"]
    [9.5, 15.5]
    """
    return [
        {
            "frame": found.frame,
            "name": found.name,
            "score": round(found.score, 4),
            "box": [round(float(v), 2) for v in found.box],
            "centre": [round(v, 2) for v in found.centre],
            "outlines": [np.round(line, 1).tolist() for line in found.outline],
            "keypoints": [None if p is None else [round(v, 1) for v in p] for p in seen(found)],
            "limbs": [list(pair) for pair in limbs(found)],
        }
        for found in objects
    ]
