"""Maps over words, boxes and nodes for the tests of their pictures."""

from __future__ import annotations

import numpy as np

import nlviz
from nlviz.affinity.attention_map import AttentionMap
from nlviz.affinity.token_boxes import TokenBoxes
from nlviz.affinity.token_line import TokenLine
from nlviz.clips.text import Text


def over_words(text: Text, weights: list[float], *, query: int, **more: object) -> AttentionMap:
    """Return a map over the words of a text."""
    keys = TokenLine.part_of(text)
    row = np.array(weights, np.float32).reshape(1, 1, -1)
    word = text.tokens[query]
    return AttentionMap(row, keys.centre(query), keys, name="layer", word=word, **more)  # type: ignore[arg-type]


def over_boxes(keys: TokenBoxes, weights: list[float], *, query: int) -> AttentionMap:
    """Return a map over boxes, one of which is the query."""
    top, left, bottom, right = keys.box(query)
    return AttentionMap(
        np.array(weights, np.float32).reshape(1, 1, -1),
        keys.centre(query),
        keys,
        word=keys.names[query],
        cell=(bottom - top, right - left),
    )


def sentence() -> Text:
    """Return a short text."""
    return nlviz.read_text("A dog chases a ball.")
