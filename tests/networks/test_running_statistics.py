"""Running statistics against what really enters the normalisations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

import nlviz
from nlviz.networks.running_statistics import watched
from nlviz.resources import asset


def trained() -> tuple[nn.Sequential, Tensor]:
    """Return layers whose statistics are those of an input, and the input."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 12, 3, padding=1), nn.BatchNorm2d(12, momentum=None), nn.ReLU(),
        nn.Conv2d(12, 20, 3, padding=1), nn.BatchNorm2d(20, momentum=None),
    )  # fmt: skip
    x = torch.randn(2, 3, 34, 46) * torch.tensor([0.2, 3.0, 30.0])[:, None, None]
    for parameter in net.parameters():
        if parameter.dim() == 4:
            parameter.data *= torch.logspace(-1, 1, len(parameter))[:, None, None, None]
    with torch.no_grad():
        net.train()(x)
        net.train()(x)
    return net.eval(), x


def test_a_network_that_is_whole_is_believed() -> None:
    net, x = trained()
    with watched(net) as seen:
        net(x)
    assert seen.believable and not seen.fault and not seen.doubt("x")
    assert len(seen.layers) == 2
    assert seen.factor == pytest.approx(1, abs=0.05)
    assert not net[1]._forward_pre_hooks


CHANGES: dict[str, tuple[Callable[[nn.BatchNorm2d], object], str]] = {
    "inverse": (lambda m: m.running_var.reciprocal_(), "looks like the inverse of a variance"),
    "deviation": (lambda m: m.running_var.sqrt_(), "looks like a standard deviation"),
    "inverse deviation": (lambda m: m.running_var.rsqrt_(), "the inverse of a deviation"),
    "square": (lambda m: m.running_var.square_(), "looks like a variance squared"),
    "means": (lambda m: m.running_mean.zero_(), "the means were lost"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_converted_wrongly_is_named(change: str) -> None:
    net, x = trained()
    x = x + 40 * torch.ones(3, 1, 1)  # so that means matter
    with torch.no_grad():
        for _ in range(2):
            for module in net:
                if isinstance(module, nn.BatchNorm2d):
                    module.reset_running_stats()
            net.train()(x)
    net.eval()
    for module in net:
        if isinstance(module, nn.BatchNorm2d):
            CHANGES[change][0](module)
    with watched(net) as seen:
        net(x)
    assert not seen.believable
    assert CHANGES[change][1] in seen.fault


def test_a_network_before_training_is_no_fault_but_told() -> None:
    net = nn.Sequential(nn.BatchNorm2d(4)).eval()
    with watched(net) as seen:
        net(7 * torch.randn(1, 4, 15, 17))
    assert not seen.fault
    assert "before any training" in seen.doubt("x")


def test_a_clip_unlike_the_training_is_a_doubt_only() -> None:
    net, x = trained()
    with watched(net) as seen:
        net(50 * x)
    assert not seen.fault
    assert "unlike what the network was trained on" in seen.doubt("x")


def test_verify_finds_it_in_a_file(tmp_path: Path) -> None:
    weights = load_file(asset("weights/lite-nl.safetensors"))
    path = tmp_path / "net.pth"
    torch.save(weights, path)
    assert nlviz.verify(path, device="cpu").passed
    for key, value in weights.items():
        if key.endswith("running_var"):
            value.add_(1e-3).reciprocal_()
    torch.save(weights, path)
    found = nlviz.verify(path, device="cpu")
    assert not found.passed
    assert any("looks like the inverse of a variance" in told for told in found.complaints)
