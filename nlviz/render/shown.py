"""What is drawn: the query's own colours and pictures, before any file format."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nlviz.affinity.attention_map import AttentionMap
from nlviz.affinity.by_frame import shown_frame
from nlviz.clips.clip import Clip
from nlviz.render.frame_maps import Look

ACCENT = (64, 208, 242)  # of everything that belongs to the query; no colour map holds it


def thumbnail(clip: Clip, attention: AttentionMap, look: Look) -> npt.NDArray[np.uint8]:
    """Return the square of the clip around the query, one and a half cells wide or more."""
    _, y, x = attention.query
    side = max(round(1.5 * max(look.cell or attention.keys.stride[1:])), 24)
    frame = shown_frame(attention.query[0], len(clip.frames))
    return clip.thumbnail(frame=frame, y=y, x=x, side=side)
