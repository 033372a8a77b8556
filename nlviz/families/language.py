"""Language models of the library transformers: GPT-2, Llama, Qwen, BERT, T5, BART and others.

https://github.com/huggingface/transformers (Apache-2.0): decoders, whose words see those before
them; encoders; and encoders with a decoder that looks at what they read (Vaswani et al. 2017,
arXiv 1706.03762). A text is cut by the tokenizer that was saved with the network; its attention is
seen as it runs, see ``nlviz.families.reading.attention_adapter``.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from torch import Tensor, nn

from nlviz.clips.clip import Clip
from nlviz.clips.text import Text
from nlviz.errors import NlvizError
from nlviz.families.family import Family, TableRow
from nlviz.families.reading.adapter import InputKind, InputSpec, Prepared
from nlviz.families.reading.attention_adapter import AttentionAdapter
from nlviz.families.reading.class_names import labels_of
from nlviz.families.reading.language_models import (
    NO_WORDS,
    is_encoder_decoder,
    names_words,
    size_of_vocabulary,
    takes_words_alone,
)
from nlviz.families.reading.language_text import LanguageText, language_text
from nlviz.families.reading.processors import processor_of, vocabulary
from nlviz.families.reading.written import written


class LanguageAdapter(AttentionAdapter):
    """Reads the attention of language models.

    Args:
        tokenizer: of the network; None: the one that was saved with its weights.
    """

    def __init__(self, tokenizer: Any = None) -> None:
        self.tokenizer = tokenizer

    def with_processor(self, processor: Any) -> LanguageAdapter:
        """Return the adapter of a network whose tokenizer is given."""
        tokenizer = getattr(processor, "tokenizer", processor)
        if not callable(tokenizer) or not hasattr(tokenizer, "decode"):
            raise NlvizError(
                "processor= must be the tokenizer of the network, as the library's AutoTokenizer "
                f"reads it; got a {type(processor).__name__}"
            )
        return type(self)(tokenizer)

    def takes(self, net: nn.Module) -> bool:
        """Check whether a network is one of the library that takes words alone."""
        return takes_words_alone(net)

    def inputs(self, net: nn.Module) -> tuple[InputKind, ...]:
        """Return that it takes a text."""
        return ("text",)

    def blocks(self, net: nn.Module) -> dict[str, nn.Module]:
        """Return the innermost modules that compute attention."""
        return super().blocks(net) if self.takes(net) else {}

    def prepare(self, net: nn.Module, clip: Clip, spec: InputSpec | None) -> Prepared:
        """Return the text as the network's tokenizer cuts it.

        Raises:
            NlvizError: when there is no tokenizer, or the text is longer than the network takes.
        """
        assert isinstance(clip, Text)  # nothing else is given to it
        return language_text(net, self._tokenizer(net), clip)

    def settled(self, net: nn.Module, prepared: Prepared) -> Prepared:
        """Return a text with what the network writes behind it, where that was asked for.

        Raises:
            NlvizError: when it writes nothing.
        """
        if not isinstance(prepared, LanguageText) or not prepared.generate:
            return prepared
        if not _writes(net):
            raise NlvizError(
                f"generate= asks a network to write, {type(net).__name__} only reads; leave it out"
            )
        inputs = {n: v for n, v in prepared.kwargs.items() if n in ("input_ids", "attention_mask")}
        tokenizer = self._tokenizer(net)
        both = is_encoder_decoder(net)
        first = 1 if both else int(inputs["input_ids"].shape[1])
        ids = written(net, inputs, prepared.generate, first, known=not both)
        return prepared.followed_by(net, tokenizer, ids[first:])

    def labels(self, net: nn.Module) -> tuple[str, ...]:
        """Return the names of classes, or the words of a network that gives scores of words."""
        if names_words(net):
            with suppress(NlvizError):
                return vocabulary(self._tokenizer(net), size_of_vocabulary(net))
        return labels_of(getattr(net, "config", None))

    def scores(self, net: nn.Module, output: Any, prepared: Prepared) -> Tensor | str | None:
        """Return the scores of the next word, or of the first one that is masked.

        Or why there are none; None of a network that gives scores of classes.
        """
        logits = getattr(output, "logits", None)
        if not isinstance(logits, Tensor):
            return NO_WORDS.format(name=type(net).__name__)
        if logits.dim() != 3 or not names_words(net):
            return None
        if _writes(net):
            return logits[0, -1]
        masked = prepared.kwargs["input_ids"][0] == getattr(
            self._tokenizer(net), "mask_token_id", None
        )
        if not bool(masked.any()):
            return "The network tells words that are masked; there is none in this text."
        return logits[0, int(masked.nonzero()[0])]

    def _tokenizer(self, net: nn.Module) -> Any:
        return self.tokenizer or processor_of(net, "AutoTokenizer")


def _writes(net: Any) -> bool:
    """Check whether a network gives scores of the next word."""
    return bool(net.can_generate())


FAMILY = Family(
    name="language",
    row=TableRow(
        source="https://github.com/huggingface/transformers",
        live="the attention of language models: GPT-2, Llama, Qwen, Mistral, Gemma, BERT, RoBERTa, "
        "T5, BART; as a folder of `save_pretrained` with its tokenizer, or `hf:NAME`",
        recognised_by="`config.json`; `PreTrainedModel` of words alone",
        not_told="the words, where no tokenizer was saved",
        parity="rows against `output_attentions=True`",
        health="without size and γ",
    ),
    blocks=LanguageAdapter(),
    needs="transformers",
)
