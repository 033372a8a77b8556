"""LeGrad: by how much a class score rises with the weights that every query gives a key.

For each attention layer l with weights A (heads, queries, keys) and the class score s:

    E_l(j) = mean over heads h and queries i of max(d s / d A_hij, 0)
    E(j)   = mean over layers l of E_l(j)

Source: Bousselham et al. 2024, "LeGrad", arXiv 2404.03214. There, s is read off the classifier put
behind each layer; here it is the network's own score, so that any network has it, and a layer
counts through all that follows it. The map there is brought to [0, 1]; here it stays in units of
the score for the whole weight of one row. Tokens without a place have no part, as there.

d s / d A_ij = (d s / d y_i) . v_j, so that no matrix is kept (``watch_gradients``). A weight that a
mask holds at 0 is no weight, and has no part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from nlviz.affinity.base import Affinity
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.stored import StoredAffinity
from nlviz.analysis.common_cells import coarser, laid
from nlviz.captures.gradient_pass import gradient_readings
from nlviz.captures.model import Model
from nlviz.errors import NlvizError
from nlviz.families.reading.adapter import Prepared
from nlviz.sentences import listed

CHUNK = 1 << 22  # query-key pairs of all heads that are in memory at once

Values = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class LeGrad:
    """What the weights of all attention layers do for one class score.

    Attributes:
        values: (t, h, w) float32, 0 or more: mean over the layers.
        grid: where the values lie: the coarsest key grid of the layers.
        layers: of each layer the values on its own key grid, by name, in forward order.
        left_out: attention that has no part, and why.
    """

    values: Values
    grid: TokenGrid
    layers: Mapping[str, tuple[Values, TokenGrid]]
    left_out: Mapping[str, str]


def legrad(model: Model, prepared: Prepared, score: Callable[[Tensor], Tensor]) -> LeGrad:
    """Return LeGrad of one score; one pass with gradients.

    Args:
        model: of the network; the caller holds it.
        prepared: its input.
        score: runs the network on an input and returns one number.

    Raises:
        NlvizError: when the network has no softmax rows over cells that a gradient reaches.
    """
    found = gradient_readings(model, prepared, score)
    layers: dict[str, tuple[Values, TokenGrid]] = {}
    left: dict[str, str] = dict(found.refused)
    for name, affinity in found.affinities.items():
        reason = _no_part(affinity)
        if reason:
            left[name] = f"{name} has no part in LeGrad: {reason}"
            continue
        own = cast(EmbeddedAffinity | StoredAffinity, affinity)
        by_key = raised(own)[own.keys.prefix :]
        layers[name] = by_key.float().cpu().numpy().reshape(own.keys.shape), own.keys
    if not layers:
        why = next(iter(left.values()), "no attention was seen")
        raise NlvizError(_none(model.about.name, why))
    onto = next(iter(layers.values()))[1]
    for _, grid in layers.values():
        onto = coarser(onto, grid)
    total = sum(laid(v.astype(np.float64), grid, onto, None)[0] for v, grid in layers.values())
    mean = np.asarray(total / len(layers), np.float32)
    return LeGrad(mean, onto, MappingProxyType(layers), MappingProxyType(left))


def check_rows(affinities: Mapping[str, Affinity], name: str) -> None:
    """Check that a network has softmax rows over cells of the clip.

    Args:
        affinities: of a capture of it.
        name: what it is called.

    Raises:
        NlvizError: when none of its blocks has them.
    """
    if any(a.pairwise.softmax and a.keys.kind == "grid" for a in affinities.values()):
        return
    kinds = dict.fromkeys(a.pairwise.name for a in affinities.values())
    raise NlvizError(_none(name, f"its blocks are {listed(kinds, 'and')}"))


def _none(name: str, why: str) -> str:
    return (
        f"LeGrad needs softmax rows over cells of the clip that a gradient reaches, and {name} has "
        f"none: {why}; take occlusion, which needs neither"
    )


def raised(affinity: EmbeddedAffinity | StoredAffinity) -> Float[Tensor, " all_keys"]:
    """Return the mean over heads and queries of what is above 0 of g_i . v_j, for each key.

    Args:
        affinity: with ``values`` v, (heads, all_keys, dv), and ``output`` g, (heads, all_queries,
            dv), the gradient at what it sums.

    >>> from nlviz.affinity.pairwise import Pairwise
    >>> x, grid = torch.randn(2, 3, 4), TokenGrid((1, 1, 3))
    >>> v, g = torch.tensor([1.0, -1, 2]).repeat(2, 1)[..., None], torch.ones(2, 3, 1)
    >>> a = EmbeddedAffinity("b", Pairwise("gaussian"), x, x, grid, grid, values=v, output=g)
    >>> raised(a).tolist()
    [1.0, 0.0, 2.0]
    """
    assert affinity.values is not None
    assert affinity.output is not None
    v, g = affinity.values.float(), affinity.output.float()
    heads, keys, _ = v.shape
    queries, prefix = g.shape[1], affinity.queries.prefix
    total = torch.zeros(keys, dtype=torch.float64, device=v.device)
    step = max(CHUNK // (heads * keys), 1)
    for first, last in _ranges(0, prefix, step) + _ranges(prefix, queries, step):
        rows = (g[:, first:last] @ v.mT).clamp_(min=0)
        mask = _reached(affinity, first, last)
        if mask is not None:
            rows.masked_fill_(~mask.to(rows.device), 0.0)
        total += rows.sum((0, 1), dtype=torch.float64)
    return total / (heads * queries)


def _reached(affinity: EmbeddedAffinity | StoredAffinity, first: int, last: int) -> Tensor | None:
    """Return which keys these queries reach, by their numbers among all; None for all keys."""
    support, prefix = affinity.support, affinity.queries.prefix
    apart = first < prefix
    added = None
    if isinstance(affinity, EmbeddedAffinity):
        added = affinity.apart_bias if apart else affinity.bias
    if apart:
        mask = support.mask_apart(affinity.queries, affinity.keys)
        mask = None if mask is None else mask[first:last]
        if isinstance(added, Tensor):
            shown = ~added[:, first:last].isneginf()
            mask = shown if mask is None else mask.to(shown.device) & shown
        return mask
    index = torch.arange(first - prefix, last - prefix)
    if added is not None:  # it may hide keys from single heads
        return ~affinity.logits(index.to(affinity.device)).isneginf()
    return support.mask_all(affinity.queries, affinity.keys, index)


def _ranges(first: int, last: int, step: int) -> list[tuple[int, int]]:
    return [(at, min(at + step, last)) for at in range(first, last, step)]


def _no_part(affinity: Affinity) -> str:
    """Return why an attention has no part in the map, or nothing."""
    if affinity.keys.kind != "grid":
        return "its keys are no cells of the clip"
    if not affinity.pairwise.softmax:
        return "its rows are no softmax"
    if not isinstance(affinity, (EmbeddedAffinity, StoredAffinity)) or affinity.output is None:
        return "its values were not seen"
    if affinity.values is None or len(affinity.values) != len(affinity.output):
        return "its heads share values"
    return ""
