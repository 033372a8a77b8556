"""Which networks of transformers take words, and where the language model of one that sees is."""

from __future__ import annotations

import inspect
from typing import Any

from torch import nn

# What configurations call the number of the token that stands for a picture or a video.
PLACEHOLDERS = ("image_token_id", "video_token_id", "image_token_index", "video_token_index")
NO_WORDS = "{name} gives no scores of words: it is the trunk of a network, without the head."
# Inputs of networks that take more than words.
_OTHERS = ("pixel_values", "input_features", "input_values", "bbox", "images")


def language_model(net: nn.Module) -> nn.Module | None:
    """Return the language model of a network that sees; None of any other.

    >>> language_model(nn.Identity()) is None
    True
    """
    from transformers import PreTrainedModel

    if (
        not isinstance(net, PreTrainedModel)
        or "input_ids" not in inspect.signature(net.forward).parameters
    ):
        return None
    if not any(getattr(net.config, name, None) is not None for name in PLACEHOLDERS):
        return None
    if getattr(net.config, "vision_config", None) is None:
        return None
    try:
        found = net.get_decoder()
    except (AttributeError, NotImplementedError):
        return None
    inside = isinstance(found, nn.Module) and found is not net
    return found if inside and any(m is found for m in net.modules()) else None


def takes_words(net: nn.Module) -> bool:
    """Check whether a network takes words: alone, or beside a clip."""
    return takes_words_alone(net) or language_model(net) is not None


def takes_words_alone(net: nn.Module) -> bool:
    """Check whether a network is one of the library that takes words and nothing else.

    >>> takes_words_alone(nn.Identity())
    False
    """
    from transformers import PreTrainedModel

    if not isinstance(net, PreTrainedModel) or net.main_input_name != "input_ids":
        return False
    given = inspect.signature(net.forward).parameters
    return "input_ids" in given and not any(n.startswith(_OTHERS) for n in given)


def is_encoder_decoder(net: Any) -> bool:
    """Check whether one part of a network reads, and another one writes."""
    return bool(net.config.is_encoder_decoder)


def size_of_vocabulary(net: Any) -> int:
    """Return how many words a network gives scores of."""
    return int(net.config.get_text_config(decoder=True).vocab_size)


def names_words(net: Any) -> bool:
    """Check whether a network gives a score for each word of its vocabulary."""
    return net.get_output_embeddings() is not None
