"""Files of mmaction2 against the same computed from their own names."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nlviz.errors import WeightsMismatch
from nlviz.zoo.checkpoints import inspect_checkpoint, load_checkpoint
from tests.families.references import I3D, SLOW_ONLY, assert_same, differs, noise
from tests.families.torch_names import doubled, in_memory, network_of, state_of
from tests.families.writers.open_mmlab import (
    DENSE,
    EVEN,
    I3D_FILE,
    ODD,
    SLOW_FILE,
    TSM_FILE,
    plain,
    wrapped,
)

pytestmark = pytest.mark.slow


@pytest.mark.slow
@pytest.mark.parametrize(
    ("word", "mode"),
    [
        ("dot-product", "dot_product"),
        ("embedded-gaussian", "embedded_gaussian"),
        ("gaussian", "gaussian"),
    ],
)
def test_i3d_from_a_file(tmp_path: Path, word: str, mode: str) -> None:
    names = plain()
    state = state_of(names, places=ODD, temporal=I3D, stem_kernel=5, mode=mode)
    path = tmp_path / I3D_FILE.format(word)
    torch.save({"meta": {"epoch": 100, "mmengine_version": "0.4"}, "state_dict": state}, path)
    net, report = load_checkpoint(path)
    assert report.complete
    assert report.family == "open-mmlab"
    assert report.architecture == "I3D R50 with 5 non-local blocks"
    assert [b.name for b in report.blocks] == [f"res{s}.{i}" for s, i in ODD]
    assert {b.pairwise for b in report.blocks} == {mode}
    assert report.flags["pairwise"].origin == ("key" if mode == "gaussian" else "file name")
    assert sum("zeros" in why for why in report.filled.values()) == 5
    block = {"mode": mode, "scale": False, "pool_first": False}
    x = noise(1, 3, 16, 34, 46)
    if mode != "embedded_gaussian":
        net, state, x = net.double(), doubled(state), x.double()
    assert_same(net, network_of(names, state, places=ODD, block=block, **DENSE), x)
    if mode == "embedded_gaussian":
        for other in ({"pool_first": True}, {"scale": True}, {"mode": "dot_product"}):
            changed = network_of(names, state, places=ODD, block={**block, **other}, **DENSE)
            assert differs(net, changed, x)


def test_slow_only_scales_its_logits() -> None:
    names = plain()
    state = state_of(names, places=EVEN, temporal=SLOW_ONLY, seed=1)
    net, report = load_checkpoint(in_memory(state, SLOW_FILE))
    assert report.architecture == "SlowOnly R50 with 5 non-local blocks"
    assert report.input_spec is not None
    assert (report.input_spec.frames, report.input_spec.stride) == (8, 8)
    block = {"pool_first": False}
    x = noise(1, 3, 3, 46, 34)
    assert_same(net, network_of(names, state, places=EVEN, block=block), x)
    unscaled, _ = load_checkpoint(in_memory(state, SLOW_FILE), scale=False)
    assert differs(unscaled, network_of(names, state, places=EVEN, block=block), x)


@pytest.mark.parametrize("mode", ["dot_product", "gaussian"])
def test_tsm_shifts_and_wraps(mode: str) -> None:
    names = wrapped(EVEN)
    state = state_of(names, places=EVEN, flat=True, mode=mode, seed=2)
    net, report = load_checkpoint(in_memory(state, TSM_FILE.format(mode.replace("_", "-"))))
    assert report.complete
    assert report.architecture == "TSM R50 with 5 non-local blocks"
    assert report.flags["shift"].value is True
    block = {"mode": mode, "scale": False, "pool_first": False}
    net, state, x = net.double(), doubled(state), noise(1, 3, 5, 34, 46).double()
    assert_same(net, network_of(names, state, places=EVEN, block=block, shift=8), x)
    assert differs(net, network_of(names, state, places=EVEN, block=block), x)


def test_a_renamed_key_and_a_shifted_block_are_noticed() -> None:
    names = plain()
    state = state_of(names, places=EVEN, temporal=SLOW_ONLY, seed=1)
    key = "backbone.layer2.2.non_local_block.theta.conv.weight"
    renamed = {("backbone.layer2.2.x" if k == key else k): v for k, v in state.items()}
    report = inspect_checkpoint(in_memory(renamed, SLOW_FILE))
    assert "backbone.layer2.2.x" in report.unexpected
    assert not report.complete
    with pytest.raises(WeightsMismatch):
        load_checkpoint(in_memory(renamed, SLOW_FILE))
    moved = {
        k.replace("layer2.2.non_local_block", "layer2.1.non_local_block"): v
        for k, v in state.items()
    }
    net, report = load_checkpoint(in_memory(moved, SLOW_FILE))
    assert [b.name for b in report.blocks][1] == "res3.1"
    ours = network_of(names, state, places=EVEN, block={"pool_first": False})
    assert differs(net, ours, noise(1, 3, 3, 46, 34))


def test_a_detector_of_actions_has_its_blocks_and_no_head() -> None:
    names = plain()
    state = state_of(names, places=EVEN, temporal=SLOW_ONLY, seed=1)
    del state["cls_head.fc_cls.weight"], state["cls_head.fc_cls.bias"]
    state["roi_head.bbox_head.fc_cls.weight"] = noise(81, 2048)
    net, report = load_checkpoint(in_memory(state, "slowonly_r50-nl_4x16x1-20e_ava21.pth"))
    assert report.complete
    assert list(report.dropped) == ["roi_head.bbox_head.fc_cls.weight"]
    assert report.trained_for == "action detection on AVA"
    with torch.no_grad():
        assert net(noise(1, 3, 2, 34, 46)).shape == (1, 2048, 2, 2, 2)
