"""Texts and other sequences: an input like a clip, whose cells are tokens."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from nlviz.clips.clip import Clip
from nlviz.clips.words import Span, words_of
from nlviz.errors import OutsideClip, UnreadableText, did_you_mean
from nlviz.files.local import digest_of
from nlviz.picture import words_html

MOST_CHARACTERS = 1 << 18
MOST_TOKENS = 1 << 16
_NO_TEXT = re.compile("[\0\ud800-\udfff]")  # UTF-8 has no lone surrogates


@dataclass(frozen=True, eq=False)
class Text(Clip):
    """A text, or any sequence of symbols or time steps.

    It is a clip of one frame and one row with a cell for each token: token i is the place
    (frame=0, y=0, x=i), and all that speaks of places of a clip speaks of tokens here. It is drawn
    as words; ``frames`` is blank.

    Attributes:
        text: the whole of it, as it is shown.
        tokens: what each token is called.
        spans: the characters [start, end) of ``text`` that each token stands for; start and end
            are the same for a token that stands for none, as ``<s>``.
        special: numbers of the tokens that are no part of what was written: ``<s>`` for instance.
        written: what was given to be read; another text where a network was given more, a prompt
            around it for instance.

    >>> from nlviz.clips.text import read_text
    >>> text = read_text("A dog chases a ball.")
    >>> text.shape, text.tokens[2], text.spans[2]
    ((1, 1, 6), 'chases', (6, 12))
    """

    text: str = ""
    tokens: tuple[str, ...] = ()
    spans: tuple[Span, ...] = ()
    special: frozenset[int] = field(default=frozenset())
    written: str = ""

    def __post_init__(self) -> None:
        if not self.written:
            object.__setattr__(self, "written", self.text)
        count = len(self.tokens)
        if not 0 < count <= MOST_TOKENS:
            raise UnreadableText(f"a text has 1 to {MOST_TOKENS} tokens, this one has {count}")
        if len(self.spans) != count:
            raise UnreadableText(f"{count} tokens need as many spans, got {len(self.spans)}")
        if any(not 0 <= a <= b <= len(self.text) for a, b in self.spans):
            raise UnreadableText(
                f"a span is the characters [start, end) of a text of {len(self.text)}; one of "
                f"{self.spans[:4]}... is not"
            )
        super().__post_init__()

    @classmethod
    def of(
        cls,
        text: str,
        tokens: Sequence[str],
        spans: Sequence[Span],
        *,
        name: str = "",
        special: Sequence[int] | frozenset[int] = (),
    ) -> Text:
        """Return a text with these tokens.

        Args:
            text: the whole.
            tokens: what each is called.
            spans: the characters [start, end) that each stands for.
            name: what to call it; its first words by default.
            special: numbers of tokens that are no part of what was written.

        Raises:
            UnreadableText: when tokens and spans do not fit together, or there is none.
        """
        digest = digest_of(repr((text, tuple(tokens), tuple(spans))).encode())
        return cls(
            frames=np.full((1, 1, max(len(tokens), 1), 3), 255, np.uint8),
            times=np.zeros(1),
            name=name or _called(text or " ".join(tokens)),
            digest=digest,
            text=text,
            tokens=tuple(tokens),
            spans=tuple((int(a), int(b)) for a, b in spans),
            special=frozenset(int(i) for i in special),
        )

    @classmethod
    def of_tokens(cls, tokens: Sequence[object], *, name: str = "") -> Text:
        """Return the text of symbols or numbers with spaces between them, a token each.

        Raises:
            UnreadableText: when there is none.

        >>> Text.of_tokens([3, 1, 2]).text
        '3 1 2'
        """
        words = [str(token) for token in tokens]
        spans, at = [], 0
        for word in words:
            spans.append((at, at + len(word)))
            at += len(word) + 1
        return cls.of(" ".join(words), words, spans, name=name)

    def cut(
        self,
        tokens: Sequence[str],
        spans: Sequence[Span],
        *,
        text: str | None = None,
        special: Sequence[int] | frozenset[int] = (),
    ) -> Text:
        """Return the text cut otherwise, as the tokenizer of a network cuts it.

        Args:
            tokens: what each is called.
            spans: the characters [start, end) that each stands for.
            text: the whole as the network was given it, where that is another.
            special: numbers of tokens that are no part of what was written.
        """
        whole = self.text if text is None else text
        found = Text.of(whole, tokens, spans, name=self.name, special=special)
        return replace(found, digest=self.digest, notes=self.notes, written=self.written)

    def token_of(self, word: str | int) -> int:
        """Return the number of a token that is given by number, by name, or by both (``9:the``).

        Raises:
            OutsideClip: when there is no such token, or several; the sentence lists them.

        >>> text = read_text("the dog and the ball")
        >>> text.token_of("dog"), text.token_of("3:the"), text.token_of(4)
        (1, 3, 4)
        """
        return found_word(self.tokens, word, what="this text")

    def _repr_html_(self) -> str:
        told = [f"token {i}" for i in range(len(self.tokens))]
        return words_html(
            self.tokens, title=repr(self), told=told, faint=self.special, notes=self.notes
        )

    def __repr__(self) -> str:
        return f"Text({_called(self.text)!r}, {len(self.tokens)} tokens)"


def read_text(text: str | Path, *, name: str | None = None) -> Text:
    """Return a text as an input, its tokens being words until a network cuts it otherwise.

    Args:
        text: the text itself; a ``Path`` is read as UTF-8.
        name: what to call it; its first words, or the file's name, by default.

    Raises:
        UnreadableText: when it is empty, too long, or a file that is no text.

    >>> read_text("A dog chases a ball.")
    Text('A dog chases a ball.', 6 tokens)
    """
    if isinstance(text, Path):
        try:
            written = text.read_text("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise UnreadableText(
                f"the text {text.name!r} cannot be read as UTF-8 ({error}); save it as that"
            ) from None
        name, text = name or text.name, written
    if not text.strip():
        raise UnreadableText("a text must have at least one word, this one is empty; write some")
    if len(text) > MOST_CHARACTERS:
        raise UnreadableText(
            f"a text may have {MOST_CHARACTERS} characters, this one has {len(text)}; take a part"
        )
    if _NO_TEXT.search(text):
        raise UnreadableText(
            "a text holds no zero bytes and no halves of characters; this is another kind of file"
        )
    spans = words_of(text)
    return Text.of(text, [text[a:b] for a, b in spans], spans, name=name or "")


def with_prompt(clip: Clip, text: Text) -> Clip:
    """Return a clip with a text beside it.

    Raises:
        UnreadableText: when the clip is a text itself.
    """
    if isinstance(clip, Text):
        raise UnreadableText("a text goes beside a clip, not beside another text; join the two")
    return replace(clip, prompt=text)


def prompt_of(clip: Clip) -> Text | None:
    """Return the text beside a clip, or None."""
    return clip.prompt if isinstance(clip.prompt, Text) else None


def found_word(words: Sequence[str], word: str | int, *, what: str) -> int:
    """Return the number of a word that is given by number, by itself, or by both (``9:the``).

    Args:
        words: all of them.
        word: which.
        what: whose words they are, for a refusal.

    Raises:
        OutsideClip: when there is no such word, or several.
    """
    count = len(words)
    if isinstance(word, int):
        if 0 <= word < count:
            return word
        raise OutsideClip(f"a word of {what} is a number from 0 to {count - 1}, got {word}")
    number, mark, name = word.partition(":")
    if mark and number.isdecimal() and int(number) < count and words[int(number)] == name:
        return int(number)
    found = [i for i, own in enumerate(words) if own == word]
    if not found:
        found = [i for i, own in enumerate(words) if own.strip().casefold() == word.casefold()]
    if len(found) == 1:
        return found[0]
    if found:
        several = ", ".join(f"{i}:{words[i]}" for i in found[:8])
        raise OutsideClip(
            f"{word!r} stands {len(found)} times in {what}; say which: {several}"
            + (", ..." if len(found) > 8 else "")
        )
    if word.isdecimal():
        return found_word(words, int(word), what=what)
    raise OutsideClip(
        f"{word!r} is no word of {what}, which has {count}{did_you_mean(word, words)}; "
        "a number counts from 0"
    )


def _called(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 40 else line[:39].rstrip() + "…"
