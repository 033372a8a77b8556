"""A classifier of digits with two non-local blocks, the demonstration of AlexHex7's code.

https://github.com/AlexHex7/Non-local_pytorch (Apache-2.0): three stages of convolution,
normalisation, ReLU and pooling, a block behind each of the first two, and two linear layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from nlviz.networks.block import NonLocalBlock

SIDE = 28


class MnistNL(nn.Module):
    """Input: (batch, 1, 28, 28) in [0, 1], light digits on dark. Output: logits of ten digits.

    Args:
        options: of both blocks, see ``NonLocalBlock``.
        inner: channels of theta, phi and g in each of the two; 0 where there is no block.

    >>> import torch
    >>> MnistNL({"pool": 2}).eval()(torch.zeros(3, 1, 28, 28)).shape
    torch.Size([3, 10])
    """

    def __init__(self, options: Mapping[str, Any], *, inner: tuple[int, int] = (16, 32)) -> None:
        super().__init__()
        self.stage1, self.stage2, self.stage3 = _stage(1, 32), _stage(32, 64), _stage(64, 128)
        self.nl1 = _block(32, inner[0], options)
        self.nl2 = _block(64, inner[1], options)
        side = SIDE // 8
        self.fc = nn.Sequential(
            nn.Linear(128 * side * side, 256), nn.ReLU(), nn.Dropout(0.5), nn.Linear(256, 10)
        )

    def forward(self, pictures: Float[Tensor, "batch 1 28 28"]) -> Float[Tensor, "batch 10"]:
        """Return logits."""
        x = self.nl1(self.stage1(pictures))
        x = self.nl2(self.stage2(x))
        logits: Tensor = self.fc(self.stage3(x).flatten(1))
        return logits


def _stage(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )


def _block(channels: int, inner: int, options: Mapping[str, Any]) -> nn.Module:
    if not inner:
        return nn.Identity()
    return NonLocalBlock(channels, dimension=2, inner=inner, **options)
