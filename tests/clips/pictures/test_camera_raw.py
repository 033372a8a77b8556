"""Camera raw files: the largest picture in them, and a sentence; the thumbnail only where told."""

from __future__ import annotations

import io
import itertools
import struct

import numpy as np
import pytest
from PIL import Image

from nlviz.clips.clip import read_clip
from nlviz.errors import UnreadableClip

Tags = dict[int, int | bytes | tuple[int, ...]]


def jpeg(wide: int, high: int, level: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((high, wide, 3), level, np.uint8)).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def raw_file(*directories: Tags, inside: tuple[Tags, ...] = ()) -> bytes:
    """Return a TIFF of these directories; bytes lie behind them, ``inside`` hangs on the first."""
    out = bytearray(b"II*\0\0\0\0\0")
    places: list[int] = []

    def lay(tags: Tags) -> int:
        fields: list[tuple[int, int, int, bytes]] = []
        for tag, value in tags.items():
            if isinstance(value, bytes):  # what a strip or a JPEG holds
                length = {273: 279, 513: 514}[tag]
                fields.append((length, 4, 1, struct.pack("<I", len(value))))
                value, at = len(out), len(out)
                out.extend(tags[tag])  # type: ignore[arg-type]
                fields.append((tag, 4, 1, struct.pack("<I", at)))
            elif isinstance(value, tuple):
                packed = struct.pack(f"<{len(value)}I", *value)
                at = len(out)
                out.extend(packed)
                place = packed if len(value) == 1 else struct.pack("<I", at)
                fields.append((tag, 4, len(value), place))
            else:
                fields.append((tag, 4, 1, struct.pack("<I", value)))
        at = len(out)
        out.extend(struct.pack("<H", len(fields)))
        for tag, kind, count, content in sorted(fields):
            out.extend(struct.pack("<HHI", tag, kind, count) + content)
        out.extend(bytes(4))
        return at

    subs = tuple(lay(tags) for tags in inside)
    for number, tags in enumerate(directories):
        places.append(lay({**tags, 330: subs} if subs and number == 0 else tags))
    struct.pack_into("<I", out, 4, places[0])
    for before, after in itertools.pairwise(places):
        count = struct.unpack_from("<H", out, before)[0]
        struct.pack_into("<I", out, before + 2 + 12 * count, after)
    return bytes(out)


def plain(wide: int, high: int, level: int, **more: int) -> Tags:
    pixels = bytes([level]) * (3 * wide * high)
    tags: Tags = {256: wide, 257: high, 258: 8, 259: 1, 262: 2, 277: 3, 278: high, 273: pixels}
    return {**tags, **{int(tag[1:]): value for tag, value in more.items()}}


SENSOR: Tags = {
    254: 0,
    256: 120,
    257: 90,
    258: 16,
    259: 1,
    262: 32803,
    277: 1,
    278: 90,
    273: bytes(2 * 120 * 90),
}
DNG = {"t50706": 0x00000401}


def test_a_dng_shows_its_largest_preview_and_says_so() -> None:
    preview: Tags = {254: 1, 256: 60, 257: 45, 258: 8, 259: 7, 262: 6, 277: 3, 278: 45}
    preview[273] = jpeg(60, 45, 180)
    data = raw_file(plain(16, 12, 9, t254=1, **DNG), inside=(SENSOR, preview))
    clip = read_clip(data)
    assert clip.shape == (1, 45, 60)
    assert abs(int(clip.frames[0, 9, 9, 0]) - 180) <= 2
    assert "(120 x 90 px) are not developed here" in clip.notes[0]
    assert "the picture of 60 x 45 px that the camera put into it" in clip.notes[0]


def test_a_thumbnail_is_shown_only_with_a_word() -> None:
    clip = read_clip(raw_file(plain(16, 12, 77, t254=1, t274=6, **DNG), inside=(SENSOR,)))
    assert clip.shape == (1, 16, 12)  # turned as the file asks for
    assert (clip.frames == 77).all()
    assert "Shown is the picture of 16 x 12 px" in clip.notes[0]


def test_previews_by_the_older_tags_are_found() -> None:
    second: Tags = {256: 16, 257: 12, 259: 6, 513: jpeg(80, 60, 40)}
    clip = read_clip(raw_file(SENSOR, second))
    assert clip.shape == (1, 60, 80)


def test_a_sensor_alone_is_refused() -> None:
    with pytest.raises(UnreadableClip, match=r"camera raw file \(120 x 90 px\).*export a TIFF"):
        read_clip(raw_file(SENSOR))
