"""Blocks of a network in words: grouped by layer, with grid and set of keys."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nlviz.affinity.base import Affinity
from nlviz.affinity.reach import asks_without_place as asks_without_place
from nlviz.affinity.reach import grid_text, is_global_context, shifted
from nlviz.affinity.reach import reached as reached
from nlviz.analysis.rollout import no_rollout as no_rollout
from nlviz.sentences import refusals as refusals

_SINGULAR = {"layers": "layer", "blocks": "block", "stages": "stage", "features": "feature"}
_RUN = re.compile(r"[#/]\d+$")


@dataclass(frozen=True)
class Layer:
    """Blocks of one layer.

    Attributes:
        title: what it is called, unlike any other.
        names: of its blocks, in the order in which they ran.
    """

    title: str
    names: tuple[str, ...]


def layers(names: Iterable[str]) -> list[Layer]:
    """Return blocks grouped by the layer that their names number; one without a number is alone.

    >>> [layer.title for layer in layers(["net.layer.0.time.attn", "net.layer.0.attn", "stage4"])]
    ['layer 0', 'stage4']
    >>> [layer.title for layer in layers(["encoder.layers.0.attn", "decoder.layers.0.attn"])]
    ['encoder layer 0', 'decoder layer 0']
    >>> [layer.title for layer in layers(["features.1.0.attn", "layer2.1.nl"])]
    ['feature 1.0', 'layer2.1']
    """
    groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for name in names:
        groups[_layer_of(name)].append(name)
    titles = _titles(list(groups))
    return [Layer(titles[key], tuple(found)) for key, found in groups.items()]


def last_of_classes(affinities: Mapping[str, Affinity]) -> str | None:
    """Return the last block in which a class token asks with several heads, or None."""
    found = [n for n, a in affinities.items() if a.heads > 1 and "cls" in a.token_names]
    return found[-1] if found else None


def _layer_of(name: str) -> tuple[str, ...]:
    """Return the parts of a name up to its last number; all of it where there is none."""
    parts = tuple(_RUN.sub("", name).split("."))
    last = max((i for i, part in enumerate(parts) if part.isdecimal()), default=-1)
    return parts[: last + 1] if last > 0 else (name,)


def _titles(keys: Sequence[tuple[str, ...]]) -> dict[tuple[str, ...], str]:
    """Return the shortest titles that tell layers from one another."""
    for words in range(1, max(map(len, keys), default=0) + 1):
        found = {key: _title(key, words) for key in keys}
        if len(set(found.values())) == len(found):
            return found
    return {key: ".".join(key) for key in keys}


def _title(key: tuple[str, ...], words: int) -> str:
    if not key[-1].isdecimal():
        return key[-1]
    named = [i for i, part in enumerate(key) if not part.isdecimal()]
    first = named[-min(words, len(named))] if named else 0
    title = ""
    for part in key[first:]:
        between = "." if part.isdecimal() and title[-1:].isdigit() else " "
        title += (between if title else "") + _SINGULAR.get(part, part)
    return title


def block_text(affinity: Affinity) -> str:
    """Return grids and set of keys of a block, in words.

    >>> import torch
    >>> from nlviz.affinity.embedded import EmbeddedAffinity
    >>> from nlviz.affinity.grid import TokenGrid
    >>> from nlviz.affinity.pairwise import Pairwise
    >>> grid, theta = TokenGrid((1, 4, 6)), torch.ones(3, 24, 2)
    >>> block_text(EmbeddedAffinity("a", Pairwise("gaussian"), theta, theta, grid, grid))
    '1×4×6 → 1×4×6 · reaches all keys of the picture · 3 heads'
    """
    keys = grid_text(affinity.keys)
    queries = grid_text(affinity.queries)
    if asks_without_place(affinity):
        names = list(dict.fromkeys(affinity.token_names))
        queries = ", ".join(names) if len(names) < 3 else f"{len(names)} tokens"
    heads = f" · {affinity.heads} heads" if affinity.heads > 1 else ""
    return f"{queries} → {keys} · reaches {reached(affinity)}{heads}"


def kind_text(affinity: Affinity) -> str:
    """Return in a word or two what kind of attention a block is; empty where all see all.

    >>> import torch
    >>> from nlviz.affinity.embedded import EmbeddedAffinity
    >>> from nlviz.affinity.grid import TokenGrid
    >>> from nlviz.affinity.pairwise import Pairwise
    >>> from nlviz.affinity.support import Support
    >>> grid, theta = TokenGrid((2, 4, 6)), torch.ones(1, 48, 2)
    >>> own = Support(1)
    >>> kind_text(EmbeddedAffinity("a", Pairwise("gaussian"), theta, theta, grid, grid, own))
    'spatial attention'
    """
    if affinity.pairwise.name == "effective_operator":
        return "effective operator"
    said, moves = reached(affinity), affinity.keys.shape[0] > 1
    if affinity.keys.kind != "grid" or affinity.queries.kind != "grid":
        return _between(affinity)
    if asks_without_place(affinity):
        if is_global_context(affinity):
            return "global context"
        return "class attention" if "cls" in affinity.token_names else "tokens over the picture"
    along = ["its column of" in said, "its row of" in said]
    if any(along):
        return "criss-cross" if all(along) else "columns" if along[0] else "rows"
    if "of its own place" in said:
        return "temporal attention"
    if "window" in said:
        return "shifted windows" if shifted(affinity) else "windows"
    if "a grid of" in said:
        return "grid attention"
    if moves and "own frame" in said:
        return "spatial attention"
    return "pooled keys" if "pooled" in said else ""


def _between(affinity: Affinity) -> str:
    """Return what kind of attention is over words, boxes or nodes."""
    if affinity.queries != affinity.keys:
        return "cross-attention"
    if affinity.queries.kind == "boxes":
        return "among boxes"
    return "causal" if "before it" in reached(affinity) else ""
