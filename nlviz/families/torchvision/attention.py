"""Transformers of torchvision: ViT, Swin, Swin v2, MaxViT; of videos MViT v1 and v2, Swin3D.

https://github.com/pytorch/vision (BSD-3-Clause). Networks of pictures take the frames as a batch;
those of videos take (1, 3, T, H, W) and were trained on Kinetics at a fixed number of frames. What
their attention is, is read off the products, see ``nlviz.families.reading.attention_adapter``.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from nlviz.errors import NlvizError
from nlviz.families.family import Family, TableRow
from nlviz.families.reading.adapter import InputSpec
from nlviz.families.reading.attention_adapter import AttentionAdapter

_PLACE = "torchvision.models."
_VIDEO = f"{_PLACE}video."
_KINETICS = ((0.45, 0.45, 0.45), (0.225, 0.225, 0.225))
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class TorchvisionAttentionAdapter(AttentionAdapter):
    """Reads the attention of a transformer of torchvision."""

    def blocks(self, net: nn.Module) -> dict[str, nn.Module]:
        """Return the modules whose code computes attention, of a network of torchvision."""
        return super().blocks(net) if type(net).__module__.startswith(_PLACE) else {}

    def takes(self, net: nn.Module) -> bool:
        """Check whether a network is one of pictures of torchvision, all trained alike."""
        kind = type(net).__module__
        return kind.startswith(_PLACE) and not kind.startswith((_VIDEO, f"{_PLACE}detection"))

    def input_spec(self, net: nn.Module) -> InputSpec:
        """Return how a clip becomes the input: the size that the network was built for."""
        if type(net).__module__.startswith(_VIDEO):
            return _of_videos(net)
        size = getattr(net, "image_size", None)
        mean, std = _IMAGENET
        sides = (int(size), int(size)) if isinstance(size, int) else (224, 224)
        return InputSpec(mean=mean, std=std, layout="frames", sides=sides)

    def frames_taken(self, net: nn.Module, frames: int) -> int:
        """Return the number of frames that a network takes which takes one number alone.

        Raises:
            NlvizError: when the clip has more.
        """
        wanted = _mvit_size(net)
        if wanted is None:
            return frames
        if frames > wanted[0]:
            raise NlvizError(
                f"{type(net).__name__} takes {wanted[0]} frames, the clip has {frames}; sample as "
                f"many: frames={wanted[0]}"
            )
        return wanted[0]


def _of_videos(net: Any) -> InputSpec:
    mean, std = _KINETICS
    size = _mvit_size(net)
    if size is not None:
        frames, height, width = size
        return InputSpec(
            mean=mean, std=std, layout="clip", frames=frames, stride=4, sides=(height, width)
        )
    mean, std = _IMAGENET  # Swin3D takes any size and any number of frames
    return InputSpec(mean=mean, std=std, layout="clip", frames=16, stride=2, least_frames=2)


def _mvit_size(net: Any) -> tuple[int, int, int] | None:
    """Return frames, rows and columns of the one input that an MViT takes; None of others."""
    encoding, first = getattr(net, "pos_encoding", None), getattr(net, "conv_proj", None)
    if encoding is None or first is None or not hasattr(encoding, "temporal_size"):
        return None
    t, y, x = first.stride
    height, width = encoding.spatial_size
    return encoding.temporal_size * t, height * y, width * x


FAMILY = Family(
    name="torchvision-attention",
    row=TableRow(
        source="https://github.com/pytorch/vision",
        live="ViT, Swin, Swin v2, MaxViT; MViT v1 and v2, Swin3D",
        recognised_by="networks of `torchvision.models`",
        not_told="–",
        parity="rows",
        health="without size and γ",
    ),
    blocks=TorchvisionAttentionAdapter(),
    needs="torchvision",
)
