"""Weights files: right, wrong, cut short, and of another network."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from nlviz.errors import WeightsMismatch
from nlviz.files.local import digest_of
from nlviz.networks.weights import load_into, read_weights


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "net.safetensors"
    save_file(net().state_dict(), path)
    return path


def test_weights_come_back(saved: Path) -> None:
    other = net()
    with torch.no_grad():
        for p in other.parameters():
            p.zero_()
    load_into(other, read_weights(saved, sha256=digest_of(saved)), source=saved.name)
    for name, value in net().state_dict().items():
        assert torch.equal(other.state_dict()[name], value)


def test_half_precision_becomes_the_networks_own(saved: Path) -> None:
    half = {k: v.half() if v.is_floating_point() else v for k, v in net().state_dict().items()}
    other = net()
    load_into(other, half, source="half")
    assert {p.dtype for p in other.parameters()} == {torch.float32}
    torch.testing.assert_close(other[0].weight, net()[0].weight, rtol=1e-3, atol=1e-3)


def test_another_digest_is_refused(saved: Path) -> None:
    data = bytearray(saved.read_bytes())
    digest = digest_of(saved)
    data[-1] ^= 1
    saved.write_bytes(data)
    with pytest.raises(WeightsMismatch, match=f"must have the sha256 {digest[:12]}.*restore"):
        read_weights(saved, sha256=digest)


@pytest.mark.parametrize("keep", [0, 4, 60, -1])
def test_a_file_that_was_cut_short_is_one_sentence(saved: Path, keep: int) -> None:
    saved.write_bytes(saved.read_bytes()[:keep])
    with pytest.raises(WeightsMismatch, match=r"net\.safetensors is no complete") as caught:
        read_weights(saved)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_pickle(tmp_path: Path) -> None:
    with pytest.raises(WeightsMismatch, match="there is no weights file"):
        read_weights(tmp_path / "none.safetensors")
    torch.save(net().state_dict(), tmp_path / "pickle.safetensors")
    with pytest.raises(WeightsMismatch, match="no complete safetensors file"):
        read_weights(tmp_path / "pickle.safetensors")


def test_faults_are_counted_and_the_first_five_named() -> None:
    big = nn.Sequential(*[nn.Linear(1, 1) for _ in range(4)])
    with pytest.raises(WeightsMismatch) as caught:
        load_into(big, {"0.weight": torch.zeros(2, 1), "extra": torch.zeros(1)}, source="a.file")
    assert str(caught.value) == (
        "a.file does not fit Sequential: 7 missing (0.bias, 1.bias, 1.weight, 2.bias, 2.weight, "
        "...), 1 unexpected (extra), 1 of another shape (0.weight is (2, 1), needs (1, 1))"
    )


def test_a_refused_file_leaves_the_network_as_it_was() -> None:
    other = net()
    before = {k: v.clone() for k, v in other.state_dict().items()}
    wrong = {k: v + 1 for k, v in before.items()}
    wrong.pop("2.bias")
    with pytest.raises(WeightsMismatch):
        load_into(other, wrong, source="wrong")
    assert all(torch.equal(v, before[k]) for k, v in other.state_dict().items())
