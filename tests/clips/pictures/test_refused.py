"""Files of kinds that are not read are named, with the cure."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from nlviz.clips.clip import read_clip
from nlviz.errors import UnreadableClip

KINDS = {
    b"\xff\x0a" + bytes(40): "JPEG XL",
    b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(40): "JPEG XL",
    b"%PDF-1.7\n": "PDF.*export its pages",
    b"%!PS-Adobe-3.0 EPSF": "PostScript",
    b'<?xml version="1.0" encoding="UTF-8"?>\n<!-- x -->\n<svg xmlns="a"/>': "SVG",
    b"  <svg></svg>": "SVG",
    b"v/1\x01" + bytes(60): "OpenEXR.*tone-map",
    b"#?RADIANCE\n": "Radiance",
    bytes(128) + b"DICM" + bytes(9): "DICOM.*from_frames",
    bytes(344) + b"n+1\0" + bytes(9): "NIfTI.*from_frames",
    b"\x89HDF\r\n\x1a\n": "HDF5",
    b"\x93NUMPY\x01\0": "numpy.load",
    b"\0\0\0\x18ftypcrx \0\0": "CR3.*develop it",
    b"FUJIFILMCCD-RAW 0201": "RAF",
    b"IIRO\x08\0\0\0": "ORF",
    b"IIU\0\x18\0": "RW2",
    b"PK\x03\x04" + bytes(30): "ZIP archive; |ZIP archive, which is not read here; unpack it",
    b"\x1f\x8b\x08" + bytes(30): "gzip.*unpack it",
}


@pytest.mark.parametrize("data", KINDS, ids=lambda data: KINDS[data].split("[.;]")[0][:20])
def test_kinds_that_are_not_read_are_named(data: bytes) -> None:
    with pytest.raises(UnreadableClip, match=KINDS[data]):
        read_clip(data)


def test_a_jpeg_of_twelve_bits_is_told() -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.full((17, 23), 90, np.uint8)).save(buffer, "JPEG")
    data = bytearray(buffer.getvalue())
    start = data.index(b"\xff\xc0")
    data[start + 4] = 12
    with pytest.raises(UnreadableClip, match=r"a JPEG of 12 bits.*8 bits, or as PNG"):
        read_clip(bytes(data))
    data[start : start + 2], data[start + 4] = b"\xff\xc3", 8
    with pytest.raises(UnreadableClip, match="a JPEG without loss"):
        read_clip(bytes(data))
