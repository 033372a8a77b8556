"""Whole networks of GluonCV, built by its own code, against the files that they save."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.families.references import noise
from tests.originals.importing import original
from tests.originals.stirring import assert_equal, differ, reloaded, stirred

SKIPPED = ("gluoncv", "gluoncv.torch", "gluoncv.torch.model_zoo",
           "gluoncv.torch.model_zoo.action_recognition")  # fmt: skip
I3D = ((1, 1, 1), (1, 0, 1, 0), (1, 0, 1, 0, 1, 0), (0, 1, 0))
ODD = ((0, 0, 0), (0, 1, 0, 1), (0, 1, 0, 1, 0, 1), (0, 0, 0))
ALL = ((0, 0, 0), (1, 1, 1, 1), (1, 1, 1, 1, 1, 1), (0, 0, 0))


@pytest.mark.parametrize(("places", "blocks"), [(ODD, 5), (ALL, 10)])
def test_the_whole_network(
    tmp_path: Path, places: tuple[tuple[int, ...], ...], blocks: int
) -> None:
    code = original(f"{SKIPPED[-1]}.i3d_resnet", skipping=SKIPPED)
    theirs = code.I3D_ResNetV1(
        num_classes=11, depth=50, out_indices=[3], inflate_freq=I3D,
        pretrained=True,  # downloads nothing here, but keeps it from inflating
        nonlocal_stages=(1, 2), nonlocal_cfg={"nonlocal_type": "gaussian"}, nonlocal_freq=places,
    )  # fmt: skip
    state = stirred(theirs, seed=blocks)
    path = tmp_path / f"i3d_nl{blocks}_resnet50_v1_kinetics400.pth"
    ours, report = reloaded(state, path)
    assert report.family == "gluoncv"
    assert len(report.blocks) == blocks
    x = noise(1, 3, 8, 49, 64).double()
    with torch.no_grad():
        expected = theirs.double().eval()(x)
        assert_equal(ours.double()(x), expected)
        for flag in ({"scale": False}, {"pairwise": "dot_product"}, {"key_pool": 2}):
            other, _ = reloaded(state, path, **flag)
            assert differ(other.double()(x), expected), flag
