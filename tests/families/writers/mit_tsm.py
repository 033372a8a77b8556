"""Files of TSM's own code, with random weights under their own names."""

from __future__ import annotations

from pathlib import Path

import torch

from tests.families.references import Places
from tests.families.torch_names import Names, state_of

PLACES: Places = ((3, 0), (3, 2), (4, 0), (4, 2), (4, 4))
FILE = "TSM_kinetics_RGB_resnet50_shift8_blockres_avg_segment8_e100_dense_nl.pth"
BLOCK = {"scale": False, "pool_first": False}


def module(part: str) -> str:
    stage, index, _ = part.split(".")
    wrapped = ".block" if (int(stage), int(index)) in PLACES else ""
    return f"module.base_model.layer{int(stage) - 1}.{index}{wrapped}"


def conv(part: str) -> str:
    if part == "stem":
        return "module.base_model.conv1.weight"
    kind = part.rsplit(".", 1)[1]
    if kind == "shortcut":
        return f"{module(part)}.downsample.0.weight"
    return f"{module(part)}.conv{'abc'.index(kind) + 1}{'.net' if kind == 'a' else ''}.weight"


def norm(part: str) -> str:
    if part == "stem":
        return "module.base_model.bn1"
    kind = part.rsplit(".", 1)[1]
    inside = "downsample.1" if kind == "shortcut" else f"bn{'abc'.index(kind) + 1}"
    return f"{module(part)}.{inside}"


NAMES = Names(
    conv,
    norm,
    "module.new_fc",
    lambda place: f"module.base_model.layer{place[0] - 1}.{place[1]}.nl.",
    {"theta": "theta", "phi": "phi.0", "g": "g.0", "out": "W.0", "bn": "W.1"},
)


def written_to(folder: Path) -> Path:
    """Write a file as the original code does."""
    state = state_of(NAMES, places=PLACES, flat=True)
    path = folder / FILE
    saved = {"epoch": 100, "state_dict": state, "best_prec1": 75.6}
    torch.save(saved, path, _use_new_zipfile_serialization=False)
    return path
