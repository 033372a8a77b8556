"""Where decoding may begin, and what an index promises."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest

from nlviz.clips.video.access import Access
from nlviz.clips.video.film import Film
from nlviz.clips.video.index import Index, foretold
from nlviz.clips.video.opened import Opened
from nlviz.clips.video.packets import list_packets
from nlviz.progress import Progress
from tests.clips.video.films import film, h264, hevc, mpeg


def index_of(data: bytes) -> Index:
    with Opened(BytesIO(data)) as opened:
        codec = opened.stream.codec_context.codec
        packets = list_packets(opened, Progress())
        return foretold(packets, codec.canonical_name, codec.intra_only)


@pytest.mark.parametrize("container", ["mp4", "mpegts"])
@pytest.mark.parametrize(
    ("codec", "options", "size", "every"),
    [
        ("libx264", h264(14, 2), (32, 48), 14),
        ("libx264", h264(14, 2, open_gop=True), (32, 48), 14),
        ("libx265", hevc(18, 3), (64, 96), 18),
        ("libx265", hevc(18, 3, open_gop=True), (64, 96), 18),
    ],
)
def test_decoding_begins_at_key_frames_even_where_some_before_them_follow(
    container: str, codec: str, options: dict[str, str], size: tuple[int, int], every: int
) -> None:
    index = index_of(film(container, codec, options, size=size))
    assert index.sure
    starts = [index.start_before(n) for n in range(70)]
    numbers = sorted({start[1] for start in starts if start is not None})
    assert len(numbers) == -(-70 // every)
    assert numbers[:2] == [0, pytest.approx(every, abs=3)]
    for number, start in enumerate(starts):
        assert start is not None
        assert start[1] <= number
        assert (index.order[number:] >= start[0]).all() or number == start[1]


@pytest.mark.parametrize("container", ["mp4", "mpegts"])
def test_a_refresh_that_is_spread_over_frames_is_no_start(container: str) -> None:
    data = film(container, "libx264", h264(12, 0, more=":intra-refresh=1"))
    assert index_of(data).start_before(69) == (0, 0)


@pytest.mark.parametrize(
    ("container", "codec", "options", "sure"),
    [
        ("avi", "libx264", h264(12, 2), False),  # times of display are FFmpeg's guess
        ("avi", "mpeg4", mpeg(12, 2), True),  # by the kinds of its frames
        ("avi", "mpeg2video", mpeg(12, 2), False),
        ("avi", "mjpeg", {}, True),
        ("h264", "libx264", h264(12, 2), False),
        ("matroska", "libx264", h264(12, 2), True),
        ("webm", "libvpx", {"g": "12"}, True),
        ("gif", "gif", {}, False),  # its frames build on each other
    ],
)
def test_what_is_believed(container: str, codec: str, options: dict[str, str], sure: bool) -> None:
    pixels = {"gif": "rgb8", "mjpeg": "yuvj420p"}.get(codec, "yuv420p")
    data = film(container, codec, options, pixels=pixels, count=30)
    index = index_of(data)
    assert index.sure == sure
    if sure:
        np.testing.assert_allclose(index.times, Film(BytesIO(data)).times(), atol=1e-9)
    assert len(index) == 30
    np.testing.assert_array_equal(np.sort(index.order), np.arange(30))


def _message(payload: bytes, kind: int = 6) -> bytes:
    long, rest = divmod(len(payload), 255)
    return b"\0\0\1" + bytes([6, kind, *[255] * long, rest]) + payload + b"\x80"


@pytest.mark.parametrize(
    ("packet", "begins"),
    [
        (b"\0\0\0\1\x65slice", True),
        (b"\0\0\1\x09\xf0\0\0\1\x67set\0\0\1\x68set\0\0\1\x65slice", True),
        (b"\0\0\1\x41slice", False),
        (_message(b"\xc4") + b"\0\0\1\x41slice", True),  # recovers after no frame, exactly
        (_message(b"\x84") + b"\0\0\1\x41slice", False),  # only about
        (_message(b"\x48") + b"\0\0\1\x41slice", False),  # after a frame
        (_message(b"text" * 70, kind=5) + _message(b"\xc4") + b"\0\0\1\x01slice", True),
        (_message(b"text" * 70, kind=5) + b"\0\0\1\x01slice", False),
        (b"", False),
    ],
)
def test_starts_of_h264(packet: bytes, begins: bool) -> None:
    access = Access("h264", intra_only=False, extradata=None)
    assert access.begins(memoryview(packet), marked=True) == begins
    assert not access.begins(memoryview(packet), marked=False)


def test_starts_of_h264_with_lengths() -> None:
    stored = bytes([1, 66, 0, 10, 0xFD]) + bytes(30)  # lengths of two bytes
    access = Access("h264", intra_only=False, extradata=stored)
    assert access.begins(memoryview(b"\0\3\x67ab\0\2\x65c"), marked=True)
    assert not access.begins(memoryview(b"\0\3\x67ab\0\2\x41c"), marked=True)
