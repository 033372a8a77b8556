"""Small networks with blocks that do something, and clips to run through them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from nlviz.clips.clip import Clip
from nlviz.families.reading.adapter import InputSpec
from nlviz.networks.block import NonLocalBlock
from nlviz.networks.insert import insert

FRAMES = InputSpec(size=32, multiple=16, layout="frames")
CLIPS = InputSpec(size=32, multiple=16, layout="clip")


def awake(net: nn.Module, seed: int = 0) -> nn.Module:
    """Give every block an output, so that it is no longer the identity."""
    generator = torch.Generator().manual_seed(seed)
    for block in [m for m in net.modules() if isinstance(m, NonLocalBlock)]:
        for parameter in (*block.out.parameters(), *block.bn.parameters()):
            with torch.no_grad():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return net


class FrameNet(nn.Module):
    """A network of 2-D convolutions; a batch is the frames of a clip. Stride 4, 8 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU())
        self.layer1 = nn.Sequential(nn.Conv2d(8, 8, 3, stride=2, padding=1), nn.ReLU(inplace=True))
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.dropout(self.layer1(self.stem(x)))
        return self.head(x.mean((2, 3)))


class ClipNet(nn.Module):
    """A network of 3-D convolutions that holds its block itself. Stride (2, 4, 4)."""

    def __init__(self, **options: object) -> None:
        super().__init__()
        self.stem = nn.Conv3d(3, 8, (3, 5, 5), stride=(2, 4, 4), padding=(1, 2, 2))
        self.nl = NonLocalBlock(8, dimension=3, **options)
        self.norm = nn.BatchNorm3d(8)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.nl(self.stem(x)))
        return self.head(x.mean((2, 3, 4)))


def frame_net(pairwise: str = "embedded_gaussian", **options: object) -> FrameNet:
    """Return a ``FrameNet`` with a block behind ``layer1``."""
    torch.manual_seed(0)
    net = FrameNet().eval()
    insert(net, after="layer1", pairwise=pairwise, **options)
    awake(net)
    return net


def clip_net(**options: object) -> ClipNet:
    """Return a ``ClipNet`` in eval mode."""
    torch.manual_seed(0)
    net = ClipNet(**options).eval()
    awake(net)
    return net


def noise_clip(frames: int = 4, height: int = 48, width: int = 64, seed: int = 0) -> Clip:
    """Return a clip of noise, another for every seed."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (frames, height, width, 3), np.uint8)
    return Clip.from_frames(pixels, name=f"noise {seed}")
