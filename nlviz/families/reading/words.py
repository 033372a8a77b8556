"""The words of a sequence of token ids, and the characters of the text that each stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_BROKEN = "\ufffd"  # what a part of a character is decoded as
_SHOWN = str.maketrans({"\n": "⏎", "\t": "⇥", " ": "␣", "\r": "⏎"})


@dataclass(frozen=True)
class Words:
    """Tokens as words of a text.

    Attributes:
        text: all of them together.
        words: what each is called.
        spans: the characters [start, end) of ``text`` that each stands for, without space around.
        special: numbers of those that are marks of the tokenizer's own.
    """

    text: str
    words: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]
    special: frozenset[int]


def words_of_ids(tokenizer: Any, ids: Sequence[int]) -> Words:
    """Return the words that token ids stand for.

    What is decoded of the first tokens grows by what the next one stands for; those that are parts
    of one character all stand for it.

    Args:
        tokenizer: of the library transformers.
        ids: of the tokens.
    """
    marks = marks_of(tokenizer)
    text, words, spans, open_ = "", [], [], []
    begin = 0  # of what is decoded anew: a text is not decoded from its start for each token
    before = ""
    for n, token in enumerate(ids):
        whole = _decoded(tokenizer, ids[begin : n + 1])
        if whole.endswith(_BROKEN) and token not in marks:
            open_.append(n)
            words.append(called(tokenizer, token))
            spans.append((len(text), len(text)))
            continue
        piece = whole[len(before) :] if whole.startswith(before) else whole
        first = len(text)
        text += piece
        start = first + len(piece) - len(piece.lstrip())
        end = max(first + len(piece.rstrip()), start)
        spans.append((start, end) if token not in marks or piece.strip() else (first, first))
        words.append(piece.strip() or _mark(tokenizer, token, piece))
        for part in open_:
            spans[part] = (start, end)
        open_, before = [], whole
        if n - begin >= 16 and piece[:1].isspace():
            # The next is decoded behind this one, which keeps the space before it.
            begin, before = n, _decoded(tokenizer, ids[n : n + 1])
    return Words(
        text,
        tuple(words),
        tuple(spans),
        frozenset(n for n, token in enumerate(ids) if token in marks),
    )


def called(tokenizer: Any, token: int) -> str:
    """Return how the vocabulary calls a token; its number where it has no name there."""
    return str(tokenizer.convert_ids_to_tokens(int(token)) or f"token {token}")


def marks_of(tokenizer: Any) -> frozenset[int]:
    """Return the tokens that are marks of a tokenizer's own: of beginnings, chats, pictures."""
    added = getattr(tokenizer, "added_tokens_decoder", None) or {}
    special = (int(n) for n, token in added.items() if getattr(token, "special", False))
    return frozenset((*(int(n) for n in tokenizer.all_special_ids), *special))


def _decoded(tokenizer: Any, ids: Sequence[int]) -> str:
    return str(
        tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False)
    )


def _mark(tokenizer: Any, token: int, piece: str) -> str:
    """Return what a token without a visible character is called."""
    return piece.translate(_SHOWN) or called(tokenizer, token)
