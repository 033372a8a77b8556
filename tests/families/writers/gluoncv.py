"""Files of GluonCV's torch networks, with random weights under their own names."""

from __future__ import annotations

from pathlib import Path

import torch

from tests.families.references import I3D, Places
from tests.families.torch_names import Names, State, state_of

FIVE: Places = ((3, 1), (3, 3), (4, 1), (4, 3), (4, 5))
TEN: Places = tuple((3, i) for i in range(4)) + tuple((4, i) for i in range(6))
DENSE = {"stem_stride": 2, "pool1": (1, 2), "pool2": 2}
BLOCK = {"pool": None}


def conv(part: str) -> str:
    if part == "stem":
        return "first_stage.0.weight"
    stage, index, kind = part.split(".")
    inside = "downsample.0" if kind == "shortcut" else f"conv{'abc'.index(kind) + 1}"
    return f"res_layers.{int(stage) - 2}.{index}.{inside}.weight"


def norm(part: str) -> str:
    if part == "stem":
        return "first_stage.1"
    stage, index, kind = part.split(".")
    inside = "downsample.1" if kind == "shortcut" else f"bn{'abc'.index(kind) + 1}"
    return f"res_layers.{int(stage) - 2}.{index}.{inside}"


NAMES = Names(
    conv,
    norm,
    "fc",
    lambda place: f"res_layers.{place[0] - 2}.{place[1]}.nonlocal_block.",
    {"theta": "theta", "phi": "phi", "g": "g", "out": "W", "bn": "bn"},
)


def with_second_names(state: State) -> State:
    """Add the names under which the modules appear once more in the original's state."""
    more = {}
    for key, value in state.items():
        if "nonlocal_block.W." in key:
            more[key.replace(".W.", ".W_bn.0.")] = value
        elif "nonlocal_block.bn." in key:
            more[key.replace(".bn.", ".W_bn.1.")] = value
        elif key.startswith("fc."):
            more[f"head.1.{key.removeprefix('fc.')}"] = value
    return {**state, **more}


def written_to(folder: Path) -> Path:
    """Write a file as the original code does."""
    names, places = NAMES, FIVE
    state = state_of(names, places=places, temporal=I3D, stem_kernel=5)
    path = folder / "i3d_nl5_resnet50_v1_kinetics400-9df1e103.pth"
    torch.save(with_second_names(state), path)
    return path
