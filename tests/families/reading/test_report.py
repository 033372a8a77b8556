"""What a load report says, and how blocks and promises are read from names alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from nlviz.families.reading.report import LoadReport
from nlviz.zoo.load import inspect_weights
from nlviz.zoo.unknown_keys import find_blocks
from nlviz.zoo.warnings import says_non_local
from tests.families.writers.caffe2 import example, write


def report(**more: object) -> LoadReport:
    return LoadReport("net.pth", "torch zip", 9, "", "caffe2", "its names", "I3D R50", **more)  # type: ignore[arg-type]


def test_a_report_is_complete_when_every_key_is_explained() -> None:
    assert report(matched=3).complete
    assert report(matched=3, dropped={"lr": "training"}, filled={"b": "zeros"}).complete
    assert not report().complete
    for fault in ("missing", "unexpected", "misshapen"):
        assert not report(matched=3, **{fault: ("x",)}).complete


def test_faults_are_counted_and_the_first_five_named() -> None:
    assert report(matched=3).faults == ""
    many = tuple(f"k{i}" for i in range(7))
    found = report(missing=many, unexpected=("x",), misshapen=("w is (2,), needs (3,)",)).faults
    assert found == (
        "7 missing (k0, k1, k2, k3, k4, ...), 1 unexpected (x), 1 of another shape "
        "(w is (2,), needs (3,))"
    )


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("i3d_nonlocal_32x2_IN_pretrain_400k.pkl", True),
        ("I3D_NLN_8x8_R50.pkl", True),
        ("i3d_nl10_resnet101_v1_kinetics400-526a2ed0.pth", True),
        ("tsm_r50-nl-dot-product_8xb16.pth", True),
        ("my Non-Local net.pt", True),
        ("avg_segment8_e100_dense_nl.pth", True),
        ("only_final.pth", False),
        ("channel5_enlarged.pth", False),
        ("i3d_baseline_8x8.pkl", False),
    ],
)
def test_what_a_name_promises(name: str, says: bool) -> None:
    assert says_non_local(name) == says


def keys(prefix: str, *ends: str) -> dict[str, Tensor]:
    """Tensors of one block of 14 channels, 6 inside."""
    found = {}
    for end in ends:
        out = end.startswith(("out", "_out", "W", "conv_out"))
        found[prefix + end] = torch.zeros(*((14, 6) if out else (6, 14)), 1, 1)
    return found


@pytest.mark.parametrize(
    ("code", "ends"),
    [
        ("mmcv", ("theta.conv.weight", "g.conv.weight", "conv_out.conv.weight")),
        ("mmcv", ("theta.conv.weight", "g.0.conv.weight", "conv_out.conv.weight")),
        (
            "SlowFast or PyTorchVideo",
            ("conv_theta.weight", "conv_g.weight", "conv_out.weight"),
        ),
        ("GluonCV", ("theta.weight", "g.weight", "W.weight", "W_bn.0.weight")),
        ("tea1528", ("theta.weight", "g.weight", "W_z.0.weight")),
        ("tea1528 without normalisation", ("theta.weight", "g.weight", "W_z.weight")),
        ("AlexHex7", ("theta.weight", "g.weight", "W.0.weight")),
        ("AlexHex7 without normalisation", ("theta.weight", "g.0.weight", "W.weight")),
        ("nlviz", ("theta.weight", "g.weight", "out.weight")),
    ],
)
def test_a_block_is_found_by_how_its_keys_end(code: str, ends: tuple[str, ...]) -> None:
    state = {**keys("deep.down.attention.", *ends), "fc.weight": torch.zeros(3, 14)}
    found = find_blocks(state)
    assert list(found) == [code]
    (block,) = found[code]
    assert (block.name, block.channels, block.inner) == ("deep.down.attention", 14, 6)
    assert block.pairwise == "embedded_gaussian or dot_product"


def test_the_pairwise_function_is_told_as_far_as_keys_can() -> None:
    gaussian = keys("a.", "g.weight", "W.0.weight")
    assert find_blocks(gaussian)["AlexHex7"][0].pairwise == "gaussian"
    concat = {
        **keys("a.", "theta.weight", "g.weight", "W.0.weight"),
        "a.concat_project.0.weight": torch.zeros(1, 12, 1, 1),
    }
    assert find_blocks(concat)["AlexHex7"][0].pairwise == "concatenation"
    blobs = keys("nl_", "theta_w", "g_w", "out_w")
    assert find_blocks(blobs)["Caffe2"][0].name == "nl"


def test_a_file_that_is_one_block_and_blocks_of_two_codes() -> None:
    alone = keys("", "theta.weight", "g.weight", "W.0.weight")
    assert find_blocks(alone)["AlexHex7"][0].name == "the whole file"
    both = {
        **keys("a.", "theta.weight", "g.weight", "out.weight"),
        **keys("b.", "conv_theta.weight", "conv_g.weight", "conv_out.weight"),
    }
    assert {code: [b.name for b in found] for code, found in find_blocks(both).items()} == {
        "SlowFast or PyTorchVideo": ["b"],
        "nlviz": ["a"],
    }


def test_attention_of_other_kinds_is_no_non_local_block() -> None:
    vit = {
        "blocks.0.attn.qkv.weight": torch.zeros(18, 6),
        "blocks.0.attn.proj.weight": torch.zeros(6, 6),
    }
    assert not find_blocks(vit)
    assert not find_blocks({"g.weight": torch.zeros(6, 14), "v.weight": torch.zeros(6)})


def test_what_a_card_says_is_marked_and_gives_way_to_the_user(tmp_path: Path) -> None:
    path = write(tmp_path / "I3D_NLN_8x8_R50.pkl", example())
    found = inspect_weights(path)
    assert found.complete
    assert (found.flags["pool1_pad"].value, found.flags["pool1_pad"].origin) == (1, "card")
    assert found.flags["pool2"].origin == "preset"
    own = inspect_weights(path, pool1_pad=0)
    assert (own.flags["pool1_pad"].value, own.flags["pool1_pad"].origin) == (0, "user")
    assert own.flags["frames"].origin == "card"
