"""One file of each family as its own code writes it, with random weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from tests.families import test_alexhex7_files as test_alexhex7
from tests.families import test_caffe2, test_gluoncv, test_mit_tsm, test_slowfast, test_tushar_n
from tests.families import test_open_mmlab as test_mmaction2
from tests.families import test_tea1528_files as test_tea1528
from tests.families.references import I3D
from tests.families.timm import test_checkpoint as test_timm_vit
from tests.families.torch_names import state_of


def caffe2(folder: Path) -> Path:
    name = "i3d_nonlocal_8x8_IN_pretrain_400k.pkl"
    return test_caffe2.write(folder / name, test_caffe2.blobs())


def mmaction2(folder: Path) -> Path:
    names, places = test_mmaction2.plain(), test_mmaction2.ODD
    state = state_of(names, places=places, temporal=I3D, stem_kernel=5)
    path = folder / test_mmaction2.I3D_FILE.format("embedded-gaussian")
    torch.save({"meta": {"epoch": 100}, "state_dict": state}, path)
    return path


def mit_tsm(folder: Path) -> Path:
    state = state_of(test_mit_tsm.NAMES, places=test_mit_tsm.PLACES, flat=True)
    path = folder / test_mit_tsm.FILE
    saved = {"epoch": 100, "state_dict": state, "best_prec1": 75.6}
    torch.save(saved, path, _use_new_zipfile_serialization=False)
    return path


def gluoncv(folder: Path) -> Path:
    names, places = test_gluoncv.NAMES, test_gluoncv.FIVE
    state = state_of(names, places=places, temporal=I3D, stem_kernel=5)
    path = folder / "i3d_nl5_resnet50_v1_kinetics400-9df1e103.pth"
    torch.save(test_gluoncv.with_second_names(state), path)
    return path


def slowfast(folder: Path) -> Path:
    names, places = test_slowfast.NAMES, test_slowfast.FIVE
    state = state_of(names, places=places, temporal=I3D, stem_kernel=5)
    path = folder / test_slowfast.FILE
    cfg = test_slowfast.config("i3d", "softmax", 8, 8)
    torch.save(test_slowfast.written(state, cfg), path)
    return path


def tushar_n(folder: Path) -> Path:
    names, places = test_tushar_n.NAMES, test_tushar_n.FIVE
    path = folder / test_tushar_n.FILE
    torch.save(state_of(names, places=places, temporal=I3D, stem_kernel=5), path)
    return path


def alexhex7(folder: Path) -> Path:
    path = folder / "net.pth"
    torch.save(test_alexhex7.digits("concatenation"), path)
    return path


def tea1528(folder: Path) -> Path:
    path = folder / "ckpt.t7"
    torch.save({"net": test_tea1528.state_of("dot_product"), "acc": 93.5, "epoch": 180}, path)
    return path


def timm_vit(folder: Path) -> Path:
    path = folder / "dino_deitsmall8_pretrain_full_checkpoint.pth"
    teacher = {f"backbone.{k}": v for k, v in test_timm_vit.state_of("dino").items()}
    torch.save({"teacher": teacher, "epoch": 100}, path)
    return path


WRITERS: dict[str, Callable[[Path], Path]] = {
    "caffe2": caffe2,
    "open-mmlab": mmaction2,
    "mit-tsm": mit_tsm,
    "gluoncv": gluoncv,
    "slowfast": slowfast,
    "tushar-n": tushar_n,
    "alexhex7": alexhex7,
    "tea1528": tea1528,
    "timm-vit": timm_vit,
}
