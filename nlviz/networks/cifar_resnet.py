"""Residual networks for small pictures, with non-local blocks between their residual blocks.

He et al., "Deep Residual Learning for Image Recognition", arXiv 1512.03385, section 4.2: three
stages of 16, 32 and 64 channels, shortcuts without weights (option A). With one block before the
last residual block of the second stage it is the network of
https://github.com/tea1528/Non-Local-NN-Pytorch (MIT).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from nlviz.networks.block import NonLocalBlock

WIDTHS = (16, 32, 64)


class Plain(nn.Module):
    """Two 3x3 convolutions and a shortcut that skips pixels and adds empty channels."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride, self.empty = stride, (outputs - inputs) // 2

    def forward(self, x: Float[Tensor, "batch channels h w"]) -> Tensor:
        """Return the block's output."""
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        short = x[:, :, :: self.stride, :: self.stride]
        return F.relu(y + F.pad(short, (0, 0, 0, 0, self.empty, self.empty)))


class CifarResNet(nn.Module):
    """Input: (batch, 3, h, w), normalised. Output: logits.

    Args:
        stages: for each stage what stands in it, in order: None for a residual block, options of
            ``NonLocalBlock`` for a non-local one.
        classes: of the head.

    >>> import torch
    >>> net = CifarResNet(((None,) * 2, (None, {}, None), (None,) * 2)).eval()
    >>> net(torch.zeros(2, 3, 32, 40)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self, stages: tuple[tuple[Mapping[str, Any] | None, ...], ...], *, classes: int = 10
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, WIDTHS[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        inputs = WIDTHS[0]
        for number, (width, inside) in enumerate(zip(WIDTHS, stages, strict=True), 1):
            layers: list[nn.Module] = []
            for options in inside:
                if options is None:
                    first = not layers and number > 1
                    layers.append(Plain(inputs, width, 2 if first else 1))
                    inputs = width
                else:
                    layers.append(NonLocalBlock(inputs, dimension=2, **options))
            self.add_module(f"layer{number}", nn.Sequential(*layers))
        self.linear = nn.Linear(WIDTHS[-1], classes)

    def forward(self, pictures: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch classes"]:
        """Return logits, from the mean over all positions."""
        x = F.relu(self.bn1(self.conv1(pictures)))
        for number in (1, 2, 3):
            x = self.get_submodule(f"layer{number}")(x)
        logits: Tensor = self.linear(x.mean((2, 3)))
        return logits
