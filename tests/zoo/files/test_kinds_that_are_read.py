"""Real files of every container, read as their own programs read them."""

from __future__ import annotations

import argparse
import collections
import io
import pathlib
import pickle
import sys
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from nlviz.zoo.files import read_checkpoint
from tests.zoo.files.writing import (
    PACKINGS,
    WRITERS,
    python2_pickle,
    saved,
    torch_legacy,
    torch_zip,
)


def weights() -> dict[str, Tensor]:
    drawn = torch.Generator().manual_seed(5)

    def draw(*size: int) -> Tensor:
        return torch.randn(*size, generator=drawn)

    wide = draw(9, 4)
    return collections.OrderedDict(
        {
            "conv.weight": draw(5, 3, 1, 2, 2),
            "askew": draw(3),
            "transposed": draw(6, 7).t(),
            "part": wide[2:5, 1:],
            "whole": wide,
            "parameter": nn.Parameter(draw(2, 3)),
            "half": draw(11).half(),
            "brain": draw(13).bfloat16(),
            "double": draw(3, 2).double(),
            "count": torch.tensor(7),
            "mask": torch.tensor([True, False, True]),
            "small": torch.arange(5, dtype=torch.int8),
            "unsigned": torch.tensor([1, 65535], dtype=torch.uint16),
            "none of it": torch.empty(0, 4),
        }
    )


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize(
    "write",
    [torch_zip, torch_legacy, lambda v: torch_zip(v, pickle_protocol=4),
     lambda v: torch_zip(v, pickle_protocol=5)],
    ids=["zip", "legacy", "zip, protocol 4", "zip, protocol 5"],
)  # fmt: skip
def test_torch_files_hold_what_torch_reads_from_them(
    tmp_path: Path, write: Callable[[object], bytes], packing: str
) -> None:
    expected = weights()
    if write is torch_legacy:
        del expected["unsigned"]  # torch writes it there and cannot read it
    raw = write({"state_dict": expected, "epoch": 3})
    path = saved(tmp_path, PACKINGS[packing](raw), "net.pkl")
    found = read_checkpoint(path)
    if write in (torch_zip, torch_legacy):  # torch warns at the other protocols
        expected = torch.load(io.BytesIO(raw), weights_only=True)["state_dict"]
    kind = "torch legacy" if write is torch_legacy else "torch zip"
    assert (found.container, found.wrapper, found.meta) == (
        kind + packing, "state_dict", {"epoch": 3},
    )  # fmt: skip
    assert (found.path, found.size, found.left) == (path, path.stat().st_size, ())
    assert list(found.tensors) == list(expected)
    for key, value in expected.items():
        read = found.tensors[key]
        assert (read.dtype, read.shape, read.stride()) == (value.dtype, value.shape, value.stride())
        assert torch.equal(read, value.detach()), key
    assert found.tensors["part"].data_ptr() - found.tensors["whole"].data_ptr() == 4 * 9


def arrays() -> dict[str, np.ndarray]:
    drawn = np.random.default_rng(7)
    return {
        "conv1_w": drawn.standard_normal((6, 3, 5, 7, 2)).astype("f4"),
        "res_conv1_bn_s": drawn.standard_normal(7).astype("f4"),
        "model_iter": np.array(400_000, "i8"),
        "big_endian": np.arange(6, dtype=">f4").reshape(2, 3),
        "fortran": np.asfortranarray(drawn.standard_normal((30, 50))),
        "flags": np.array([True, False]),
        "none of it": np.empty((0, 3), "f4"),
    }


@pytest.mark.parametrize("packing", PACKINGS)
def test_a_caffe2_pickle_of_python_2(tmp_path: Path, packing: str) -> None:
    raw = python2_pickle({"blobs": arrays(), "lr": np.float32(0.5), "note": "é" * 300, "epoch": 9})
    assert b"U\x07conv1_w" in raw and b"\x8c" not in raw[:50]
    assert pickle.loads(raw, encoding="latin1")["blobs"].keys() == arrays().keys()
    found = read_checkpoint(saved(tmp_path, PACKINGS[packing](raw), "net.pth"))
    assert (found.container, found.wrapper) == (f"caffe2 pickle{packing}", "blobs")
    assert (found.meta["lr"], found.meta["epoch"]) == (0.5, 9)
    assert list(found.tensors) == list(arrays())
    for key, value in arrays().items():
        assert np.array_equal(found.tensors[key].numpy(), value), key
        assert found.tensors[key].numpy().dtype == value.dtype.newbyteorder("=")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("wrap", ["", "model", "blobs"])
def test_numpy_pickles_of_python_3(tmp_path: Path, protocol: int, wrap: str) -> None:
    content = {wrap: arrays()} if wrap else arrays()
    found = read_checkpoint(saved(tmp_path, pickle.dumps(content, protocol)))
    assert (found.container, found.wrapper) == (
        "caffe2 pickle" if wrap == "blobs" else "numpy pickle", wrap,
    )  # fmt: skip
    for key, value in arrays().items():
        assert np.array_equal(found.tensors[key].numpy(), value), key


def test_safetensors(tmp_path: Path) -> None:
    expected = {k: v.detach().contiguous() for k, v in weights().items()}
    expected = {k: v.clone() for k, v in expected.items()}
    save_file(expected, tmp_path / "net.t7", {"epoch": "3"})
    found = read_checkpoint(tmp_path / "net.t7")
    assert (found.container, found.wrapper, found.meta) == ("safetensors", "", {"epoch": "3"})
    assert found.tensors.keys() == expected.keys()
    assert all(torch.equal(found.tensors[k], v) for k, v in expected.items())


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("name", ["net.pth", "net.safetensors", "net.t7", "net", "net.params.pkl"])
def test_the_extension_says_nothing(tmp_path: Path, kind: str, name: str) -> None:
    content = arrays() if kind == "caffe2 pickle" else weights()
    assert read_checkpoint(saved(tmp_path, WRITERS[kind](content), name)).container == kind


@pytest.mark.parametrize(
    ("content", "wrapper"),
    [
        (lambda w: w, ""),
        (lambda w: {"model_state": w, "optimizer_state": {"state": {0: w}}}, "model_state"),
        (lambda w: {"model": w, "ema": {"x": w["askew"]}}, "model"),
        (lambda w: {"student": w, "teacher": w}, "teacher"),
        (lambda w: {"model": {"state_dict": w}}, "model.state_dict"),
        (lambda w: {"net": w, "best": w["askew"]}, "net"),
        (lambda w: {"something": w, "epoch": 3}, "something"),
    ],
)
def test_the_weights_are_found_where_training_code_puts_them(
    tmp_path: Path, content: Callable[[dict[str, Tensor]], object], wrapper: str
) -> None:
    found = read_checkpoint(saved(tmp_path, torch_zip(content(weights()))))
    assert found.wrapper == wrapper
    assert list(found.tensors) == list(weights())


class _Foreign:
    """A class that is not installed where the file is read."""

    def __init__(self, **state: object) -> None:
        self.__dict__.update(state)


@pytest.fixture
def foreign(monkeypatch: pytest.MonkeyPatch) -> Callable[..., type]:
    def make(full: str, *bases: type) -> type:
        module, _, name = full.rpartition(".")

        def method(self: object) -> int:
            return 0

        method.__module__, method.__qualname__ = module, f"{name}.min"
        kind = type(name, bases or (_Foreign,), {"__module__": module, "min": method})
        here = types.ModuleType(module)
        setattr(here, name, kind)
        for end in range(len(module.split("."))):
            parent = ".".join(module.split(".")[: end + 1])
            monkeypatch.setitem(sys.modules, parent, types.ModuleType(parent))
        monkeypatch.setitem(sys.modules, module, here)
        return kind

    return make


@pytest.mark.parametrize("write", [torch_zip, torch_legacy])
def test_objects_of_training_code_are_never_made(
    tmp_path: Path, write: Callable[[object], bytes], foreign: Callable[..., type],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    history = foreign("mmengine.logging.history_buffer.HistoryBuffer")
    config = foreign("yacs.config.CfgNode", dict)
    node = config(lr=0.1)
    node.__dict__["_immutable"] = True
    buffer = history(log=np.arange(4.0), methods={"min": history.min})
    raw = write(
        {
            "state_dict": weights(),
            "meta": {"epoch": 12, "cfg": "model = dict()", "odd": buffer, "seed": np.int64(3)},
            "message_hub": {"log_scalars": {"loss": buffer}},
            "cfg": node,
            "args": argparse.Namespace(depth=50, out=pathlib.PurePosixPath("/a/b")),
            "counts": collections.Counter("aab"),
            "lists": collections.defaultdict(list, {"x": [1, (2.5, None, True)]}),
            "text": "NONLOCAL:\n  POOL: 1\n" * 40,
            "size": torch.Size([3, 4]),
            "optimizer": {"state": {0: {"step": torch.tensor(3)}}},
        }
    )
    for name in [n for n in sys.modules if n.startswith(("mmengine", "yacs"))]:
        monkeypatch.delitem(sys.modules, name)
    found = read_checkpoint(saved(tmp_path, raw))
    assert list(found.tensors) == list(weights())
    assert found.meta == {
        "meta": {"epoch": 12, "cfg": "model = dict()", "seed": 3},
        "cfg": {"lr": 0.1},
        "args": {"depth": 50, "out": "/a/b"},
        "counts": {"a": 2, "b": 1},
        "lists": {"x": [1, [2.5, None, True]]},
        "text": "NONLOCAL:\n  POOL: 1\n" * 40,
        "size": [3, 4],
    }
    assert found.left == (
        "message_hub (mmengine.logging.history_buffer.HistoryBuffer)",
        "optimizer",
    )
    assert not [n for n in sys.modules if n.startswith(("mmengine", "yacs"))]


def test_tensors_of_a_torch_zip_lie_in_the_mapped_file(tmp_path: Path) -> None:
    expected = {f"w{n}": torch.randn(40 + n) for n in range(4)}
    raw = torch_zip(expected)
    found = read_checkpoint(saved(tmp_path, raw)).tensors
    place = {key: raw.index(value.numpy().tobytes()) for key, value in expected.items()}
    first = found["w0"].data_ptr() - place["w0"]
    assert {key: value.data_ptr() - first for key, value in found.items()} == place


def test_writing_to_a_tensor_leaves_the_file_alone(tmp_path: Path) -> None:
    path = saved(tmp_path, torch_zip(weights()))
    before = path.read_bytes()
    read_checkpoint(path).tensors["whole"].zero_()
    assert path.read_bytes() == before
    assert read_checkpoint(path).tensors["whole"].count_nonzero() == 36


def test_weights_outlive_their_file(tmp_path: Path) -> None:
    path = saved(tmp_path, torch_zip(weights()))
    found = read_checkpoint(path).tensors
    path.unlink()
    assert torch.equal(found["whole"], weights()["whole"])


@pytest.mark.parametrize("kind", WRITERS)
def test_numbers_lie_where_a_processor_can_read_them(tmp_path: Path, kind: str) -> None:
    for shift in range(8):
        named = {"a" * (shift + 1): np.arange(9, dtype="f8"), "b": np.ones(300, "f8")}
        content = {k: torch.from_numpy(v) for k, v in named.items()}
        raw = WRITERS[kind](named if kind == "caffe2 pickle" else content)
        for value in read_checkpoint(saved(tmp_path, raw)).tensors.values():
            assert value.data_ptr() % 8 == 0
            assert value.sum() in (36, 300)


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    path = saved(tmp_path, PACKINGS[" in gzip"](torch_zip(weights())))
    read_checkpoint(path, progress=lambda *a: told.append(a))
    assert told[0] == ("Reading net.pth", 0.0) and told[-1] == ("Read net.pth", 1.0)
    assert ("Unpacking net.pth", 1.0) in told
