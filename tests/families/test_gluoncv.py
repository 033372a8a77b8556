"""Files of GluonCV's torch networks against the same computed from their own names."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nlviz.zoo.checkpoints import inspect_checkpoint, load_checkpoint
from tests.families.references import I3D, Places, assert_same, differs, noise
from tests.families.torch_names import in_memory, network_of, state_of
from tests.families.writers.gluoncv import (
    BLOCK,
    DENSE,
    FIVE,
    NAMES,
    TEN,
    with_second_names,
)

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("blocks", "places"), [(5, FIVE), (10, TEN)])
def test_files_of_the_model_zoo(tmp_path: Path, blocks: int, places: Places) -> None:
    state = state_of(NAMES, places=places, temporal=I3D, stem_kernel=5, seed=blocks)
    path = tmp_path / f"i3d_nl{blocks}_resnet50_v1_kinetics400-9df1e103.pth"
    torch.save(with_second_names(state), path)
    net, report = load_checkpoint(path)
    assert report.complete
    assert report.family == "gluoncv"
    assert report.architecture == f"I3D R50 with {blocks} non-local blocks"
    assert len(report.dropped) == blocks * 7 + 2
    assert report.matched == len(state)
    assert any("calls these blocks gaussian" in w for w in report.warnings)
    x = noise(1, 3, 8, 34, 46)
    ours = network_of(NAMES, state, places=places, block=BLOCK, **DENSE)
    assert_same(net, ours, x)
    for wrong in ({"scale": False}, {"pool": (1, 2, 2)}, {"mode": "dot_product"}):
        changed = network_of(NAMES, state, places=places, block={**BLOCK, **wrong}, **DENSE)
        assert differs(net, changed, x)


def test_flags_are_the_users_when_asked_for() -> None:
    state = state_of(NAMES, places=FIVE, temporal=I3D, stem_kernel=5)
    file = in_memory(state, "i3d_nl5_resnet50_v1_kinetics400.pth", "")
    net, report = load_checkpoint(file, pairwise="dot_product", key_pool=2)
    assert report.flags["pairwise"].origin == report.flags["key_pool"].origin == "user"
    block = {"mode": "dot_product", "pool": (1, 2, 2), "pool_first": True}
    ours = network_of(NAMES, state, places=FIVE, block=block, **DENSE)
    assert_same(net, ours, noise(1, 3, 8, 34, 46))


def test_renamed_and_moved_keys_are_noticed() -> None:
    state = state_of(NAMES, places=FIVE, temporal=I3D, stem_kernel=5)
    name = "i3d_nl5_resnet50_v1_kinetics400.pth"
    moved = {k.replace("2.5.nonlocal", "2.4.nonlocal"): v for k, v in state.items()}
    net, report = load_checkpoint(in_memory(moved, name, ""))
    assert report.blocks[-1].name == "res4.4"
    ours = network_of(NAMES, state, places=FIVE, block=BLOCK, **DENSE)
    assert differs(net, ours, noise(1, 3, 8, 34, 46))
    state["res_layers.1.1.nonlocal_block.key.weight"] = state.pop(
        "res_layers.1.1.nonlocal_block.phi.weight"
    )
    report = inspect_checkpoint(in_memory(state, name, ""))
    assert report.unexpected == ("res_layers.1.1.nonlocal_block.key.weight",)
    assert report.missing == ("res3.1.nl.phi.weight",)


def test_a_name_that_says_non_local_without_blocks() -> None:
    state = state_of(NAMES, places=(), temporal=I3D, stem_kernel=5)
    report = inspect_checkpoint(in_memory(state, "i3d_nl5_resnet50_v1_kinetics400.pth", ""))
    assert any("says non-local" in w for w in report.warnings)


def test_a_classifier_that_is_one_number_is_told() -> None:
    state = state_of(NAMES, places=FIVE, temporal=I3D, stem_kernel=5)
    state["fc.weight"] = torch.tensor(3.0)
    file = in_memory(state, "i3d_nl5_resnet50_v1_kinetics400.pth", "")
    assert any("must be a kernel" in w for w in inspect_checkpoint(file).warnings)
