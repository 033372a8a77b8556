"""SlowFast: a slow and a fast pathway over the same clip, joined by lateral convolutions.

Feichtenhofer, Fan, Malik and He, "SlowFast Networks for Video Recognition", ICCV 2019, arXiv
1812.03982. Non-local blocks stand in the slow pathway.

    slow.stem.conv ... slow.res5.2.c_bn  fast.stem.conv ...  fuse1.conv fuse1.bn ... fuse4.bn  head
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from nlviz.errors import NlvizError
from nlviz.networks.block import NonLocalBlock
from nlviz.networks.video_resnet import Clips, Pathway, VideoResNetSpec

WIDTH = 64


@dataclass(frozen=True)
class SlowFastSpec:
    """How a network of two pathways is put together.

    Attributes:
        slow, fast: the pathways; the number of classes is the slow one's.
        alpha: frames of the fast pathway for one of the slow pathway.
        beta_inverse: the slow pathway is this many times as wide as the fast one.
        fusion_kernel: temporal kernel of the lateral convolutions.
        fusion_ratio: their output channels for each input channel.
    """

    slow: VideoResNetSpec
    fast: VideoResNetSpec
    alpha: int = 4
    beta_inverse: int = 8
    fusion_kernel: int = 7
    fusion_ratio: int = 2


class Fuse(nn.Module):
    """The lateral connection: a temporal convolution of stride alpha, normalisation, ReLU."""

    def __init__(self, inputs: int, spec: SlowFastSpec) -> None:
        super().__init__()
        k = spec.fusion_kernel
        self.conv = nn.Conv3d(
            inputs,
            inputs * spec.fusion_ratio,
            (k, 1, 1),
            (spec.alpha, 1, 1),
            (k // 2, 0, 0),
            bias=False,
        )
        self.bn = nn.BatchNorm3d(inputs * spec.fusion_ratio, eps=spec.slow.norm_eps)

    def forward(self, slow: Tensor, fast: Tensor) -> Tensor:
        """Return the slow features with the fast ones behind their channels."""
        return torch.cat([slow, F.relu(self.bn(self.conv(fast)))], 1)


class SlowFast(nn.Module):
    """Two pathways over one clip.

    Input: (batch, 3, T, H, W) at the fast pathway's rate; the slow one takes T / alpha frames of
    it, spread from the first to the last. Output: logits of the mean over all positions; on frames
    larger than in training the original code means the softmaxes of windows instead.

    >>> spec = SlowFastSpec(VideoResNetSpec(depth=18, classes=7), VideoResNetSpec(depth=18))
    >>> SlowFast(spec).eval()(torch.zeros(1, 3, 8, 34, 46)).shape
    torch.Size([1, 7])
    """

    def __init__(self, spec: SlowFastSpec) -> None:
        super().__init__()
        self.spec = spec
        width = WIDTH // spec.beta_inverse
        last = 4 if spec.fast.depth >= 50 else 1
        # Widths of the fast pathway behind its stem, res2, res3 and res4.
        widths = (width, *(width * last * 2**i for i in range(3)))
        joined = tuple(n * spec.fusion_ratio for n in widths)
        self.slow = Pathway(spec.slow, width=WIDTH, joined=joined)
        self.fast = Pathway(spec.fast, width=width)
        for i, n in enumerate(widths, 1):
            self.add_module(f"fuse{i}", Fuse(n, spec))
        self.head = nn.Linear(self.slow.channels + self.fast.channels, spec.slow.classes)

    def forward(self, clip: Clips) -> Float[Tensor, "batch classes"]:
        """Return logits."""
        fast = clip
        slow = clip.index_select(2, slow_frames(clip.shape[2], self.spec.alpha).to(clip.device))
        slow, fast = self.slow.stem(slow), self.fast.stem(fast)
        for number in (2, 3, 4, 5):
            slow = self.get_submodule(f"fuse{number - 1}")(slow, fast)
            if number == 3:
                slow, fast = self.slow.pool2(slow), self.fast.pool2(fast)
            slow, fast = self.slow.stage(number, slow), self.fast.stage(number, fast)
        logits: Tensor = self.head(torch.cat([x.mean((2, 3, 4)) for x in (slow, fast)], 1))
        return logits

    def non_local_blocks(self) -> dict[str, NonLocalBlock]:
        """Return the slow pathway's blocks by name, in forward order."""
        return self.slow.non_local_blocks()


def slow_frames(frames: int, alpha: int) -> Tensor:
    """Return which frames the slow pathway sees.

    Raises:
        NlvizError: when the frames are no multiple of alpha.

    >>> slow_frames(32, 4)
    tensor([ 0,  4,  8, 13, 17, 22, 26, 31])
    """
    if frames % alpha:
        raise NlvizError(
            f"a SlowFast network takes a multiple of {alpha} frames, got {frames}; take "
            f"{max(frames // alpha, 1) * alpha}"
        )
    return torch.linspace(0, frames - 1, frames // alpha).long()
