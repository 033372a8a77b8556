"""VOLO and Focal in the lesson on self-attention: which cells a query reaches, and how finely.

VOLO's rows are those of timm's network with random weights, read as nlviz reads any network: its
weights are nearly level, so they show the geometry. Focal's keys follow its paper (Yang et al.
2021, arXiv 2107.00641): the cells of the query's window and of a ring around it one by one, and
averages of whole windows. No focal network runs here.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch

import nlviz
from nlviz.recipes.lessons.attention_part import Part, half
from nlviz.resources import asset

CELLS, WINDOW = 56, 7  # of Focal's first stage at 224 pixels: cells a side, and of a window
PICTURE, SIDE, SHOWN = "photos/cat.jpg", 224, 112  # pixels that VOLO sees, and that are drawn
BLOCK = "network.0.0.attn"  # VOLO's outlook attention
REACH = 2  # cells to each side that its windows cover


def picture() -> npt.NDArray[np.uint8]:
    """Return the middle of the picture, (224, 224, 3) RGB."""
    frame = nlviz.read_clip(asset(PICTURE), size=SIDE).frames[0]
    left = (frame.shape[1] - SIDE) // 2
    return np.ascontiguousarray(frame[:SIDE, left : left + SIDE])


def small_volo() -> Any:
    """Build a VOLO of timm with one block a stage and random weights.

    >>> type(small_volo().network[0][0].attn).__name__
    'OutlookAttention'
    """
    from timm.models.volo import VOLO

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = VOLO(
            [1, 1, 1, 1],
            embed_dims=[96, 96, 96, 96],
            num_heads=[3, 3, 3, 3],
            stem_hidden_dim=16,
            post_layers=("ca",),
            num_classes=10,
        )
    card: Any = {"input_size": (3, SIDE, SIDE)}
    net.pretrained_cfg = card
    return net.eval()


def outlook() -> nlviz.Affinity:
    """Return the affinity of the outlook attention on the picture: an effective operator."""
    clip = nlviz.Clip.from_frames(picture()[None])
    return nlviz.capture(small_volo(), clip, blocks=[BLOCK]).affinities[BLOCK]


def near_rows(affinity: nlviz.Affinity) -> npt.NDArray[np.float64]:
    """Return (rows, columns, 5, 5): what each query weighs the cells around it with, all heads.

    Cells outside the picture weigh 0.
    """
    _, height, width = affinity.queries.shape
    rows = affinity.rows(torch.arange(height * width)).mean(0).reshape(height, width, height, width)
    wide = torch.nn.functional.pad(rows, (REACH,) * 4).numpy()
    near = np.empty((height, width, 2 * REACH + 1, 2 * REACH + 1))
    for y in range(height):
        for x in range(width):
            near[y, x] = wide[y, x, y : y + 2 * REACH + 1, x : x + 2 * REACH + 1]
    return near


def part() -> Part:
    """Return the part of the lesson's data; keys begin with ``operators``."""
    near = near_rows(outlook())
    keys = (near > 0).sum((2, 3))
    small = cv2.resize(picture(), (SHOWN, SHOWN), interpolation=cv2.INTER_AREA)
    numbers = {
        "operators_least": float(keys.min()),
        "operators_most": float(keys.max()),
        "operators_cells": float(near.shape[0] * near.shape[1]),
        "operators_dense": float(CELLS**2),
    }
    head = {"cells": CELLS, "window": WINDOW}
    arrays = {"operators.outlook": half(near), "operators.picture": small}
    return Part(numbers, {"operators": head}, arrays)
