"""Files of Tushar-N's conversions against the same computed from their own names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from nlviz.errors import WeightsMismatch
from nlviz.zoo.checkpoints import inspect_checkpoint, load_checkpoint
from tests.families.references import I3D, Places, assert_same, differs, noise
from tests.families.torch_names import State, doubled, in_memory, network_of, state_of
from tests.families.writers.tushar_n import FILE, FIVE, NAMES, STEM

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def state() -> State:
    return state_of(NAMES, places=FIVE, temporal=I3D, stem_kernel=5)


@pytest.mark.slow
def test_i3d_of_32_frames_from_a_file(state: State, tmp_path: Path) -> None:
    """An odd map of the stem gives another number of cells with padding than without."""
    torch.save(state, tmp_path / FILE)
    net, report = load_checkpoint(tmp_path / FILE)
    assert report.complete
    assert report.matched == len(state)
    assert (report.family, report.container) == ("tushar-n", "torch zip")
    assert report.architecture == "I3D R50 with 5 non-local blocks"
    assert [b.name for b in report.blocks] == [f"res{s}.{i}" for s, i in FIVE]
    assert {b.pairwise for b in report.blocks} == {"embedded_gaussian"}
    assert {f.origin for f in report.flags.values()} == {"preset"}
    assert any("pairwise='dot_product'" in w for w in report.warnings)
    assert report.input_spec is not None
    assert (report.input_spec.frames, report.input_spec.stride) == (32, 2)
    assert report.input_spec.mean == (114.75,) * 3
    assert report.labels == "kinetics400"
    x = noise(1, 3, 16, 34, 46)
    assert_same(net, network_of(NAMES, state, places=FIVE, **STEM), x)
    for block in ({"pool_first": False}, {"scale": False}, {"pool": None}):
        assert differs(net, network_of(NAMES, state, places=FIVE, block=block, **STEM), x)
    for other in ({"pad": 1}, {"pool1": (1, 2)}, {"pool2": None}):
        assert differs(net, network_of(NAMES, state, places=FIVE, **{**STEM, **other}), x)


def test_dot_products_on_the_users_word(state: State) -> None:
    net, report = load_checkpoint(in_memory(state, FILE), pairwise="dot_product")
    assert "scale" not in report.flags
    net, ours, x = net.double(), doubled(state), noise(1, 3, 18, 46, 34).double()
    dot = {"mode": "dot_product"}
    assert_same(net, network_of(NAMES, ours, places=FIVE, block=dot, **STEM), x)
    assert differs(net, network_of(NAMES, ours, places=FIVE, **STEM), x)


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("scale", False),
        ("pool_first", False),
        ("key_pool", 1),
        ("stem_stride", 1),
        ("pool1_kernel", 1),
        ("pool1_stride", 1),
        ("pool1_pad", 1),
        ("pool2", 1),
    ],
)
def test_each_flag_changes_what_is_computed(state: State, flag: str, value: object) -> None:
    net, report = load_checkpoint(in_memory(state, FILE), **{flag: value})
    assert (report.flags[flag].value, report.flags[flag].origin) == (value, "user")
    ours = network_of(NAMES, state, places=FIVE, **STEM)
    assert differs(net, ours, noise(1, 3, 16, 34, 46))


@pytest.mark.parametrize("places", [((3, 2),), ((3, 0), (4, 2), (4, 4))], ids=len)
def test_blocks_stand_where_their_keys_say(places: Places) -> None:
    own = state_of(NAMES, places=places, temporal=I3D, stem_kernel=5, seed=2)
    wrapped = {f"module.{k}": v for k, v in own.items()}
    net, report = load_checkpoint(in_memory(wrapped, FILE))
    assert [b.name for b in report.blocks] == [f"res{s}.{i}" for s, i in places]
    assert_same(net, network_of(NAMES, own, places=places, **STEM), noise(1, 3, 8, 34, 46))


def moved(state: State) -> State:
    return {k.replace("layer2.1.nl", "layer2.2.nl"): v for k, v in state.items()}


def swapped(state: State) -> State:
    one, other = (f"layer3.3.nl.{part}.weight" for part in ("theta", "g"))
    return {**state, one: state[other], other: state[one]}


@pytest.mark.parametrize("change", [moved, swapped])
def test_other_names_are_another_network(state: State, change: Callable[[State], State]) -> None:
    net, report = load_checkpoint(in_memory(change(state), FILE))
    assert report.complete
    assert (report.blocks[0].name == "res3.2") == (change is moved)
    ours = network_of(NAMES, state, places=FIVE, **STEM)
    assert differs(net, ours, noise(1, 3, 16, 34, 46))


@pytest.mark.parametrize(
    ("gone", "told"),
    [
        ("layer3.1.nl.theta.bias", "res4.1.nl.theta.bias"),
        ("layer2.0.downsample.1.running_var", "res3.0.shortcut_bn.running_var"),
        ("fc.bias", "head.bias"),
    ],
)
def test_a_renamed_key_is_missed(state: State, gone: str, told: str) -> None:
    renamed = {("renamed" if k == gone else k): v for k, v in state.items()}
    report = inspect_checkpoint(in_memory(renamed, FILE))
    assert report.unexpected == ("renamed",)
    assert report.missing == (told,)
    with pytest.raises(WeightsMismatch, match=told.replace(".", r"\.")):
        load_checkpoint(in_memory(renamed, FILE))


def test_without_blocks_in_time_it_is_not_this_family(state: State) -> None:
    trunk = {k: v for k, v in state.items() if ".nl." not in k}
    assert inspect_checkpoint(in_memory(trunk, FILE)).family != "tushar-n"
    flat = {k: v[..., 0] if v.dim() == 5 else v for k, v in state.items()}
    assert inspect_checkpoint(in_memory(flat, FILE)).family != "tushar-n"
