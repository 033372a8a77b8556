"""The numbers of a TIFF page, out of its strips or tiles.

tifffile lays them together. It leaves some codecs to a large package of its own; of these Pillow's
libtiff unpacks LZW and Zstandard here, a strip or tile at a time, and the rest are a few lines.
"""

from __future__ import annotations

import lzma
import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from nlviz.errors import UnreadableClip

_WHOLE = (1, 8, 16, 32, 64)  # bits of a sample that tifffile unpacks
_PLAIN, _FLOATS = 1, 3  # compression and predictor
_DEFLATE = (8, 32946, 50013)
_LZMA = 34925
_PACKBITS = 32773
_BY_LIBTIFF = (5, 34926, 50000)  # LZW, Zstandard


def samples_of(page: Any) -> npt.NDArray[Any]:
    """Return the numbers of a page, (H, W), (H, W, S) or, where colours are apart, (S, H, W).

    Raises:
        UnreadableClip: when it is packed in a way that nothing here unpacks.
    """
    codec, bits, predictor = int(page.compression), page.bitspersample, int(page.predictor)
    if codec not in (_PLAIN, *_DEFLATE, _LZMA, _PACKBITS, *_BY_LIBTIFF):
        name = getattr(page.compression, "name", codec)
        raise UnreadableClip(
            f"nothing here unpacks {name} of TIFF files; save it without compression, or with "
            "deflate"
        )
    packed = bits not in _WHOLE and page.dtype.kind in "ui"
    # What is unpacked here goes on as if it had been written plainly.
    page.compression = _PLAIN
    if predictor == _FLOATS:
        page.predictor = 1
    if packed:
        page.bitspersample = page.dtype.itemsize * 8
    out = np.zeros(page.shaped, page.dtype)
    for number, data in enumerate(_segments(page)):
        wide, high = _extent(page, number)
        if not data:
            continue
        row = -(-wide * bits // 8)
        raw = _unpacked(data, codec, row, high)
        if predictor == _FLOATS:
            raw = _floats(raw, page, wide, high)
        if packed:
            raw = _numbers(raw, page, bits, wide, row)
        segment, place, _ = page.decode(raw, number)
        plane, depth, top, left, _ = place
        room = out[plane, depth, top : top + segment.shape[1], left : left + segment.shape[2]]
        room[...] = segment[0, : room.shape[0], : room.shape[1]]
    page.bitspersample = bits
    return out.reshape(page.shape)


def _segments(page: Any) -> Iterator[bytes]:
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        page.parent.filehandle.seek(offset)
        yield page.parent.filehandle.read(count) if count else b""


def _extent(page: Any, number: int) -> tuple[int, int]:
    """Return samples in a row, and rows, of a strip or tile."""
    samples = page.samplesperpixel if page.planarconfig == 1 else 1
    if page.is_tiled:
        return page.tilewidth * samples, page.tilelength * max(page.tiledepth, 1)
    rows = min(page.rowsperstrip, page.imagelength)
    strips = -(-page.imagelength // rows)
    top = number % strips * rows
    return page.imagewidth * samples, min(rows, page.imagelength - top)


def _unpacked(data: bytes, codec: int, row: int, high: int) -> bytes:
    if codec in _DEFLATE:
        return zlib.decompress(data)
    if codec == _LZMA:
        return lzma.decompress(data)
    if codec == _PACKBITS:
        return _from_packbits(data)
    return _by_libtiff(data, codec, row, high) if codec in _BY_LIBTIFF else data


def _by_libtiff(data: bytes, codec: int, row: int, high: int) -> bytes:
    """Unpack a strip or tile by Pillow's libtiff, as a picture of its bytes."""
    tags = {256: row, 257: high, 258: 8, 259: codec, 262: 1, 273: 0, 277: 1, 278: high, 279: 0}
    tags |= {273: 8 + 2 + 12 * len(tags) + 4, 279: len(data)}
    head = b"II*\0" + struct.pack("<IH", 8, len(tags))
    fields = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    with Image.open(BytesIO(head + fields + bytes(4) + data), formats=("TIFF",)) as image:
        return image.tobytes()


def _from_packbits(data: bytes) -> bytes:
    out, at = bytearray(), 0
    while at < len(data):
        length = data[at]
        if length < 128:
            out += data[at + 1 : at + 2 + length]
            at += length + 1
        elif length > 128:
            out += data[at + 1 : at + 2] * (257 - length)
            at += 1
        at += 1
    return bytes(out)


def _floats(raw: bytes, page: Any, wide: int, high: int) -> bytes:
    """Undo the predictor of floats: bytes of a row lie apart by their place in the number."""
    size = page.dtype.itemsize
    samples = page.samplesperpixel if page.planarconfig == 1 else 1
    rows = np.frombuffer(raw, np.uint8, high * wide * size).reshape(high, -1, samples)
    summed = np.cumsum(rows, axis=1, dtype=np.uint8).reshape(high, size, wide)
    numbers = np.ascontiguousarray(summed.transpose(0, 2, 1)).view(f">f{size}")[..., 0]
    return numbers.astype(f"{page.parent.byteorder}f{size}").tobytes()


def _numbers(raw: bytes, page: Any, bits: int, wide: int, row: int) -> bytes:
    """Return numbers of 10, 12 or 14 bits, whose rows begin at whole bytes, in whole bytes each."""
    rows = np.frombuffer(raw[: len(raw) // row * row], np.uint8).reshape(-1, row)
    ones = np.unpackbits(rows, axis=1)[:, : wide * bits].reshape(len(rows), wide, bits)
    places = 1 << np.arange(bits - 1, -1, -1, dtype=np.uint64)
    numbers = (ones * places).sum(-1, dtype=np.uint64)
    kind = page.dtype.newbyteorder(page.parent.byteorder)
    return bytes(numbers.astype(kind).tobytes())
