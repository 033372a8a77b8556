"""Whole networks of mmaction2, built by its own code, against the files that they save."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.families.references import noise
from tests.originals.importing import original
from tests.originals.stirring import assert_equal, differ, reloaded, stirred

MODELS = ("mmaction.models", "mmaction.models.backbones", "mmaction.models.common",
          "mmaction.models.utils")  # fmt: skip
CLASSES = 11
ODD = ((0, 0, 0), (0, 1, 0, 1), (0, 1, 0, 1, 0, 1), (0, 0, 0))
EVEN = ((0, 0, 0), (1, 0, 1, 0), (1, 0, 1, 0, 1, 0), (0, 0, 0))
I3D = ((1, 1, 1), (1, 0, 1, 0), (1, 0, 1, 0, 1, 0), (0, 1, 0))


def block(mode: str, *, scale: bool) -> dict[str, Any]:
    return {"sub_sample": True, "use_scale": scale, "mode": mode, "norm_cfg": {"type": "BN3d"}}


def backbone(kind: str, mode: str) -> Any:
    """Return a network as mmaction2's own configuration files ask for it."""
    code = original(f"mmaction.models.backbones.{kind}", skipping=MODELS)
    if kind == "resnet3d":
        return code.ResNet3d(
            depth=50, pretrained2d=False, conv1_kernel=(5, 7, 7), conv1_stride_t=2,
            pool1_stride_t=2, inflate=I3D, zero_init_residual=False, non_local=ODD,
            non_local_cfg=block(mode, scale=False),
        )  # fmt: skip
    if kind == "resnet3d_slowonly":
        return code.ResNet3dSlowOnly(
            depth=50, pretrained=None, pretrained2d=False, lateral=False, conv1_kernel=(1, 7, 7),
            conv1_stride_t=1, pool1_stride_t=1, inflate=(0, 0, 1, 1), non_local=EVEN,
            non_local_cfg=block(mode, scale=True),
        )  # fmt: skip
    return code.ResNetTSM(
        depth=50, num_segments=8, shift_div=8, pretrained2d=False, non_local=EVEN,
        non_local_cfg=block(mode, scale=False),
    )  # fmt: skip


FILES = {
    "resnet3d": "i3d_imagenet-pretrained-r50-nl-{}_8xb8-32x2x1-100e_kinetics400-rgb.pth",
    "resnet3d_slowonly": "slowonly_imagenet-pretrained-r50-nl-{}_8xb16-8x8x1-150e_rgb.pth",
    "resnet_tsm": "tsm_imagenet-pretrained-r50-nl-{}_8xb16-1x1x8-50e_kinetics400-rgb.pth",
}


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        ("resnet3d", "embedded_gaussian"),
        ("resnet3d", "dot_product"),
        ("resnet3d", "gaussian"),
        ("resnet3d_slowonly", "embedded_gaussian"),
        ("resnet_tsm", "embedded_gaussian"),
        ("resnet_tsm", "dot_product"),
        ("resnet_tsm", "gaussian"),
    ],
)
def test_the_whole_network(tmp_path: Path, kind: str, mode: str) -> None:
    theirs = backbone(kind, mode)
    state = {f"backbone.{k}": v for k, v in stirred(theirs).items()}
    weight, bias = noise(CLASSES, 2048, seed=1), noise(CLASSES, seed=2)
    state |= {"cls_head.fc_cls.weight": weight, "cls_head.fc_cls.bias": bias}
    path = tmp_path / FILES[kind].format(mode.replace("_", "-"))
    ours, report = reloaded({"meta": {}, "state_dict": state}, path)
    assert report.family == "open-mmlab"
    assert len(report.blocks) == 5
    assert {b.pairwise for b in report.blocks} == {mode}
    tsm = kind == "resnet_tsm"
    x = noise(1, 3, 8, 49, 64).double()
    theirs, ours = theirs.double(), ours.double()
    theirs.eval()
    with torch.no_grad():
        z = theirs(x[0].transpose(0, 1) if tsm else x)
        pooled = z.mean((0, 2, 3)) if tsm else z.mean((0, 2, 3, 4))
        expected = (weight.double() @ pooled + bias.double())[None]
        assert_equal(ours(x), expected)
    if mode != "embedded_gaussian":
        return
    for flag, value in {"pool_first": True, "scale": not report.flags["scale"].value}.items():
        other, _ = reloaded({"state_dict": state}, path, **{flag: value})
        with torch.no_grad():
            assert differ(other.double()(x), expected), flag
