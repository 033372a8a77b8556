"""Attention rollout: what a query of one layer is made of, through all layers below it.

Abnar & Zuidema 2020 (arXiv 2005.00928): each layer passes on a share of the residual path and the
mean attention of its heads, A = r I + (1 - r) mean_h A_h, and layers multiply. A query's row of the
product is its row of the last layer, times the matrix of each layer below in turn; the matrices
are gone through a chunk of rows at a time and never held.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from nlviz.affinity.attention_map import AttentionMap
from nlviz.affinity.base import CHUNK, Affinity
from nlviz.clips.point import Point
from nlviz.errors import NlvizError


def rollout(
    layers: Sequence[Affinity],
    *,
    frame: float | None = None,
    y: float | None = None,
    x: float | None = None,
    token: str | None = None,
    residual: float = 0.5,
) -> AttentionMap:
    """Return what a query of the last layer is made of, through all layers.

    It is a composition of rows, not one of the network's own maps: values, projections and the
    layers between are left out.

    Args:
        layers: affinities of the layers in the order in which they ran; all on the same tokens.
        frame: 0-based index of a sampled frame.
        y: row of pixels in the clip.
        x: column of pixels in the clip.
        token: name of a query without a place in the stead of a place, ``"cls"`` for instance.
        residual: share of the residual path in [0, 1); 0.5 as in the paper.

    Raises:
        NlvizError: when layers have other tokens than each other, queries other than keys, or the
            share is not in [0, 1).
        OutsideClip: when the place is not in the clip.

    >>> from nlviz.affinity.embedded import EmbeddedAffinity
    >>> from nlviz.affinity.grid import TokenGrid
    >>> from nlviz.affinity.pairwise import Pairwise
    >>> line, f = TokenGrid((1, 1, 3)), Pairwise("gaussian")
    >>> first, last = (EmbeddedAffinity("l", f, *torch.randn(2, 1, 3, 4), line, line) for _ in "ab")
    >>> found = rollout([first, last], frame=0, y=0, x=1)
    >>> a, b = (0.5 * torch.eye(3) + 0.5 * layer.dense()[0] for layer in (first, last))
    >>> torch.allclose(torch.from_numpy(found.weights[0, 0]), (b @ a)[1], atol=1e-6)
    True
    """
    if not 0 <= residual < 1:
        raise NlvizError(f"residual is a share of the residual path in [0, 1), got {residual}")
    last = _checked(layers)
    composed = f"rollout of {layers[0].name} to {last.name}, {residual:g} of each residual"
    prefix = last.queries.prefix
    if token is not None:
        if token not in last.token_names:
            known = ", ".join(dict.fromkeys(last.token_names)) or "none"
            raise NlvizError(f"a token is one of those of {last.name}: {known}; got {token!r}")
        starts = [i for i, name in enumerate(last.token_names) if name == token]
        centre = last.keys.centre(0)
    else:
        if frame is None or y is None or x is None:
            raise NlvizError("a query is a place, frame=, y= and x=, or a token, token='cls'")
        if last.clip_shape is not None:
            Point(frame, y, x).inside(last.clip_shape)
        index = last.queries.nearest(frame=frame, y=y, x=x)
        starts, centre = [prefix + index], last.queries.centre(index)
    weights = torch.zeros(last.queries.size + prefix, dtype=torch.float64)
    weights[starts] = 1 / len(starts)
    for layer in reversed(layers):
        weights = residual * weights + (1 - residual) * _through(weights, layer)
    return AttentionMap(
        weights=weights[prefix:].reshape(last.keys.shape).float().numpy(),
        query=centre,
        keys=last.keys,
        off_grid=float(weights[:prefix].sum()),
        title=composed,
        name=last.name,
        token=token or "",
    )


def _checked(layers: Sequence[Affinity]) -> Affinity:
    if not layers:
        raise NlvizError("a rollout goes through one layer at least, got none")
    last = layers[-1]
    for layer in layers:
        same = layer.queries.shape == layer.keys.shape == last.queries.shape
        tokens = layer.queries.prefix == layer.keys.prefix == last.queries.prefix
        if not (same and tokens):
            raise NlvizError(
                f"a rollout multiplies layers on the same tokens, {layer.name} goes from "
                f"{layer.queries.shape} to {layer.keys.shape} and {last.name} is on "
                f"{last.queries.shape}; give layers of one grid"
            )
        if not layer.pairwise.softmax:
            raise NlvizError(
                f"a rollout multiplies rows that sum to 1, those of {layer.name} do not"
            )
    return last


def _through(weights: Float[Tensor, " tokens"], layer: Affinity) -> Float[Tensor, " tokens"]:
    """Return weights times the mean attention of a layer's heads, rows that have none left out."""
    prefix = layer.queries.prefix
    found = torch.zeros_like(weights)
    if prefix and bool(weights[:prefix].any()):
        found += weights[:prefix] @ layer.token_rows().double().mean(0).cpu()
    used = weights[prefix:].nonzero()[:, 0]
    keys = layer.heads * (layer.keys.size + layer.keys.prefix)
    for part in torch.split(used, max(CHUNK // keys, 16)):
        rows = layer.rows(part).double().mean(0).cpu()
        found += weights[prefix + part] @ rows
    return found
