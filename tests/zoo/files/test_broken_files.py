"""Files that are cut short, of another kind, or whose weights are no numbers."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save

from nlviz.errors import NlvizError, UnreadableCheckpoint
from nlviz.zoo.files import read_checkpoint
from nlviz.zoo.files.bytes import Source
from nlviz.zoo.files.read import kind_of
from tests.zoo.files.writing import PACKINGS, python2_pickle, saved, tarred, torch_legacy, torch_zip


def refused(path: Path, *parts: str) -> str:
    with pytest.raises(UnreadableCheckpoint) as failure:
        read_checkpoint(path)
    told = str(failure.value)
    assert "\n" not in told and len(told) < 400 and path.name in told
    assert all(part in told for part in parts), told
    return told


def good() -> dict[str, bytes]:
    drawn = torch.Generator().manual_seed(3)
    held = {"a.weight": torch.randn(7, 5, generator=drawn), "b": torch.arange(3.0)}
    content = {"state_dict": held, "epoch": 4}
    return {
        "torch zip": torch_zip(content),
        "torch legacy": torch_legacy(content),
        "caffe2 pickle": python2_pickle({"blobs": {k: v.numpy() for k, v in held.items()}}),
        "safetensors": save(held),
        "gzip": gzip.compress(torch_zip(content)),
        "tar": tarred({"net.pth": torch_legacy(content)}),
        "tar.gz": tarred({"net.pth": torch_zip(content)}, mode="w:gz"),
    }


GOOD = good()


@pytest.mark.parametrize("kind", GOOD)
def test_files_that_are_cut_short(tmp_path: Path, kind: str) -> None:
    raw = GOOD[kind]
    read_checkpoint(saved(tmp_path, raw))
    ends = {*range(1, 40), *range(40, len(raw) - 40, 61), *range(len(raw) - 40, len(raw))}
    if kind == "tar":  # it begins with a name, and ends with blocks of zeros
        ends = {end for end in ends if 512 <= end < len(raw.rstrip(b"\0"))}
    for end in sorted(ends):
        told = refused(saved(tmp_path, raw[:end]))
        assert "download it again" in told, (end, told)
        assert "cut short" in told or "broken" in told, (end, told)


@pytest.mark.parametrize("kind", ["torch zip", "torch legacy", "caffe2 pickle", "safetensors"])
def test_a_cut_is_called_a_cut(tmp_path: Path, kind: str) -> None:
    raw = GOOD[kind]
    for share in (0.3, 0.6, 0.9):
        refused(saved(tmp_path, raw[: int(share * len(raw))]), "cut short")


def test_nothing_to_read(tmp_path: Path) -> None:
    refused(saved(tmp_path, b""), "empty", "0 bytes", "download it again")
    refused(saved(tmp_path, b"\x80\x02"), "cut short")
    with pytest.raises(UnreadableCheckpoint, match="there is no weights file"):
        read_checkpoint(tmp_path / "missing.pth")
    with pytest.raises(UnreadableCheckpoint, match="there is no weights file"):
        read_checkpoint("a\0b")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UnreadableCheckpoint, match=r"the folder folder holds no weights \(no file"):
        read_checkpoint(tmp_path / "folder")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pth")
    refused(tmp_path / "pipe.pth", "no plain file")


def torchscript() -> bytes:
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 3)), out)
    return out.getvalue()


def npz() -> bytes:
    out = io.BytesIO()
    np.savez(out, w=np.ones(3))
    return out.getvalue()


def npy() -> bytes:
    out = io.BytesIO()
    np.save(out, np.ones(3))
    return out.getvalue()


FOREIGN: dict[str, tuple[Callable[[], bytes], str]] = {
    "MXNet": (lambda: struct.pack("<QQQ", 0x112, 0, 1) + bytes(40), "MXNet .params"),
    "HDF5": (lambda: b"\x89HDF\r\n\x1a\n" + bytes(40), "HDF5"),
    "Lua object": (lambda: struct.pack("<iii", 4, 1, 3) + b"V 1" + bytes(40), "Lua's Torch"),
    "Lua table": (lambda: struct.pack("<iii", 3, 1, 2) + bytes(40), "Lua's Torch"),
    "Lua text": (lambda: b"4\n1\n3\nV 1\n18\ntorch.DoubleTensor\n", "Lua's Torch"),
    "TorchScript": (torchscript, "TorchScript"),
    "npz": (npz, "npz"),
    "npy": (npy, "npy"),
    "ONNX": (lambda: b"\x08\x08\x12\x07pytorch\x1a\x051.9.0" + bytes(40), "ONNX"),
    "TensorFlow graph": (
        lambda: b"\x0a\x24\x0a\x05input\x12\x0bPlaceholder" + bytes(40), "protobuf",
    ),
    "saved model": (lambda: b"\x08\x01\x12\xf4\x03" + bytes(40), "protobuf"),
    "TensorFlow index": (
        lambda: bytes(60) + 0xDB4775248B80FB57.to_bytes(8, "little"), "TensorFlow checkpoint",
    ),
    "web page": (lambda: b"\n<!DOCTYPE html><html><body>404</body></html>", "web page"),
    "text": (lambda: b"conv1.weight: 3\n" * 3, "text file"),
    "configuration": (lambda: b"config\nname\nvalue\n" * 3, "text file"),
    "Git LFS": (lambda: b"version https://git-lfs.github.com/spec/v1\noid 1", "git lfs pull"),
    "xz": (lambda: b"\xfd7zXZ\0" + bytes(40), "xz"),
    "zstd": (lambda: b"\x28\xb5\x2f\xfd" + bytes(40), "zstd"),
    "picture": (lambda: b"\x89PNG\r\n\x1a\n" + bytes(40), "89 50 4e 47"),
}  # fmt: skip


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("name", ["net.pth", "net.safetensors"])
def test_other_kinds_are_told_apart(tmp_path: Path, kind: str, name: str) -> None:
    write, told = FOREIGN[kind]
    refused(saved(tmp_path, write(), name), told)


def test_a_zip_around_weights(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("net.pth", GOOD["torch zip"])
    refused(saved(tmp_path, out.getvalue()), "a zip archive with net.pth", "unpack it")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (torch.ones(3), "one tensor without a name"),
        ([torch.ones(3)], "a list"),
        ({}, "an empty dict"),
        ({"epoch": 3, "lr": 0.1}, "the entries epoch, lr"),
        ({"state_dict": {"x": [torch.ones(3)]}}, "the entries state_dict"),
    ],
)
@pytest.mark.parametrize("write", [torch_zip, torch_legacy])
def test_files_without_named_weights(
    tmp_path: Path, write: Callable[[object], bytes], content: object, told: str
) -> None:
    refused(saved(tmp_path, write(content)), "holds no weights by name", told, "state_dict")


def test_arrays_of_objects_are_no_weights(tmp_path: Path) -> None:
    odd = {"names": np.array(["a", None], object), "text": np.array(["abc"]), "w": np.ones(2)}
    found = read_checkpoint(saved(tmp_path, pickle.dumps({"blobs": odd}, 2)))
    assert (list(found.tensors), found.left) == (["w"], ("blobs.names", "blobs.text"))
    del odd["w"]
    refused(saved(tmp_path, pickle.dumps({"blobs": odd}, 2)), "no tensors of numbers in blobs")


# NaN and infinity --------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("write", [torch_zip, torch_legacy, save], ids=["zip", "legacy", "safe"])
def test_weights_that_are_no_numbers(
    tmp_path: Path, write: Callable[..., bytes], dtype: torch.dtype, value: float
) -> None:
    held = {f"w{n}": torch.ones(5, n + 1, dtype=dtype) for n in range(7)}
    for name in ("w1", "w3", "w4", "w6"):
        held[name][2, -1] = value
    refused(saved(tmp_path, write(held)), "NaN or infinite weights in w1, w3, w4 and 1 more")


def test_blobs_that_are_no_numbers(tmp_path: Path) -> None:
    raw = python2_pickle({"blobs": {"w": np.ones(3, "f4"), "x_bn_rm": np.full(40, np.nan, "f4")}})
    refused(saved(tmp_path, raw), "NaN or infinite weights in x_bn_rm;")


def test_large_numbers_are_numbers(tmp_path: Path) -> None:
    held = {
        "a": torch.full((9,), 3e38),
        "b": torch.full((9,), 6e4, dtype=torch.float16),
        "c": torch.full((9,), 1.7e308, dtype=torch.float64),
        "d": torch.full((9,), 400.0).to(torch.float8_e4m3fn),
    }
    assert not held["a"].sum().isfinite() and not held["c"].sum().isfinite()
    found = read_checkpoint(saved(tmp_path, torch_zip(held))).tensors
    assert all(torch.equal(found[k].double(), v.double()) for k, v in held.items())


def test_what_is_beside_the_weights_may_be_nan(tmp_path: Path) -> None:
    raw = torch_zip({"state_dict": {"w": torch.ones(2)}, "momentum": torch.tensor([float("nan")])})
    assert read_checkpoint(saved(tmp_path, raw)).left == ("momentum",)


# Any bytes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", GOOD)
@pytest.mark.filterwarnings("ignore")
def test_changed_bytes_are_read_or_refused_and_nothing_else(tmp_path: Path, kind: str) -> None:
    raw = GOOD[kind]

    @given(st.lists(st.tuples(st.integers(0, len(raw) - 1), st.integers(0, 255)), min_size=1))
    def changed(places: list[tuple[int, int]]) -> None:
        content = bytearray(raw)
        for place, value in places:
            content[place] = value
        try:
            found = read_checkpoint(saved(tmp_path, bytes(content)))
        except NlvizError as error:
            assert "\n" not in str(error)
        else:
            assert all(value.isfinite().all() for value in found.tensors.values())

    changed()


@given(
    st.sampled_from([b"", b"\x80\x02", b"PK\x03\x04", b"\x1f\x8b\x08", GOOD["torch legacy"][:90]]),
    st.binary(max_size=400),
)
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, head: bytes, tail: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.pth"
    path.write_bytes(head + tail)
    with pytest.raises(NlvizError):
        read_checkpoint(path)


@pytest.mark.parametrize("packing", PACKINGS)
def test_kinds_are_told_by_the_first_bytes(packing: str) -> None:
    expected = {"": "torch zip", " in tar": "tar"}.get(packing, "gzip")
    raw = PACKINGS[packing](GOOD["torch zip"])
    assert kind_of(Source("a", memoryview(bytearray(raw)))) == expected
