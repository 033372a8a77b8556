"""A network that must recall: which colour had the digit that stands in grey in the last frame?

A small convolutional trunk per frame, one non-local block over all cells of all frames, which is
the only path between frames, and a head that reads the last frame alone. The block is Wang et al.
2018, arXiv 1711.07971; the task is associative recall as in Ba et al. 2016, "Using Fast Weights to
Attend to the Recent Past", arXiv 1610.06258, with pictures for letters. Two more tasks need no
match: which colour does no frame show, over the same clips; and which colour had the digit, where
a single frame shows one in colour.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nlviz.networks.block import NonLocalBlock

SIDE, FRAMES, STRIDE, CHANNELS = 32, 5, 4, 48
COLOURS = ("red", "green", "blue", "yellow", "violet")
RecallPairwise = Literal["embedded_gaussian", "gaussian", "dot_product", "concatenation"]
RecallTask = Literal["recall", "missing", "single"]


class PerPosition(nn.Module):
    """z_i = x_i + W_2 relu(W_1 x_i): as large as a block, but every cell sees itself only.

    What such a network answers it knows without any other cell. The identity when fresh.

    Args:
        channels: of the features; the hidden layer is as wide, which gives as many weights as
            theta, phi, g and W_z of a block with half of the channels inside.

    >>> x = torch.randn(1, 6, 2, 3, 4)
    >>> torch.equal(PerPosition(6)(x), x)
    True
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.inner = nn.Conv3d(channels, channels, 1)
        self.out = nn.Conv3d(channels, channels, 1)
        for parameter in self.out.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Float[Tensor, "batch channels *grid"]) -> Tensor:
        """Return z, of the shape of x."""
        z: Tensor = x + self.out(self.inner(x).relu())
        return z


class RecallNL(nn.Module):
    """Input: (batch, 3, t, h, w) RGB in [0, 1]. Output: logits of the five colours.

    Args:
        pairwise: pairwise function of the block; ``per_position`` puts the control of that name in
            its place; None is a network without one. The heads of both can know no more than how
            often each colour is the answer.

    >>> RecallNL("dot_product").eval()(torch.zeros(2, 3, 5, 32, 32)).shape
    torch.Size([2, 5])
    """

    def __init__(
        self, pairwise: RecallPairwise | Literal["per_position"] | None = "embedded_gaussian"
    ) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            *_stage(3, 16), *_stage(16, 32, 2), *_stage(32, CHANNELS),
            *_stage(CHANNELS, CHANNELS, 2), *_stage(CHANNELS, CHANNELS),
        )  # fmt: skip
        self.nl: nn.Module = nn.Identity()
        if pairwise == "per_position":
            self.nl = PerPosition(CHANNELS)
        elif pairwise is not None:
            self.nl = NonLocalBlock(CHANNELS, pairwise=pairwise, inner=CHANNELS // 2, norm=False)
        self.where = nn.Conv2d(CHANNELS, 1, 1)
        self.head = nn.Linear(CHANNELS, len(COLOURS))

    def cells(
        self, clips: Float[Tensor, "batch 3 t h w"]
    ) -> Float[Tensor, "batch channels t rows columns"]:
        """Return the features of every frame by itself, one cell for each 4 x 4 pixels."""
        batch, _, frames = clips.shape[:3]
        features = self.trunk(clips.transpose(1, 2).flatten(0, 1) - 0.5)
        cells: Tensor = features.unflatten(0, (batch, frames)).transpose(1, 2).contiguous()
        return cells

    def answer(
        self, x: Float[Tensor, "batch channels t rows columns"]
    ) -> Float[Tensor, "batch colours"]:
        """Return the logits that the head reads off the last frame."""
        last = x[:, :, -1]
        pooled = torch.einsum("bchw,bhw->bc", self.nl(x)[:, :, -1], self.pooling(last))
        logits: Tensor = self.head(pooled)
        return logits

    def pooling(self, last: Float[Tensor, "batch channels h w"]) -> Float[Tensor, "batch h w"]:
        """Return how much of every cell the head reads: a softmax over the last frame's cells."""
        scores = self.where(last)[:, 0]
        shares: Tensor = scores.flatten(1).softmax(dim=1).view_as(scores)
        return shares

    def forward(self, clips: Float[Tensor, "batch 3 t h w"]) -> Float[Tensor, "batch colours"]:
        """Return logits."""
        return self.answer(self.cells(clips))


def _stage(inputs: int, outputs: int, stride: int = 1) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    ]
