"""The sinks of each head among the keys of a block: where they lie, and what is given to them.

Keys to which most of many queries give much; ``nlviz.analysis.block_sinks`` has the rule.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from nlviz.analysis.block_sinks import FEW as LEAST
from nlviz.analysis.block_sinks import BlockSinks, key_place
from nlviz.analysis.sinks import effective_rank, key_names
from nlviz.surveys.measuring.many import Many, concentration
from nlviz.surveys.measuring.rows import Asked, rows_and_reach


def found_sinks(asked: Asked, many: Many) -> BlockSinks:
    """Return the sinks of each head, as ``nlviz.sinks`` tells them, by the same rules."""
    affinity = asked.affinity
    multiple = many.multiple.double().cpu()
    values = getattr(affinity, "values", None)
    if not (isinstance(values, Tensor) and len(values) == affinity.heads):
        values = None
    sinks = BlockSinks(
        block=affinity.name,
        keys=affinity.keys,
        names=key_names(affinity),
        multiple=multiple,
        share=many.share.double().cpu(),
        given=many.given.double().cpu(),
        concentration=concentration(many),
        value_norms=None if values is None else values.float().norm(dim=-1).double().cpu(),
        output_size=None,
        rank_output=None,
        rank_values=None,
        queries=len(many.index),
    )
    heads = [h for h in range(affinity.heads) if sinks.sinks_of(h)]
    if values is None or not heads:
        return sinks
    return _with_ranks(sinks, asked, many, values.double(), heads)


def _with_ranks(
    sinks: BlockSinks, asked: Asked, many: Many, values: Tensor, heads: list[int]
) -> BlockSinks:
    """Return sinks with the effective ranks that tell whether a head broadcasts."""
    affinity = asked.affinity
    outputs = values.new_ones(affinity.heads)
    ranks = values.new_ones(affinity.heads)
    output = getattr(affinity, "output", None)
    prefix, size = affinity.queries.prefix, affinity.queries.size
    for head in heads:
        if isinstance(output, Tensor) and output.shape[1] == prefix + size:
            y = output[head, many.index + prefix].double()
        else:
            y = affinity.rows(many.index)[head].to(values) @ values[head]
        limited = asked.reach is not None
        reach = rows_and_reach(affinity, many.index)[1] if limited else None
        if reach is not None:
            there = reach[min(head, len(reach) - 1), :, sinks.strongest[head]]
            y = y[there]
        outputs[head] = effective_rank(_gram(y)[None])[0]
        ranks[head] = effective_rank(_gram(values[head])[None])[0]
    return replace(sinks, rank_output=outputs.cpu(), rank_values=ranks.cpu())


def _gram(x: Float[Tensor, "n d"]) -> Float[Tensor, "m m"]:
    found: Tensor = x.mT @ x if x.shape[0] >= x.shape[1] else x @ x.mT
    return found


def on_sinks(sinks: BlockSinks, asked: Asked) -> Float[Tensor, "heads n"]:
    """Return the share of each sampled row on the sinks of its head, as ``BlockSinks.on_sinks``."""
    heads, n = asked.rows.shape[:2]
    found = torch.zeros(heads, n, dtype=torch.float64)
    for head in range(heads):
        on = list(sinks.sinks_of(head))
        if on:
            size = asked.rows[head].abs()
            total = size.sum(-1, dtype=torch.float64).clamp(min=1e-300)
            found[head] = (size[:, on].sum(-1, dtype=torch.float64) / total).cpu()
    return found


@dataclass(frozen=True)
class SinkPlace:
    """Where the strongest sink of a head lies.

    Attributes:
        kind: what the head does with it, ``none`` where it has none; None where it is not known.
        said: its place in words; None where there is none.
        frame, y, x: its centre; None of a key without a place.
        value: |v| there, of the median |v|; None where it is not known.
    """

    kind: str | None
    said: str | None = None
    frame: float | None = None
    y: float | None = None
    x: float | None = None
    value: float | None = None


def sink_places(sinks: BlockSinks) -> list[SinkPlace]:
    """Return the strongest sink of each head."""
    found = []
    strongest, ratio = sinks.strongest, sinks.value_ratio
    for head, key in enumerate(strongest):
        if not sinks.sinks_of(head):
            found.append(SinkPlace("none" if sinks.queries >= LEAST else None))
            continue
        kind = sinks.kind(head)
        at = key - sinks.keys.prefix
        place: tuple[float | None, float | None, float | None] = (None, None, None)
        if at >= 0 and sinks.keys.kind in ("grid", "boxes"):
            place = sinks.keys.centre(at)
        said = key_place(sinks.keys, sinks.names, key)
        value = None if ratio is None else float(ratio[head])
        found.append(SinkPlace(None if kind == "unknown" else kind, said, *place, value))
    return found
