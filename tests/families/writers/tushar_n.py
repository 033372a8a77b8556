"""Files of Tushar-N's conversions, with random weights under their own names."""

from __future__ import annotations

from pathlib import Path

import torch

from tests.families.references import I3D, Places
from tests.families.torch_names import Names, state_of

FIVE: Places = ((3, 1), (3, 3), (4, 1), (4, 3), (4, 5))
FILE = "i3d_r50_nl_kinetics.pth"
STEM = {"stem_stride": 2, "pool1": (2, 2), "pool2": 2, "pad": 0}


def conv(part: str) -> str:
    if part == "stem":
        return "conv1.weight"
    stage, index, kind = part.split(".")
    inside = "downsample.0" if kind == "shortcut" else f"conv{'abc'.index(kind) + 1}"
    return f"layer{int(stage) - 1}.{index}.{inside}.weight"


def norm(part: str) -> str:
    key = conv(part).removesuffix(".weight")
    return key.replace("downsample.0", "downsample.1").replace("conv", "bn")


NAMES = Names(
    conv,
    norm,
    "fc",
    lambda place: f"layer{place[0] - 1}.{place[1]}.nl.",
    {name: name for name in ("theta", "phi", "g", "out", "bn")},
)


def written_to(folder: Path) -> Path:
    """Write a file as the original code does."""
    names, places = NAMES, FIVE
    path = folder / FILE
    torch.save(state_of(names, places=places, temporal=I3D, stem_kernel=5), path)
    return path
