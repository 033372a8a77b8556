"""The container: what goes in comes out, aligned, and broken bytes are refused in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from safetensors import safe_open
from safetensors.numpy import save

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
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)


def test_it_is_a_safetensors_file_whose_numbers_are_aligned(tmp_path: Path) -> None:
    sections = {
        "odd": np.zeros(3, np.uint8),
        "half": np.ones(5, np.float16),
        "single": np.ones(7, np.float32),
    }
    path = tmp_path / "view.safetensors"
    path.write_bytes(pack({"a": "x" * 3}, sections))
    with safe_open(path, "numpy") as file:
        assert set(file.keys()) == set(sections)
        assert file.metadata()["format"] == "nlviz.live_view"
        assert json.loads(file.metadata()["header"]) == {"a": "xxx"}
    blob = path.read_bytes()
    length = int.from_bytes(blob[:8], "little")
    table = json.loads(blob[8 : 8 + length])
    for name, array in sections.items():
        assert (8 + length + table[name]["data_offsets"][0]) % array.itemsize == 0


@pytest.mark.parametrize(
    ("blob", "words"),
    [
        (b"", "not a live view"),
        (b"\x10\x00\x00\x00\x00\x00\x00\x00not json at all.", "not a live view"),
        (save({"a": np.zeros(3, np.uint8)}), "not a live view"),
        (save({}, {"format": "nlviz.capture", "version": "1"}), "not a live view"),
        (pack({}, {"a": np.zeros(64, np.float32)})[:-16], "cut short"),
        (pack({}, {}).replace(b'"version":"2"', b'"version":"7"'), "version 7"),
    ],
    ids=["nothing", "text", "no version", "a capture", "cut short", "a later version"],
)
def test_broken_bytes_are_refused(blob: bytes, words: str) -> None:
    with pytest.raises(InvalidView, match=words):
        unpack(blob)


def test_what_the_browser_cannot_read_is_refused() -> None:
    with pytest.raises(InvalidView, match="astype"):
        pack({}, {"wide": np.zeros(3)})
    with pytest.raises(InvalidView, match="finite"):
        pack({"parity": float("nan")}, {})
