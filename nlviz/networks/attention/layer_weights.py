"""Weights that come from no product of queries and keys: a softmax of a layer's, or its kernel."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from nlviz.networks.attention.tags import First, Tag


def tag_of_weights(
    x: Tensor,
    dims: Sequence[int],
    number: int,
    module: str,
    *,
    places: Tensor | None = None,
    softmax: bool = True,
) -> Tag:
    """Return the tag of weights that come from no product.

    Args:
        x: weights: a softmax of what was no product, or a kernel that a layer made.
        dims: axes over which values are summed with them.
        number: of the softmax, or of the sum.
        module: name of the module that they were seen in.
        places: on positions where the weights lie, of the same shape; else None.
        softmax: whether they are a softmax.
    """
    last = [d % x.dim() for d in dims]
    rest = [d for d in range(x.dim()) if d not in last]
    batch, columns = (tuple(x.shape[d] for d in of) for of in (rest, last))
    at = None
    if places is not None:
        held = places.as_subclass(Tensor).expand(x.shape)
        at = held.permute(*rest, *last).reshape(-1, math.prod(columns))
    first = First(-1 - number, module, None, None, batch, (1,), columns, at)
    order = [*rest, *last]
    shadow = torch.empty((*batch, *columns), device="meta")
    shadow = shadow.permute(*(order.index(d) for d in range(x.dim())))
    return Tag(first, shadow, normalised="columns" if softmax else "")
