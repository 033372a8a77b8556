"""Your own network, captured in one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from nlviz.captures.capture import Capture
from nlviz.captures.model import Model
from nlviz.captures.outputs import Choice
from nlviz.captures.own_input import Prepare
from nlviz.clips.clip import Clip
from nlviz.clips.text import Text
from nlviz.errors import NlvizError
from nlviz.families import adapter_for
from nlviz.families.reading.adapter import InputSpec
from nlviz.families.reading.attention_adapter import AttentionAdapter
from nlviz.families.reading.prepared import Queries


def capture(
    net: nn.Module,
    clip: Clip,
    *,
    text: Text | str | None = None,
    boxes: Sequence[Sequence[float]] | None = None,
    family: str | None = None,
    input_spec: InputSpec | None = None,
    prepare: Prepare | None = None,
    output: Choice | None = None,
    blocks: Sequence[str] | None = None,
    processor: Any = None,
    queries: Queries | None = None,
    generate: int = 0,
) -> Capture:
    """Run a clip through your own network and keep the affinity of each of its blocks.

    Args:
        net: any network with non-local blocks or attention, whoever wrote it.
        clip: the input; of a network of words, a ``Text`` (``nlviz.read_text``).
        text: what is said beside the clip, of a network that takes both.
        boxes: of a network whose queries are boxes, (frame, top, left, bottom, right) of each in
            sampled frames and pixels of the clip; ``prepare`` finds them in ``clip.boxes`` and
            gives them to the network as it takes them, in this order.
        family: read the blocks of this family; the same names as in ``load_model``.
        input_spec: size, normalisation and layout of the input; by default shorter side 224,
            ImageNet's mean and deviation, and (1, 3, T, H, W) for a network of 3-D convolutions or
            (T, 3, H, W) for one of 2-D convolutions.
        prepare: makes the network's input of a clip, in place of ``input_spec``: returns a tensor,
            a tuple of positional arguments, a dict of keywords, or a list, which is one argument.
            Where it puts the clip's pixels is measured. Of a text it returns what holds a number
            for each of its words, or a ``TextInput`` where it cuts the text otherwise.
        output: which part of the network's output are class scores: a key or field, dotted where it
            lies deeper, an index, or a function of the output; found by names and shapes otherwise,
            and said in ``Capture.notes``.
        blocks: names of the blocks that are kept; by default all.
        processor: what makes the input of a network of words, or of a clip and words: its
            tokenizer or processor of the library transformers; by default the one that was saved
            with its weights.
        queries: words whose rows are kept, and no others, see ``Model.capture``.
        generate: how many words the network writes first, see ``Model.capture``.

    Raises:
        NoNonLocalBlocks: when the network has no block that a family knows.
        NlvizError: when the network does not take the input, or ``output`` names no class scores.
        OutOfMemory: when the device's memory does not suffice.

    >>> import numpy as np, nlviz
    >>> net = nn.Sequential(nn.Conv2d(3, 8, 3, stride=4, padding=1), nn.ReLU())
    >>> block = nlviz.insert(net, after="1", pairwise="gaussian")
    >>> clip = Clip.from_frames(np.zeros((2, 64, 96, 3), np.uint8))
    >>> capture(net, clip, input_spec=InputSpec(size=32, layout="frames")).affinities["1"]
    Affinity(1, gaussian, 256 queries (2x8x16) x 256 keys)
    """
    adapter = adapter_for(net, family=family)
    if processor is not None:
        if not isinstance(adapter, AttentionAdapter):
            raise NlvizError(
                "processor= makes the input of networks of words; this one takes prepare="
            )
        adapter = adapter.with_processor(processor)
    model = Model(
        net,
        adapter=adapter,
        input_spec=input_spec,
        prepare=prepare,
        output=output,
    )
    return model.capture(
        clip, text=text, boxes=boxes, queries=queries, generate=generate, blocks=blocks
    )
