"""Files of ``torch.save``: the zip of today and the row of pickles of before 2020."""

from __future__ import annotations

import sys
from pathlib import Path

from safetensors import SafetensorError, safe_open

from nlviz.errors import UnreadableCheckpoint
from nlviz.zoo.files.bytes import Source
from nlviz.zoo.files.pickle_reader import PickleReader
from nlviz.zoo.files.state_dict import Weights, check_finite, weights_of
from nlviz.zoo.files.zip_records import records

LEGACY_NUMBER = 0x1950A86A20F9469CFC6C
"""What the first pickle of a file from before 2020 holds."""


def read_torch_zip(source: Source) -> Weights:
    """Read a zip of ``torch.save``; tensors are views of the file.

    Raises:
        UnsafeCheckpoint: when its pickle names anything but the parts of weights.
        UnreadableCheckpoint: when it is another kind of zip, is broken, or holds no weights.
    """
    held = records(source)
    root = next((n for n in held if n.rpartition("/")[2] == "data.pkl"), None)
    folder = "" if root is None else root[: -len("data.pkl")]
    inside = {name[len(folder) :] for name in held if name.startswith(folder)}
    if root is None or "constants.pkl" in inside or any(n.startswith("code/") for n in inside):
        raise UnreadableCheckpoint(f"{source.name} is {_other_zip(set(held), root is not None)}")
    packed = next((n for n, record in held.items() if record is None), None)
    if packed is not None:
        raise UnreadableCheckpoint(
            f"{source.name} has a record {packed!r} that is compressed or encrypted, torch writes "
            "none; unpack the archive and pack it again without compression"
        )
    order = bytes(held.get(f"{folder}byteorder") or b"little")
    if order.decode("latin-1") != sys.byteorder:
        raise UnreadableCheckpoint(
            f"{source.name} was written with byte order {order!r}, this machine has "
            f"{sys.byteorder!r}; save it again on a machine like this one"
        )
    reader = PickleReader(source, held[root])
    found = reader.load()
    for key, storage in reader.storages.items():
        record = held.get(f"{folder}data/{key}")
        wanted = storage.numel * storage.dtype.itemsize
        if record is None or len(record) < wanted:
            there = "is not there" if record is None else f"has {len(record):,}"
            raise source.broken(
                f"the numbers of storage {key!r} claim {wanted:,} bytes, it {there}"
            )
        storage.data = record[:wanted]
    return weights_of(source, found)


def _other_zip(names: set[str], torch_made: bool) -> str:
    if torch_made:
        return (
            "a TorchScript program, which is code; load it with torch.jit.load where you trust it "
            "and save its state_dict with torch.save"
        )
    if any(name.endswith(".npy") for name in names):
        return "an archive of numpy arrays (.npz); save them as safetensors or with torch.save"
    if any(name.endswith(".h5") for name in names):
        return "a Keras model; only torch, Caffe2 and safetensors weights can be read"
    shown = ", ".join(sorted(names)[:3]) or "nothing"
    return f"a zip archive with {shown}, not one of torch.save; unpack it and name the weights file"


def read_torch_legacy(source: Source) -> Weights:
    """Read a file of ``torch.save`` from before torch 1.6.

    Raises:
        UnsafeCheckpoint: when its pickle names anything but the parts of weights.
        UnreadableCheckpoint: when it is broken or cut short, or holds no weights.
    """
    reader = PickleReader(source)
    reader.load()  # the number that told the kind
    if (version := reader.load()) != 1001:
        raise source.broken(f"it has version {version!r} of torch's old format, 1001 is known")
    system = reader.load()
    if isinstance(system, dict) and system.get("little_endian", True) is not True:
        raise UnreadableCheckpoint(
            f"{source.name} was written on a big-endian machine; save it again on another one"
        )
    found = reader.load()
    keys = reader.load()
    if not isinstance(keys, list) or not all(isinstance(k, str | int) for k in keys):
        raise source.broken("its list of storages is none")
    at = reader.at
    for key in map(str, keys):
        storage = reader.storages.get(key)
        if storage is None or storage.data is not None:
            raise source.broken(f"storage {key!r} is listed, and no tensor needs it")
        count = int.from_bytes(source.part(at, 8, f"storage {key!r}"), "little")
        if count != storage.numel:
            raise source.broken(
                f"storage {key!r} claims {storage.numel:,} numbers, {count:,} were written"
            )
        size = count * storage.dtype.itemsize
        storage.data = source.part(at + 8, size, f"storage {key!r}")
        at += 8 + size
    return weights_of(source, found)


def read_pickle(source: Source) -> Weights:
    """Read one pickle of named arrays; its byte strings are text where they are names.

    Raises:
        UnsafeCheckpoint: when it names anything but the parts of weights.
        UnreadableCheckpoint: when it is broken or cut short, or holds no weights.
    """
    return weights_of(source, PickleReader(source).load())


MOST_HEADER = 8 * 2**20
"""Bytes of names and shapes; a network with a thousand tensors has some 100,000."""


def looks_like_safetensors(data: memoryview) -> bool:
    """Return whether a file begins with a length and a JSON header."""
    return len(data) > 9 and bytes(data[5:9]) == b"\0\0\0{"


def read_safetensors(source: Source, path: Path) -> Weights:
    """Read a safetensors file; tensors are views of it.

    Raises:
        UnreadableCheckpoint: when it is broken or cut short, or weights are NaN or infinite.
    """
    header = int.from_bytes(source.data[:8], "little")
    source.part(8, header, "its header")
    if header > MOST_HEADER:
        raise source.broken(f"it claims a header of {header:,} bytes, no weights need one")
    try:
        with safe_open(path, framework="pt") as opened:
            tensors = {key: opened.get_tensor(key) for key in opened.keys()}
            meta = dict(opened.metadata() or {})
    except SafetensorError as error:
        raise UnreadableCheckpoint(
            f"{source.name} is no complete safetensors file ({error}): it is cut short or broken, "
            "download it again"
        ) from None
    if not tensors:
        raise UnreadableCheckpoint(f"{source.name} holds no tensors; save a state_dict")
    check_finite(source, tensors)
    return Weights(tensors, "", meta, ())
