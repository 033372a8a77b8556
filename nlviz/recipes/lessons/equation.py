"""Make the data of the lesson on equation (1): 4 x 4 numbers, and the figures that texts quote.

The rows that the texts speak of are those of the library's own affinity, so that the lesson's
arithmetic in the browser is held to it by a test.
"""

from __future__ import annotations

import numpy as np
import torch

from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import Pairwise, PairwiseName
from nlviz.web.payloads.container import pack

SIDE = 4
# What f compares: dark is negative, bright is positive. The brightest pixel lies farthest from the
# first query, a dark one touches it, and only one is neither.
X = ((2, 1, -1, -2), (2, -2, -1, 0), (1, -1, -2, 1), (-2, -1, 1, 3))
# What g hands over. The largest values lie on pixels that hardly count for the first query.
G = ((6, 4, 1, 2), (7, 3, 9, 5), (2, 9, 1, 4), (3, 0, 5, 8))
QUERY, FAR, DARK, LIGHT = 0, 15, 5, 6
TEMPERATURE = 2.0


def picture_affinity(pairwise: PairwiseName, *, scale: float = 1.0) -> EmbeddedAffinity:
    """Return the affinity of the picture's 16 pixels with themselves, one number each.

    >>> a = picture_affinity("gaussian", scale=1 / TEMPERATURE)
    >>> round(float(a.rows([QUERY])[0, 0, FAR]), 2)
    0.41
    """
    x = torch.tensor(X, dtype=torch.float32).reshape(1, SIDE * SIDE, 1)
    grid = TokenGrid((1, SIDE, SIDE), (1, 1, 1))
    return EmbeddedAffinity("picture", Pairwise(pairwise, scale), x, x, grid, grid)


def make() -> bytes:
    """Return the bytes of the lesson's data.

    >>> from nlviz.web.payloads.container import unpack
    >>> header, arrays = unpack(make())
    >>> header["numbers"]["n"], arrays["picture.x"].shape
    (16, (4, 4))
    """
    softmax = picture_affinity("gaussian", scale=1 / TEMPERATURE)
    f = softmax.logits([QUERY])[0, 0].exp()
    row = softmax.rows([QUERY])[0, 0]
    dot = picture_affinity("dot_product").rows([QUERY])[0, 0]
    values = torch.tensor(G, dtype=torch.float32).ravel()
    numbers = {
        "n": SIDE * SIDE,
        "temperature": TEMPERATURE,
        "x_query": X[0][0],
        "f_far": float(f[FAR]),
        "f_dark": float(f[DARK]),
        "c": float(f.sum()),
        "weight_far": float(row[FAR]),
        "weight_light": float(row[LIGHT]),
        "y": float(row @ values),
        "dot_sum": float(dot.sum()),
    }
    arrays = {
        "picture.x": np.array(X, np.float32),
        "picture.g": np.array(G, np.float32),
    }
    return pack({"numbers": numbers}, arrays)
