"""Files of SlowFast's own training against the same computed from their own names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from nlviz.errors import WeightsMismatch
from nlviz.zoo.checkpoints import inspect_checkpoint, load_checkpoint
from tests.families.references import I3D, SLOW_ONLY, assert_same, differs, noise
from tests.families.torch_names import State, doubled, network_of, state_of
from tests.families.writers.slowfast import (
    DOT,
    FILE,
    FIVE,
    NAMES,
    config,
    in_memory,
    written,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def slow() -> State:
    return state_of(NAMES, places=FIVE, temporal=SLOW_ONLY, seed=1)


@pytest.mark.slow
def test_i3d_from_a_file(tmp_path: Path) -> None:
    state = state_of(NAMES, places=FIVE, temporal=I3D, stem_kernel=5)
    torch.save(written(state, config("i3d", "softmax", 8, 8)), tmp_path / FILE)
    net, report = load_checkpoint(tmp_path / FILE)
    assert report.complete
    assert report.matched == len(state)
    assert (report.family, report.container) == ("slowfast", "torch zip")
    assert "configuration" in report.recognised_by
    assert report.architecture == "I3D R50 with 5 non-local blocks"
    assert [b.name for b in report.blocks] == [f"res{s}.{i}" for s, i in FIVE]
    assert [(b.channels, b.inner) for b in report.blocks][1:3] == [(512, 256), (1024, 512)]
    assert {b.pairwise for b in report.blocks} == {"embedded_gaussian"}
    for flag, value in (("pairwise", "embedded_gaussian"), ("pool2", 2), ("key_pool", 2)):
        assert (report.flags[flag].value, report.flags[flag].origin) == (value, "config")
    assert report.input_spec is not None
    assert (report.input_spec.frames, report.input_spec.stride) == (8, 8)
    assert report.input_spec.mean == pytest.approx((114.75,) * 3)
    assert not report.warnings
    x = noise(1, 3, 6, 34, 46)
    assert_same(net, network_of(NAMES, state, places=FIVE, pool2=2), x)
    for other in ({"pool_first": False}, {"scale": False}, DOT, {"pool": None}):
        assert differs(net, network_of(NAMES, state, places=FIVE, pool2=2, block=other), x)
    for trunk in ({"pool2": None}, {"pool2": 2, "pad": 0}):
        assert differs(net, network_of(NAMES, state, places=FIVE, **trunk), x)


@pytest.mark.parametrize(
    ("said", "mode"), [("softmax", "embedded_gaussian"), ("dot_product", "dot_product")]
)
def test_c2d_as_its_configuration_says(said: str, mode: str) -> None:
    state = state_of(NAMES, places=FIVE, seed=2)
    net, report = load_checkpoint(in_memory(state, config("c2d", said, 8, 8)))
    assert report.complete
    assert report.architecture == "C2D R50 with 5 non-local blocks"
    assert (report.flags["pairwise"].value, report.flags["pairwise"].origin) == (mode, "config")
    net, state, x = net.double(), doubled(state), noise(1, 3, 4, 46, 34).double()
    assert_same(net, network_of(NAMES, state, places=FIVE, pool2=2, block={"mode": mode}), x)
    other = {"mode": "dot_product" if mode == "embedded_gaussian" else "embedded_gaussian"}
    assert differs(net, network_of(NAMES, state, places=FIVE, pool2=2, block=other), x)


def test_slow_divides_its_dot_products(slow: State) -> None:
    net, report = load_checkpoint(in_memory(slow, config("slow", "dot_product", 4, 16)))
    assert report.complete
    assert report.architecture == "SlowOnly R50 with 5 non-local blocks"
    assert "scale" not in report.flags
    assert (report.flags["pool2"].value, report.flags["pool2"].origin) == (1, "config")
    assert report.input_spec is not None
    assert (report.input_spec.frames, report.input_spec.stride) == (4, 16)
    net, state, x = net.double(), doubled(slow), noise(1, 3, 3, 34, 46).double()
    assert_same(net, network_of(NAMES, state, places=FIVE, block=DOT), x)
    assert differs(net, network_of(NAMES, state, places=FIVE), x)


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("pairwise", "dot_product"),
        ("scale", False),
        ("pool_first", False),
        ("key_pool", 1),
        ("frames_per_group", 1),
        ("stem_stride", 2),
        ("pool1_kernel", 2),
        ("pool1_stride", 2),
        ("pool1_pad", 0),
        ("pool2", 2),
    ],
)
def test_a_flag_of_the_user_goes_before_the_configuration(
    slow: State, flag: str, value: object
) -> None:
    cfg = config("slow", "softmax", 8, 8)
    net, report = load_checkpoint(in_memory(slow, cfg), **{flag: value})
    assert (report.flags[flag].value, report.flags[flag].origin) == (value, "user")
    assert differs(net, network_of(NAMES, slow, places=FIVE), noise(1, 3, 4, 34, 46))


def test_without_a_configuration_the_mode_is_the_familys_habit_and_told(slow: State) -> None:
    report = inspect_checkpoint(in_memory(slow))
    assert report.flags["pairwise"].value == "dot_product"
    assert report.flags["pairwise"].origin == "preset"
    assert "configuration" not in report.recognised_by
    assert any("pairwise='embedded_gaussian'" in w for w in report.warnings)
    c2d = state_of(NAMES, places=((3, 1),), seed=2)
    report = inspect_checkpoint(in_memory(c2d))
    assert report.flags["pairwise"].value == "embedded_gaussian"
    assert report.flags["pool2"].value == 2
    report = inspect_checkpoint(in_memory(c2d, name="C2D_NOPOOL_8x8_R50.pyth"))
    assert (report.flags["pool2"].value, report.flags["pool2"].origin) == (1, "file name")


@pytest.mark.parametrize("cfg", ["a: [1", "just words", "- 1\n- 2\n", "DATA: 3\nNONLOCAL: []"])
def test_a_configuration_that_says_nothing_counts_as_none(slow: State, cfg: str) -> None:
    report = inspect_checkpoint(in_memory(slow, cfg))
    assert report.complete
    assert report.flags["pairwise"].origin == "preset"


def test_groups_of_frames_in_res3_see_only_each_other(slow: State) -> None:
    cfg = config("slow", "softmax", 6, 8, NONLOCAL={"GROUP": [[1], [2], [1], [1]]})
    net, report = load_checkpoint(in_memory(slow, cfg))
    flag = report.flags["frames_per_group"]
    assert (flag.value, flag.origin) == (3, "config")
    x = noise(1, 3, 6, 34, 46)
    ours = network_of(NAMES, slow, places=FIVE)
    assert differs(net, ours, x)
    for (stage, _), block in ours.blocks.items():
        block.group = 3 if stage == 3 else None  # type: ignore[attr-defined]
    assert_same(net, ours, x)


def test_keys_that_are_not_pooled(slow: State) -> None:
    cfg = config("slow", "softmax", 8, 8, NONLOCAL={"POOL": [[[1, 1, 1]]] * 4})
    net, report = load_checkpoint(in_memory(slow, cfg))
    assert (report.flags["key_pool"].value, report.flags["key_pool"].origin) == (1, "config")
    x = noise(1, 3, 2, 34, 46)
    assert_same(net, network_of(NAMES, slow, places=FIVE, block={"pool": None}), x)
    assert differs(net, network_of(NAMES, slow, places=FIVE), x)


@pytest.mark.parametrize(
    ("section", "name", "value", "told"),
    [
        ("RESNET", "SPATIAL_STRIDES", [[1], [2], [2], [1]], "RESNET.SPATIAL_STRIDES"),
        ("RESNET", "SPATIAL_DILATIONS", [[1], [1], [1], [2]], "RESNET.SPATIAL_DILATIONS"),
        ("RESNET", "STRIDE_1X1", True, "RESNET.STRIDE_1X1 True"),
        ("DETECTION", "ENABLE", True, "DETECTION.ENABLE"),
        ("NONLOCAL", "GROUP", [[1], [1], [2], [1]], "only res3 can have groups"),
        ("NONLOCAL", "POOL", [[[1, 2, 2]]] * 2 + [[[1, 1, 1]]] * 2, "pools the keys"),
        ("NONLOCAL", "POOL", [[[2, 2, 2]]] * 4, "pools the keys"),
        ("NONLOCAL", "POOL", [[[1, "two", "two"]]] * 4, "pools the keys"),
        ("NONLOCAL", "POOL", [[[1, 0, 0]]] * 4, "pools the keys"),
    ],
)
def test_what_the_weights_do_not_show_is_refused(
    slow: State, section: str, name: str, value: object, told: str
) -> None:
    cfg = config("slow", "softmax", 8, 8, **{section: {name: value}})
    with pytest.raises(WeightsMismatch, match=told):
        load_checkpoint(in_memory(slow, cfg))
    report = inspect_checkpoint(in_memory(slow, cfg))
    assert not report.complete
    assert told in report.warnings[0]


def test_a_renamed_key_is_missed(slow: State) -> None:
    key = "s3.pathway0_nonlocal1.conv_theta.weight"
    renamed = {("s3.pathway0_nonlocal1.theta" if k == key else k): v for k, v in slow.items()}
    cfg = config("slow", "softmax", 8, 8)
    report = inspect_checkpoint(in_memory(renamed, cfg))
    assert report.unexpected == ("s3.pathway0_nonlocal1.theta",)
    assert not report.complete
    with pytest.raises(WeightsMismatch):
        load_checkpoint(in_memory(renamed, cfg))
    beyond = {
        k.replace("nonlocal3", "nonlocal4", 1) if k[1] == "3" else k: v for k, v in slow.items()
    }
    report = inspect_checkpoint(in_memory(beyond, cfg))
    assert report.warnings[0].startswith("A non-local block of R50 stands behind")
    with pytest.raises(WeightsMismatch, match=r"got res3\.4"):
        load_checkpoint(in_memory(beyond, cfg))
    gone = {k: v for k, v in slow.items() if k != "s2.pathway0_res1.branch2.b_bn.running_var"}
    assert inspect_checkpoint(in_memory(gone, cfg)).missing == ("res2.1.b_bn.running_var",)


def moved(state: State) -> State:
    return {
        k.replace("s3.pathway0_nonlocal1", "s3.pathway0_nonlocal2"): v for k, v in state.items()
    }


def swapped(state: State) -> State:
    one, other = (f"s4.pathway0_nonlocal3.conv_{p}.weight" for p in ("theta", "g"))
    return {**state, one: state[other], other: state[one]}


@pytest.mark.parametrize("change", [moved, swapped])
def test_other_names_are_another_network(slow: State, change: Callable[[State], State]) -> None:
    cfg = config("slow", "softmax", 8, 8)
    ours, x = network_of(NAMES, slow, places=FIVE), noise(1, 3, 2, 46, 34)
    net, _ = load_checkpoint(in_memory(slow, cfg))
    assert_same(net, ours, x)
    net, report = load_checkpoint(in_memory(change(slow), cfg))
    assert report.complete
    assert (report.blocks[0].name == "res3.2") == (change is moved)
    assert differs(net, ours, x)


def test_an_instantiation_that_is_not_known_is_not_taken_for_another(slow: State) -> None:
    report = inspect_checkpoint(in_memory(slow, config("slow", "gaussian", 8, 8)))
    assert report.flags["pairwise"].origin == "preset"
    assert any("pairwise='embedded_gaussian'" in w for w in report.warnings)


def test_colours_are_told_as_the_configuration_says(slow: State) -> None:
    def seen(**data: object) -> tuple[object, str, bool]:
        report = inspect_checkpoint(in_memory(slow, config("slow", "softmax", 8, 8, DATA=data)))
        assert report.input_spec is not None
        spec = (*report.input_spec.mean, *report.input_spec.std)
        return spec, report.input_note, any("took blue before" in w for w in report.warnings)

    usual = (114.75,) * 3 + (57.375,) * 3
    assert seen()[0] == usual
    assert "(value / 255 - 0.45) / 0.225, 8 frames" in seen()[1]
    spec, note, _ = seen(MEAN=[0.5, 0.4, 0.3], STD=[0.2, 0.2, 0.2])
    assert spec == (127.5, 102.0, 76.5, 51.0, 51.0, 51.0)
    assert "(value / 255 - (0.5, 0.4, 0.3)) / 0.2, 8 frames" in note
    assert seen(MEAN=[float("nan")] * 3, STD=[0.2, 0.0, 0.2])[0] == usual
    assert not seen()[2]
    assert seen(REVERSE_INPUT_CHANNEL=True)[2]


@pytest.mark.parametrize(
    ("name", "frames", "stride"), [("SLOW_4x16_R50.pyth", 4, 16), ("SLOW_4x0_R50.pyth", 8, 8)]
)
def test_frames_and_stride_of_a_name(slow: State, name: str, frames: int, stride: int) -> None:
    report = inspect_checkpoint(in_memory(slow, name=name))
    assert (report.flags["frames"].value, report.flags["stride"].value) == (frames, stride)
    assert "alpha" not in report.flags
