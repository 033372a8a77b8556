"""What nlviz is compared with: blocks that build their matrix, as they are usually written."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MatrixBlock(nn.Module):
    """A 3-D non-local block that builds its map and returns it: matmul, softmax or 1/N, matmul.

    Args:
        channels: of the features; half of them inside.
        pool: side of the max-pooling of keys in space.
        softmax: embedded Gaussian, or else dot product.
    """

    def __init__(self, channels: int, *, pool: int = 1, softmax: bool = True) -> None:
        super().__init__()
        inner = channels // 2
        self.inner, self.softmax = inner, softmax
        self.theta, self.phi, self.g = (nn.Conv3d(channels, inner, 1) for _ in range(3))
        self.out = nn.Conv3d(inner, channels, 1)
        self.pool = nn.MaxPool3d((1, pool, pool)) if pool > 1 else nn.Identity()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        batch = x.shape[0]
        keys = self.pool(x)
        g = self.g(keys).view(batch, self.inner, -1).permute(0, 2, 1)
        theta = self.theta(x).view(batch, self.inner, -1).permute(0, 2, 1)
        phi = self.phi(keys).view(batch, self.inner, -1)
        f = torch.matmul(theta, phi)
        f = torch.softmax(f, dim=-1) if self.softmax else f / f.shape[-1]
        y = torch.matmul(f, g).permute(0, 2, 1).contiguous()
        y = y.view(batch, self.inner, *x.shape[2:])
        return self.out(y) + x, f


class MatrixNonLocal(nn.Module):
    """A block as video networks usually have it: pooled keys, matrix, softmax, normalisation.

    Args:
        channels: of the features; half of them inside.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = channels // 2
        self.inner = inner
        self.theta, self.phi, self.g = (nn.Conv3d(channels, inner, 1) for _ in range(3))
        self.out = nn.Conv3d(inner, channels, 1)
        self.bn = nn.BatchNorm3d(channels)
        self.pool = nn.MaxPool3d((1, 2, 2))

    def forward(self, x: Tensor) -> Tensor:
        keys = self.pool(x)
        theta, phi, g = self.theta(x).flatten(2), self.phi(keys).flatten(2), self.g(keys).flatten(2)
        f = torch.einsum("bci,bcj->bij", theta, phi) * self.inner**-0.5
        f = f.softmax(-1)
        y = torch.einsum("bij,bcj->bci", f, g).reshape(len(x), self.inner, *x.shape[2:])
        out: Tensor = x + self.bn(self.out(y))
        return out
