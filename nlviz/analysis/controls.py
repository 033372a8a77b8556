"""The same query under other affinities, so that a user sees what learning did.

Rows of different concentration cannot be compared by eye, so every control has its temperature set
so that its rows have the same mean effective number of cells as the block's own rows. The untrained
block is left as it is: its concentration is part of what training changed.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from nlviz.affinity.attention_map import effective_number
from nlviz.affinity.base import Affinity
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.patches import patch_affinity
from nlviz.affinity.split import can_split, minus_mean, split
from nlviz.captures.model import Capture
from nlviz.networks.block import NonLocalBlock

SAMPLE = 32  # queries by which concentrations are matched
PATCH_SIDE = 160  # shorter side of the picture that non-local means compares, in pixels


@dataclass(frozen=True)
class Source:
    """One choice of f for the same clip and the same query.

    Attributes:
        key: short name, as in view files.
        label: name on the screen.
        note: one plain sentence about it.
        build: makes the affinity.
        part: whether it is a part of the block's own affinity rather than something to compare it
            with.
    """

    key: str
    label: str
    note: str
    build: Callable[[Capture, str], Affinity]
    part: bool = False


def controls(capture: Capture, block: str) -> dict[str, Affinity]:
    """Return the block's own affinity, its controls and its parts, by key.

    Keys: ``learned``, ``features`` (cosine of what enters the block), ``position`` (distance in the
    picture alone), ``untrained`` (the block with fresh weights; only for blocks of this project),
    ``nl_means`` (pixels); ``pairwise`` and ``unary`` (the exact split; only for softmax rows) and
    ``minus_mean`` (the rows minus their mean, signed).

    >>> import nlviz
    >>> from nlviz.resources import asset
    >>> clip = nlviz.read_clip(asset("photos/coffee.jpg"), size=128)
    >>> list(controls(nlviz.load_model("lite-nl").capture(clip), "stage4"))
    ['learned', 'features', 'position', 'untrained', 'nl_means', 'pairwise', 'unary', 'minus_mean']
    """
    return {s.key: s.build(capture, block) for s in sources(capture, block)}


def sources(capture: Capture, block: str) -> list[Source]:
    """Return what can stand beside a block's own affinity, itself first, its parts last."""
    affinity = capture.affinities[block]  # an unknown name is told here
    found = [Source("learned", "Learned", "f as the block computes it.", _learned), *_CONTROLS]
    if not isinstance(capture.blocks.get(block), NonLocalBlock):
        found = [s for s in found if s.key != "untrained"]
    return found + [s for s in _PARTS if s.key == "minus_mean" or can_split(affinity)]


def _learned(capture: Capture, block: str) -> Affinity:
    return capture.affinities[block]


def _features(capture: Capture, block: str) -> Affinity:
    """Gaussian f of unit-length features, as they enter the block."""
    learned = capture.affinities[block]
    x = F.normalize(capture.features[block].float(), dim=0)
    theta = x.flatten(1).mT[None].contiguous()
    phi = theta
    if learned.keys.shape != learned.queries.shape:
        # Keys are pooled as the block pools them.
        phi = F.adaptive_max_pool3d(x[None], learned.keys.shape)[0].flatten(1).mT[None].contiguous()
    raw = EmbeddedAffinity("features", Pairwise("gaussian"), theta, phi, *_placed(learned))
    scale = matched(raw.logits(raw.evenly(SAMPLE)), _target(learned))
    return replace(raw, pairwise=Pairwise("gaussian", scale))


def _position(capture: Capture, block: str) -> Affinity:
    """Gaussian of the distance in the picture, the same in every frame.

    -|k - q|^2 / 2 = q . k - |k|^2 / 2 - |q|^2 / 2, and the last term is the same for all keys.
    """
    learned = capture.affinities[block]
    places = [_places(grid).to(learned.device) for grid in (learned.queries, learned.keys)]
    scale_of_places = max(float(places[1].abs().max()), 1.0)
    theta, phi = (p / scale_of_places for p in places)
    bias = -phi.square().sum(-1) / 2
    raw = EmbeddedAffinity(
        "position",
        Pairwise("gaussian"),
        theta[None],
        phi[None],
        *_placed(learned),
        bias=bias[None, None],
    )
    scale = matched(raw.logits(raw.evenly(SAMPLE)), _target(learned))
    return replace(raw, pairwise=Pairwise("gaussian", scale), bias=scale * bias[None, None])


def _untrained(capture: Capture, block: str) -> Affinity:
    """The block with freshly initialised weights, on the same features."""
    learned = capture.affinities[block]
    original = capture.blocks[block]
    assert isinstance(original, NonLocalBlock)  # sources() saw to it
    fresh = copy.deepcopy(original).float()
    seed = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in fresh.named_parameters():
            if name.startswith(("theta.", "phi.")):
                bound = original.channels**-0.5  # what PyTorch gives a fresh convolution
                parameter.copy_(
                    torch.empty(parameter.shape).uniform_(-bound, bound, generator=seed)
                )
            elif name == "w_f":
                drawn = torch.randn(parameter.shape, generator=seed)
                parameter.copy_(drawn * parameter.numel() ** -0.5)
            elif name == "w_f_bias":
                parameter.zero_()
            elif name == "log_scale":
                parameter.fill_(2.3)
        # A block of space takes frames as a batch, one of time alone takes no space.
        x = capture.features[block].float()
        x = {1: x[None, :, :, 0, 0], 2: x.transpose(0, 1), 3: x[None]}[fresh.dimension]
        theta, phi = (t.transpose(0, 1).flatten(1, 2) for t in fresh.embed(x)[:2])
        scale = float(fresh.logit_scale())
    return EmbeddedAffinity(
        "untrained",
        Pairwise(fresh.pairwise, scale),
        theta,
        phi,
        *_placed(learned),
        support=learned.support.without_prefix(),
    )


def _nl_means(capture: Capture, block: str) -> Affinity:
    """Non-local means of the pixels of a small copy of the clip."""
    learned = capture.affinities[block]
    _, height, width = capture.clip.shape
    scale = min(PATCH_SIDE / min(height, width), 1.0)
    size = (max(round(width * scale), 16), max(round(height * scale), 16))
    picture = np.stack(
        [cv2.resize(f, size, interpolation=cv2.INTER_AREA) for f in capture.clip.frames]
    )
    raw = patch_affinity(picture, clip_shape=capture.clip.shape, h=1.0, patch=7, step=4)
    index = raw.evenly(SAMPLE // 2)
    share = _target(learned) / learned.keys.size
    scale = matched(-raw.distances(index)[None], share * raw.keys.size)
    return replace(raw, h=scale**-0.5)


_CONTROLS = (
    Source(
        "features",
        "Raw features",
        "Cosine of the features that enter the block, without its learned embeddings.",
        _features,
    ),
    Source(
        "position",
        "Position only",
        "The nearer in the picture the larger, the same in every frame; content plays no part.",
        _position,
    ),
    Source(
        "untrained",
        "Untrained block",
        "The same block with fresh random weights, on the same features.",
        _untrained,
    ),
    Source(
        "nl_means",
        "Pixel non-local means",
        "Similarity of 7 x 7 pixel patches of a small copy of the clip (Buades 2005).",
        _nl_means,
    ),
)

_PARTS = (
    Source(
        "pairwise",
        "Pairwise",
        "What is about the query: f of query minus mean query and key minus mean key; its logits "
        "plus the unary ones give the learned row, exactly.",
        lambda capture, block: split(capture.affinities[block]).pairwise,
        part=True,
    ),
    Source(
        "unary",
        "Unary",
        "What every query shares: f of the mean query and the key, the same map wherever you "
        "point.",
        lambda capture, block: split(capture.affinities[block]).unary,
        part=True,
    ),
    Source(
        "minus_mean",
        "Minus mean",
        "This query's row minus the mean row of all queries: what it gives more, or less, than the "
        "mean query; the ends of the colour bar tell how much.",
        lambda capture, block: minus_mean(capture.affinities[block]),
        part=True,
    ),
)


def _target(learned: Affinity) -> float:
    """Mean effective number of cells of the block's rows; a twentieth where rows are no softmax."""
    if not learned.pairwise.softmax:
        return max(learned.keys.size / 20, 1.0)
    rows = learned.rows(learned.evenly(SAMPLE)).float()
    return float(effective_number(rows).mean())


def matched(logits: Tensor, target: float) -> float:
    """Return the factor of the logits at which rows have this mean effective number of cells.

    Args:
        logits: (..., keys).
        target: exp of the rows' mean entropy; one that no factor reaches is neared.

    >>> logits = -torch.arange(5.0).square()[None]
    >>> row = (matched(logits, 2.5) * logits).softmax(-1)
    >>> round(float(effective_number(row)), 3)
    2.5
    """
    low, high = -12.0, 12.0  # the effective number falls as the factor grows
    flat = logits.flatten(0, -2).float()
    flat = flat - flat.amax(-1, keepdim=True)
    unit = float(-flat[flat < 0].mean()) if bool((flat < 0).any()) else 1.0
    for _ in range(16):
        middle = (low + high) / 2
        scale = 2.0**middle / unit
        f = (flat * scale).exp_()
        c = f.sum(-1)
        entropy = c.log() - scale * (f * flat).sum(-1) / c
        low, high = (middle, high) if float(entropy.exp().mean()) > target else (low, middle)
    return float(2.0 ** ((low + high) / 2) / unit)


def _placed(affinity: Affinity) -> tuple[TokenGrid, TokenGrid]:
    """Return the grids of queries and keys, without the tokens that have no place.

    Features have places: a class token or the padding of a picture takes no part in a control.
    """
    return replace(affinity.queries, prefix=0), replace(affinity.keys, prefix=0)


def _places(grid: TokenGrid) -> Tensor:
    """Return the (tokens, 2) centres of a grid in pixels, around the grid's middle."""
    t, h, w = grid.shape
    y, x = (
        (torch.arange(n, dtype=torch.float32) * s + o)
        for n, s, o in zip((h, w), grid.stride[1:], grid.origin[1:], strict=True)
    )
    middle = (y.mean(), x.mean())
    plane = torch.stack(torch.meshgrid(y - middle[0], x - middle[1], indexing="ij"), -1)
    return plane.reshape(-1, 2).repeat(t, 1)
