"""Networks with random weights that keep the size of what goes through them."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from nlviz.families.reading.report import LoadReport
from nlviz.zoo.checkpoints import load_checkpoint
from tests.families.references import Weights


def stirred(net: nn.Module, seed: int = 0) -> dict[str, Tensor]:
    """Give every tensor of a network a random value, and return its state by its own names."""
    make = Weights(seed)
    state = net.state_dict()
    for key, value in state.items():
        if key.endswith("running_var"):
            new = make.normal(*value.shape).abs() + 0.5
        elif not value.is_floating_point():
            continue
        elif value.dim() < 2:  # gammas are around 1/2, all else around 0
            gamma = key.endswith("weight")
            new = make.normal(*value.shape, scale=0.1) + (0.5 if gamma else 0.0)
        else:
            new = make.kernel(*value.shape)
            if any(f".{part}." in f".{key}" for part in ("theta", "phi", "conv_theta", "conv_phi")):
                new *= 0.3  # rows that are neither uniform nor one key alone
        state[key] = new
    net.load_state_dict(state)
    net.eval()
    return net.state_dict()


def reloaded(content: object, path: Path, **flags: object) -> tuple[nn.Module, LoadReport]:
    """Save weights as their authors do, and load them as this project does."""
    torch.save(content, path)
    net, report = load_checkpoint(path, **flags)
    assert report.complete
    return net, report


def assert_equal(found: Tensor, expected: Tensor) -> None:
    """In float64 two ways of computing the same leave no more than a part in 10^8."""
    assert found.dtype == expected.dtype == torch.float64
    size = float(expected.abs().max())
    torch.testing.assert_close(found / size, expected / size, rtol=0, atol=1e-8)


def differ(found: Tensor, expected: Tensor) -> bool:
    return not torch.allclose(found, expected, rtol=1e-4, atol=1e-6 * float(expected.abs().max()))
