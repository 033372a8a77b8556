"""Two small denoising networks that differ in one block: non-local, or looking at its own cell.

z = W_z y + x of Wang et al. 2018 (arXiv 1711.07971) between the halves of a residual network. The
frame is that of FFDNet (Zhang et al. 2018, arXiv 1710.04026): the picture at half resolution in
four times the channels, and the noise level as one more channel, so that one network serves many.
"""

from __future__ import annotations

from typing import Literal, cast, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from nlviz.errors import NlvizError
from nlviz.networks.block import NonLocalBlock

BlockKind = Literal["local", "nonlocal"]
CHANNELS = 48
INNER = 24  # of theta, phi and g
STRIDE = 2  # pixels of a cell


class Residual(nn.Module):
    """Two 3x3 convolutions and the identity; the second may be dilated."""

    def __init__(self, channels: int, dilation: int = 1) -> None:
        super().__init__()
        self.a = nn.Conv2d(channels, channels, 3, padding=1)
        self.b = nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation)
        self.b.weight.data.mul_(0.1)  # near the identity at first, which trains without norms

    def forward(self, x: Tensor) -> Tensor:
        """Return x plus a correction from around each cell."""
        return cast(Tensor, x + self.b(F.relu(self.a(x))))


class Pointwise(nn.Module):
    """A bottleneck that sees nothing but its own cell; the identity when fresh."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.a = nn.Conv2d(channels, inner, 1)
        self.out = nn.Conv2d(inner, channels, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(cast(Tensor, self.out.bias))

    def forward(self, x: Tensor) -> Tensor:
        """Return x plus a correction from the same cell."""
        return cast(Tensor, x + self.out(F.relu(self.a(x))))


class DenoisingNet(nn.Module):
    """Subtracts the noise that it finds in a picture, given its standard deviation.

    Args:
        kind: ``nonlocal`` for a non-local block in the middle (embedded Gaussian, unit length, a
            learned temperature), ``local`` for a bottleneck of as many parameters within 1 % that
            looks at its own cell only.

    >>> net = DenoisingNet("nonlocal").eval()
    >>> with torch.no_grad():
    ...     net(torch.zeros(1, 3, 20, 28), torch.tensor([0.1])).shape
    torch.Size([1, 3, 20, 28])
    """

    def __init__(self, kind: BlockKind) -> None:
        super().__init__()
        if kind not in get_args(BlockKind):
            raise NlvizError(f"a denoising network is local or nonlocal, got {kind!r}")
        c = CHANNELS
        self.kind = kind
        self.cells = nn.PixelUnshuffle(STRIDE)  # a module, so that the cells' places are followed
        self.head = nn.Conv2d(3 * STRIDE**2 + 1, c, 3, padding=1)
        self.first = nn.Sequential(*(Residual(c, d) for d in (1, 2, 1)))
        self.middle = Pointwise(c, c)
        self.block: nn.Module = (
            NonLocalBlock(c, dimension=2, inner=INNER, unit_length=True, norm=False)
            if kind == "nonlocal"
            else Pointwise(c, 2 * INNER)
        )
        self.second = nn.Sequential(*(Residual(c, d) for d in (2, 1, 2)))
        self.tail = nn.Conv2d(c, 3 * STRIDE**2, 3, padding=1)
        self.tail.weight.data.mul_(0.1)
        nn.init.zeros_(cast(Tensor, self.tail.bias))

    def features(
        self, noisy: Float[Tensor, "batch 3 h w"], sigma: Float[Tensor, " batch"]
    ) -> tuple[Tensor, Tensor]:
        """Return the first layer's output, and what enters the block."""
        cells = self.cells(noisy)
        level = sigma.view(-1, 1, 1, 1).expand(-1, 1, *cells.shape[2:])
        low = self.head(torch.cat([cells, 4 * level], 1))
        return low, self.middle(self.first(low))

    def forward(
        self, noisy: Float[Tensor, "batch 3 h w"], sigma: Float[Tensor, " batch"]
    ) -> Float[Tensor, "batch 3 h w"]:
        """Return the picture without its noise.

        Args:
            noisy: RGB in [0, 1], never clipped; height and width even. A grey picture is given
                three times, with the same noise in each channel.
            sigma: standard deviation of the noise, in the same units.
        """
        low, x = self.features(noisy, sigma)
        return self.cleaned(noisy, low, self.block(x))

    def cleaned(
        self, noisy: Float[Tensor, "batch 3 h w"], low: Tensor, x: Tensor
    ) -> Float[Tensor, "batch 3 h w"]:
        """Return the picture without its noise, from the first layer's and the block's output."""
        return noisy - F.pixel_shuffle(self.tail(self.second(x) + low), STRIDE)


class AtOneLevel(nn.Module):
    """A denoising network with one fixed noise level, so that it takes one input.

    In this form ``nlviz.capture`` reads it like any other network; its block then reaches every
    cell.

    Args:
        net: the network.
        sigma: standard deviation of the noise, where white is 1.

    >>> AtOneLevel(DenoisingNet("local"), 0.1)(torch.zeros(2, 3, 6, 8)).shape
    torch.Size([2, 3, 6, 8])
    """

    def __init__(self, net: DenoisingNet, sigma: float) -> None:
        super().__init__()
        self.net, self.sigma = net, sigma

    def forward(self, noisy: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch 3 h w"]:
        """Return the picture without its noise."""
        return cast(Tensor, self.net(noisy, noisy.new_full((len(noisy),), self.sigma)))
