"""One way to read them all."""

from __future__ import annotations

import re
from dataclasses import replace
from os import PathLike
from pathlib import Path

from torch import Tensor

from nlviz.errors import UnreadableCheckpoint
from nlviz.families.reading.checkpoint import Checkpoint
from nlviz.progress import Listener, Progress
from nlviz.zoo.files.bytes import Source, mapped
from nlviz.zoo.files.folders import is_in_parts, parts_of, shards
from nlviz.zoo.files.gzip_and_tar import from_gzip, from_tar, is_tar
from nlviz.zoo.files.readers import (
    LEGACY_NUMBER,
    looks_like_safetensors,
    read_pickle,
    read_safetensors,
    read_torch_legacy,
    read_torch_zip,
)
from nlviz.zoo.files.state_dict import Weights

_MOST_PACKINGS = 3
_READERS = {
    "torch zip": read_torch_zip,
    "torch legacy": read_torch_legacy,
    "numpy pickle": read_pickle,
}


def read_checkpoint(path: str | PathLike[str], *, progress: Listener | None = None) -> Checkpoint:
    """Read the weights of a file, whatever wrote it and whatever it is called.

    Nothing in the file is run, nothing is written, and memory stays within a few times the file's
    size. Tensors are views of the file where they can be; they may be written to, the file does
    not change. They are on the CPU and of the dtype that was stored. The file may be deleted or
    replaced while they are in use, but must not be cut short in place: clone them to outlive that.

    Args:
        path: the file; or a folder with one, or with shards and their index.
        progress: called with a sentence and a share in [0, 1].

    Raises:
        UnsafeCheckpoint: when the file asks for anything but the parts of weights.
        UnreadableCheckpoint: when it is missing, broken or cut short, of a kind that cannot be
            read, holds no weights, or weights that are NaN or infinite.

    >>> import tempfile, torch
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     torch.save({"epoch": 3, "state_dict": {"fc.bias": torch.ones(2)}}, folder + "/a.pkl")
    ...     found = read_checkpoint(folder + "/a.pkl")
    >>> found.container, found.wrapper, dict(found.meta)
    ('torch zip', 'state_dict', {'epoch': 3})
    >>> found.tensors["fc.bias"]
    tensor([1., 1.])
    """
    path = Path(path)
    if is_in_parts(path):
        return _in_parts(path, progress)
    if progress:
        progress(f"Reading {path.name}", 0.0)
    source = mapped(path)
    size = len(source.data)
    container, weights = _opened(source, path, progress)
    if progress:
        progress(f"Read {path.name}", 1.0)
    return Checkpoint(
        path,
        container,
        weights.tensors,
        weights.wrapper,
        weights.meta,
        weights.left,
        size,
        weights.others,
    )


def _in_parts(path: Path, progress: Listener | None) -> Checkpoint:
    """Read a folder, or the shards of an index, as one file.

    Raises:
        UnreadableCheckpoint: when two shards hold the same tensor, or one lacks what it should.
    """
    files = parts_of(path)
    tell = Progress.of(progress)
    read = [
        read_checkpoint(file, progress=tell.part(n / len(files), (n + 1) / len(files)))
        for n, file in enumerate(files)
    ]
    if len(read) == 1:
        return replace(read[0], path=path)
    tensors: dict[str, Tensor] = {}
    for part in read:
        if twice := tensors.keys() & part.tensors.keys():
            raise UnreadableCheckpoint(
                f"two shards of {path.name} hold {sorted(twice)[0]}; download them again"
            )
        tensors |= part.tensors
    index = path if path.is_file() else next(path.glob("*.safetensors.index.json"), None)
    index = index or next(path.glob("*.index.json"))
    if lost := [key for key in shards(index) if key not in tensors]:
        raise UnreadableCheckpoint(
            f"{index.name} lists {lost[0]}, which no shard holds ({len(lost)} such); download the "
            "shards again"
        )
    return replace(
        read[0],
        path=path,
        container=f"{read[0].container} in {len(read)} shards",
        tensors=tensors,
        size=sum(part.size for part in read),
        others={},
    )


def _opened(source: Source, path: Path, progress: Listener | None) -> tuple[str, Weights]:
    packed = ""
    for _ in range(_MOST_PACKINGS + 1):
        kind = kind_of(source)
        if kind in _READERS:
            weights = _READERS[kind](source)
            if kind == "numpy pickle" and weights.wrapper == "blobs":
                kind = "caffe2 pickle"
            return kind + packed, weights
        if kind == "gzip":
            source, packed = from_gzip(source, progress), f" in gzip{packed}"
        elif kind == "tar":
            source, packed = from_tar(source), f" in tar{packed}"
        elif kind == "safetensors" and not packed:
            return kind, read_safetensors(source, path)
        elif kind == "safetensors":
            raise UnreadableCheckpoint(
                f"{source.name} is a safetensors file{packed}; unpack it and name the file inside"
            )
        else:
            raise UnreadableCheckpoint(f"{source.name} is {what_it_is(source)}")
    raise UnreadableCheckpoint(
        f"{source.name} is packed more than {_MOST_PACKINGS} times; unpack it and name the "
        "weights file"
    )


_TORCH_NUMBER = b"\x8a\x0a" + LEGACY_NUMBER.to_bytes(10, "little")
_PICKLE = re.compile(
    rb"\x80[\x00-\x05]"  # a protocol
    rb"|c[\w.]+\n[\w.]+\n[()}\]qpXS\x8c]|[(](?:dp|lp|S'|c[\w.]+\n)|[}\]]q"  # or a first operation
)
_PROTOBUF = re.compile(rb"\x08[\x01-\x10]\x12|\x0a[\x01-\xff]{1,2}\x0a", re.DOTALL)

SHORTEST = 16
"""Bytes; a file with fewer cannot be told apart from others."""

_READ_ONLY = "only torch, Caffe2 and safetensors weights can be read"
_UNPACK = "unpack it and name the weights file inside"

_FOREIGN = (
    (b"\x12\x01\0\0\0\0\0\0", "an MXNet .params file, which only MXNet reads; take the torch file "
     "of the same model, GluonCV has one for each (.pth)"),
    (b"\x89HDF\r\n\x1a\n", f"an HDF5 file, of Keras perhaps; {_READ_ONLY}, convert it"),
    (b"\x04\0\0\0\x01\0\0\0\x03\0\0\0V 1", "a .t7 file of Lua's Torch; convert it in Lua or take "
     "the PyTorch weights of the same model"),
    (b"\x03\0\0\0\x01\0\0\0", "a .t7 file of Lua's Torch; convert it in Lua or take the PyTorch "
     "weights of the same model"),
    (b"4\n1\n3\nV 1", "a .t7 text file of Lua's Torch; convert it in Lua or take the PyTorch "
     "weights of the same model"),
    (b"\x93NUMPY", "one numpy array (.npy), not the named weights of a network; save a state_dict"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself; run git lfs pull"),
    (b"BZh", f"a bzip2 archive; {_UNPACK}"),
    (b"\xfd7zXZ\0", f"an xz archive; {_UNPACK}"),
    (b"\x28\xb5\x2f\xfd", f"a zstd archive; {_UNPACK}"),
    (b"7z\xbc\xaf\x27\x1c", f"a 7z archive; {_UNPACK}"),
    (b"Rar!", f"a rar archive; {_UNPACK}"),
    (b"GGUF", f"a GGUF file of a language model; {_READ_ONLY}"),
)  # fmt: skip


def kind_of(source: Source) -> str:
    """Return what a file is: the name of a container, ``gzip``, ``tar``, or nothing.

    >>> kind_of(Source("a.pth", memoryview(b"PK" + bytes([3, 4]) + bytes(30))))
    'torch zip'
    """
    data = source.data
    head = bytes(data[:64])
    if len(data) < SHORTEST:
        return ""
    if looks_like_safetensors(data):  # first, as its length can look like any other mark
        return "safetensors"
    if head.startswith(b"PK\x03\x04"):
        return "torch zip"
    if head.startswith(b"\x1f\x8b"):
        return "gzip"
    if is_tar(data):
        return "tar"
    if any(head.startswith(mark) for mark, _ in _FOREIGN):
        return ""
    if head[2:].startswith(_TORCH_NUMBER) or head[13 - 2 :].startswith(_TORCH_NUMBER):
        return "torch legacy"
    if _PICKLE.match(head):
        return "numpy pickle"
    return ""


def what_it_is(source: Source) -> str:
    """Return what a file that cannot be read is, and the cure, as the end of a sentence."""
    data = source.data
    head = bytes(data[:1024])
    for mark, told in _FOREIGN:
        if head.startswith(mark):
            return told
    if len(data) < SHORTEST:
        return (
            f"no file of weights, it has only {len(data)} bytes and is cut short; download it again"
        )
    if bytes(data[-8:]) == bytes.fromhex("57fb808b247547db"):
        return f"the index of a TensorFlow checkpoint; {_READ_ONLY}, convert it"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return "a web page, not weights; open the link in a browser and download the file itself"
    if head.isascii() and b"\0" not in head:
        return "a text file, not weights; name the weights file, or download it again"
    if b"onnx" in head or (head[:1] == b"\x08" and b"pytorch" in head[:32]):
        return "an ONNX network; save the state_dict of the torch network it came from"
    if _PROTOBUF.match(head):
        return f"a protobuf network of TensorFlow, Caffe or ONNX; {_READ_ONLY}, convert it"
    return f"of no known kind, it begins with {head[:8].hex(' ')}; {_READ_ONLY}"
