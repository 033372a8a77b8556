"""Folders with weights, and shards with an index."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

import nlviz
from nlviz.errors import NlvizError, UnreadableCheckpoint
from nlviz.zoo.files import read_checkpoint
from tests.families.writers.alexhex7 import digits

WEIGHTS = digits("gaussian")


def index(folder: Path, places: object, kind: str = "safetensors") -> Path:
    name = "pytorch_model.bin" if kind == "bin" else f"model.{kind}"
    path = folder / f"{name}.index.json"
    path.write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return path


def sharded(folder: Path, kind: str = "safetensors") -> dict[str, str]:
    """Write the weights as three shards with an index; return where each tensor lies."""
    places = {key: f"model-{n % 3 + 1:05}-of-00003.{kind}" for n, key in enumerate(WEIGHTS)}
    for shard in set(places.values()):
        part = {key: WEIGHTS[key].contiguous() for key, at in places.items() if at == shard}
        if kind == "safetensors":
            save_file(part, folder / shard)
        else:
            torch.save(part, folder / shard)
    index(folder, places, kind)
    return places


def equal(found: dict[str, Tensor]) -> bool:
    return found.keys() == WEIGHTS.keys() and all(
        torch.equal(found[key], value) for key, value in WEIGHTS.items()
    )


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_shards_are_one_file(tmp_path: Path, kind: str) -> None:
    sharded(tmp_path, kind)
    whole = read_checkpoint(tmp_path)
    assert equal(dict(whole.tensors))
    assert whole.container.endswith("in 3 shards")
    assert whole.size == sum(p.stat().st_size for p in tmp_path.glob("model-*"))
    by_index = read_checkpoint(next(tmp_path.glob("*.index.json")))
    assert equal(dict(by_index.tensors))


def test_a_folder_makes_a_model_with_a_digest(tmp_path: Path) -> None:
    sharded(tmp_path)
    report = nlviz.load_model(tmp_path, device="cpu").report
    assert report is not None and report.complete and len(report.digest) == 64
    save_file({k: v.contiguous() for k, v in WEIGHTS.items()}, tmp_path / "whole.safetensors")
    other = tmp_path / "other"
    other.mkdir()
    (tmp_path / "whole.safetensors").rename(other / "model.safetensors")
    (other / "config.json").write_text("{}")
    single = nlviz.inspect_weights(other)
    assert single.complete
    assert single.digest == nlviz.inspect_weights(other / "model.safetensors").digest


def refused(path: Path, told: str) -> None:
    with pytest.raises(UnreadableCheckpoint, match=told) as failure:
        read_checkpoint(path)
    assert "\n" not in str(failure.value)


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    sharded(tmp_path)
    (tmp_path / "model-00002-of-00003.safetensors").unlink()
    refused(tmp_path, r"model-00002-of-00003\.safetensors, which is not there")


def test_an_index_and_shards_that_disagree(tmp_path: Path) -> None:
    places = sharded(tmp_path)
    index(tmp_path, {**places, "more.weight": places["fc.3.bias"]})
    refused(tmp_path, r"lists more\.weight, which no shard holds")
    first = sorted(set(places.values()))[0]
    second = sorted(set(places.values()))[1]
    (tmp_path / second).write_bytes((tmp_path / first).read_bytes())
    index(tmp_path, places)
    refused(tmp_path, "two shards of .* hold")


@pytest.mark.parametrize("shard", ["../secret.safetensors", "/etc/passwd", "a/b.bin", "", 3, None])
def test_an_index_leads_nowhere_else(tmp_path: Path, shard: object) -> None:
    index(tmp_path, {"fc.weight": shard})
    refused(tmp_path, "nothing was read")


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"weight_map": {}}', b"[" * 99_999])
def test_a_broken_index(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.safetensors.index.json").write_bytes(content)
    refused(tmp_path, "no index of shards")


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ([], "holds no weights"),
        (["config.json"], "holds no weights"),
        (["a.pth", "b.pth"], "several files of weights"),
        ([".metadata", "__0_0.distcp"], "dcp_to_torch"),
        (["flax_model.msgpack"], "Flax"),
    ],
)
def test_folders_without_one_network(tmp_path: Path, names: list[str], told: str) -> None:
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    refused(tmp_path, told)
    with pytest.raises(NlvizError, match=told):
        nlviz.load_model(tmp_path, device="cpu")
