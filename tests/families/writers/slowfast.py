"""Files of SlowFast's own training, with random weights under their own names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import yaml

from nlviz.zoo.files import Checkpoint
from tests.families.references import I3D, Places, noise
from tests.families.torch_names import Names, State, state_of

FIVE: Places = ((3, 1), (3, 3), (4, 1), (4, 3), (4, 5))
FILE = "checkpoint_epoch_00196.pyth"
ALPHA = 4


def module(part: str, pathway: int = 0) -> str:
    if part == "stem":
        return f"s1.pathway{pathway}_stem.conv"
    stage, index, kind = part.split(".")
    inside = "branch1" if kind == "shortcut" else f"branch2.{kind}"
    return f"s{stage}.pathway{pathway}_res{index}.{inside}"


def names_of(pathway: int = 0) -> Names:
    def norm(part: str) -> str:
        if part == "stem":
            return f"s1.pathway{pathway}_stem.bn"
        return f"{module(part, pathway)}_bn"

    return Names(
        lambda part: f"{module(part, pathway)}.weight",
        norm,
        "head.projection",
        lambda place: f"s{place[0]}.pathway{pathway}_nonlocal{place[1]}.",
        {**{p: f"conv_{p}" for p in ("theta", "phi", "g", "out")}, "bn": "bn"},
    )


NAMES = names_of()
DOT = {"mode": "dot_product"}


def config(arch: str, instantiation: str, frames: int, rate: int, **more: dict[str, Any]) -> str:
    """Return the text that the training writes beside the weights, as far as it matters."""
    two = 2 if arch == "slowfast" else 1
    values: dict[str, dict[str, Any]] = {
        "DATA": {
            "MEAN": [0.45, 0.45, 0.45],
            "STD": [0.225, 0.225, 0.225],
            "NUM_FRAMES": frames,
            "SAMPLING_RATE": rate,
            "INPUT_CHANNEL_NUM": [3] * two,
        },
        "DETECTION": {"ENABLE": False},
        "MODEL": {"ARCH": arch, "NUM_CLASSES": 400},
        "NONLOCAL": {
            "GROUP": [[1] * two] * 4,
            "INSTANTIATION": instantiation,
            "LOCATION": [[[], []], [[1, 3], []], [[1, 3, 5], []], [[], []]],
            "POOL": [[[1, 2, 2]] * two] * 4,
        },
        "RESNET": {
            "DEPTH": 50,
            "NUM_GROUPS": 1,
            "SPATIAL_DILATIONS": [[1] * two] * 4,
            "SPATIAL_STRIDES": [[1] * two] + [[2] * two] * 3,
            "STRIDE_1X1": False,
        },
        "SLOWFAST": {"ALPHA": ALPHA if two == 2 else 8, "BETA_INV": 8},
    }
    if two == 1:
        del values["SLOWFAST"]
    for section, own in more.items():
        values[section] = {**values.get(section, {}), **own}
    return str(yaml.safe_dump(values))


def written(state: State, cfg: str) -> dict[str, Any]:
    optimizer = {"state": {0: {"momentum_buffer": noise(5)}}, "param_groups": [{"lr": 0.1}]}
    return {"epoch": 195, "model_state": state, "optimizer_state": optimizer, "cfg": cfg}


def in_memory(state: State, cfg: str = "", name: str = FILE) -> Checkpoint:
    return Checkpoint(Path(name), "torch zip", state, "model_state", {"cfg": cfg} if cfg else {})


def written_to(folder: Path) -> Path:
    """Write a file as the original code does."""
    names, places = NAMES, FIVE
    state = state_of(names, places=places, temporal=I3D, stem_kernel=5)
    path = folder / FILE
    cfg = config("i3d", "softmax", 8, 8)
    torch.save(written(state, cfg), path)
    return path
