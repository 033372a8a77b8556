"""A block whose logits add content and position, for the lesson on self-attention.

``coatnet.c-t-t-t`` adds a learned bias for each offset between query and key to its logits (Dai et
al. 2021, arXiv 2106.04803), so that both terms can be taken alone: content without the bias,
position without queries and keys.
"""

from __future__ import annotations

import numpy as np
import torch

import nlviz
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.position_share import position_share
from nlviz.captures.capture import Capture
from nlviz.recipes.coatnet_measures import SEED
from nlviz.recipes.lessons.attention_layouts import START
from nlviz.recipes.lessons.attention_part import Part, half
from nlviz.recipes.placed_digits import planes

MODEL, BLOCK = "coatnet.c-t-t-t", "stages.1.blocks.0.attn"


def captured() -> Capture:
    """Return a pass on a held-out digit, at a place of training."""
    (picture,) = planes(1, seed=SEED).window(np.array([START]))
    clip = nlviz.read_clip([np.repeat(picture[..., None], 3, -1)])
    return nlviz.load_model(MODEL).capture(clip)


def part() -> Part:
    """Return theta, phi and the bias of every pair, with the picture they are of."""
    capture = captured()
    affinity = capture.affinities[BLOCK]
    assert isinstance(affinity, EmbeddedAffinity)
    assert affinity.bias is not None
    every = torch.arange(affinity.queries.size)
    bias = affinity.bias.at(affinity.queries, affinity.keys, every)
    _, rows, columns = affinity.queries.shape
    share = position_share(affinity)
    assert share is not None
    return Part(
        numbers={},
        head={
            "bias": {
                "rows": rows,
                "columns": columns,
                "heads": affinity.heads,
                "d": affinity.theta.shape[-1],
                "scale": affinity.pairwise.scale,
                "share": round(share, 4),
            }
        },
        arrays={
            "bias.theta": half(affinity.theta.cpu().numpy()),
            "bias.phi": half(affinity.phi.cpu().numpy()),
            "bias.added": half(bias.cpu().numpy()),
            "bias.picture": capture.clip.frames[0],
        },
    )
