"""What a file is, told by its first bytes; and why some kinds cannot be read."""

from __future__ import annotations

import re

from nlviz.containers.packings import is_tar
from nlviz.containers.safetensors_file import looks_like_safetensors
from nlviz.containers.source import Source
from nlviz.containers.torch_files import LEGACY_NUMBER

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
