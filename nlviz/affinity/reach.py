"""What the queries of an affinity reach, in words: the set of keys that C is taken over."""

from __future__ import annotations

from nlviz.affinity.base import Affinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.key_sets import KeySets
from nlviz.sentences import counted

_BEGINS = "A query reaches "
CONTEXT = "context"  # how the query is called that stands for all of them


def asks_without_place(affinity: Affinity) -> bool:
    """Return whether no query has a place: a class token asks, or what a decoder looks for."""
    queries, keys = affinity.queries, affinity.keys
    if queries.kind != "grid":
        return False
    alone = queries.shape[1:] == (1, 1) and (
        len(set(queries.shape)) == 1 or keys.shape[1:] != (1, 1)
    )
    return alone and queries.prefix > 0


def is_global_context(affinity: Affinity) -> bool:
    """Return whether its rows are one softmax over all places, whatever the query."""
    return set(affinity.token_names) == {CONTEXT}


def reached(affinity: Affinity) -> str:
    """Return what a query reaches, to go behind "reaches".

    >>> import torch
    >>> from nlviz.affinity.embedded import EmbeddedAffinity
    >>> from nlviz.affinity.pairwise import Pairwise
    >>> from nlviz.affinity.support import Support
    >>> fine, coarse = TokenGrid((2, 4, 6)), TokenGrid((2, 2, 3))
    >>> f = Pairwise("gaussian")
    >>> own = Support(1)
    >>> a = EmbeddedAffinity("a", f, torch.ones(1, 48, 1), torch.ones(1, 48, 1), fine, fine, own)
    >>> reached(a)
    'the keys of its own frame alone'
    >>> reached(EmbeddedAffinity("b", f, torch.ones(1, 48, 1), torch.ones(1, 12, 1), fine, coarse))
    'all keys in all frames, pooled: one for 2×2 cells'
    """
    sentence = affinity.support.sentence(affinity.keys).rstrip(".")
    if not sentence:
        found = _all_of(affinity.keys)
    elif sentence.startswith(_BEGINS):
        found = sentence.removeprefix(_BEGINS)
    else:
        found = sentence[0].lower() + sentence[1:]
    return ", ".join(part for part in (found, _pooled(affinity)) if part)


def _all_of(keys: TokenGrid) -> str:
    """Return how all keys are called."""
    if keys.kind != "grid":
        return {"line": "all words", "boxes": "all boxes"}.get(keys.kind, "all nodes")
    found = "all keys in all frames" if keys.shape[0] > 1 else "all keys of the picture"
    return f"{found} and the words" if keys.line is not None else found


def _pooled(affinity: Affinity) -> str:
    """Return how many cells of queries one key stands for, where keys were pooled."""
    if asks_without_place(affinity) or {affinity.queries.kind, affinity.keys.kind} != {"grid"}:
        return ""
    t, h, w = (
        _times(q, k) for q, k in zip(affinity.queries.shape, affinity.keys.shape, strict=True)
    )
    if (t, h, w) == (1, 1, 1):
        return ""
    times = f" in {t} frames" if t > 1 else ""
    return f"pooled: one for {h}×{w} cells{times}"


def _times(queries: int, keys: int) -> int:
    return max(round(queries / keys), 1)


def shifted(affinity: Affinity) -> bool:
    """Return whether windows were shifted: the one in the first corner is smaller than others."""
    support = affinity.support
    if not isinstance(support, KeySets):
        return False
    sizes = support.counts(affinity.queries, affinity.keys)
    return int(sizes[0]) < int(sizes.max())


def grid_text(grid: TokenGrid) -> str:
    """Return frames, rows and columns of a grid, or the number of words, boxes or nodes.

    >>> from nlviz.affinity.token_line import TokenLine
    >>> grid_text(TokenGrid((8, 14, 16))), grid_text(TokenLine.of(("a", "dog")))
    ('8×14×16', '2 words')
    """
    if grid.kind != "grid":
        noun = {"line": "word", "boxes": "box"}.get(grid.kind, "node")
        return counted(grid.size, noun, "boxes" if noun == "box" else None)
    cells = "×".join(map(str, grid.shape))
    return cells if grid.line is None else f"{counted(grid.line.size, 'word')} + {cells}"
