"""Files of tea1528's network for small pictures, with random weights under their own names."""

from __future__ import annotations

from pathlib import Path

import torch

from tests.families.references import Weights
from tests.families.torch_names import NORM, State

MODES = ("embedded_gaussian", "dot_product", "gaussian", "concatenation")
PLAIN = 3  # residual blocks of a stage; the original has 9


def state_of(mode: str, *, norm: bool = True, at: int = PLAIN - 1) -> State:
    """Return random tensors with the original's names, the block in layer2 before its last one."""
    make = Weights(5)
    found: State = {}

    def normal(prefix: str, channels: int, *, last: bool = False) -> None:
        for end, value in zip(NORM, make.norm(channels, last=last), strict=True):
            found[f"{prefix}.{end}"] = value

    found["conv1.weight"] = make.kernel(16, 3, 3, 3)
    normal("bn1", 16)
    into = 16
    for stage, width in ((1, 16), (2, 32), (3, 64)):
        for i in range(PLAIN + (stage == 2)):
            p = f"layer{stage}.{i}"
            if stage == 2 and i == at:
                d = width // 2
                names = ("g",) if mode == "gaussian" else ("theta", "phi", "g")
                for name in names:
                    found[f"{p}.{name}.weight"] = make.linear(d, width, 1, 1) * 0.5
                    found[f"{p}.{name}.bias"] = make.normal(d, scale=0.1)
                if mode == "concatenation":
                    found[f"{p}.W_f.0.weight"] = make.normal(1, 2 * d, 1, 1, scale=0.4)
                    found[f"{p}.W_f.0.bias"] = make.normal(1, scale=0.5)
                out = f"{p}.W_z.0" if norm else f"{p}.W_z"
                found[f"{out}.weight"] = make.linear(width, d, 1, 1)
                found[f"{out}.bias"] = make.normal(width, scale=0.1)
                if norm:
                    normal(f"{p}.W_z.1", width)
                continue
            found[f"{p}.conv1.weight"] = make.kernel(width, into, 3, 3)
            normal(f"{p}.bn1", width)
            found[f"{p}.conv2.weight"] = make.kernel(width, width, 3, 3)
            normal(f"{p}.bn2", width, last=True)
            into = width
    found["linear.weight"] = make.linear(10, 64)
    found["linear.bias"] = make.normal(10, scale=0.1)
    return found


def written_to(folder: Path) -> Path:
    """Write a file as the original code does."""
    path = folder / "ckpt.t7"
    torch.save({"net": state_of("dot_product"), "acc": 93.5, "epoch": 180}, path)
    return path
