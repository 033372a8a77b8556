"""Files of AlexHex7's classifier of digits, with random weights under their own names."""

from __future__ import annotations

from pathlib import Path

import torch

from tests.families.references import Weights
from tests.families.torch_names import NORM, State

MODES = ("embedded_gaussian", "dot_product", "gaussian", "concatenation")


def digits(mode: str, *, pooled: bool = True, norm: bool = True, seed: int = 0) -> State:
    """Return random tensors with the names and shapes of the original's file."""
    make = Weights(seed)
    found: State = {}

    def normal(prefix: str, channels: int) -> None:
        for end, value in zip(NORM, make.norm(channels), strict=True):
            found[f"{prefix}.{end}"] = value
        found[f"{prefix}.num_batches_tracked"] = torch.tensor(3)

    for i, (a, b) in enumerate(((1, 32), (32, 64), (64, 128)), 1):
        found[f"conv_{i}.0.weight"] = make.kernel(b, a, 3, 3)
        found[f"conv_{i}.0.bias"] = make.normal(b, scale=0.1)
        normal(f"conv_{i}.1", b)
    for i, c in ((1, 32), (2, 64)):
        d, p, pool = c // 2, f"nl_{i}", ".0" if pooled else ""
        if mode != "gaussian":
            found[f"{p}.theta.weight"] = make.linear(d, c, 1, 1)
            found[f"{p}.theta.bias"] = make.normal(d, scale=0.1)
            found[f"{p}.phi{pool}.weight"] = make.linear(d, c, 1, 1)
            found[f"{p}.phi{pool}.bias"] = make.normal(d, scale=0.1)
        if mode == "concatenation":
            found[f"{p}.concat_project.0.weight"] = make.normal(1, 2 * d, 1, 1, scale=0.3)
        found[f"{p}.g{pool}.weight"] = make.linear(d, c, 1, 1)
        found[f"{p}.g{pool}.bias"] = make.normal(d, scale=0.1)
        out = f"{p}.W.0" if norm else f"{p}.W"
        found[f"{out}.weight"] = make.linear(c, d, 1, 1)
        found[f"{out}.bias"] = make.normal(c, scale=0.1)
        if norm:
            normal(f"{p}.W.1", c)
    found["fc.0.weight"] = make.linear(256, 128 * 9)
    found["fc.0.bias"] = make.normal(256, scale=0.1)
    found["fc.3.weight"] = make.linear(10, 256)
    found["fc.3.bias"] = make.normal(10, scale=0.1)
    return found


def written_to(folder: Path) -> Path:
    """Write a file as the original code does."""
    path = folder / "net.pth"
    torch.save(digits("concatenation"), path)
    return path
