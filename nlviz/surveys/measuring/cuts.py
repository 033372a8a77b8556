"""What cutting links changes: the strongest ones of a query against random ones, or a whole block.

figure               definition
``knock_out``        |y' - y| / |y| at the query, y the block's output before its projection, all
                     heads together, with the head's 20 strongest links cut (``nlviz.knock_out``)
``knock_out_random`` the mean of the same over 8 draws of as many links among those it reaches
``bypass``           |l' - l| / |l| of the logits l without the block (``nlviz.block_health``)
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.analysis.control_edges import random_keys
from nlviz.analysis.cut_passes import values_where_seen
from nlviz.analysis.cut_rows import PARTS
from nlviz.analysis.health import bypass_effect
from nlviz.analysis.knock_out import SEEDS, TOP
from nlviz.captures.capture import Capture
from nlviz.captures.model import Model
from nlviz.errors import NlvizError, OutOfMemory
from nlviz.interventions.sharp_rows import without
from nlviz.surveys.measuring.rows import Asked


def knock_outs(
    capture: Capture, block: str, asked: Asked
) -> tuple[Float[Tensor, "2 heads n"] | None, tuple[str, ...]]:
    """Return what cutting each head's strongest links changes, and random ones; or None, and why.

    Args:
        capture: of the clip.
        block: name of the block.
        asked: the sampled queries.
    """
    affinity = asked.affinity
    values, missing = values_where_seen(capture, block)
    if values is None:
        return None, missing
    rows = exact_rows(asked).cpu()
    values = values.double().cpu()
    heads, n, keys = rows.shape
    reach = torch.ones(n, keys, dtype=torch.bool)
    if asked.reach is not None:
        reach = asked.reach.any(0).cpu()
    drawn = _random_cuts(reach)
    size = (rows @ values).transpose(0, 1).flatten(1).norm(dim=1).clamp(min=1e-30)
    found = torch.full((2, heads, n), torch.nan, dtype=torch.float64)
    step = max(PARTS // (keys * (SEEDS + 1)), 1)
    for head in range(heads):
        best = _strongest_cuts(rows[head].float().abs(), reach)
        cuts = torch.cat([best[:, None], drawn], 1)  # (n, 1 + seeds, keys)
        for first in range(0, n, step):
            part = slice(first, first + step)
            row = rows[head, part, None].expand(-1, cuts.shape[1], -1)
            left = without(row, cuts[part], softmax=affinity.pairwise.softmax)
            change = ((left - row) @ values[head]).norm(dim=-1) / size[part, None]
            found[0, head, part] = change[:, 0]
            found[1, head, part] = change[:, 1:].mean(1)
    none_left = reach.sum(1) <= TOP  # all links are cut, so that no others are there to compare
    found[1, :, none_left] = torch.nan
    found[:, :, ~reach.any(1)] = torch.nan
    return found, ()


def exact_rows(asked: Asked) -> Float[Tensor, "heads n all_keys"]:
    """Return rows in double precision, a softmax from its logits (``cut_rows.exact_row``)."""
    affinity = asked.affinity
    if isinstance(affinity, EmbeddedAffinity) and affinity.pairwise.softmax:
        rows: Tensor = affinity.logits(asked.index).detach().double().softmax(-1)
        return rows.nan_to_num(0.0)  # of a query that reaches no key
    return asked.rows.double()


def _strongest_cuts(
    sizes: Float[Tensor, "n keys"], reach: Bool[Tensor, "n keys"]
) -> Bool[Tensor, "n keys"]:
    order = sizes.masked_fill(~reach, -1.0).argsort(dim=-1, descending=True, stable=True)
    cut = torch.zeros_like(reach)
    cut.scatter_(1, order[:, :TOP], True)
    return cut & reach


def _random_cuts(reach: Bool[Tensor, "n keys"]) -> Bool[Tensor, "n seeds keys"]:
    cuts = torch.zeros(len(reach), SEEDS, reach.shape[1], dtype=torch.bool)
    for number, row in enumerate(reach):
        reached = row.nonzero()[:, 0]
        for seed in range(SEEDS):
            cuts[number, seed, random_keys(reached, min(TOP, len(reached)), seed)] = True
    return cuts


def bypass_change(
    model: Model, capture: Capture, block: str
) -> tuple[float | None, tuple[str, ...]]:
    """Return the change of the logits without a block, and what is to be told where there is none.

    One forward pass.

    Args:
        model: the network.
        capture: of the clip.
        block: name of the block.

    Raises:
        OutOfMemory: when memory does not suffice.
    """
    try:
        effect = bypass_effect(model, capture, block)
    except OutOfMemory:
        raise
    except NlvizError as error:
        return None, (f"What the network says without {block} is not known: {error}.",)
    return None if effect is None else effect.logits, ()
