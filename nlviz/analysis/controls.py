"""The same query under other affinities, so that a user sees what learning did.

Rows of different concentration cannot be compared by eye, so every control has its temperature set
so that its rows have the same mean effective number of cells as the block's own rows. The untrained
block is left as it is: its concentration is part of what training changed.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from nlviz.affinity.attention_map import effective_number
from nlviz.affinity.base import Affinity
from nlviz.affinity.bias import KeyBias
from nlviz.affinity.causal import Causal
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.lines import Lines
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.patches import patch_affinity
from nlviz.affinity.position_share import has_terms, terms
from nlviz.affinity.several import compose, cross, same_places
from nlviz.affinity.split import can_split, minus_mean, split
from nlviz.affinity.support import Everything, Support
from nlviz.affinity.variants import (
    COMPOSED,
    CONTENT_PART,
    COSINE,
    CROSS,
    FEATURES,
    LEARNED,
    MINUS_MEAN,
    PAIRWISE,
    PIXELS,
    POSITION,
    POSITION_PART,
    ROLLOUT,
    UNARY,
    UNTRAINED,
    VARIANTS,
    Variant,
)
from nlviz.analysis.divided import divided_layer
from nlviz.analysis.rollout import can_roll, no_rollout, rollout
from nlviz.captures.model import Capture
from nlviz.clips.text import Text, prompt_of
from nlviz.errors import NlvizError, UnknownBlock
from nlviz.networks.block import NonLocalBlock
from nlviz.picture import resized, scaled

MOST_MEANS = 1 << 26  # numbers in the mean rows of all groups of queries
SAMPLE = 32  # queries by which concentrations are matched
PATCH_SIDE = 160  # shorter side of the picture that non-local means compares, in pixels


def controls(
    capture: Capture, block: str, *, known: Mapping[str, Affinity] | None = None
) -> dict[str, Affinity]:
    """Return the block's own affinity, its controls and its parts, by the keys of their variants.

    The untrained block is there for blocks of this project, both parts of the exact split for rows
    that are a softmax of inner products; all others always. See ``nlviz.affinity.variants``.

    Args:
        capture: of the clip.
        block: name of the block.
        known: those that are there already, by their keys.

    Raises:
        UnknownBlock: when there is no such block.

    >>> import nlviz
    >>> from nlviz.resources import asset
    >>> clip = nlviz.read_clip(asset("photos/coffee.jpg"), size=128)
    >>> print(*controls(nlviz.load_model("lite-nl").capture(clip), "stage4"))
    learned features position untrained nl_means pairwise unary minus_mean cosine
    """
    found = variants(capture, block)
    made = dict(known or {})
    return {
        v.key: made[v.key] if v.key in made else variant_affinity(v, capture, block) for v in found
    }


def variants_of_features(capture: Capture, block: str) -> tuple[str, ...]:
    """Return the keys of the variants that a block has once what enters it is known.

    Empty where it is known already; ``nlviz.with_features`` runs the network for it.

    Raises:
        UnknownBlock: when there is no such block.
    """
    affinity = capture.affinities[block]
    if block in capture.features or affinity.pairwise.similarity or affinity.queries.size == 1:
        return ()  # queries of no place have no features of places
    if not _of_one_input(affinity) or prompt_of(capture.clip) is not None:
        return ()
    return FEATURES.key, COSINE.key


def variants(capture: Capture, block: str) -> list[Variant]:
    """Return what can stand in the place of a block's own affinity, itself first, its parts last.

    Raises:
        UnknownBlock: when there is no such block.
    """
    affinity = capture.affinities[block]
    missing: set[Variant] = set()
    if block not in capture.features:
        missing |= {FEATURES, UNTRAINED, COSINE}
    if affinity.pairwise.similarity:
        missing.add(COSINE)  # it is one
    if not _of_one_input(affinity):
        missing |= {FEATURES, COSINE}
    if isinstance(capture.clip, Text) or affinity.queries.kind != "grid":
        missing.add(PIXELS)  # there are none, or a query is no place of a picture
    if affinity.queries.kind == "nodes":
        missing.add(POSITION)  # where a node is drawn means nothing
    if not isinstance(capture.blocks.get(block), NonLocalBlock):
        missing.add(UNTRAINED)
    if not can_split(affinity):
        missing |= {variant for variant in VARIANTS if variant.split}
    groups = int(affinity.support.groups(affinity.queries).max()) + 1
    rows = groups * affinity.heads * (affinity.keys.size + affinity.keys.prefix)
    if affinity.queries.size > 1 and (2 * groups > affinity.queries.size or rows > MOST_MEANS):
        # The mean row of a query that shares its keys with no other is its own.
        missing |= {PAIRWISE, UNARY, MINUS_MEAN}
    if not divided_layer(capture.affinities, block):
        missing |= {CROSS, COMPOSED}
    if isinstance(affinity.support, Lines) and len(affinity.support.axes) > 1:
        missing.add(MINUS_MEAN)  # of a query that shares its keys with no other
    if not has_terms(affinity):
        missing |= {CONTENT_PART, POSITION_PART}
    if not can_roll(capture, block) or no_rollout(capture, block):
        missing.add(ROLLOUT)
    return [variant for variant in VARIANTS if variant not in missing]


def variant_affinity(variant: Variant, capture: Capture, block: str) -> Affinity:
    """Return a variant of a block's affinity on the captured clip.

    Raises:
        UnknownBlock: when there is no such block, or it has no such variant.

    >>> import nlviz
    >>> from nlviz.resources import asset
    >>> clip = nlviz.read_clip(asset("photos/coffee.jpg"), size=128)
    >>> variant_affinity(FEATURES, nlviz.load_model("lite-nl").capture(clip), "stage4")
    Affinity(features, gaussian, 294 queries (1x14x21) x 294 keys)
    """
    known = variants(capture, block)
    if variant not in known and variant is ROLLOUT and (why := no_rollout(capture, block)):
        raise NlvizError(why)
    if variant not in known:
        names = ", ".join(found.key for found in known)
        raise UnknownBlock(f"the block {block} can be shown as {names}, got {variant.key!r}")
    return _MAKERS[variant](capture, block)


def _learned(capture: Capture, block: str) -> Affinity:
    return capture.affinities[block]


def _of_one_input(affinity: Affinity) -> bool:
    """Check whether queries and keys are the same tokens, or keys are these pooled."""
    queries, keys = affinity.queries, affinity.keys
    if queries.kind == "grid" or keys.kind == "grid":
        return queries.kind == keys.kind
    return same_places(queries, keys) and queries.names == keys.names


def _features(capture: Capture, block: str) -> Affinity:
    """Gaussian f of unit-length features, as they enter the block."""
    learned = capture.affinities[block]
    theta, x = _unit_length(capture, block)
    phi = theta
    if learned.keys.shape != learned.queries.shape:
        # Keys are pooled as the block pools them.
        phi = F.adaptive_max_pool3d(x[None], learned.keys.shape)[0].flatten(1).mT[None].contiguous()
    raw = EmbeddedAffinity(
        FEATURES.key,
        Pairwise("gaussian"),
        theta,
        phi,
        *_placed(learned),
        support=_before(learned),
    )
    scale = matched(raw.logits(raw.evenly(SAMPLE)), _target(learned))
    return replace(raw, pairwise=Pairwise("gaussian", scale))


def _cosine(capture: Capture, block: str) -> Affinity:
    """Cosine of the features that enter the block, each cell's with that of every other."""
    learned = capture.affinities[block]
    theta, _ = _unit_length(capture, block)
    grid = replace(learned.queries, prefix=0)
    return EmbeddedAffinity(
        COSINE.key, Pairwise("cosine"), theta, theta, grid, grid, clip_shape=learned.clip_shape
    )


def _unit_length(capture: Capture, block: str) -> tuple[Tensor, Tensor]:
    """Return features at unit length, (1, cells, channels) and (channels, t, h, w)."""
    x = F.normalize(capture.features[block].float(), dim=0)
    return x.flatten(1).mT[None].contiguous(), x


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
        POSITION.key,
        Pairwise("gaussian"),
        theta[None],
        phi[None],
        *_placed(learned),
        bias=KeyBias(bias[None]),
        support=_before(learned),
    )
    scale = matched(raw.logits(raw.evenly(SAMPLE)), _target(learned))
    return replace(raw, pairwise=Pairwise("gaussian", scale), bias=KeyBias(scale * bias[None]))


def _untrained(capture: Capture, block: str) -> Affinity:
    """The block with freshly initialised weights, on the same features."""
    learned = capture.affinities[block]
    original = capture.blocks[block]
    assert isinstance(original, NonLocalBlock)  # variants() saw to it
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
        x = {1: x.flatten(1)[None], 2: x.transpose(0, 1), 3: x[None]}[fresh.dimension]
        theta, phi = (t.transpose(0, 1).flatten(1, 2) for t in fresh.embed(x)[:2])
        scale = float(fresh.logit_scale())
    return EmbeddedAffinity(
        UNTRAINED.key,
        Pairwise(fresh.pairwise, scale),
        theta,
        phi,
        *_placed(learned),
        support=learned.support.between_placed(learned.queries, learned.keys),
    )


def _nl_means(capture: Capture, block: str) -> Affinity:
    """Non-local means of the pixels of a small copy of the clip."""
    learned = capture.affinities[block]
    _, height, width = capture.clip.shape
    scale = min(PATCH_SIDE / min(height, width), 1.0)
    size = scaled((height, width), scale, least=16)
    picture = np.stack([resized(f, size) for f in capture.clip.frames])
    raw = patch_affinity(picture, clip_shape=capture.clip.shape, h=1.0, patch=7, step=4)
    index = raw.evenly(SAMPLE // 2)
    share = _target(learned) / learned.keys.size
    scale = matched(-raw.distances(index)[None], share * raw.keys.size)
    return replace(raw, h=scale**-0.5)


_MAKERS: dict[Variant, Callable[[Capture, str], Affinity]] = {
    LEARNED: _learned,
    FEATURES: _features,
    POSITION: _position,
    UNTRAINED: _untrained,
    PIXELS: _nl_means,
    PAIRWISE: lambda capture, block: split(capture.affinities[block]).pairwise,
    UNARY: lambda capture, block: split(capture.affinities[block]).unary,
    MINUS_MEAN: lambda capture, block: minus_mean(capture.affinities[block]),
    CONTENT_PART: lambda capture, block: terms(capture.affinities[block]).content,
    ROLLOUT: lambda capture, block: rollout(capture, upto=block),
    COSINE: _cosine,
    POSITION_PART: lambda capture, block: terms(capture.affinities[block]).position,
    CROSS: lambda capture, block: cross(_layer(capture, block)),
    COMPOSED: lambda capture, block: compose(_layer(capture, block)),
}


def _layer(capture: Capture, block: str) -> list[Affinity]:
    return [capture.affinities[name] for name in divided_layer(capture.affinities, block)]


def _target(learned: Affinity) -> float:
    """Mean effective number of cells of the block's rows; a twentieth where rows are no softmax."""
    if not learned.distributes:
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
        # Below, exp is no ordinary number, with which processors are slow; it adds nothing.
        f = (flat * scale).clamp_(min=-87.0).exp_()
        c = f.sum(-1)
        entropy = c.log() - scale * (f * flat).sum(-1) / c
        low, high = (middle, high) if float(entropy.exp().mean()) > target else (low, middle)
    return float(2.0 ** ((low + high) / 2) / unit)


def _placed(affinity: Affinity) -> tuple[TokenGrid, TokenGrid]:
    """Return the grids of queries and keys, without the tokens that have no place.

    Features have places: a class token or the padding of a picture takes no part in a control.
    """
    return replace(affinity.queries, prefix=0), replace(affinity.keys, prefix=0)


def _before(learned: Affinity) -> Support:
    """Return what a control reaches: all keys, but none that was not there yet in a sequence."""
    if isinstance(learned.support, Causal):
        return learned.support.between_placed(learned.queries, learned.keys)
    return Everything()


def _places(grid: TokenGrid) -> Tensor:
    """Return the (tokens, 2) centres of a grid in pixels, around the grid's middle."""
    _, y, x = (torch.from_numpy(np.broadcast_to(c, grid.shape).copy()) for c in grid.centres())
    plane = torch.stack([y - y.mean(), x - x.mean()], -1)
    return plane.reshape(-1, 2).float()
