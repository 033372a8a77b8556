"""Boxes as keys: each tinted with its weight on the frame that it lies on."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from nlviz.affinity.attention_map import AttentionMap
from nlviz.affinity.by_frame import boxes_of
from nlviz.affinity.token_boxes import TokenBoxes
from nlviz.picture import ground_of, overlay_frame
from nlviz.render.colour_scale import ColourScale

Picture = npt.NDArray[np.uint8]

OUTLINE, RIM = (236, 238, 242), (24, 26, 32)


def box_frame(
    picture: Picture,
    clip_shape: tuple[int, int, int],
    attention: AttentionMap,
    frame: int,
    scale: ColourScale,
    *,
    strength: float,
    clear: int | None,
) -> Picture:
    """Lay the weights of boxes on one frame, smaller ones over larger ones, each outlined.

    Args:
        picture: the frame, (h, w, 3), at any size of the clip's aspect.
        clip_shape: frames, height and width of the clip.
        attention: the map; its keys are boxes.
        frame: index of the frame.
        scale: from weights to colours.
        strength: opacity of the strongest weight, in [0, 1].
        clear: the box that shows the ground without a colour, the query's own, or None.
    """
    grid = attention.keys
    assert isinstance(grid, TokenBoxes)
    count, height, wide = clip_shape
    zoom_y, zoom_x = picture.shape[0] / height, picture.shape[1] / wide
    out = ground_of(picture)
    shares = scale.shares(attention.weights.ravel(), 0)
    reach = attention.reachable
    line = max(round(picture.shape[1] / 500), 1)
    for index in sorted(boxes_of(grid, frame, count), key=lambda i: -_area(grid, i)):
        top, left, bottom, right = grid.box(index)
        y0, y1 = (min(max(round(v * zoom_y), 0), picture.shape[0]) for v in (top, bottom))
        x0, x1 = (min(max(round(v * zoom_x), 0), picture.shape[1]) for v in (left, right))
        if y1 <= y0 or x1 <= x0:  # beside the picture
            continue
        part = picture[y0:y1, x0:x1]
        value = 0.0 if index == clear else float(shares[index])
        if reach is not None and not reach.ravel()[index]:
            value = float("nan")
        values = np.full(part.shape[:2], value, np.float32)
        out[y0:y1, x0:x1] = overlay_frame(part, values, strength=strength, signed=scale.diverging)
        cv2.rectangle(out, (x0, y0), (x1 - 1, y1 - 1), RIM, line + 2)
        cv2.rectangle(out, (x0, y0), (x1 - 1, y1 - 1), OUTLINE, line)
    return out


def _area(grid: TokenBoxes, index: int) -> float:
    top, left, bottom, right = grid.box(index)
    return (bottom - top) * (right - left)
