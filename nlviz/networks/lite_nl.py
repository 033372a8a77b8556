"""lite-nl: EfficientNet-Lite0 per frame, with two non-local blocks as the only path between frames.

Backbone: Tan and Le, "EfficientNet", ICML 2019, arXiv 1905.11946, in its Lite0 form
(https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite, Apache-2.0), built
by timm. Blocks: Wang et al. 2018, arXiv 1711.07971, embedded Gaussian with unit-length embeddings.
"""

from __future__ import annotations

from typing import Any

import timm
from jaxtyping import Float
from torch import Tensor, nn

from nlviz.affinity.grid import Axis
from nlviz.networks.block import NonLocalBlock

# Centres of the cells in the network's input. The arithmetic of TensorFlow's asymmetric padding
# says 8m + 7 and 16m + 15, but the trained kernels undo the shift: the centroid of the squared
# gradient, which a test measures, lies within three pixels of the middle of the cell's square.
AXES = {"stage3": Axis(8.0, 3.5), "stage4": Axis(16.0, 7.5)}
CHANNELS = {"stage3": 40, "stage4": 112}

Clips = Float[Tensor, "batch 3 t h w"]


class LiteNL(nn.Module):
    """A C2D network: frames see each other in the blocks ``stage3`` and ``stage4`` alone.

    Input: RGB, (value - 127) / 128 of [0, 255], height and width multiples of 16. ``stage3`` works
    at stride 8 on 40 channels, ``stage4`` at stride 16 on 112. Output: ImageNet logits, the mean
    over frames.

    >>> import torch
    >>> net = LiteNL().eval()
    >>> with torch.no_grad():
    ...     net(torch.zeros(1, 3, 2, 64, 80)).shape
    torch.Size([1, 1000])
    """

    def __init__(self) -> None:
        super().__init__()
        self.backbone: Any = timm.create_model("tf_efficientnet_lite0", pretrained=False)
        self.stage3 = _block(40)
        self.stage4 = _block(112)

    def forward(self, clip: Clips) -> Float[Tensor, "batch 1000"]:
        """Return ImageNet logits."""
        batch, t = clip.shape[0], clip.shape[2]
        x = self.stage3(_unfolded(self._stem(_folded(clip)), t))
        x = self.stage4(_unfolded(self._middle(_folded(x)), t))
        x = self._tail(_folded(x))
        logits: Tensor = self.backbone.forward_head(x)
        return logits.reshape(batch, t, -1).mean(1)

    def block_inputs(self, clip: Clips) -> dict[str, Float[Tensor, "batch _ t _ _"]]:
        """Return the features that enter each block, as in ``forward``."""
        t = clip.shape[2]
        at3 = _unfolded(self._stem(_folded(clip)), t)
        at4 = _unfolded(self._middle(_folded(self.stage3(at3))), t)
        return {"stage3": at3, "stage4": at4}

    def _stem(self, frames: Tensor) -> Tensor:
        x = self.backbone.bn1(self.backbone.conv_stem(frames))
        return self._stages(x, 0, 3)

    def _middle(self, x: Tensor) -> Tensor:
        return self._stages(x, 3, 5)

    def _tail(self, x: Tensor) -> Tensor:
        x = self._stages(x, 5, 7)
        tail: Tensor = self.backbone.bn2(self.backbone.conv_head(x))
        return tail

    def _stages(self, x: Tensor, first: int, last: int) -> Tensor:
        for stage in self.backbone.blocks[first:last]:
            x = stage(x)
        return x


class LiteNLTrunk(nn.Module):
    """The first five stages of lite-nl's backbone, each frame by itself, without its blocks.

    >>> import torch
    >>> with torch.no_grad():
    ...     LiteNLTrunk().eval()(torch.zeros(1, 3, 2, 64, 80)).shape
    torch.Size([1, 112, 2, 4, 5])
    """

    def __init__(self) -> None:
        super().__init__()
        whole: Any = timm.create_model("tf_efficientnet_lite0", pretrained=False)
        self.conv_stem, self.bn1, self.blocks = whole.conv_stem, whole.bn1, whole.blocks[:5]

    def forward(self, clip: Clips) -> Float[Tensor, "batch 112 t _ _"]:
        """Return features at stride 16."""
        x: Tensor = self.blocks(self.bn1(self.conv_stem(_folded(clip))))
        return _unfolded(x, clip.shape[2])


def _block(channels: int) -> NonLocalBlock:
    return NonLocalBlock(channels, dimension=3, inner=channels, unit_length=True, norm=False)


def _folded(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(0, 1)


def _unfolded(x: Tensor, frames: int) -> Tensor:
    return x.reshape(-1, frames, *x.shape[1:]).transpose(1, 2)
