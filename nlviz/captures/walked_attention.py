"""Attention of networks that walk over the frames of a clip: the runs of a block as one.

Each run of a block has products of its own. Where their queries lie on frames that no other run
has, they are the parts of one attention, whose entries are those of all runs. Attention to which
something was added stays apart: what was added to each run is its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from nlviz.networks.attention.places import Factors, TokenPlaces
from nlviz.networks.attention.products import AttentionProduct
from nlviz.networks.calls import block_and_run

NOTE = "The block ran {count} times, each time on another part of the clip."


def together(
    products: Sequence[AttentionProduct], factors: Factors | str, order: Sequence[str]
) -> tuple[list[AttentionProduct], Factors | str]:
    """Return products with those of the runs of one block as one, and where its tokens lie.

    Args:
        products: of one forward pass.
        factors: where their tokens lie, or why that is not known.
        order: of each product by its number, which function computed it in which module.
    """
    runs: dict[str, list[AttentionProduct]] = {}
    for product in products:
        runs.setdefault(block_and_run(product.module)[0], []).append(product)
    if isinstance(factors, str) or all(len(parts) == 1 for parts in runs.values()):
        return list(products), factors
    parts_of = {
        parts[0].number: parts for parts in runs.values() if _are_parts(parts, factors, order)
    }
    if not parts_of:
        return list(products), factors
    key = "together", *(tuple(p.number for p in parts) for parts in parts_of.values())
    if key not in factors.read:
        factors.read[key] = _of_all(factors, parts_of)
    inside = {part.number for parts in parts_of.values() for part in parts[1:]}
    joined = [
        _joined(parts_of[p.number]) if p.number in parts_of else p
        for p in products
        if p.number not in inside
    ]
    return joined, factors.read[key]


def _are_parts(parts: Sequence[AttentionProduct], factors: Factors, order: Sequence[str]) -> bool:
    """Check whether products are those of runs that saw parts of the clip, one of each run."""
    first, last = parts[0], max(p.number for p in parts)
    if len(parts) == 1 or len({p.module for p in parts}) != len(parts):
        return False
    if factors.order[: last + 1] != tuple(order[: last + 1]):
        return False
    plain = all(
        p.number in factors.of
        and p.q is not None
        and p.number not in factors.shared
        and not (p.terms or p.fault or p.share or p.operator >= 0)
        and _kind(p) == _kind(first)
        for p in parts
    )
    if not plain:
        return False
    frames: set[float] = set()
    for part in parts:
        at = factors.of[part.number][int(part.swapped)].at
        own = set(np.unique(at[..., 0][~np.isnan(at[..., 0])].round(2)).tolist())
        if not own or own & frames:
            return False
        frames |= own
    return True


def _kind(p: AttentionProduct) -> object:
    assert p.q is not None
    assert p.k is not None
    shapes = p.q.shape[1:], p.k.shape[1:], p.scales is None, p.v is None
    return shapes, p.swapped, p.scale, p.softmax, p.causal, p.note, p.role


def _joined(parts: Sequence[AttentionProduct]) -> AttentionProduct:
    """Return the products of all runs as one, with the worst of their receipts."""
    worst = max(parts, key=lambda p: p.error / max(p.tolerance, 1e-12))

    def all_of(name: str) -> Tensor | None:
        found = [getattr(p, name) for p in parts]
        return None if found[0] is None else torch.cat(found)

    return replace(
        parts[0],
        runs=len(parts),
        numbers=tuple(p.number for p in parts),
        counts=tuple(p.size[0] for p in parts),
        q=all_of("q"),
        k=all_of("k"),
        v=all_of("v"),
        y=all_of("y"),
        scales=all_of("scales"),
        error=worst.error,
        tolerance=worst.tolerance,
        queries=sum(p.queries for p in parts),
        note=" ".join(n for n in (parts[0].note, NOTE.format(count=len(parts))) if n),
    )


def _of_all(factors: Factors, parts_of: dict[int, list[AttentionProduct]]) -> Factors:
    of, values = dict(factors.of), dict(factors.values)
    for number, parts in parts_of.items():
        numbers = [p.number for p in parts]
        of[number] = (
            _places([factors.of[n][0] for n in numbers]),
            _places([factors.of[n][1] for n in numbers]),
        )
        if all(n in factors.values for n in numbers):
            values[number] = _places([factors.values[n] for n in numbers])
        else:
            values.pop(number, None)
    return replace(factors, of=of, values=values, read={})


def _places(parts: Sequence[TokenPlaces]) -> TokenPlaces:
    means = [p.means for p in parts if p.means is not None]
    names = [p.names for p in parts if p.names is not None]
    return replace(
        parts[0],
        at=np.concatenate([p.at for p in parts]),
        spread=max(p.spread for p in parts),
        means=np.concatenate(means) if len(means) == len(parts) else None,
        names=tuple(n for own in names for n in own) if len(names) == len(parts) else None,
    )
