"""A sequence of words and vision tokens as the grid and the line of an affinity.

Vision tokens are the cells of a grid in the clip; all other tokens stand before them, in their
order, as words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nlviz.affinity.grid import Line, TokenGrid
from nlviz.affinity.token_names import OVERVIEW
from nlviz.clips.text import Text
from nlviz.errors import OutsideClip
from nlviz.families.reading.vision_tokens import VisionGrid
from nlviz.families.reading.words import called, words_of_ids


@dataclass(frozen=True, eq=False)
class SequenceLayout:
    """Where each token of a sequence stands in an affinity.

    Attributes:
        grid: of the vision tokens, with the words before it.
        order: (tokens,) number in the sequence of each, in the order of the affinity.
        text: the words; its tokens are those of ``grid.line``.
        numbers: (words,) number in the sequence of each word.
    """

    grid: TokenGrid
    order: npt.NDArray[np.int64]
    text: Text
    numbers: npt.NDArray[np.int64]

    def chosen(self, asked: Sequence[str | int]) -> npt.NDArray[np.int64]:
        """Return the numbers of some words on the line, given by number or name.

        A word that the tokenizer cut into parts stands for all of them.

        Raises:
            OutsideClip: when there is no such word, or several.
        """
        found = [n for word in asked for n in self._tokens(word)]
        return np.array(list(dict.fromkeys(found)), np.int64)

    def _tokens(self, word: str | int) -> list[int]:
        try:
            return [self.text.token_of(word)]
        except OutsideClip:
            parts = self._parts(word) if isinstance(word, str) else []
            if len(parts) != 1:
                raise
            return parts[0]

    def _parts(self, word: str) -> list[list[int]]:
        """Return the tokens that a word was cut into, for each place where it stands."""
        places = re.finditer(rf"(?<!\w){re.escape(word)}(?!\w)", self.text.text)
        return [
            [
                n
                for n, (a, b) in enumerate(self.text.spans)
                if a < b and m.start() < b and a < m.end()
            ]
            for m in places
        ]


def sequence_layout(
    vision: VisionGrid, ids: Sequence[int], placeholders: npt.NDArray[np.bool_], tokenizer: Any
) -> SequenceLayout:
    """Return the layout of a sequence.

    Args:
        vision: its vision tokens.
        ids: all of its tokens.
        placeholders: which of them stand for the clip.
        tokenizer: of the network.
    """
    spoken = words_of_ids(tokenizer, [t for t, v in zip(ids, placeholders, strict=True) if not v])
    words: dict[int, tuple[str, tuple[int, int], bool]] = {}
    own = iter(zip(spoken.words, spoken.spans, range(len(spoken.words)), strict=True))
    overview = {int(n): i for i, n in enumerate(vision.overview)}
    on_grid = set(vision.of.tolist())
    at = 0
    for n, token in enumerate(ids):
        if not placeholders[n]:
            word, span, i = next(own)
            words[n] = word, span, i in spoken.special
            at = span[1]
        elif n in overview:
            words[n] = f"{OVERVIEW}{overview[n]}", (at, at), True
        elif n not in on_grid:
            words[n] = called(tokenizer, token), (at, at), True
    names, spans, marks = zip(*words.values(), strict=True) if words else ((), (), ())
    special = frozenset(i for i, mark in enumerate(marks) if mark)
    text = Text.of(spoken.text, names, spans, special=special)
    grid = replace(vision.grid, prefix=len(names), line=Line(names, spans, special))
    numbers = np.array(list(words), np.int64)
    return SequenceLayout(grid, np.concatenate([numbers, vision.of]), text, numbers)
