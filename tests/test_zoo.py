"""Models by name, and files that are none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import nlviz
from nlviz.errors import NlvizError, UnknownModel, UnsafeCheckpoint, WeightsMismatch
from nlviz.networks.lite_nl import LiteNL
from nlviz.resources import asset
from nlviz.weights import digest_of
from nlviz.zoo import CARDS, device_name, devices, pick_device


def test_names_are_sorted_and_each_has_a_card() -> None:
    assert nlviz.list_models() == sorted(CARDS)
    assert "lite-nl" in nlviz.list_models()
    assert all(card.name == name for name, card in CARDS.items())


@pytest.mark.parametrize("name", nlviz.list_models())
def test_every_model_loads_and_its_weights_have_their_digest(name: str) -> None:
    model = nlviz.load_model(name, device="cpu")
    card = CARDS[name]
    path = asset(f"weights/{card.weights}")
    assert model.about.digest == digest_of(path)
    assert json.loads(path.with_suffix(".json").read_text("utf-8"))["sha256"] == digest_of(path)
    assert not model.net.training
    assert not any(p.requires_grad for p in model.net.parameters())
    assert len(model.labels) == 1000
    assert model.blocks


@pytest.mark.parametrize(("name", "close"), [("lite-ln", "did you mean 'lite-nl'"), ("x", "known")])
def test_unknown_names_are_answered_with_the_close_ones(name: str, close: str) -> None:
    with pytest.raises(UnknownModel, match=f"no model is called '{name}'; {close}"):
        nlviz.load_model(name)


def test_a_file_of_the_recipe_is_a_model(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    torch.manual_seed(0)
    save_file(LiteNL().state_dict(), path)
    model = nlviz.load_model(path, device="cpu")
    assert model.about.name == "lite-nl (mine.safetensors)"
    assert model.about.digest == digest_of(path)
    assert nlviz.load_model(str(path), device="cpu").blocks == ("stage3", "stage4")


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"fc.weight": torch.zeros(2, 2)}, path)
    with pytest.raises(WeightsMismatch, match=r"other\.safetensors does not fit LiteNL.*missing"):
        nlviz.load_model(path, device="cpu")


def test_a_file_that_could_run_code_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    torch.save({"weight": torch.zeros(1)}, path)
    with pytest.raises(UnsafeCheckpoint, match=r"net\.pth.*safetensors"):
        nlviz.load_model(path)


def test_bundled_weights_that_were_changed_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = asset("weights/lite-nl.safetensors")
    copy = tmp_path / "lite-nl.safetensors"
    data = bytearray(source.read_bytes())
    data[-1] ^= 1
    copy.write_bytes(data)
    copy.with_suffix(".json").write_bytes(source.with_suffix(".json").read_bytes())
    monkeypatch.setattr("nlviz.zoo.asset", lambda name: tmp_path / Path(name).name)
    with pytest.raises(WeightsMismatch, match="must have the sha256"):
        nlviz.load_model("lite-nl")


def test_devices() -> None:
    assert devices()[-1] == "cpu"
    assert pick_device(None) == pick_device("auto") == devices()[0]
    assert device_name("cpu").startswith("CPU")
    with pytest.raises(NlvizError, match=r"a device here is one of .*cpu or auto, got 'tpu'"):
        pick_device("tpu")
