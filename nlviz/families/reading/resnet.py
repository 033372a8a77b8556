"""What the readings of residual video networks have in common, once names and flags are settled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn

from nlviz.families.reading.adapter import InputSpec
from nlviz.families.reading.checkpoint import Checkpoint
from nlviz.families.reading.data_sets import labels_of
from nlviz.families.reading.data_sets import trained_for as guessed_training
from nlviz.families.reading.flags import Flags
from nlviz.families.reading.input_note import input_note
from nlviz.families.reading.key_map import Mapped
from nlviz.families.reading.layout import Origin, Reading, as_matrix
from nlviz.families.reading.resnet_keys import Trunk, blocks_of, in_words, network_of
from nlviz.networks.video_resnet_spec import VideoResNetSpec

Colours = tuple[tuple[float, float, float], tuple[float, float, float], str]
IMAGENET: Colours = (
    (123.675, 116.28, 103.53),
    (58.395, 57.12, 57.375),
    "ImageNet's mean and deviation",
)
GREY: Colours = ((114.75,) * 3, (57.375,) * 3, "(value - 114.75) / 57.375")
CROPS = "test crops; training crops were 224"


@dataclass(frozen=True)
class Seen:
    """How a network saw a video in training.

    Attributes:
        frames, stride: every stride-th frame of the video, frames in all.
        origin: where that is known from.
        size: shorter side in pixels.
        size_note: about the size, for the load report.
        spread: the frames were spread evenly over the whole video.
    """

    frames: int
    stride: int
    origin: Origin
    size: int = 256
    size_note: str = ""
    spread: bool = False


def with_time(tensor: Tensor, name: str) -> Tensor:
    """Return a kernel of a convolution in 2-D with an axis of time; anything else as it is.

    >>> import torch
    >>> with_time(torch.zeros(64, 3, 7, 7), "stem.conv.weight").shape
    torch.Size([64, 3, 1, 7, 7])
    """
    if tensor.dim() == 4 and not name.startswith("head."):
        return tensor.unsqueeze(2)
    return tensor


def read_resnet(
    checkpoint: Checkpoint,
    mapped: Mapped,
    trunk: Trunk,
    spec: VideoResNetSpec,
    flags: Flags,
    seen: Seen,
    *,
    colours: Colours,
    kind: str | None = None,
    build: Callable[[], nn.Module] | None = None,
    least: int = 1,
    filled: Mapping[str, tuple[Tensor, str]] | None = None,
    warnings: tuple[str, ...] = (),
    trained_for: str | None = None,
) -> Reading:
    """Return the reading of a residual video network, of one pathway or two.

    Args:
        checkpoint: the file.
        mapped: its keys under the names of the network.
        trunk: what the shapes say; of the slow pathway, where there are two.
        spec: how that trunk is put together.
        flags: settled so far; the sampling and the size are settled here.
        seen: how it saw a video in training.
        colours: mean and deviation of RGB on values in [0, 255], and both in words.
        kind: name of the architecture, where the shapes do not give it.
        build: makes the network; by default the trunk alone.
        least: frames of the clip for one frame that the trunk must see.
        filled: see ``Reading``.
        warnings: see ``Reading``.
        trained_for: one phrase, by default from the number of classes.
    """
    frames = flags.number("frames", seen.frames, seen.origin)
    stride = flags.number("stride", seen.stride, seen.origin)
    size = flags.number("size", seen.size, "preset", seen.size_note, least=32)
    change: dict[str, Callable[[Tensor], Tensor]] = {}
    for key, name in mapped.names.items():
        tensor = checkpoint.tensors[key]
        if name == "head.weight" and tensor.dim() > 2:
            change[key] = as_matrix
        elif tensor.dim() == 4:
            change[key] = partial(with_time, name=name)
    step = spec.stem_stride * spec.pool1[1] * (spec.pool2 or (1, 1))[1]
    mean, std, words = colours
    return Reading(
        architecture=in_words(trunk, kind=kind),
        build=build or partial(network_of, spec),
        names=mapped.names,
        blocks=blocks_of(trunk, spec),
        flags=flags.found,
        input_spec=InputSpec(
            size=size,
            mean=mean,
            std=std,
            frames=frames,
            stride=None if seen.spread else stride,
            least_frames=step * least,
        ),
        input_note=input_note(words, frames, stride, size, spread=seen.spread),
        change=change,
        dropped=mapped.dropped,
        filled=filled or {},
        labels=labels_of(trunk.classes),
        trained_for=trained_for or guessed_training(trunk.classes),
        warnings=warnings,
    )
