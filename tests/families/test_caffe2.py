"""Files of Caffe2's video networks against the same computed from their own blobs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from nlviz.errors import NlvizError, WeightsMismatch
from nlviz.zoo.checkpoints import inspect_checkpoint, load_checkpoint
from nlviz.zoo.files import Checkpoint
from tests.families.references import (
    Block,
    Net,
    Places,
    assert_close,
    assert_same,
    differs,
    noise,
    normalised,
)
from tests.families.writers.caffe2 import (
    R101,
    Blobs,
    blobs,
    block_blob,
    conv_blob,
    example,
    norm_blob,
    write,
)

pytestmark = pytest.mark.slow


def reference(content: Blobs, *, depth: int = 50, group: int | None = None, **trunk: Any) -> Net:
    """Return the network that video-nonlocal-net computes, straight from the blobs."""
    affine = "res_conv1_bn_rm" not in content

    def norm(x: Tensor, part: str) -> Tensor:
        s, b = (content[f"{norm_blob(part)}_{e}"].view(-1, 1, 1, 1) for e in "sb")
        if affine:
            return x * s + b
        return normalised(x, *(content[f"{norm_blob(part)}_{e}"] for e in ("s", "b", "rm", "riv")))

    places = sorted(
        (int(n.split("_")[1][-1]), int(n.split("_")[2])) for n in content if n.endswith("_g_w")
    )

    def block(place: tuple[int, int]) -> Block:
        p = block_blob(place)
        own = {
            k: (content[f"{p}_{k}_w"], content[f"{p}_{k}_b"]) for k in ("theta", "phi", "g", "out")
        }
        after = (
            tuple(content[f"{p}_bn_{e}"] for e in ("s", "b", "rm", "riv")) if not affine else None
        )
        return Block(**own, norm=after, group=group if place[0] == 3 else None)  # type: ignore[arg-type]

    return Net(
        depth,
        lambda part: content[conv_blob(part)],
        norm,
        (content["pred_w"], content["pred_b"]),
        {place: block(place) for place in places},
        pad=trunk.pop("pad", 0),
        **trunk,
    )


SHORT = {"stem_stride": 2, "pool1": (2, 2), "pool2": 2}
FAST = {"pool2": 2}


@pytest.fixture(scope="module")
def file_32x2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("caffe2")
    return write(folder / "i3d_nonlocal_32x2_IN_pretrain_400k.pkl", example())


def in_memory(content: Blobs, name: str = "i3d_nonlocal_32x2_IN_pretrain_400k.pkl") -> Checkpoint:
    return Checkpoint(Path(name), "caffe2 pickle", content, "blobs")


def test_i3d_of_32_frames_from_a_file(file_32x2: Path) -> None:
    net, report = load_checkpoint(file_32x2)
    assert report.complete
    assert report.family == "caffe2"
    assert report.container == "caffe2 pickle"
    assert report.architecture == "I3D R50 with 5 non-local blocks"
    assert [b.name for b in report.blocks] == ["res3.1", "res3.3", "res4.1", "res4.3", "res4.5"]
    assert report.matched == len(example())
    assert set(report.dropped) >= {"lr", "model_iter", "conv1_w_momentum"}
    assert report.flags["stem_stride"].value == 2
    assert report.flags["stem_stride"].origin == "file name"
    assert report.labels == "kinetics400"
    assert_same(net, reference(example(), **SHORT), noise(1, 3, 16, 34, 46))


def test_c2d_of_8_frames_from_a_file(tmp_path: Path) -> None:
    content = blobs(i3d=False, flat_head=False)
    net, report = load_checkpoint(
        write(tmp_path / "c2d_nonlocal_8x8_IN_pretrain_400k.pkl", content)
    )
    assert report.architecture == "C2D R50 with 5 non-local blocks"
    assert report.flags["pool1_stride"].value == 1
    assert_same(net, reference(content, **FAST), noise(1, 3, 6, 46, 34))


def test_long_clips_see_groups_of_four_frames_in_res3(tmp_path: Path) -> None:
    content = blobs(affine=True)
    path = write(tmp_path / "i3d_nonlocal_32x4_I3D_pretrain_400k.pkl", content)
    net, report = load_checkpoint(path)
    assert report.complete
    assert report.flags["affine"].value is True
    assert report.flags["frames_per_group"].value == 4
    assert any("folded" in why for why in report.filled.values())
    x = noise(1, 3, 16, 34, 46)  # 8 frames behind the pooling, two groups
    assert_same(net, reference(content, group=4, **FAST), x)
    assert differs(net, reference(content, **FAST), x)


def test_r101_and_its_places() -> None:
    content = blobs(depth=101, places=R101)
    net, report = load_checkpoint(in_memory(content, "i3d_r101_nonlocal_8x8.pkl"))
    assert report.architecture == "I3D R101 with 5 non-local blocks"
    assert [b.name for b in report.blocks] == [f"res{s}.{i}" for s, i in R101]
    assert_same(net, reference(content, depth=101, **FAST), noise(1, 3, 4, 34, 46))


def test_slowfasts_own_file_pads_the_first_pooling() -> None:
    """An odd map of the stem gives another number of cells with padding than without."""
    net, report = load_checkpoint(in_memory(example(), "I3D_NLN_8x8_R50.pkl"))
    assert report.flags["pool1_pad"].value == 1
    assert report.flags["pool1_pad"].origin == "file name"
    x = noise(1, 3, 4, 34, 46)
    assert_same(net, reference(example(), pad=1, **FAST), x)
    assert differs(net, reference(example(), **FAST), x)


@pytest.mark.parametrize("places", [(), ((4, 4),), tuple((3, i) for i in range(4))], ids=len)
def test_blocks_stand_where_their_keys_say(places: Places) -> None:
    content = blobs(i3d=False, places=places)
    net, report = load_checkpoint(in_memory(content, "c2d_8x8.pkl"))
    assert [b.name for b in report.blocks] == [f"res{s}.{i}" for s, i in places]
    assert_same(net, reference(content, **FAST), noise(1, 3, 2, 34, 46))


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("pairwise", "dot_product"),
        ("scale", False),
        ("pool_first", False),
        ("key_pool", 1),
        ("frames_per_group", 1),
        ("stem_stride", 1),
        ("pool1_kernel", 1),
        ("pool1_pad", 1),
        ("pool2", 1),
        ("stride", 8),
    ],
)
def test_each_flag_changes_what_is_computed(flag: str, value: object) -> None:
    net, report = load_checkpoint(in_memory(example()), **{flag: value})
    assert report.flags[flag].value == value
    assert report.flags[flag].origin == "user"
    assert differs(net, reference(example(), **SHORT), noise(1, 3, 16, 34, 46))


@pytest.mark.parametrize(
    ("flags", "change"),
    [
        ({"pairwise": "dot_product"}, {"mode": "dot_product"}),
        ({"scale": False}, {"scale": False}),
        ({"pool_first": False}, {"pool_first": False}),
        ({"key_pool": 1}, {"pool": None}),
    ],
    ids=["dot", "no scale", "pool last", "all keys"],
)
def test_flags_do_what_they_say(flags: dict[str, object], change: dict[str, object]) -> None:
    net, _ = load_checkpoint(in_memory(example()), **flags)
    ours = reference(example(), **SHORT)
    for block in ours.blocks.values():
        for name, value in change.items():
            setattr(block, name, value)
    assert_same(net, ours, noise(1, 3, 16, 34, 46))


def swapped(content: Blobs, one: str, other: str) -> Blobs:
    changed = dict(content)
    for end in ("_w", "_b"):
        changed[one + end], changed[other + end] = content[other + end], content[one + end]
    return changed


def moved(content: Blobs) -> Blobs:
    return {k.replace("nonlocal_conv3_1_", "nonlocal_conv3_2_"): v for k, v in content.items()}


@pytest.mark.parametrize(
    "change",
    [
        lambda c: swapped(c, "nonlocal_conv3_1_theta", "nonlocal_conv3_1_phi"),
        lambda c: swapped(c, "nonlocal_conv4_1_g", "nonlocal_conv4_3_g"),
        moved,
        lambda c: {**c, "res2_1_branch2b_w": c["res2_2_branch2b_w"]},
    ],
    ids=["theta for phi", "g of another block", "a block one place further", "a kernel twice"],
)
def test_other_names_are_another_network(change: Callable[[Blobs], Blobs]) -> None:
    net, _ = load_checkpoint(in_memory(change(example())))
    assert differs(net, reference(example(), **SHORT), noise(1, 3, 16, 34, 46))


@pytest.mark.parametrize(
    ("gone", "told"),
    [
        ("nonlocal_conv4_3_theta_b", "res4.3.nl.theta.bias"),
        ("res3_2_branch2c_bn_rm", "res3.2.c_bn.running_mean"),
        ("conv1_w", "stem.conv.weight"),
    ],
)
def test_a_key_that_is_renamed_is_missed(gone: str, told: str) -> None:
    content = {("renamed" if k == gone else k): v for k, v in example().items()}
    with pytest.raises(WeightsMismatch, match=told.replace(".", r"\.")) as caught:
        load_checkpoint(in_memory(content), family="caffe2")
    if gone != "conv1_w":
        assert "unexpected (renamed)" in str(caught.value)
    report = inspect_checkpoint(in_memory(content), family="caffe2")
    assert not report.complete
    assert "renamed" in report.unexpected


@pytest.mark.parametrize("cells", [(4, 28, 28), (4, 32, 32)], ids=["crop 224", "crop 256"])
def test_one_block_at_the_size_of_real_crops(cells: tuple[int, int, int]) -> None:
    net, _ = load_checkpoint(in_memory(example()))
    x = noise(1, 512, *cells).relu()
    block = net.get_submodule("res3.1.nl")
    expected = reference(example(), **SHORT).blocks[3, 1](x)
    with torch.no_grad():
        assert_close(block(x), expected)


def test_without_a_telling_name_the_strides_are_an_assumption_that_is_told() -> None:
    report = inspect_checkpoint(in_memory(example(), "weights.pkl"))
    assert report.flags["stem_stride"].origin == "preset"
    assert any("temporal strides" in w for w in report.warnings)
    assert any("pairwise='dot_product'" in w for w in report.warnings)
    told = inspect_checkpoint(in_memory(example(), "weights.pkl"), stride=8, frames=8)
    assert told.flags["stem_stride"].value == 1
    assert not any("temporal strides" in w for w in told.warnings)


def test_a_name_that_promises_blocks_which_are_not_there() -> None:
    report = inspect_checkpoint(in_memory(blobs(i3d=False, places=())))
    assert report.complete
    assert not report.blocks
    assert any("says non-local" in w for w in report.warnings)


def test_wrong_values_of_flags_are_refused() -> None:
    for flag, value in (("pairwise", "softmax"), ("pool1_pad", 2), ("scale", "yes"), ("frames", 0)):
        with pytest.raises(NlvizError, match=f"the flag {flag} is"):
            load_checkpoint(in_memory(example()), **{flag: value})
    with pytest.raises(NlvizError, match=r"have no flag 'pool_frist'; did you mean 'pool_first'"):
        load_checkpoint(in_memory(example()), pool_frist=True)
    with pytest.raises(NlvizError, match="the flag scale changes nothing"):
        load_checkpoint(in_memory(example()), pairwise="dot_product", scale=True)


def test_numbers_in_a_name_that_are_no_sampling_are_passed_over() -> None:
    for name in ("run_0x3.pkl", "crop256x340.pkl"):
        report = inspect_checkpoint(in_memory(example(), name))
        assert (report.flags["frames"].value, report.flags["frames"].origin) == (32, "preset")
