"""Files of mmaction2, with random weights under their own names."""

from __future__ import annotations

from pathlib import Path

import torch

from tests.families.references import I3D, Places
from tests.families.torch_names import Names, state_of

ODD: Places = ((3, 1), (3, 3), (4, 1), (4, 3), (4, 5))
EVEN: Places = ((3, 0), (3, 2), (4, 0), (4, 2), (4, 4))
PARTS = {
    "theta": "theta.conv",
    "phi": "phi.0.conv",
    "g": "g.0.conv",
    "out": "conv_out.conv",
    "bn": "conv_out.bn",
}
I3D_FILE = "i3d_imagenet-pretrained-r50-nl-{}_8xb8-32x2x1-100e_kinetics400-rgb_2022-0.pth"
TSM_FILE = "tsm_imagenet-pretrained-r50-nl-{}_8xb16-1x1x8-50e_kinetics400-rgb_2022-0.pth"
SLOW_FILE = "slowonly_r50-in1k-pre-nl-embedded-gaussian_8xb16-8x8x1-steplr-150e_2022-0.pth"
DENSE = {"stem_stride": 2, "pool1": (1, 2), "pool2": 2}


def module(part: str) -> str:
    if part == "stem":
        return "backbone.conv1"
    stage, index, kind = part.split(".")
    inside = "downsample" if kind == "shortcut" else f"conv{'abc'.index(kind) + 1}"
    return f"backbone.layer{int(stage) - 1}.{index}.{inside}"


def plain() -> Names:
    return Names(
        lambda part: f"{module(part)}.conv.weight",
        lambda part: f"{module(part)}.bn",
        "cls_head.fc_cls",
        lambda place: f"backbone.layer{place[0] - 1}.{place[1]}.non_local_block.",
        PARTS,
        ("theta", "phi", "g"),
    )


def wrapped(places: Places) -> Names:
    """TSM: first kernels under ``net``, residual blocks with a non-local one under ``block``."""

    def inside(part: str) -> str:
        name = module(part)
        if part != "stem":
            stage, index, _ = part.split(".")
            if (int(stage), int(index)) in places:
                name = name.replace(f".{index}.", f".{index}.block.", 1)
        return name

    def conv(part: str) -> str:
        return f"{inside(part)}.conv{'.net' if part.endswith('.a') else ''}.weight"

    return Names(
        conv,
        lambda part: f"{inside(part)}.bn",
        "cls_head.fc_cls",
        lambda place: f"backbone.layer{place[0] - 1}.{place[1]}.non_local_block.",
        PARTS,
        ("theta", "phi", "g"),
    )


def written_to(folder: Path) -> Path:
    """Write a file as the original code does."""
    names, places = plain(), ODD
    state = state_of(names, places=places, temporal=I3D, stem_kernel=5)
    path = folder / I3D_FILE.format("embedded-gaussian")
    torch.save({"meta": {"epoch": 100}, "state_dict": state}, path)
    return path
