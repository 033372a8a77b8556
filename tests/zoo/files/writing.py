"""Writes checkpoints as their authors' programs do, and as nobody should."""

from __future__ import annotations

import gzip
import io
import pickle
import struct
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch


class _Python2Pickler(pickle._Pickler):  # type: ignore[name-defined,misc]
    """Writes text and bytes as Python 2 did: both are byte strings."""

    dispatch: ClassVar[dict[type, Any]] = dict(pickle._Pickler.dispatch)  # type: ignore[attr-defined]

    def save_str(self, value: str) -> None:
        self.save_bytes(value.encode("latin-1"))

    def save_bytes(self, value: bytes) -> None:
        size = len(value)
        self.write(b"U" + bytes([size]) if size < 256 else b"T" + struct.pack("<I", size))
        self.write(value)

    dispatch[str] = save_str
    dispatch[bytes] = save_bytes


def python2_pickle(value: object) -> bytes:
    """Return a protocol 2 pickle with Python 2's strings, as Caffe2's programs wrote."""
    out = io.BytesIO()
    _Python2Pickler(out, 2).dump(value)
    return out.getvalue()


def torch_zip(value: object, **options: Any) -> bytes:
    out = io.BytesIO()
    torch.save(value, out, **options)
    return out.getvalue()


def torch_legacy(value: object) -> bytes:
    return torch_zip(value, _use_new_zipfile_serialization=False)


def tarred(files: Mapping[str, bytes], *, mode: str = "w") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


PACKINGS = {
    "": lambda raw: raw,
    " in gzip": gzip.compress,
    " in tar": lambda raw: tarred({"run/net.pth": raw}),
    " in tar in gzip": lambda raw: tarred({"net.pth": raw}, mode="w:gz"),
}

WRITERS = {
    "torch zip": torch_zip,
    "torch legacy": torch_legacy,
    "caffe2 pickle": lambda value: python2_pickle({"blobs": value}),
}


def saved(folder: Path, content: bytes, name: str = "net.pth") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


# Pickles by hand ---------------------------------------------------------------------------------


def text(value: str) -> bytes:
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def named(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def pickled(body: bytes) -> bytes:
    """Return a protocol 2 pickle of operations that leave one object."""
    return b"\x80\x02" + text("what is dropped") + b"0" + body + b"."


def zip_with_pickle(content: bytes, *, good: object = None) -> bytes:
    """Return a torch zip whose pickle was replaced; the storages are those of ``good``."""
    import zipfile

    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(torch_zip(good))) as old, zipfile.ZipFile(out, "w") as new:
        for entry in old.infolist():
            data = content if entry.filename.endswith("data.pkl") else old.read(entry)
            new.writestr(entry.filename, data)
    return out.getvalue()


def legacy_with_pickle(content: bytes) -> bytes:
    """Return an old torch file whose pickle was replaced."""
    head = torch_legacy(None)
    stream = io.BytesIO(head)
    for _ in range(3):
        pickle.load(stream)
    return head[: stream.tell()] + content + pickle.dumps([], 2)


def storage(key: str, numel: int, kind: str = "FloatStorage") -> bytes:
    """Return the operations that mention a storage."""
    count = b"\x8a\x08" + struct.pack("<q", numel)
    return b"(" + text("storage") + named("torch", kind) + text(key) + text("cpu") + count + b"tQ"


def tensor(
    key: str, numel: int, size: tuple[int, ...], stride: tuple[int, ...], **kind: str
) -> bytes:
    """Return the operations that make a tensor."""

    def numbers(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(b"\x8a\x08" + struct.pack("<q", v) for v in values) + b"t"

    return (
        named("torch._utils", "_rebuild_tensor_v2")
        + b"(" + storage(key, numel, **kind) + b"K\x00" + numbers(size) + numbers(stride)
        + b"\x89" + named("collections", "OrderedDict") + b")RtR"
    )  # fmt: skip
