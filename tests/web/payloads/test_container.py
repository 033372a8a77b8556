"""The container: what goes in comes out, aligned, and broken bytes are refused in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from nlviz.errors import InvalidView
from nlviz.web.payloads.container import pack, unpack


def test_round_trip_keeps_types_shapes_and_values() -> None:
    arrays: dict[str, npt.NDArray[Any]] = {
        "half": np.arange(15, dtype=np.float16).reshape(1, 3, 5),
        "single": np.linspace(0, 1, 7, dtype=np.float32),
        "bytes": np.frombuffer(b"jpeg...", np.uint8),
        "whole": np.array([[-1, 2]], np.int32),
        "empty": np.zeros((0, 3), np.float32),
        "turned": np.arange(6, dtype=np.float32).reshape(2, 3).T,
        "swapped": np.arange(3, dtype=">f4"),
    }
    header, read = unpack(pack({"clip": {"name": "Bär"}}, arrays))
    assert header["clip"]["name"] == "Bär"
    assert header["format"] == "nlviz.live_view"
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)


def test_every_section_starts_on_a_16_byte_boundary() -> None:
    blob = pack({"a": "x" * 3}, {"one": np.zeros(3, np.uint8), "two": np.zeros(5, np.float32)})
    header, _ = unpack(blob)
    body = 4 + int.from_bytes(blob[:4], "little")
    assert body % 16 == 0
    assert all((body + section["at"]) % 16 == 0 for section in header["sections"])


@pytest.mark.parametrize(
    ("blob", "words"),
    [
        (b"", "not a live view"),
        (b"\x10\x00\x00\x00not json at all.", "not a live view"),
        (pack({}, {"a": np.zeros(64, np.float32)})[:-16], "cut short"),
        (pack({}, {}).replace(b'"version": 1', b'"version": 7'), "version 7"),
    ],
)
def test_broken_bytes_are_refused(blob: bytes, words: str) -> None:
    with pytest.raises(InvalidView, match=words):
        unpack(blob)


def test_what_the_browser_cannot_read_is_refused() -> None:
    with pytest.raises(InvalidView, match="astype"):
        pack({}, {"wide": np.zeros(3)})
    with pytest.raises(InvalidView, match="finite"):
        pack({"parity": float("nan")}, {})
