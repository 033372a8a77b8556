"""A network's input that is made of a clip and of words beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from nlviz.affinity.grid import Axis
from nlviz.clips.clip import Clip
from nlviz.clips.point import Shape
from nlviz.errors import NlvizError
from nlviz.families.reading.conversation import Conversation
from nlviz.families.reading.pixel_ramps import PixelRamps
from nlviz.families.reading.prepared import PICTURE, Prepared, Queries
from nlviz.families.reading.sequence_layout import SequenceLayout, sequence_layout
from nlviz.families.reading.vision_tokens import key_of, stopping, vision_grid, vision_places
from nlviz.networks.followed import Placed


@dataclass(frozen=True, eq=False)
class PreparedWords(Prepared):
    """A network's input, and where the tokens of its language model lie.

    Pixels have the places of the clip: ``ramp_of`` says them.

    Attributes:
        ids: (tokens,) numbers of the words, placeholders of the clip among them.
        vision: (tokens,) which are such placeholders.
        ramp_of: pixels that say where they lie.
        model: the language model.
        tokenizer: of the network.
        told: of its processor, what places depend on.
        layout: of the sequence, once it is known.
        queries: the words whose rows are kept; None for all tokens.
        chosen: (n,) their numbers in the sequence, once they are known.
        answer: number of tokens at the end that the network wrote itself.
        generate: how many it is to write.
    """

    ids: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.long))
    vision: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    ramp_of: Mapping[str, Tensor] | None = None
    model: nn.Module | None = None
    tokenizer: Any = None
    told: str = ""
    layout: SequenceLayout | None = None
    queries: Queries | None = None
    chosen: Tensor | None = None
    answer: int = 0
    generate: int = 0

    @property
    def laid(self) -> Mapping[str, Tensor] | None:
        """Pixels that say where they lie in the clip."""
        return self.ramp_of

    @property
    def size(self) -> Shape:
        """Frames, rows and columns of the clip."""
        return self.clip_shape

    @property
    def alone(self) -> bool:
        """False: the network takes words, too."""
        return False

    @property
    def key(self) -> tuple[Any, ...]:
        """What places of vision tokens depend on, beside the shape of the pixels."""
        inputs = {n: v for n, v in self.kwargs.items() if v is not PICTURE}
        return self.clip_shape, self.told, key_of(inputs, int(self.vision.sum()))

    def call(self, net: nn.Module, tensor: Tensor) -> Any:
        """Run the network; on positions up to its language model.

        Raises:
            Enough: on positions, when it came there.
        """
        if not isinstance(tensor, Placed):
            return super().call(net, tensor)
        assert self.model is not None
        # What is computed of words is computed, so all lies where the network does.
        device = next(net.parameters()).device
        kwargs = {n: v.to(device) if isinstance(v, Tensor) else v for n, v in self.kwargs.items()}
        kind = torch.float32 if device.type == "mps" else tensor.as_subclass(Tensor).dtype
        here = tensor.as_subclass(Tensor).to(device, kind).as_subclass(Placed)
        own = Prepared(self.tensor, self.y, self.x, self.clip_shape, args=(), kwargs=kwargs)
        return stopping(self.model, lambda: own.call(net, here))

    def asking(self, queries: Queries | None, generate: int) -> PreparedWords:
        """Return the input with what else is asked of it.

        Raises:
            NlvizError: when nothing that is generated, or no queries, are meant.
        """
        if generate < 0:
            raise NlvizError(f"a network writes 0 tokens or more, got generate={generate}")
        return replace(self, queries=queries, generate=generate)

    def with_ids(self, ids: Tensor) -> PreparedWords:
        """Return the input with an answer behind it.

        Args:
            ids: (tokens,) all of them, those of before first.
        """
        more = len(ids) - len(self.ids)
        kwargs = dict(self.kwargs)
        for name, value in kwargs.items():
            if not isinstance(value, Tensor) or tuple(value.shape) != (1, len(self.ids)):
                continue
            rest = value.new_full((1, more), 1 if name == "attention_mask" else 0)
            kwargs[name] = ids[None] if name == "input_ids" else torch.cat([value, rest], 1)
        vision = np.concatenate([self.vision, np.zeros(more, bool)])
        return replace(self, kwargs=kwargs, ids=ids, vision=vision, answer=more, generate=0)

    def placed(self, net: nn.Module) -> PreparedWords:
        """Return the input with the layout of its sequence; the caller holds the network.

        Raises:
            NlvizError: when where vision tokens lie is not known.
        """
        assert self.model is not None
        assert self.ramp_of is not None
        places = vision_places(
            net,
            self.model,
            lambda x: self.call(net, x),
            self.tensor,
            self.ramp_of,
            (tuple(self.tensor.shape), self.key),
            self.vision,
        )
        numbers = np.flatnonzero(self.vision)
        grid = vision_grid(places, numbers, self, name=type(net).__name__)
        layout = sequence_layout(grid, self.ids.tolist(), self.vision, self.tokenizer)
        notes = list(self.notes)
        if len(grid.overview):
            notes.append(
                f"The picture is given in tiles and once more as a whole: the {len(grid.overview)} "
                "tokens of the whole stand among the words."
            )
        first = len(layout.text.tokens) - self.answer
        if self.answer:
            said = self.tokenizer.decode(self.ids[-self.answer :], skip_special_tokens=True).strip()
            said = said or " ".join(layout.text.tokens[first:])
            notes.append(
                f"The network's answer: “{said}”, words {first} to {len(layout.text.tokens) - 1}."
            )
        found = replace(self, layout=layout, text=layout.text, notes=tuple(notes))
        return replace(found, chosen=found._chosen())

    def _chosen(self) -> Tensor | None:
        if self.queries is None:
            return None
        assert self.layout is not None
        text = self.layout.text
        count = len(text.tokens)
        if isinstance(self.queries, str):
            if self.queries not in ("words", "answer"):
                raise NlvizError(
                    "queries are words, by name or number, all 'words', or the 'answer'; got "
                    f"{self.queries!r}: put one word into a list"
                )
            first = count - self.answer if self.queries == "answer" else 0
            words: Sequence[str | int] = [i for i in range(first, count) if i not in text.special]
        else:
            words = self.queries
        if not words:
            raise NlvizError(
                "there must be a word whose row is kept, none is chosen"
                + ("; say generate= to have an answer" if self.queries == "answer" else "")
            )
        return torch.from_numpy(self.layout.numbers[self.layout.chosen(words)])


def prepared_words(
    net: Any,
    processor: Any,
    clip: Clip,
    asked: Conversation,
    model: nn.Module,
    placeholders: frozenset[int],
    given: frozenset[str],
) -> PreparedWords:
    """Return the input of a network of pictures and words.

    Args:
        net: the network.
        processor: of it.
        clip: the frames.
        asked: clip and words as the processor made them.
        model: its language model.
        placeholders: tokens that stand for the clip.
        given: names of the arguments that the network takes.

    Raises:
        NlvizError: when the clip has no place among the words, or there are too many tokens.
    """
    inputs = {n: v for n, v in asked.inputs.items() if n in given or not given}
    ids = inputs["input_ids"][0]
    vision = np.isin(ids.numpy(), list(placeholders))
    name = type(net).__name__
    if not vision.any():
        raise NlvizError(
            f"a text must have a place for the clip, {name} sees none in {asked.prompt[:60]!r}; "
            "write the words alone, or put the network's own token for a clip into them"
        )
    config = net.config.get_text_config()
    most = getattr(config, "max_position_embeddings", None)
    if isinstance(most, int) and len(ids) > most:
        raise NlvizError(
            f"{name} has a context of {most} tokens, this input has {len(ids)}, of which "
            f"{int(vision.sum())} are {clip.shape[0]} frames of {clip.shape[2]}x{clip.shape[1]} "
            "px; give fewer frames or a smaller clip"
        )
    shape = clip.shape
    parts = (getattr(processor, n, None) for n in ("image_processor", "video_processor"))
    told = repr([sorted(p.to_dict().items(), key=str) for p in parts if p is not None])
    kwargs = {**inputs, asked.picture: PICTURE, "use_cache": False}
    if "logits_to_keep" in given:
        kwargs["logits_to_keep"] = 1
    return PreparedWords(
        asked.inputs[asked.picture],
        Axis(),
        Axis(),
        shape,
        args=(),
        kwargs=kwargs,
        notes=(asked.note,) if asked.note else (),
        ids=ids,
        vision=vision,
        ramp_of=PixelRamps(asked.lay, shape),
        model=model,
        tokenizer=processor.tokenizer,
        told=told,
    )
