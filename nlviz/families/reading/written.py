"""What a network writes: the likeliest word each time, after the words it was given."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor

from nlviz.errors import NlvizError
from nlviz.families.reading.processors import first_line
from nlviz.networks.as_it_was import as_it_was


def written(
    net: Any,
    inputs: Mapping[str, Any],
    count: int,
    first: int,
    *,
    known: bool = True,
    without: Collection[int] = (),
) -> Tensor:
    """Return the tokens of a text and what a network writes behind it; it is left as it was.

    Args:
        net: the network, of the library transformers; the caller holds it.
        inputs: what it is given.
        count: how many tokens it writes at most.
        first: tokens in what comes back before those that it wrote.
        known: whether these are the ones it was given.
        without: tokens that it may not write.

    Raises:
        NlvizError: when it writes nothing.
    """
    from transformers import GenerationConfig

    own = net.generation_config
    greedy = GenerationConfig(
        max_new_tokens=count,
        do_sample=False,
        num_beams=1,
        eos_token_id=own.eos_token_id,
        pad_token_id=own.pad_token_id if own.pad_token_id is not None else 0,
        bos_token_id=own.bos_token_id,
        decoder_start_token_id=own.decoder_start_token_id,
        suppress_tokens=sorted(without) or None,
    )
    weight = next(net.parameters())
    given = {
        n: v.to(weight if v.is_floating_point() else weight.device) if isinstance(v, Tensor) else v
        for n, v in inputs.items()
    }
    name = type(net).__name__
    try:
        with as_it_was(net):
            ids: Tensor = net.generate(**given, generation_config=greedy)[0].cpu()
    except Exception as error:  # whatever a network says of writing
        raise NlvizError(
            f"{name} could not write an answer ({first_line(error)}); leave generate= out, or "
            "write the answer into the text"
        ) from error
    if known and not torch.equal(ids[:first], given["input_ids"][0].cpu()[:first]):
        raise NlvizError(f"{name} wrote other words before its answer; leave generate= out")
    if len(ids) <= first:
        raise NlvizError(f"{name} wrote nothing; leave generate= out")
    return ids
