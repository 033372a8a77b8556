"""Models of video, pictures and words of the library transformers.

https://github.com/huggingface/transformers (Apache-2.0): Qwen2-VL, Qwen2.5-VL, Qwen3-VL,
LLaVA-NeXT-Video, LLaVA-OneVision, Video-LLaVA, SmolVLM, Idefics3, InternVL, PaliGemma, Gemma 3 and
others that are made alike: a tower that sees, whose features take the places of one repeated token
among the words of a language model. A word is a query there, and space-time patches are keys.

The network's own processor lays out clip and words; where its vision tokens lie is followed from
the pixels to the language model, see ``nlviz.families.reading.vision_tokens``.
"""

from __future__ import annotations

import inspect
from contextlib import suppress
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from nlviz.clips.clip import Clip
from nlviz.clips.text import prompt_of
from nlviz.errors import NlvizError
from nlviz.families.family import Family, TableRow
from nlviz.families.reading.adapter import InputKind, InputSpec, Prepared
from nlviz.families.reading.attention_adapter import AttentionAdapter, Known
from nlviz.families.reading.conversation import conversation
from nlviz.families.reading.language_models import (
    NO_WORDS,
    PLACEHOLDERS,
    language_model,
    size_of_vocabulary,
)
from nlviz.families.reading.prepared import PICTURE
from nlviz.families.reading.prepared_words import PreparedWords, prepared_words
from nlviz.families.reading.processors import processor_of, vocabulary
from nlviz.families.reading.sequence_affinity import (
    chosen_affinity,
    chosen_of_whole,
    sequence_affinity,
    sequence_site,
)
from nlviz.families.reading.written import written
from nlviz.networks.attention.chosen import Choose, ChosenRows
from nlviz.networks.attention.products import AttentionProduct
from nlviz.networks.attention.sites import Site
from nlviz.networks.calls import block_and_run


class VideoLanguageAdapter(AttentionAdapter):
    """Reads the attention of models of pictures and words.

    Args:
        processor: of the network; None: the one that was saved with its weights.
    """

    def __init__(self, processor: Any = None) -> None:
        self.processor = processor

    def with_processor(self, processor: Any) -> VideoLanguageAdapter:
        """Return the adapter of a network whose processor is given."""
        if not hasattr(processor, "tokenizer"):
            raise NlvizError(
                "processor= must be the whole processor of the network, with its tokenizer; got a "
                f"{type(processor).__name__}"
            )
        return type(self)(processor)

    def takes(self, net: nn.Module) -> bool:
        """Check whether a network is a language model that sees."""
        return language_model(net) is not None

    def inputs(self, net: nn.Module) -> tuple[InputKind, ...]:
        """Return that it takes a clip and a text."""
        return ("clip", "text")

    def blocks(self, net: nn.Module) -> dict[str, nn.Module]:
        """Return the attention of the language model and of what sees."""
        return super().blocks(net) if self.takes(net) else {}

    def frames_taken(self, net: nn.Module, frames: int) -> int:
        """Return whole groups of frames where several make one token."""
        vision = getattr(getattr(net, "config", None), "vision_config", None)
        step = getattr(vision, "temporal_patch_size", None) or 1
        return frames if frames == 1 else -(-frames // int(step)) * int(step)

    def prepare(self, net: nn.Module, clip: Clip, spec: InputSpec | None) -> Prepared:
        """Return clip and words as the network's processor makes them.

        Raises:
            NlvizError: when there is no processor, or it does not take them.
        """
        model = language_model(net)
        assert model is not None
        processor = self._processor(net)
        text = prompt_of(clip)
        asked = conversation(processor, clip, "" if text is None else text.written)
        given = frozenset(inspect.signature(net.forward).parameters)
        found = prepared_words(net, processor, clip, asked, model, _placeholders(net), given)
        if text is None:
            note = "No text was given beside the clip: the network sees the clip alone."
            found = replace(found, notes=(*found.notes, note))
        return found

    def settled(self, net: nn.Module, prepared: Prepared) -> Prepared:
        """Return an input with the answer that was asked for, and where its tokens lie.

        Raises:
            NlvizError: when that cannot be found out.
        """
        if not isinstance(prepared, PreparedWords):
            return prepared
        if prepared.generate:
            prepared = _answered(net, prepared)
        return prepared.placed(net)

    def choose(self, net: nn.Module, prepared: Prepared) -> Choose | None:
        """Return which queries of the language model are kept; None for all."""
        if not isinstance(prepared, PreparedWords) or prepared.chosen is None:
            return None
        chosen, count, inside = prepared.chosen, len(prepared.ids), _name_of_model(net)

        def choose(module: str, queries: int) -> torch.Tensor | None:
            return chosen if module.startswith(inside) and queries == count else None

        return choose

    def chosen_blocks(self, net: nn.Module, prepared: Prepared) -> tuple[str, ...] | None:
        """Return the blocks that hold chosen rows; None where all tokens are queries."""
        if not isinstance(prepared, PreparedWords) or prepared.chosen is None:
            return None
        return tuple(n for n in self.blocks(net) if n.startswith(_name_of_model(net)))

    def knows(self, net: nn.Module, module: str) -> bool:
        """Check whether a module is one of the language model."""
        return block_and_run(module)[0].startswith(_name_of_model(net))

    def affinity_of(
        self, net: nn.Module, name: str, product: AttentionProduct | ChosenRows, prepared: Prepared
    ) -> Known | None:
        """Return the affinity of a product of the language model; None of one that sees.

        Raises:
            NoLayout: when it is not one of all tokens.
        """
        if not isinstance(prepared, PreparedWords) or prepared.layout is None:
            return None
        if isinstance(product, ChosenRows):
            return chosen_affinity(name, product, prepared.layout, prepared)
        if not self.knows(net, product.module):
            return None
        if prepared.chosen is not None:
            return chosen_of_whole(name, product, prepared.layout, prepared, prepared.chosen)
        return sequence_affinity(name, product, prepared.layout, prepared)

    def site_of(
        self, net: nn.Module, product: AttentionProduct | ChosenRows, prepared: Prepared
    ) -> Site | None:
        """Return where the rows of a product of the language model are computed."""
        if not isinstance(prepared, PreparedWords) or prepared.layout is None:
            return None
        return sequence_site(product, prepared.layout, prepared.chosen)

    def labels(self, net: nn.Module) -> tuple[str, ...]:
        """Return the words of the vocabulary, where there is a tokenizer."""
        with suppress(NlvizError):
            return vocabulary(self._processor(net).tokenizer, size_of_vocabulary(net))
        return ()

    def scores(self, net: nn.Module, output: Any, prepared: Prepared) -> torch.Tensor | str | None:
        """Return the scores of the next word behind the last one, or why there are none."""
        logits = getattr(output, "logits", None)
        if not isinstance(logits, torch.Tensor) or logits.dim() != 3:
            return NO_WORDS.format(name=type(net).__name__)
        return logits[0, -1]

    def note(self, prepared: Prepared) -> str:
        """Return nothing: places are those of the clip."""
        return ""

    def _processor(self, net: nn.Module) -> Any:
        return self.processor or processor_of(net, "AutoProcessor")


def _name_of_model(net: nn.Module) -> str:
    model = language_model(net)
    return str(next(name for name, module in net.named_modules() if module is model))


def _placeholders(net: Any) -> frozenset[int]:
    """Return the numbers of the tokens that stand for a picture or a video."""
    found = {getattr(net.config, name, None) for name in PLACEHOLDERS}
    return frozenset(int(n) for n in found if n is not None)


def _answered(net: Any, prepared: PreparedWords) -> PreparedWords:
    """Return an input with what the network writes behind it."""
    tensors = {n: prepared.tensor if v is PICTURE else v for n, v in prepared.kwargs.items()}
    inputs = {n: v for n, v in tensors.items() if isinstance(v, torch.Tensor)}
    # A picture is no word of an answer.
    first, without = len(prepared.ids), _placeholders(net)
    return prepared.with_ids(written(net, inputs, prepared.generate, first, without=without))


FAMILY = Family(
    name="video-language",
    row=TableRow(
        source="https://github.com/huggingface/transformers",
        live="the attention of models of video, pictures and words: Qwen2-VL, Qwen2.5-VL, "
        "Qwen3-VL, LLaVA-NeXT-Video, LLaVA-OneVision, Video-LLaVA, SmolVLM, Idefics3, InternVL, "
        "PaliGemma, Gemma 3; as a folder of `save_pretrained` with its processor, or `hf:NAME`",
        recognised_by="`config.json`; `PreTrainedModel` with a token for pictures or videos",
        not_told="the words, where no processor was saved",
        parity="rows against `output_attentions=True`",
        health="without size and γ",
    ),
    blocks=VideoLanguageAdapter(),
    needs="transformers",
)
