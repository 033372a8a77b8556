"""One pass with gradients: values of every attention, and the gradient of a score at its sums."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from nlviz.captures.attention import read_attention
from nlviz.captures.laid_out import factors_of
from nlviz.captures.model import Model
from nlviz.captures.placing import settings
from nlviz.captures.reading import Readings
from nlviz.errors import BlockRefused, NlvizError
from nlviz.families.reading.adapter import Prepared
from nlviz.families.reading.attention_adapter import AttentionAdapter
from nlviz.networks.acting_hooks import acting_hooks
from nlviz.networks.attention.places import Factors
from nlviz.networks.attention.watch import watched
from nlviz.networks.attention.watch_gradients import WatchGradients
from nlviz.networks.calls import Calls
from nlviz.networks.gradients import gradient
from nlviz.networks.random_numbers import RandomNumbers


def gradient_readings(
    model: Model, prepared: Prepared, score: Callable[[Tensor], Tensor]
) -> Readings:
    """Return all attention of one pass; ``output`` of an affinity is the gradient at what it sums.

    Every product is read as one of any network, also of families whose blocks are read otherwise:
    names may then be those of modules inside a block.

    Args:
        model: of the network; the caller holds it.
        prepared: its input.
        score: runs it on an input and returns one number.

    Raises:
        NlvizError: when there is no gradient, or no product was seen.
        BlockRefused: when none can be laid out.
    """
    net, adapter = model.net, model.adapter
    if not isinstance(adapter, AttentionAdapter):
        adapter = AttentionAdapter()
    prepared = adapter.settled(net, prepared)
    if adapter.choose(net, prepared) is not None:
        raise NlvizError(
            "the gradient at all rows is asked for, and of this network some queries alone are kept"
        )
    numbers = RandomNumbers(next(net.parameters(), prepared.tensor).device)
    watch = WatchGradients()
    acted: set[int] = set()

    def scored(x: Tensor) -> Tensor:
        nonlocal watch, acted
        watch = WatchGradients()
        with acting_hooks(net) as acted, watched(net, watch=watch):
            return score(x)

    gradient(net, scored, prepared.tensor.to(model.device))
    seen = watch.seen
    if seen.products and not watch.any_arrived:
        raise NlvizError(
            "the score must depend on the attention by a gradient; here none arrives, because the "
            "network detaches it, or repeats its forward pass for the gradient; take occlusion, "
            "which needs none"
        )
    factors: Factors | str = "they are known"
    with torch.no_grad():
        if not seen.products or not all(adapter.knows(net, p.module) for p in seen.products):
            key = settings(net), tuple(seen.order)
            drawn = numbers if numbers.drawn() else None
            factors = factors_of(net, prepared, acted, key, drawn)
        seen = replace(seen, products=watch.with_gradients())
        found = read_attention(adapter, net, seen, factors, prepared, Calls({}))
    if not found.affinities:
        raise BlockRefused("; ".join(found.refused.values()))
    return found
