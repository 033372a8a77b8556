"""Models by name, and files that are none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import nlviz
from nlviz.errors import (
    DownloadFailed,
    NlvizError,
    UnknownModel,
    UnsafeCheckpoint,
    WeightsMismatch,
)
from nlviz.families import FAMILIES
from nlviz.files.local import digest_of
from nlviz.networks.lite_nl import LiteNL
from nlviz.resources import asset
from nlviz.zoo.devices import device_name, list_devices, pick_device
from nlviz.zoo.labels import labels_named
from nlviz.zoo.load import CARDS, ModelCard


def test_names_are_sorted_and_each_has_a_card() -> None:
    assert nlviz.list_models() == sorted(CARDS)
    assert "lite-nl" in nlviz.list_models()
    assert all(card.name == name for name, card in CARDS.items())


def test_the_bundled_model_loads_and_its_weights_have_their_digest() -> None:
    model = nlviz.load_model("lite-nl", device="cpu")
    path = asset("weights/lite-nl.safetensors")
    assert model.about.digest == digest_of(path)
    assert json.loads(path.with_suffix(".json").read_text("utf-8"))["sha256"] == digest_of(path)
    assert not model.net.training
    assert not any(p.requires_grad for p in model.net.parameters())
    assert len(model.labels) == 1000
    assert model.blocks == ("stage3", "stage4")
    assert model.report is not None
    assert model.report.complete
    assert model.report.family == "lite-nl"


@pytest.mark.parametrize("card", [c for c in CARDS.values() if not c.weights], ids=lambda c: c.name)
def test_cards_are_whole(card: ModelCard) -> None:
    assert [f.name for f in FAMILIES if card in f.cards] == [card.family]
    assert card.licence and card.paper and card.source and card.accuracy and card.input
    assert card.file_name
    assert card.non_commercial == ("NC" in card.licence)
    if card.labels:
        assert len(labels_named(card.labels)) == 400
    if card.url:
        assert card.url.startswith("https://")
        assert card.url.endswith("/" + card.file_name)
    else:
        assert card.note
    kind, _, digest = card.digest.rpartition(":")
    assert kind in ("", "sha1")
    assert set(digest) <= set("0123456789abcdef")
    assert len(digest) == (40 if kind else len(digest) if not digest else 8)
    if digest and not kind:
        assert digest in card.file_name


def test_no_two_cards_share_a_file_or_a_digest() -> None:
    cards = [c for c in CARDS.values() if not c.weights]
    assert len({c.file_name for c in cards}) == len(cards)
    digests = [c.digest for c in cards if c.digest]
    assert len(set(digests)) == len(digests)


def test_flags_of_cards_are_flags_of_their_layouts() -> None:
    known = {f.name: f.checkpoint.flags for f in FAMILIES if f.checkpoint is not None}
    for card in CARDS.values():
        assert set(card.flags) <= set(known[card.family]), card.name


def test_kinetics_labels_are_in_the_order_of_the_alphabet() -> None:
    labels = labels_named("kinetics400")
    assert len(labels) == 400
    assert (labels[0], labels[399]) == ("abseiling", "zumba")
    assert list(labels) == sorted(labels)
    with pytest.raises(NlvizError, match=r"no list of labels called 'kinetics40'.*kinetics400"):
        labels_named("kinetics40")


def test_a_card_without_an_address_says_which_file_to_put_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NLVIZ_CACHE", str(tmp_path))
    with pytest.raises(DownloadFailed, match=r"Put i3d_r50_nl_kinetics\.pth at .*weights"):
        nlviz.load_model("i3d-nl-r50.k400-tushar-n")


def test_offline_the_licence_is_told_before_the_download_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("NLVIZ_CACHE", str(tmp_path))
    monkeypatch.setenv("NLVIZ_OFFLINE", "1")
    name, told = "i3d-nl-r50.k400-caffe2-32x2", []
    with pytest.raises(DownloadFailed, match=r"i3d_nonlocal_32x2_IN_pretrain_400k\.pkl"):
        nlviz.load_model(name, progress=lambda sentence, share: told.append(sentence))
    assert "CC-BY-NC 4.0, which forbids commercial use" in told[0]
    assert not caplog.records
    with pytest.raises(DownloadFailed):
        nlviz.load_model(name)
    assert "forbids commercial use" in caplog.text


def test_a_download_with_another_sha1_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NLVIZ_CACHE", str(tmp_path))
    card = CARDS["i3d-nl5-r50.k400-gluoncv"]
    path = tmp_path / "weights" / card.file_name
    path.parent.mkdir()
    path.write_bytes(b"something else")
    with pytest.raises(WeightsMismatch, match=r"must have the sha1 9df1e103d54b.*delete it"):
        nlviz.load_model(card.name)


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
    with pytest.raises(
        WeightsMismatch, match=r"other\.safetensors holds 1 tensors.*nlviz\.capture"
    ):
        nlviz.load_model(path, device="cpu")
    with pytest.raises(WeightsMismatch, match=r"does not fit .*lite-nl.*missing"):
        nlviz.load_model(path, device="cpu", family="lite-nl")


def test_a_file_that_would_run_code_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    torch.save({"weight": torch.zeros(1), "run": print}, path)
    with pytest.raises(UnsafeCheckpoint, match=r"net\.pth"):
        nlviz.load_model(path)


def test_wrong_flags_and_families_are_answered_with_the_close_ones() -> None:
    with pytest.raises(NlvizError, match=r"no family is called 'caffe'.*did you mean 'caffe2'"):
        nlviz.load_model("lite-nl", family="caffe")
    with pytest.raises(NlvizError, match="files of lite-nl have no flag 'scale'"):
        nlviz.load_model("lite-nl", scale=True)


def test_bundled_weights_that_were_changed_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = asset("weights/lite-nl.safetensors")
    copy = tmp_path / "lite-nl.safetensors"
    data = bytearray(source.read_bytes())
    data[-1] ^= 1
    copy.write_bytes(data)
    copy.with_suffix(".json").write_bytes(source.with_suffix(".json").read_bytes())
    monkeypatch.setattr("nlviz.zoo.published.asset", lambda name: tmp_path / Path(name).name)
    with pytest.raises(WeightsMismatch, match="must have the sha256"):
        nlviz.load_model("lite-nl")


def test_devices() -> None:
    assert list_devices()[-1] == "cpu"
    assert pick_device(None) == pick_device("auto") == list_devices()[0]
    assert device_name("cpu").startswith("CPU")
    with pytest.raises(NlvizError, match=r"a device here is one of .*cpu or auto, got 'tpu'"):
        pick_device("tpu")


def test_weights_put_by_hand_are_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from nlviz.zoo.load import CARDS, is_here

    monkeypatch.setenv("NLVIZ_CACHE", str(tmp_path))
    for name in ("i3d-nl-r50.k400-tushar-n", "i3d-nl-r50.k400-slowfast"):
        card = CARDS[name]
        assert not is_here(card)
        (tmp_path / "weights").mkdir(exist_ok=True)
        (tmp_path / "weights" / card.file_name).write_bytes(b"")
        assert is_here(card)
