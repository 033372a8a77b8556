"""timm's transformers by name, without a network connection."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

import nlviz
from nlviz.errors import DownloadFailed, NoNonLocalBlocks, UnknownModel, WeightsMismatch
from nlviz.files.local import digest_of

TINY = "timm/deit_tiny_patch16_224.fb_in1k"


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither the network nor what this user has downloaded."""
    monkeypatch.setenv("NLVIZ_OFFLINE", "1")
    monkeypatch.setenv("NLVIZ_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *a, **k: None)


def test_weights_are_the_files_and_the_clip_keeps_its_aspect(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    torch.manual_seed(3)
    original = timm.create_model("deit_tiny_patch16_224")
    path = tmp_path / "model.safetensors"
    save_file(original.state_dict(), path)
    asked: list[tuple[str, str]] = []

    def kept(repository: str, file: str) -> str:
        asked.append((repository, file))
        return str(path)

    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", kept)
    model = nlviz.load_model(TINY, device="cpu")
    assert asked == [("timm/deit_tiny_patch16_224.fb_in1k", "model.safetensors")]
    assert (model.about.name, model.about.digest) == (TINY, digest_of(path))
    for key, value in model.net.state_dict().items():
        assert torch.equal(value, original.state_dict()[key]), key
    assert not any(p.requires_grad for p in model.net.parameters())
    pixels = np.random.default_rng(0).integers(0, 256, (1, 56, 104, 3), np.uint8)
    capture = model.capture(nlviz.Clip.from_frames(pixels))
    assert capture.affinities["blocks.11"].queries.shape == (1, 14, 26)
    assert capture.affinities["blocks.11"].heads == 3
    assert len(model.labels) == 1000
    assert capture.prediction(1)[0][0] in model.labels


def test_without_a_connection_the_sentence_says_where_to_put_the_file() -> None:
    with pytest.raises(DownloadFailed, match=r"NLVIZ_OFFLINE(?s:.*)deit_tiny\S*\.safetensors"):
        nlviz.load_model(TINY)


class Hub:
    """Stands for the hub's own downloader, which moves a progress bar as it goes."""

    def __init__(self, path: Path, problem: Exception | None = None) -> None:
        self.path, self.problem = path, problem

    def __call__(self, repository: str, file: str, *, tqdm_class: type[Any]) -> str:
        if self.problem is not None:
            raise self.problem
        with tqdm_class(total=3 * 2**20, unit="B") as bar:
            for _ in range(3):
                bar.update(2**20)
        return str(self.path)


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NLVIZ_OFFLINE")


def weights(folder: Path) -> Path:
    save_file(timm.create_model("deit_tiny_patch16_224").state_dict(), folder / "model.safetensors")
    return folder / "model.safetensors"


def test_a_download_reports_to_the_listener_and_can_be_ended_by_it(
    online: None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("huggingface_hub.hf_hub_download", Hub(weights(tmp_path)))
    heard: list[tuple[str, float]] = []
    nlviz.load_model(TINY, device="cpu", progress=lambda *report: heard.append(report))
    loads = [share for sentence, share in heard if "MiB of 3.0 MiB" in sentence]
    assert loads == pytest.approx([1 / 3, 2 / 3, 1])
    assert capsys.readouterr() == ("", "")

    class Enough(Exception):
        pass

    def enough(sentence: str, share: float) -> None:
        raise Enough

    with pytest.raises(Enough):
        nlviz.load_model(TINY, device="cpu", progress=enough)


def test_a_hub_that_refuses_is_reported_with_the_place_for_the_file(
    online: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    refusal = ConnectionError("no route to the hub\nand more")
    monkeypatch.setattr("huggingface_hub.hf_hub_download", Hub(tmp_path, refusal))
    with pytest.raises(DownloadFailed, match=r"no route to the hub; get model\.safetensors by"):
        nlviz.load_model(TINY)


def test_a_file_put_by_hand_is_used(tmp_path: Path) -> None:
    kept = tmp_path / "cache" / "weights"
    kept.mkdir(parents=True)
    path = weights(tmp_path).rename(kept / "deit_tiny_patch16_224.fb_in1k.safetensors")
    assert nlviz.load_model(TINY, device="cpu").about.digest == digest_of(path)


def test_other_names_and_other_networks_are_refused_before_a_download() -> None:
    with pytest.raises(UnknownModel, match=r"no weights called 'deit_tiny_patch16_225'; did you"):
        nlviz.load_model("timm/deit_tiny_patch16_225")
    with pytest.raises(NoNonLocalBlocks, match=r"plain transformers .* resnet18\.a1_in1k is some"):
        nlviz.load_model("timm/resnet18.a1_in1k")


def test_a_broken_file_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *a, **k: str(path))
    with pytest.raises(WeightsMismatch, match="does not hold the weights of deit_tiny"):
        nlviz.load_model(TINY)
