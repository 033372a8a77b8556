"""A text as a language model is given it: cut by its tokenizer, and what it wrote behind it."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from nlviz.clips.text import Text
from nlviz.errors import NlvizError
from nlviz.families.reading.prepared import Queries
from nlviz.families.reading.prepared_text import PreparedText, prepared_text
from nlviz.families.reading.processors import first_line
from nlviz.families.reading.words import Words, called, marks_of, words_of_ids

_CONTEXT = ("max_position_embeddings", "n_positions", "max_target_positions")


@dataclass(frozen=True)
class LanguageText(PreparedText):
    """A network's input that is made of a text.

    Attributes:
        read: numbers of the words that were given.
        words: these, as words of the text.
        generate: how many tokens the network is to write first.
    """

    read: tuple[int, ...] = ()
    words: Words = field(default_factory=lambda: Words("", (), (), frozenset()))
    generate: int = 0

    def asking(self, queries: Queries | None, generate: int) -> LanguageText:
        """Return the input with what else is asked of it.

        Raises:
            NlvizError: when fewer than no words are asked for, or rows of some words alone.
        """
        if queries is not None:
            raise NlvizError(
                "queries= chooses words beside a clip; of a text alone all rows are there, ask "
                "for one with map(token=...)"
            )
        if generate < 0:
            raise NlvizError(f"a network writes 0 tokens or more, got generate={generate}")
        return replace(self, generate=generate)

    def followed_by(self, net: Any, tokenizer: Any, ids: Tensor) -> LanguageText:
        """Return the input with an answer behind it.

        Args:
            net: the network.
            tokenizer: of it.
            ids: (tokens,) of the answer.
        """
        assert self.text is not None
        return _made(net, tokenizer, self.text, self.read, self.words, ids.tolist())


def language_text(net: Any, tokenizer: Any, text: Text) -> LanguageText:
    """Return a text as a network is given it.

    Args:
        net: the network, of the library transformers.
        tokenizer: of it.
        text: the text.

    Raises:
        NlvizError: when the tokenizer does not take it, or it is longer than the network takes.
    """
    try:
        cut = tokenizer(text.written, return_offsets_mapping=bool(tokenizer.is_fast))
    except Exception as error:  # whatever a tokenizer says of a text
        raise NlvizError(
            f"{type(tokenizer).__name__} does not take this text ({first_line(error)})"
        ) from error
    read = tuple(int(n) for n in cut["input_ids"])
    if not read:
        raise NlvizError("a text must have a token for the network, this one has none")
    words = words_of_ids(tokenizer, read)
    if "offset_mapping" in cut:
        words = _words_at(tokenizer, text.written, read, cut["offset_mapping"])
    return _made(net, tokenizer, text, read, words)


def _words_at(
    tokenizer: Any, text: str, ids: Sequence[int], offsets: Sequence[tuple[int, int]]
) -> Words:
    """Return tokens as the characters of the text that the tokenizer says they stand for."""
    marks = marks_of(tokenizer)
    names, spans = [], []
    own = [_without_space(text, int(a), int(b)) for a, b in offsets]
    for n, (token, (start, end)) in enumerate(zip(ids, own, strict=True)):
        # Several tokens of one character, its bytes, are called as the vocabulary calls them.
        parts = any(0 <= m < len(own) and own[m] == (start, end) for m in (n - 1, n + 1))
        shown = text[start:end] if end > start and not parts else called(tokenizer, token)
        names.append(shown)
        spans.append((start, end))
    special = frozenset(n for n, token in enumerate(ids) if token in marks)
    return Words(text, tuple(names), tuple(spans), special)


def _without_space(text: str, start: int, end: int) -> tuple[int, int]:
    piece = text[start:end]
    if not piece.strip():
        return start, end
    return start + len(piece) - len(piece.lstrip()), end - len(piece) + len(piece.rstrip())


def _made(
    net: Any,
    tokenizer: Any,
    text: Text,
    read: tuple[int, ...],
    words: Words,
    answer: Sequence[int] = (),
) -> LanguageText:
    """Return the input of a network: what it reads, and what follows."""
    given = inspect.signature(net.forward).parameters
    both = bool(net.config.is_encoder_decoder)
    notes: tuple[str, ...] = ()
    behind = list(answer)
    if both:
        first = net.config.decoder_start_token_id
        first = net.generation_config.decoder_start_token_id if first is None else first
        behind = [0 if first is None else int(first), *behind]
    after = words_of_ids(tokenizer, behind) if behind else Words("", (), (), frozenset())
    apart = "\n" if both else ("" if after.text[:1].isspace() or not after.text else " ")
    whole = words.text + apart + after.text
    moved = len(words.text) + len(apart)
    cut = text.cut(
        (*words.words, *after.words),
        (*words.spans, *((a + moved, b + moved) for a, b in after.spans)),
        text=whole,
        special=words.special | {n + len(read) for n in after.special},
    )
    if answer:
        last = len(cut.tokens)
        said = tokenizer.decode(list(answer), skip_special_tokens=True).strip()
        said = said or " ".join(cut.tokens[last - len(answer) :])
        notes = (f"The network's answer: “{said}”, words {last - len(answer)} to {last - 1}.",)
    elif both:
        notes = (
            "The part that writes is given its first mark alone; generate= lets it write words.",
        )
    ids = torch.tensor([read if both else (*read, *answer)])
    _check_length(net, max(ids.shape[1], len(behind)))
    lines = [ids]
    kwargs: dict[str, Any] = {"input_ids": ids}
    if both:
        kwargs["decoder_input_ids"] = torch.tensor([behind])
        lines.append(kwargs["decoder_input_ids"])
    if "attention_mask" in given:
        kwargs["attention_mask"] = torch.ones_like(ids)
    if "use_cache" in given:
        kwargs["use_cache"] = False
    if "logits_to_keep" in given:
        kwargs["logits_to_keep"] = 1
    made = prepared_text(cut, (), kwargs, lines=lines, notes=notes)
    return LanguageText(
        made.tensor,
        made.y,
        made.x,
        made.clip_shape,
        args=(),
        kwargs=kwargs,
        notes=notes,
        text=cut,
        tokens=made.tokens,
        read=read,
        words=words,
    )


def _check_length(net: Any, count: int) -> None:
    """Refuse a text that is longer than a network's table of positions.

    Raises:
        NlvizError: when it is.
    """
    config = net.config.get_text_config()
    lengths = (getattr(config, name, None) for name in _CONTEXT)
    most = next((n for n in lengths if isinstance(n, int) and n > 0), None)
    if most is not None and count > most:
        raise NlvizError(
            f"{type(net).__name__} takes {most} tokens at most, this text has {count}; take a part "
            "of it"
        )
