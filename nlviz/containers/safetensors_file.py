"""Safetensors files, mapped."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError, safe_open

from nlviz.containers.finite import check_finite
from nlviz.containers.source import Source
from nlviz.containers.state_dict import Weights
from nlviz.errors import UnreadableCheckpoint

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
