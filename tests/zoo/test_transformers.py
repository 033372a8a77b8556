"""Folders that transformers saves become the same networks; hostile ones a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import nlviz
from nlviz.errors import (
    DownloadFailed,
    NlvizError,
    UnknownModel,
    UnreadableCheckpoint,
    WeightsMismatch,
)
from nlviz.zoo.source import ModelSource, Transformers
from tests.families.small_transformers import PICTURE, small
from tests.nets import noise_clip

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither the network nor what this user has downloaded."""
    monkeypatch.setenv("NLVIZ_OFFLINE", "1")
    monkeypatch.setenv("NLVIZ_CACHE", str(tmp_path / "cache"))


def saved(folder: Path, name: str = "timesformer", **options: Any) -> Path:
    small(name).save_pretrained(folder, **options)
    processor = {"image_mean": [0.2, 0.3, 0.4], "image_std": [0.5, 0.25, 0.2], "size": 99}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder


def changed(folder: Path, **entries: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **entries}))


def same(a: Any, b: Any) -> None:
    assert a.state_dict().keys() == b.state_dict().keys()
    for key, tensor in a.state_dict().items():
        assert torch.equal(tensor, b.state_dict()[key]), key


@pytest.mark.parametrize("prefix", ["", "hf:"])
def test_a_saved_folder_is_the_network(tmp_path: Path, prefix: str) -> None:
    folder = saved(tmp_path / "net")
    model = nlviz.load_model(f"{prefix}{folder}", device="cpu")
    same(model.net, small("timesformer"))
    spec = model.input_spec
    assert spec is not None
    assert (spec.frames, spec.sides, spec.layout) == (3, (30, 30), "frames first")
    assert spec.normalisation()[0] == pytest.approx((51, 76.5, 102))
    assert model.labels == ("swim", "run", "jump") and model.about.digest
    ours = model.capture(noise_clip(3, 44, 62))
    assert not any("No processor" in note for note in ours.notes)
    block = "timesformer.encoder.layer.1.temporal_attention.attention"
    assert ours.affinities[block].queries.shape == (3, 5, 5)
    report = nlviz.inspect_weights(folder)
    assert report.family == "transformers" and report.complete


@pytest.mark.parametrize("kind", ["sharded", "torch", "file"])
def test_shards_and_files_of_torch(tmp_path: Path, kind: str) -> None:
    folder = saved(tmp_path / "net", "vit", max_shard_size="9KB" if kind == "sharded" else "1GB")
    path = folder
    if kind == "sharded":
        assert len(list(folder.glob("*.safetensors"))) > 2
    else:
        path = folder / "model.safetensors"
    if kind == "torch":
        torch.save(small("vit").state_dict(), folder / "pytorch_model.bin")
        path.unlink()
        path = folder
    same(nlviz.load_model(path, device="cpu").net, small("vit"))


def test_of_two_towers_the_one_that_sees(tmp_path: Path) -> None:
    words = {"vocab_size": 99, "max_position_embeddings": 7, "bos_token_id": 1, "eos_token_id": 2}
    sizes = {k: v for k, v in PICTURE.items() if k not in ("image_size", "patch_size")}
    vision = {**PICTURE, "image_size": 20}
    config = transformers.CLIPConfig(vision_config=vision, text_config={**sizes, **words})
    net = transformers.CLIPModel(config).eval()
    net.save_pretrained(tmp_path / "net")
    model = nlviz.load_model(tmp_path / "net", device="cpu")
    same(model.net, net.vision_model)
    capture = model.capture(noise_clip(1, 30, 40))
    assert capture.affinities["encoder.layers.1.self_attn"].token_names == ("cls",)


def test_a_name_that_is_not_here_says_where_to_put_the_files(tmp_path: Path) -> None:
    name = "hf:someone/a-video-network"
    assert ModelSource.parse(name) == Transformers(name)
    with pytest.raises(DownloadFailed) as told:
        nlviz.load_model(name)
    place = tmp_path / "cache" / "weights" / "hf" / "someone--a-video-network"
    assert "https://huggingface.co/someone/a-video-network" in str(told.value)
    assert str(place) in str(told.value) and "NLVIZ_OFFLINE" in str(told.value)
    assert "https://huggingface.co/someone" in nlviz.zoo.transformers_download(name)
    saved(place, "vit")
    assert nlviz.zoo.transformers_download(name) == ""
    same(nlviz.load_model(name, device="cpu").net, small("vit"))
    with pytest.raises(UnknownModel, match="no folder"):
        nlviz.load_model("hf:../../somewhere else")


def without_a_weight(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    state = load_file(path)
    state.pop("vit.layers.1.attention.q_proj.weight", None) or state.popitem()
    save_file(state, path, {"format": "pt"})


def without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def of_other_sizes(folder: Path) -> None:
    changed(folder, hidden_size=48)


Fault = tuple[Callable[[Path], None], type[NlvizError], str]
FAULTS: dict[str, Fault] = {
    "code of its own": (
        lambda f: changed(f, architectures=["Evil"], auto_map={"AutoModel": "evil.Evil"}),
        UnknownModel,
        "code of a repository is not run",
    ),
    "no class": (lambda f: changed(f, architectures=["pipeline"]), UnknownModel, "'pipeline'"),
    "endless layers": (
        lambda f: changed(f, num_hidden_layers=900_000),
        WeightsMismatch,
        "speaks of 900000 layers",
    ),
    "endless numbers": (lambda f: changed(f, num_labels=10**12), NlvizError, "no size"),
    "wide": (lambda f: changed(f, hidden_size=48_000), WeightsMismatch, "parameters"),
    "quantised": (lambda f: changed(f, quantization_config={}), NlvizError, "quantised"),
    "a weight less": (without_a_weight, WeightsMismatch, "1 are missing"),
    "other sizes": (of_other_sizes, WeightsMismatch, "does not hold the weights"),
    "no weights": (
        lambda f: (f / "model.safetensors").unlink(),
        UnreadableCheckpoint,
        "no weights",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_makes_no_network_is_told(tmp_path: Path, fault: str) -> None:
    folder = saved(tmp_path / "net", "vit")
    change, kind, match = FAULTS[fault]
    change(folder)
    (folder / "evil.py").write_text("raise SystemExit('it ran')")
    with pytest.raises(kind, match=match):
        nlviz.load_model(folder, device="cpu")


def test_kernels_and_code_that_a_configuration_names_are_not_taken(tmp_path: Path) -> None:
    folder = saved(tmp_path / "net", "vit")
    code = {"AutoModel": "evil.Evil"}
    changed(folder, attn_implementation="someone/kernels", auto_map=code, dtype="float16")
    model = nlviz.load_model(folder, device="cpu")
    same(model.net, small("vit"))
    assert model.net.config._attn_implementation in ("sdpa", "eager")


def test_a_folder_that_lacks_something_says_what(tmp_path: Path) -> None:
    outer = tmp_path / "runs"
    folder = saved(outer / "checkpoint-500", "timesformer")
    with pytest.raises(UnreadableCheckpoint, match=r"in it checkpoint-500; name that folder"):
        nlviz.load_model(str(outer))
    config = (folder / "config.json").read_text("utf-8")
    (folder / "config.json").write_text(config[:40])
    with pytest.raises(WeightsMismatch, match=r"folder checkpoint-500 .*its config\.json is none"):
        nlviz.load_model(str(folder))
    (folder / "config.json").unlink()
    with pytest.raises(WeightsMismatch, match=r"and it has no config\.json, which save_pretrained"):
        nlviz.load_model(str(folder))
    with pytest.raises(WeightsMismatch, match=r"and there is no config\.json, which save_pret"):
        nlviz.load_model(str(folder / "model.safetensors"))
    (folder / "config.json").write_text(config)
    (folder / "model.safetensors").unlink()
    with pytest.raises(UnreadableCheckpoint, match="holds no weights"):
        nlviz.load_model(str(folder))
