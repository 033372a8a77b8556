"""The part of a film's frames that is meant to be seen, as its container says.

FFmpeg's demuxers read it, but PyAV hands it on nowhere, so the header is read here: ``clap`` of
MP4 and QuickTime (ISO 14496-12, section 12.1.4), ``PixelCrop`` of Matroska (RFC 9559). Borders
that the codec itself cuts, as H.264 does, are gone when a frame is decoded.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from nlviz.clips.decoded import Frames

_HOLD = (b"moov", b"trak", b"mdia", b"minf", b"stbl")  # boxes of MP4 that hold boxes
_ENTRY = 86  # bytes of a video track's description before its boxes, length and kind included
# Elements of Matroska, with the bits of their length marker.
_SEGMENT, _TRACKS, _TRACK, _VIDEO = 0x18538067, 0x1654AE6B, 0xAE, 0xE0
_CLUSTER = 0x1F43B675
_CROPS = {0x54BB: "top", 0x54AA: "bottom", 0x54CC: "left", 0x54DD: "right"}
_MOST = 10_000  # boxes or elements looked at: a broken header has no end


@dataclass(frozen=True)
class Borders:
    """What is cut off a frame, in pixels of it.

    >>> import numpy as np
    >>> Borders(top=2, left=3).cut(np.zeros((20, 30, 3), np.uint8)).shape
    (18, 27, 3)
    """

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0

    def cut(self, picture: Frames) -> Frames:
        """Return what is left of a picture (H, W, 3); all of it where nothing would be left."""
        height, width = picture.shape[:2]
        rows, columns = height - self.top - self.bottom, width - self.left - self.right
        if min(rows, columns, self.top + 1, self.bottom + 1, self.left + 1, self.right + 1) < 1:
            return picture
        return picture[self.top : self.top + rows, self.left : self.left + columns]

    def __bool__(self) -> bool:
        return self != Borders()


def borders_of(source: Path | BytesIO, place: int) -> Borders:
    """Return the borders that the container cuts off a video track; no borders where it says none.

    Args:
        source: the file, or its bytes.
        place: of the track among the video tracks of the file, from 0.
    """
    try:
        with _opened(source) as file:
            head = file.read(12)
            file.seek(0)
            if head[:4] == b"\x1aE\xdf\xa3":
                found = list(_matroska(file))
            elif head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
                found = list(_mp4(file))
            else:
                return Borders()
    except (OSError, struct.error, ValueError):
        return Borders()
    return found[place] if place < len(found) else Borders()


def _opened(source: Path | BytesIO) -> BinaryIO:
    return BytesIO(source.getvalue()) if isinstance(source, BytesIO) else source.open("rb")


# MP4 ----------------------------------------------------------------------------------------------


def _mp4(file: BinaryIO) -> Iterator[Borders]:
    """Yield the borders of each video track."""
    handler = b""
    for kind, first, _ in _boxes(file, 0, file.seek(0, 2), into=_HOLD):
        if kind == b"hdlr":
            file.seek(first + 4)
            of_data, named = file.read(4) == b"dhlr", file.read(4)
            handler = handler if of_data else named
        elif kind == b"moof":
            return  # fragments of the film follow; the tracks come before them
        elif kind == b"stsd" and handler == b"vide":
            entry = first + 8
            file.seek(entry)
            head = file.read(_ENTRY)
            (length,) = struct.unpack(">I", head[:4])
            size = struct.unpack(">HH", head[32:36])
            inside = _boxes(file, entry + _ENTRY, entry + length, into=())
            claps = [at for kind, at, _ in inside if kind == b"clap"]
            yield _clap(file, claps[0], *size) if claps else Borders()
            handler = b""


def _boxes(
    file: BinaryIO, at: int, end: int, *, into: tuple[bytes, ...]
) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, first byte of the content and end of boxes, with those inside some kinds."""
    for _ in range(_MOST):
        if at + 8 > end:
            return
        file.seek(at)
        length, kind = struct.unpack(">I4s", file.read(8))
        first = at + 8
        if length == 1:
            (length,) = struct.unpack(">Q", file.read(8))
            first += 8
        stop = end if length == 0 else at + length
        if stop < first or stop > end:
            return
        yield kind, first, stop
        if kind in into:
            yield from _boxes(file, first, stop, into=into)
        at = stop


def _clap(file: BinaryIO, at: int, width: int, height: int) -> Borders:
    file.seek(at)
    numbers = struct.unpack(">IIIIiIiI", file.read(32))
    if 0 in numbers[1::2]:
        return Borders()
    wide, high, right, down = (n / d for n, d in zip(numbers[::2], numbers[1::2], strict=True))
    left, top = (width - wide) / 2 + right, (height - high) / 2 + down
    return Borders(
        top=round(top),
        bottom=round(height - high - top),
        left=round(left),
        right=round(width - wide - left),
    )


# Matroska -----------------------------------------------------------------------------------------


def _matroska(file: BinaryIO) -> Iterator[Borders]:
    """Yield the borders of each video track."""
    for kind, at, stop in _elements(file, 0, file.seek(0, 2), into=(_SEGMENT, _TRACKS, _TRACK)):
        if kind == _CLUSTER:
            return  # frames follow; the tracks come before them
        if kind == _VIDEO:
            crops = {}
            for part, first, last in _elements(file, at, stop, into=()):
                if part in _CROPS:
                    file.seek(first)
                    crops[_CROPS[part]] = int.from_bytes(file.read(last - first), "big")
            yield Borders(**crops)


def _elements(
    file: BinaryIO, at: int, end: int, *, into: tuple[int, ...]
) -> Iterator[tuple[int, int, int]]:
    """Yield number, first byte of the content and end of elements, with those inside some kinds."""
    for _ in range(_MOST):
        if at >= end:
            return
        file.seek(at)
        kind, _ = _number(file, marked=True)
        length, unknown = _number(file, marked=False)
        first = file.tell()
        stop = end if unknown else min(first + length, end)
        yield kind, first, stop
        if kind in into:
            yield from _elements(file, first, stop, into=into)
        at = stop


def _number(file: BinaryIO, *, marked: bool) -> tuple[int, bool]:
    """Read a number of variable length and whether all its bits are set, which means unknown."""
    head = file.read(1)
    if not head or not head[0]:
        raise ValueError("not Matroska")
    length = 9 - head[0].bit_length()
    rest = file.read(length - 1)
    value = int.from_bytes(head + rest, "big")
    plain = value & ((1 << 7 * length) - 1)
    return (value if marked else plain), plain == (1 << 7 * length) - 1
