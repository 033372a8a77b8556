"""Packs words: a text as it is shown, and the rows of words that stand beside pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from nlviz.affinity.base import Affinity
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.support import Window
from nlviz.clips.text import Text

Arrays = dict[str, npt.NDArray[Any]]
FEW = 1 << 16  # numbers that are sent as float32 rather than float16


def told(text: Text) -> dict[str, Any]:
    """Return a text as the browser shows it: itself, its tokens, and where each stands.

    >>> from nlviz.clips.text import read_text
    >>> told(read_text("a dog"))["spans"]
    [(0, 1), (2, 5)]
    """
    return {
        "text": text.text,
        "tokens": list(text.tokens),
        "spans": list(text.spans),
        "special": sorted(text.special),
    }


def words_beside(key: str, affinity: EmbeddedAffinity, arrays: Arrays) -> dict[str, Any]:
    """Pack what rows of words beside pictures need besides theta, which begins with them then.

    Returns:
        What the source says of them; empty where the queries without a place are no words, or
        where each query reaches a window, whose rows are laid on a grid of their own.
    """
    queries, keys = affinity.queries, affinity.keys
    if queries.line is None or not queries.prefix or isinstance(affinity.support, Window):
        return {}
    more: dict[str, Any] = {"query_prefix": queries.prefix}
    mask = affinity.support.mask_apart(queries, keys)
    if mask is not None:
        more["word_reach"] = f"{key}.word_reach"
        arrays[more["word_reach"]] = mask.cpu().to(torch.uint8).numpy()
    if affinity.apart_bias is not None:
        more["word_bias"] = f"{key}.word_bias"
        arrays[more["word_bias"]] = affinity.apart_bias.float().cpu().numpy()
    if affinity.pairwise.softmax:
        more["log_normaliser_apart"] = f"{key}.log_normaliser_apart"
        arrays[more["log_normaliser_apart"]] = _normaliser_of_words(affinity, mask)
    return more


def _normaliser_of_words(
    affinity: EmbeddedAffinity, mask: torch.Tensor | None
) -> npt.NDArray[np.float32]:
    """Return log C of the words, (heads, words)."""
    logits = affinity.pairwise.logits(affinity.theta[:, : affinity.queries.prefix], affinity.phi)
    if affinity.apart_bias is not None:
        logits = logits + affinity.apart_bias
    if mask is not None:
        logits = logits.masked_fill(~mask.to(logits.device), -torch.inf)
    found: npt.NDArray[np.float32] = logits.float().logsumexp(-1).cpu().numpy()
    return found


def words_that_came(key: str, affinity: Affinity, arrays: Arrays, limit: int) -> dict[str, Any]:
    """Pack the rows of words beside pictures as they are, where the browser cannot derive them.

    Args:
        key: of the source.
        affinity: whose rows.
        arrays: where sections go.
        limit: bytes that they may take; beyond it none are sent.
    """
    queries, keys = affinity.queries, affinity.keys
    size = 4 * affinity.heads * queries.prefix * (keys.size + keys.prefix)
    if queries.line is None or not queries.prefix or size > limit:
        return {}
    rows = affinity.token_rows().float().cpu()
    mask = affinity.support.mask_apart(queries, keys)
    if mask is not None:
        rows = rows.where(mask.cpu(), torch.nan)
    arrays[f"{key}.word_rows"] = rows[..., keys.prefix :].contiguous().numpy()
    arrays[f"{key}.word_apart"] = rows[..., : keys.prefix].contiguous().numpy()
    return {"word_rows": f"{key}.word_rows", "word_apart": f"{key}.word_apart"}


def few_rows(key: str, affinity: Affinity, arrays: Arrays, limit: int) -> dict[str, Any]:
    """Pack the rows of a few named queries as they are: words that were chosen, boxes, nodes.

    Args:
        key: of the source.
        affinity: whose rows.
        arrays: where sections go.
        limit: bytes that they may take; beyond it, and for queries of pictures, none are sent.

    Returns:
        What the source says of them, as one of kept weights; empty where none are sent.
    """
    queries, keys = affinity.queries, affinity.keys
    every = keys.size + keys.prefix
    size = 2 * affinity.heads * queries.size * every
    if not queries.names or queries.prefix or size > limit:
        return {}
    rows = affinity.rows(range(queries.size)).float().cpu()
    kind = torch.float32 if rows.numel() <= FEW else torch.float16
    sections = {
        "weights": rows[None].to(kind),
        "group_of": torch.zeros(queries.size, dtype=torch.int32),
        "place_of": torch.arange(queries.size, dtype=torch.int32),
        "key_of": torch.arange(every, dtype=torch.int32)[None],
    }
    arrays |= {f"{key}.{name}": of.contiguous().numpy() for name, of in sections.items()}
    return {"kind": "stored", "scale": 1.0, **{name: f"{key}.{name}" for name in sections}}
