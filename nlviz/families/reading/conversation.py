"""What a network of pictures and words is asked: a clip and a text, laid out by its own processor.

The words go through the chat template that was saved with the network, where there is one; a text
that says itself where the clip stands, with the network's own token for it, is taken as it is.
Frames are given as one video, or as a picture each where the network knows pictures alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nlviz.clips.clip import Clip
from nlviz.errors import NlvizError
from nlviz.families.reading.processors import first_line

_PIXELS = "pixel_values"
_NOT_GIVEN = frozenset(("labels",))  # what a processor adds for training
_AS_IT_IS: dict[str, Any] = {"do_rescale": False, "do_normalize": False}
_RATE = 1.0  # frames per second of a still


@dataclass(frozen=True, eq=False)
class Conversation:
    """A clip and a text as a network is given them.

    Attributes:
        inputs: what the network is called with, by name.
        picture: name of the pixels among them.
        lay: makes such pixels of (T, 3, H, W) numbers without normalising them.
        prompt: the text with the template around it, one token in the place of the clip.
        note: how the frames were given, where that is not as a video, or empty.
    """

    inputs: Mapping[str, Any]
    picture: str
    lay: Callable[[Tensor], Tensor]
    prompt: str
    note: str = ""


def conversation(processor: Any, clip: Clip, words: str) -> Conversation:
    """Return what a network is asked.

    Args:
        processor: of the network, from the library transformers.
        clip: the frames.
        words: what is said of them; empty for nothing.

    Raises:
        NlvizError: when the text has no place for the clip, or the processor does not take it.
    """
    asked = _Asked(processor, clip)
    kind = asked.kind(words)
    prompt = asked.prompt(words, kind)
    frames = torch.from_numpy(clip.frames.copy()).permute(0, 3, 1, 2)
    if frames.shape[1] == 1:
        frames = frames.expand(-1, 3, -1, -1)
    try:
        found = asked.inputs(prompt, frames, kind, raw=False)
    except ImportError as error:
        raise NlvizError(
            f"{type(processor).__name__} needs a library that is not installed: {first_line(error)}"
        ) from None
    except Exception as error:  # whatever a processor says of what it was given
        raise NlvizError(
            f"{type(processor).__name__} does not take {len(frames)} frames of "
            f"{clip.shape[2]}x{clip.shape[1]} px with this text ({first_line(error)})"
        ) from error
    pictures = [n for n, v in found.items() if n.startswith(_PIXELS) and isinstance(v, Tensor)]
    if len(pictures) != 1:
        raise NlvizError(
            f"a text must have a place for the clip, this one has none: put {asked.token(kind)} "
            "into it, or leave the network's own tokens out of it"
        )
    name = pictures[0]

    def lay(values: Tensor) -> Tensor:
        laid: Tensor = asked.inputs(prompt, values, kind, raw=True)[name]
        return laid

    note = ""
    if kind == "images" and len(frames) > 1:
        note = (
            f"The network takes pictures, no video: the {len(frames)} frames are given as as many "
            "pictures, one after another."
        )
    return Conversation(found, name, lay, prompt, note)


class _Asked:
    """A processor, and how it is asked of a clip."""

    def __init__(self, processor: Any, clip: Clip) -> None:
        self.processor, self.clip = processor, clip
        self.count = len(clip.frames)
        self.tokens = {
            kind: [t for n in names if isinstance(t := getattr(processor, n, None), str)]
            for kind, names in {
                "video": ("video_token",) if self._has("video_processor") else (),
                "images": ("boi_token", "image_token"),
            }.items()
        }

    def _has(self, part: str) -> bool:
        return getattr(self.processor, part, None) is not None

    def token(self, kind: str) -> str:
        """Return the token that stands for a clip, or for one picture."""
        return (self.tokens[kind] or [""])[0]

    def kind(self, words: str) -> str:
        """Return how the frames are given: as a ``video``, or as ``images``.

        Raises:
            NlvizError: when a text has places for other pictures.
        """
        for kind, tokens in self.tokens.items():
            for token in tokens:
                places = words.count(token)
                wanted = 1 if kind == "video" else self.count
                if places and places != wanted:
                    raise NlvizError(
                        f"a text has {token} once for each {kind.removesuffix('s')}, {wanted} "
                        f"times here; it stands {places} times in this one"
                    )
                if places:
                    return kind
        if self._has("image_processor") and (self.count == 1 or not self.tokens["video"]):
            return "images"
        return "video"

    def prompt(self, words: str, kind: str) -> str:
        """Return the text with the template around it.

        Raises:
            NlvizError: when it has tokens of the template but none for the clip.
        """
        if any(token in words for tokens in self.tokens.values() for token in tokens):
            return words
        special = getattr(getattr(self.processor, "tokenizer", None), "all_special_tokens", ())
        own = [token for token in special if len(token) > 2 and token in words]
        if own:
            raise NlvizError(
                f"a text must have a place for the clip, this one has {own[0]} but no "
                f"{self.token(kind)}; put it where the clip stands, or write the words alone"
            )
        count = 1 if kind == "video" else self.count
        if getattr(self.processor, "chat_template", None):
            part = {"type": "video" if kind == "video" else "image"}
            content = [part] * count + ([{"type": "text", "text": words}] if words else [])
            try:
                found = self.processor.apply_chat_template(
                    [{"role": "user", "content": content}], add_generation_prompt=True
                )
            except Exception as error:  # a template is code of its own
                raise NlvizError(
                    f"the chat template of {type(self.processor).__name__} does not take a clip "
                    f"and a text ({first_line(error)}); write the whole prompt, with "
                    f"{self.token(kind)} in the place of the clip"
                ) from error
            return str(found)
        # PaliGemma's own processor puts what separates them.
        apart = "" if "PaliGemma" in type(self.processor).__name__ else "\n"
        return self.token(kind) * count + apart + words

    def inputs(self, prompt: str, frames: Tensor, kind: str, *, raw: bool) -> dict[str, Any]:
        """Return what a network is given."""
        own = _AS_IT_IS if raw else {}
        text: dict[str, Any] = {}
        first = getattr(self.processor.tokenizer, "bos_token", None)
        if first and prompt.startswith(first):
            text = {"text_kwargs": {"add_special_tokens": False}}
        if kind == "video":
            given: dict[str, Any] = {
                "videos": [frames],
                "videos_kwargs": {
                    "video_metadata": [self._told(frames)],
                    "do_sample_frames": False,
                    **own,
                },
            }
        else:
            pictures = list(frames)
            given = {
                "images": pictures if len(pictures) == 1 else [pictures],
                "images_kwargs": dict(own),
            }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its own ways with arrays
            found = self.processor(text=[prompt], return_tensors="pt", **given, **text)
        return {n: v for n, v in found.items() if n not in _NOT_GIVEN}

    def _told(self, frames: Tensor) -> Any:
        """Return when the frames were taken, as the library tells its processors."""
        from transformers.video_utils import VideoMetadata

        times = np.asarray(self.clip.times, np.float64)
        lasts = float(times[-1] - times[0]) if len(times) > 1 else 0.0
        rate = (len(times) - 1) / lasts if lasts > 0 else _RATE
        numbers = [max(round(float(t) * rate), 0) for t in times]
        if len(set(numbers)) < len(numbers):
            numbers = list(range(len(times)))
        total = numbers[-1] + 1
        height, width = frames.shape[-2:]
        return VideoMetadata(
            total_num_frames=total,
            fps=rate,
            duration=total / rate,
            frames_indices=numbers,
            height=int(height),
            width=int(width),
        )
