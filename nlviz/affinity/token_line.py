"""Words and time steps: tokens on a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from nlviz.affinity.grid import Line, TokenGrid
from nlviz.clips.text import Text, found_word
from nlviz.errors import NlvizError, OutsideClip


@dataclass(frozen=True)
class TokenLine(TokenGrid):
    """Tokens of a sequence, one after another: token i lies at (frame=0, y=0, x=first + i).

    Attributes:
        words: what each token is called.
        spans: the characters [start, end) of the text that each stands for, or empty.
        special: numbers of the tokens that are no part of what was written.

    >>> line = TokenLine.of(("a", "dog", "barks"))
    >>> line.shape, line.nearest(frame=0, y=0, x=1.2), line.number("dog")
    ((1, 1, 3), 1, 1)
    """

    kind: ClassVar[str] = "line"
    words: tuple[str, ...] = ()
    spans: tuple[tuple[int, int], ...] = ()
    special: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        if self.shape != (1, 1, len(self.words)) or len(self.spans) not in (0, len(self.words)):
            raise NlvizError(
                f"a line of {len(self.words)} words has the shape (1, 1, {len(self.words)}) and as "
                f"many spans, or none; got {self.shape} and {len(self.spans)} spans"
            )

    @classmethod
    def of(
        cls,
        words: Sequence[str],
        spans: Sequence[tuple[int, int]] = (),
        *,
        first: float = 0.0,
        stride: float = 1.0,
        prefix: int = 0,
        special: Sequence[int] | frozenset[int] = (),
        line: Line | None = None,
    ) -> TokenLine:
        """Return the line of these words, the first of which is at x = ``first``.

        Args:
            words: what each token is called.
            spans: the characters of the text that each stands for.
            first: place of the first token among those of the whole input.
            stride: tokens of the input from one to the next, where a network merges some.
            prefix: number of tokens without a place before them.
            special: numbers of tokens that are no part of what was written.
            line: what the tokens without a place are, where they are words.
        """
        return cls(
            (1, 1, len(words)),
            (1.0, 1.0, stride),
            (0.0, 0.0, first),
            prefix,
            line=line,
            words=tuple(words),
            spans=tuple(spans),
            special=frozenset(special),
        )

    @classmethod
    def part_of(
        cls, text: Text, *, first: int = 0, count: int | None = None, stride: int = 1
    ) -> TokenLine:
        """Return the line of some tokens of a text, all by default.

        Args:
            text: the text as a network saw it.
            first: number of the first token.
            count: how many.
            stride: how many tokens of the text each of them stands for.
        """
        last = len(text.tokens) - 1
        count = -(-(last + 1 - first) // stride) if count is None else count
        # Where a network fills a text up, its last token stands for less of it.
        starts = (min(first + i * stride, last) for i in range(count))
        parts = [range(i, min(i + stride, last + 1)) for i in starts]
        return cls.of(
            [" ".join(text.tokens[i] for i in part) for part in parts],
            [(text.spans[p[0]][0], max(text.spans[i][1] for i in p)) for p in parts],
            first=first + (stride - 1) / 2,
            stride=stride,
            special=[n for n, part in enumerate(parts) if all(i in text.special for i in part)],
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The words."""
        return self.words

    def number(self, word: str | int) -> int:
        """Return the number of a word that is given by number, by itself, or as ``9:the``.

        Raises:
            OutsideClip: when there is no such word, or several.
        """
        return found_word(self.words, word, what="this line")

    def number_in(self, text: Text, word: str | int) -> int:
        """Return the number of a word that is given as a token of the text that this line is of.

        A line may be a part of a text: its first word is then not the text's token 0.

        Args:
            text: as a network saw it.
            word: a token of it by its number there, by itself, or as ``9:the``.

        Raises:
            OutsideClip: when the line has no such word, or several.

        >>> text = Text.of_tokens("ab|ba")
        >>> line = TokenLine.part_of(text, first=3)
        >>> line.number_in(text, 4), line.number_in(text, "a"), line.number("a")
        (1, 1, 1)
        """
        if self.stride[2] != 1:
            return self.number(word)
        first = round(self.origin[2])
        known = dict(zip(range(first, first + self.size), self.words, strict=True))
        words = [known.get(i, "\0") for i in range(len(text.tokens))]
        found = found_word(words, word, what="this line")
        if found not in known:
            raise OutsideClip(
                f"{found}:{text.tokens[found]} is not on this line, which holds the tokens {first} "
                f"to {first + self.size - 1} of the text"
            )
        return found - first

    def text_number(self, index: int) -> int:
        """Return the number in the text of a word of this line; its own where tokens were merged.

        Raises:
            OutsideClip: when there is no such word.
        """
        return round(self.centre(index).x) if self.stride[2] == 1 else index

    def to_json(self) -> dict[str, Any]:
        """Return what JSON can hold of it."""
        own = Line(self.words, self.spans, self.special)
        return {**super().to_json(), **own.to_json()}
