"""Files of TSM's own code against the same computed from their own names."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nlviz.zoo.checkpoints import inspect_checkpoint, load_checkpoint
from tests.families.references import assert_same, differs, noise
from tests.families.torch_names import in_memory, network_of, state_of
from tests.families.writers.mit_tsm import BLOCK, FILE, NAMES, PLACES

pytestmark = pytest.mark.slow


@pytest.mark.slow
@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_of_the_authors(tmp_path: Path, zipped: bool) -> None:
    state = state_of(NAMES, places=PLACES, flat=True)
    path = tmp_path / FILE
    torch.save(
        {"epoch": 100, "arch": "resnet50", "state_dict": state, "best_prec1": 75.6},
        path,
        _use_new_zipfile_serialization=zipped,
    )
    net, report = load_checkpoint(path)
    assert report.complete
    assert report.family == "mit-tsm"
    assert report.container == ("torch zip" if zipped else "torch legacy")
    assert report.architecture == "TSM R50 with 5 non-local blocks"
    assert [b.name for b in report.blocks] == [f"res{s}.{i}" for s, i in PLACES]
    assert not report.filled or all("counter" in why for why in report.filled.values())
    x = noise(1, 3, 5, 34, 46)
    ours = network_of(NAMES, state, places=PLACES, block=BLOCK, shift=8)
    assert_same(net, ours, x)
    for wrong in ({"scale": True}, {"pool_first": True}):
        changed = network_of(NAMES, state, places=PLACES, block={**BLOCK, **wrong}, shift=8)
        assert differs(net, changed, x)
    assert differs(net, network_of(NAMES, state, places=PLACES, block=BLOCK), x)
    unshifted, _ = load_checkpoint(path, shift=False)
    assert_same(unshifted, network_of(NAMES, state, places=PLACES, block=BLOCK), x)


def test_a_renamed_key_is_named() -> None:
    state = state_of(NAMES, places=PLACES, flat=True)
    key = "module.base_model.layer3.4.nl.W.1.running_var"
    state["module.base_model.layer3.4.nl.W.1.variance"] = state.pop(key)
    report = inspect_checkpoint(in_memory(state, FILE))
    assert report.unexpected == () or "layer3.4.nl.W.1.variance" in report.unexpected[0]
    assert "res4.4.nl.bn.running_var" in report.missing
    assert any("statistics" in w for w in report.warnings)


def test_a_block_one_position_further_is_another_network() -> None:
    state = state_of(NAMES, places=PLACES, flat=True)
    moved = {k.replace("layer3.4.nl.", "layer3.5.nl."): v for k, v in state.items()}
    net, report = load_checkpoint(in_memory(moved, FILE))
    assert report.blocks[-1].name == "res4.5"
    ours = network_of(NAMES, state, places=PLACES, block=BLOCK, shift=8)
    assert differs(net, ours, noise(1, 3, 5, 34, 46))
