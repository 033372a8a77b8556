"""Places of a sequence as sinusoids, counted from its start and from its end.

Vaswani et al. 2017 (arXiv 1706.03762), section 3.5, with two changes. A source is counted from both
ends, so that its last symbol can be found whatever its length. In training all places of a
sequence and of its target are moved on together by a random number (a plain form of the randomised
positions of Ruoss et al. 2023, arXiv 2305.16843): every place up to ``LONGEST`` has been seen, so
what fails on sequences longer than those of training is not a place that was never seen.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

LONGEST = 256
FREQUENCIES = 8
WIDTH = 4 * FREQUENCIES  # of the code of a place: sines and cosines from the start, from the end


def sinusoids(places: Float[Tensor, "*axes"]) -> Float[Tensor, "*axes code"]:
    """Return sines and cosines of places at wavelengths from 2 pi to four times ``LONGEST``.

    >>> sinusoids(torch.zeros(3)).shape
    torch.Size([3, 16])
    """
    ratio = math.log(4 * LONGEST / (2 * math.pi)) / (FREQUENCIES - 1)
    speeds = torch.exp(-ratio * torch.arange(FREQUENCIES, dtype=torch.float32))
    angles = places[..., None] * speeds.to(places)
    return torch.cat([angles.sin(), angles.cos()], -1)


def source_places(
    length: int, moved: Float[Tensor, " batch"]
) -> Float[Tensor, "batch length width"]:
    """Return the code of the places of a source, from its start and from its end.

    Args:
        length: of the sources.
        moved: by how many places each sequence is moved on, from 0.
    """
    places = torch.arange(length, device=moved.device) + moved[:, None]
    return torch.cat([sinusoids(places), sinusoids(places.flip(1))], -1)


def target_places(
    length: int, moved: Float[Tensor, " batch"]
) -> Float[Tensor, "batch length width"]:
    """Return the code of the places of a target, whose end nobody knows while it is written."""
    code = sinusoids(torch.arange(length, device=moved.device) + moved[:, None])
    return torch.cat([code, torch.zeros_like(code)], -1)
