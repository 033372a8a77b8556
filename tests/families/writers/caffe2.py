"""Files of Caffe2's video networks, with random weights under their own names."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
from torch import Tensor

from tests.families.references import (
    I3D,
    Places,
    Weights,
    is_last,
    shapes_of,
)
from tests.zoo.files.writing import python2_pickle

FIVE: Places = ((3, 1), (3, 3), (4, 1), (4, 3), (4, 5))
R101: Places = ((3, 1), (3, 3), (4, 6), (4, 13), (4, 20))
CLASSES = 400
Blobs = dict[str, Tensor]


def conv_blob(part: str) -> str:
    if part == "stem":
        return "conv1_w"
    stage, index, kind = part.split(".")
    return f"res{stage}_{index}_branch{'1' if kind == 'shortcut' else '2' + kind}_w"


def norm_blob(part: str) -> str:
    return "res_conv1_bn" if part == "stem" else conv_blob(part).removesuffix("_w") + "_bn"


def block_blob(place: tuple[int, int]) -> str:
    return f"nonlocal_conv{place[0]}_{place[1]}"


def blobs(
    *,
    i3d: bool = True,
    depth: int = 50,
    places: Places = FIVE,
    affine: bool = False,
    flat_head: bool = True,
    seed: int = 0,
) -> Blobs:
    """Return random blobs with the names and shapes of the originals."""
    make = Weights(seed)
    temporal: Mapping[int, tuple[int, ...]] = I3D if i3d else {}
    if i3d and depth == 101:
        temporal = {**I3D, 4: tuple(3 if i % 2 == 0 else 1 for i in range(23))}
    found: Blobs = {}

    def norm(prefix: str, values: tuple[Tensor, ...]) -> None:
        ends = ("s", "b") if affine else ("s", "b", "rm", "riv")
        found.update({f"{prefix}_{e}": v for e, v in zip(ends, values, strict=False)})

    for part, shape in shapes_of(depth, temporal, stem_kernel=5 if i3d else 1).items():
        found[conv_blob(part)] = make.kernel(*shape)
        norm(norm_blob(part), make.norm(shape[0], last=is_last(part, depth)))
    for stage, index in places:
        c = 512 if stage == 3 else 1024
        prefix = block_blob((stage, index))
        for name, size in (("theta", 0.1), ("phi", 0.1), ("g", 1.0)):
            found[f"{prefix}_{name}_w"] = make.linear(c // 2, c, 1, 1, 1) * size
            found[f"{prefix}_{name}_b"] = make.normal(c // 2, scale=0.1)
        found[f"{prefix}_out_w"] = make.linear(c, c // 2, 1, 1, 1) * (0.3 if affine else 1)
        found[f"{prefix}_out_b"] = make.normal(c, scale=0.1)
        if not affine:
            norm(f"{prefix}_bn", make.norm(c, last=True))
    found["pred_w"] = make.linear(CLASSES, 2048)
    if not flat_head:
        found["pred_w"] = found["pred_w"].view(CLASSES, 2048, 1, 1, 1)
    found["pred_b"] = make.normal(CLASSES, scale=0.1)
    return found


@cache
def example() -> Blobs:
    return blobs()


def write(path: Path, content: Mapping[str, Tensor]) -> Path:
    """Write a pickle as Python 2 and Caffe2 did, the state of the training included."""
    arrays = {name: tensor.numpy() for name, tensor in content.items()}
    small = {f"{n}_momentum": np.zeros(3, np.float32) for n in list(arrays)[:4]}
    state = {"lr": np.float32([0.01]), "model_iter": np.int64([400000])}
    path.write_bytes(python2_pickle({"blobs": {**arrays, **small, **state}}))
    return path


def written_to(folder: Path) -> Path:
    """Write a file as the original code does."""
    name = "i3d_nonlocal_8x8_IN_pretrain_400k.pkl"
    return write(folder / name, blobs())
