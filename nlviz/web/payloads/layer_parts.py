"""Packs what is made of several products of one layer: a cross, and a composition."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from nlviz.affinity.base import Affinity
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.several import ComposedAffinity, CrossAffinity, along
from nlviz.affinity.support import Window


def layer_parts(affinity: Affinity) -> tuple[Affinity, ...]:
    """Return the parts of a cross or a composition whose rows the browser can put together.

    Empty for any other affinity, and where it cannot: rows of a window are laid on a grid of their
    own, and tokens without a place that take part in both parts are the server's.
    """
    if not isinstance(affinity, (CrossAffinity, ComposedAffinity)):
        return ()
    parts = affinity.parts
    if any(not isinstance(p, EmbeddedAffinity) or isinstance(p.support, Window) for p in parts):
        return ()
    composed = isinstance(affinity, ComposedAffinity)
    if composed and affinity.keys.prefix != sum(part.keys.prefix for part in parts):
        return ()
    return parts


def packed_layer(
    entry: dict[str, Any],
    affinity: Affinity,
    learned: Affinity,
    own: dict[str, Any],
    sent: dict[int, dict[str, Any]],
    pack: Callable[[str, Affinity], dict[str, Any]],
) -> dict[str, Any]:
    """Return the entry of a cross or a composition, each part sent once.

    Args:
        entry: what the header says of every variant.
        affinity: the cross or the composition.
        learned: the block's own affinity.
        own: its entry.
        sent: entries of parts that were sent before, by the number of the affinity; more are added.
        pack: packs a part under a key.
    """
    told = []
    for part, name in zip(layer_parts(affinity), entry["layer"]["along"], strict=True):
        if part is learned:
            told.append({"of": own["key"], "along": name})
            continue
        if id(part) not in sent:
            sent[id(part)] = pack(f"part{len(sent)}", part)
        told.append({**sent[id(part)], "along": name})
    return {**entry, "kind": entry["layer"]["kind"], "parts": told, "scale": 1.0}


def layer_words(affinity: Affinity) -> dict[str, Any]:
    """Return how a cross or a composition puts its parts together, and what they run along."""
    assert isinstance(affinity, (CrossAffinity, ComposedAffinity))
    kind = "together" if isinstance(affinity, CrossAffinity) else "in_turn"
    return {"kind": kind, "along": [along(part) for part in affinity.parts]}


def bytes_of_parts(
    affinity: Affinity,
    learned: Affinity,
    sent: dict[int, dict[str, Any]],
    size: Callable[[Affinity], float],
) -> float:
    """Return the bytes that a cross or a composition still needs; infinite where it cannot be."""
    parts = layer_parts(affinity)
    if not parts:
        return math.inf
    return sum(size(p) for p in parts if p is not learned and id(p) not in sent)
