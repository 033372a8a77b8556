"""Networks whose numbers are all drawn, so that no part of them is the identity."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def noise(*shape: int, seed: int = 0) -> Tensor:
    """Return standard normal numbers."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def drawn(net: nn.Module, seed: int = 0) -> nn.Module:
    """Give every parameter and statistic of a network a value, in eval mode.

    Kernels keep the size of what goes through; the last normalisations of residual branches are
    small, so that it does not grow.
    """
    draw = torch.Generator().manual_seed(seed)

    def normal(like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=draw)

    with torch.no_grad():
        for name, t in net.state_dict().items():
            if name.endswith("running_var"):
                t.copy_(torch.rand(t.shape, generator=draw) + 0.5)
            elif t.dim() > 1:
                t.copy_(normal(t) * (1.5 / t[0].numel()) ** 0.5)
            elif name.endswith("bn.weight"):
                t.copy_(0.7 + 0.2 * normal(t))
            elif t.dim() == 1:
                t.copy_(normal(t) * 0.2)
    return net.eval()


def relative(found: Tensor, expected: Tensor) -> float:
    """Return the largest difference over the largest value."""
    return float((found - expected).abs().max() / expected.abs().max())
