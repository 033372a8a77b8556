"""Weights under the names that trainers give them: the same network, whatever stands around it."""

from __future__ import annotations

import copy
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

import nlviz
from nlviz.errors import WeightsMismatch
from tests.families.writers.alexhex7 import digits

State = dict[str, Tensor]


def transformer(seed: int = 0) -> VisionTransformer:
    torch.manual_seed(seed)
    net = VisionTransformer(
        img_size=48, patch_size=16, embed_dim=64, depth=2, num_heads=1, num_classes=5
    ).eval()
    for parameter in net.parameters():
        parameter.data = torch.randn(parameter.shape) * 0.1
    return net


def same(path: Path, expected: State, **options: object) -> nlviz.Model:
    """Load a file and check that its network has exactly these tensors."""
    model = nlviz.load_model(path, device="cpu", **options)
    found = model.net.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], value) for key, value in expected.items())
    return model


BEGINNINGS = (
    "module.", "model.", "net.", "encoder.", "visual.", "trunk.backbone.", "model.0.", "student.",
    "my_very_own_name.inner.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "head.",
)  # fmt: skip


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_any_beginning_is_taken_off(tmp_path: Path, beginning: str) -> None:
    weights = transformer().state_dict()
    path = tmp_path / "last.ckpt"
    torch.save({"state_dict": {beginning + key: value for key, value in weights.items()}}, path)
    same(path, weights)


@pytest.mark.parametrize("part", ["_orig_mod", "_checkpoint_wrapped_module", "wrapped", "module"])
def test_parts_in_the_middle_are_taken_off(tmp_path: Path, part: str) -> None:
    weights = transformer().state_dict()

    def wrapped(key: str) -> str:
        if not key.startswith("blocks."):
            return f"net.{key}"
        first, number, rest = key.split(".", 2)
        return f"net.{first}.{number}.{part}.{rest}"

    path = tmp_path / "last.ckpt"
    torch.save({wrapped(key): value for key, value in weights.items()}, path)
    report = same(path, weights).report
    assert report is not None
    assert f"{part}." in report.taken_off


@pytest.mark.parametrize("beginning", ["net.", "classifier.digits.", "teacher."])
def test_families_whose_keys_know_no_wrapper(tmp_path: Path, beginning: str) -> None:
    weights = digits("gaussian")
    torch.save({beginning + key: value for key, value in weights.items()}, tmp_path / "a.pth")
    report = nlviz.inspect_weights(tmp_path / "a.pth")
    assert report.family == "alexhex7" and report.complete
    assert report.matched == len(weights)


def test_a_running_average_is_named_and_taken_on_request(tmp_path: Path) -> None:
    plain, averaged = transformer(1), transformer(2)
    file = {
        "state_dict_ema": averaged.state_dict(),
        "state_dict": {f"model.{key}": value for key, value in plain.state_dict().items()},
        "optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}},
    }
    path = tmp_path / "last.ckpt"
    torch.save(file, path)
    report = same(path, plain.state_dict()).report
    assert report is not None
    assert report.beside["state_dict_ema"].startswith("a copy of the same network")
    assert report.beside["optimizer"] == "not read"
    same(path, averaged.state_dict(), part="state_dict_ema")
    with pytest.raises(WeightsMismatch, match=r"no network under 'swa'.*state_dict_ema"):
        nlviz.load_model(path, device="cpu", part="swa")


def test_teacher_and_student_in_one_mapping(tmp_path: Path) -> None:
    student, teacher = transformer(1).state_dict(), transformer(2).state_dict()
    path = tmp_path / "last.ckpt"
    torch.save(
        {f"student.backbone.{k}": v for k, v in student.items()}
        | {f"teacher.backbone.{k}": v for k, v in teacher.items()}
        | {"dino_loss.center": torch.zeros(1, 3)},
        path,
    )
    report = same(path, teacher).report
    assert report is not None
    assert list(report.beside) == ["student"]
    assert report.dropped == {"dino_loss.center": "of the loss or of a metric, by its name"}
    same(path, student, part="student")


def test_an_average_of_pytorch_beside_the_network(tmp_path: Path) -> None:
    net = transformer()
    path = tmp_path / "checkpoint.pth"
    torch.save({"model": net.state_dict(), "model_ema": AveragedModel(net).state_dict()}, path)
    report = same(path, net.state_dict()).report
    assert report is not None and "model_ema.module" in report.beside


def test_losses_and_metrics_are_left_out_and_named(tmp_path: Path) -> None:
    weights = transformer().state_dict()
    path = tmp_path / "last.ckpt"
    extra = {"criterion.weight": torch.ones(5), "val_acc.total": torch.zeros(())}
    for beginning in ("", "net."):
        torch.save({**{beginning + k: v for k, v in weights.items()}, **extra}, path)
        report = same(path, weights).report
        assert report is not None
        assert report.dropped.keys() == extra.keys()
        assert not any("stand outside" in warning for warning in report.warnings)


def test_layers_outside_the_network_are_a_warning(tmp_path: Path) -> None:
    weights = {f"trunk.{key}": value for key, value in transformer().state_dict().items()}
    path = tmp_path / "last.ckpt"
    torch.save({**weights, "stem.weight": torch.ones(3, 3, 1, 1)}, path)
    report = nlviz.inspect_weights(path)
    assert report.complete
    assert any("1 tensor of the file stands outside trunk" in told for told in report.warnings)


def test_unknown_layers_inside_the_network_still_refuse_the_file(tmp_path: Path) -> None:
    weights = transformer().state_dict()
    path = tmp_path / "last.ckpt"
    torch.save({**weights, "blocks.0.attn.lora_A": torch.ones(3, 64)}, path)
    with pytest.raises(WeightsMismatch, match=r"1 unexpected \(blocks\.0\.attn\.lora_A\)"):
        nlviz.load_model(path, device="cpu")


def half(net: nn.Module) -> nn.Module:
    return copy.deepcopy(net).half()


@pytest.mark.parametrize("packed", [lambda net: net, lambda net: {"epoch": 3, "model": net}])
def test_whole_modules_are_read_without_being_made(
    tmp_path: Path, packed: Callable[[nn.Module], object]
) -> None:
    net = transformer()
    torch.save(packed(net), tmp_path / "net.pt")
    same(tmp_path / "net.pt", net.state_dict())


def test_a_module_and_its_average(tmp_path: Path) -> None:
    net = transformer()
    torch.save({"model": net, "ema": half(net), "args": Namespace(lr=1)}, tmp_path / "net.pt")
    report = same(tmp_path / "net.pt", net.state_dict()).report
    assert report is not None
    assert report.beside["ema"].startswith("a copy of the same network")
