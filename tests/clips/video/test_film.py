"""Frames are those of a plain full decode, by number and bit for bit, however asked for."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nlviz.clips.clip import read_clip
from nlviz.clips.video import film as films_module
from nlviz.clips.video import kept, passes
from nlviz.clips.video.film import Film
from nlviz.clips.video.remembered import Remembered
from nlviz.errors import UnreadableClip
from tests.clips.video.films import PlainScreen, film, h264, hevc, mpeg, packed, picture, plain

WIDE = (64, 96)  # x265 needs a block of 64 pixels

Made = tuple[str, str, dict[str, str], dict[str, Any]]

FILMS: dict[str, Made] = {
    **{
        f"H.264 in {container}, {name}": (container, "libx264", options, {})
        for container in ("mp4", "matroska", "mpegts", "avi", "flv", "h264")
        for name, options in {
            "no B": h264(10, 0),
            "closed": h264(15, 2),
            "open": h264(21, 3, open_gop=True, more=":b-pyramid=normal"),
        }.items()
    },
    "H.264 without key frames": ("matroska", "libx264", h264(25, 0, more=":intra-refresh=1"), {}),
    "H.264 in fragments": ("mp4", "libx264", h264(12, 3), {"muxer": {"movflags": "frag_keyframe"}}),
    "H.264, late": ("mp4", "libx264", h264(12, 2), {"pts": [7 * k + 900 for k in range(70)]}),
    "H.264, uneven": (
        ("matroska", "libx264", h264(12, 3), {"pts": [k + k * k // 9 for k in range(70)]})
    ),
    "H.264, times that wrap": (
        ("mpegts", "libx264", h264(12, 3), {"muxer": {"output_ts_offset": "95442"}})
    ),
    "HEVC, closed": ("matroska", "libx265", hevc(13, 0), {"size": WIDE}),
    "HEVC, open": ("matroska", "libx265", hevc(24, 3, open_gop=True), {"size": WIDE}),
    "HEVC in a transport stream": ("mpegts", "libx265", hevc(24, 3, open_gop=True), {"size": WIDE}),
    "MPEG-4 in AVI": ("avi", "mpeg4", mpeg(12, 0), {}),
    "MPEG-4 in AVI with B": ("avi", "mpeg4", mpeg(15, 2), {}),
    "MPEG-4 in MP4 with B": ("mp4", "mpeg4", mpeg(15, 2), {}),
    "MPEG-4 in ASF": ("asf", "mpeg4", mpeg(15, 2), {}),
    "MPEG-2 in a transport stream": ("mpegts", "mpeg2video", mpeg(15, 2), {}),
    "MPEG-2 of a DVD": ("dvd", "mpeg2video", mpeg(15, 2), {}),
    "MPEG-2 in MXF": ("mxf", "mpeg2video", mpeg(12, 2), {}),
    "MPEG-1 in a program stream": ("mpeg", "mpeg1video", mpeg(15, 2), {}),
    "MPEG-1 by itself": ("mpeg1video", "mpeg1video", mpeg(15, 2), {}),
    "VP8 with hidden frames": (
        ("webm", "libvpx", {"g": "20", "auto-alt-ref": "1", "lag-in-frames": "16"}, {})
    ),
    "VP9": ("webm", "libvpx-vp9", {"g": "20", "cpu-used": "6", "lag-in-frames": "16"}, {}),
    "VP9 with transparency": (
        ("webm", "libvpx-vp9", {"g": "20", "cpu-used": "6"}, {"pixels": "yuva420p"})
    ),
    "motion JPEG": ("avi", "mjpeg", {}, {"pixels": "yuvj420p"}),
    "FFV1": ("matroska", "ffv1", {"g": "9"}, {}),
    "Cinepak": ("avi", "cinepak", {}, {"pixels": "rgb24"}),
    "GIF": ("gif", "gif", {}, {"pixels": "rgb8"}),
}


@pytest.fixture
def as_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "Screen", PlainScreen)


@pytest.fixture
def nothing_is_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Treat short films as long ones: believe what can be believed, and seek."""
    monkeypatch.setattr(films_module, "FEW", 0)
    monkeypatch.setattr(passes, "NEAR", 2)


@pytest.fixture(scope="module")
def made() -> Iterator[dict[str, bytes]]:
    """Films by name, made once."""
    yield {}


def wanted(count: int, first: int, stride: int | None, frames: int | None) -> list[int]:
    """Return the frames to expect, by the words of ``read_clip`` alone."""
    rest = list(range(first, count))
    if stride is not None:
        return rest[::stride][:frames]
    if frames is None or frames >= len(rest):
        return rest
    return [rest[round(float(at))] for at in np.linspace(0, len(rest) - 1, frames)]


def agrees(data: bytes, frames: list[Any], seed: int, asks: int) -> None:
    """Check so many random readings of a film against all its frames."""
    rng = np.random.default_rng(seed)
    times = Film(BytesIO(data)).times()
    assert len(times) == len(frames)
    assert times[0] == 0
    assert (np.diff(times) > 0).all()
    for number in range(asks):
        first = int(rng.integers(len(frames))) if number else 0
        stride = [None, 1, 3, int(rng.integers(2, 30))][int(rng.integers(4))]
        limit = [None, 1, int(rng.integers(2, 9))][int(rng.integers(3))]
        clip = read_clip(data, start=float(times[first]), stride=stride, frames=limit)
        want = wanted(len(frames), first, stride, limit)
        np.testing.assert_allclose(clip.times, times[want], atol=1e-9)
        for got, place in zip(clip.frames, want, strict=True):
            assert np.array_equal(got, frames[place]), (first, stride, limit, place)


@pytest.mark.parametrize("name", FILMS)
@pytest.mark.usefixtures("as_stored")
def test_decoded_through(name: str, made: dict[str, bytes]) -> None:
    container, codec, options, more = FILMS[name]
    data = made.setdefault(name, film(container, codec, options, **more))
    frames = plain(data)
    assert len(frames) == 70
    agrees(data, frames, seed=len(name), asks=6)


@pytest.mark.parametrize("name", FILMS)
@pytest.mark.usefixtures("as_stored", "nothing_is_few")
def test_sought(name: str, made: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    container, codec, options, more = FILMS[name]
    data = made.setdefault(name, film(container, codec, options, **more))
    # A film that was decoded through is remembered, and then sought in: both are tried.
    monkeypatch.setattr(films_module, "_REMEMBERED", Remembered(len(name) % 2))
    agrees(data, plain(data), seed=len(name) + 1, asks=8)


@pytest.mark.parametrize(
    ("container", "codec", "options", "count", "rate"),
    [
        ("mpegts", "mpeg2video", mpeg(15, 2), 700, 25),
        ("vob", "mpeg2video", mpeg(12, 2), 640, 25),
        ("avi", "libx264", h264(40, 3), 700, 25),
        ("avi", "mpeg4", mpeg(50, 2), 700, 25),
        ("mp4", "libx264", h264(50, 3, open_gop=True), 700, 25),
        ("matroska", "mpeg4", mpeg(60, 0), 1300, 2),  # eleven minutes
        ("matroska", "libx264", h264(90, 2), 1300, 2),
    ],
)
@pytest.mark.usefixtures("as_stored")
def test_long_films(
    container: str, codec: str, options: dict[str, str], count: int, rate: int
) -> None:
    data = film(container, codec, options, count=count, rate=rate)
    agrees(data, plain(data), seed=count, asks=8)


# Files that keep no order -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("container", "codec", "options"),
    [
        ("mpegts", "mpeg2video", mpeg(12, 2)),
        ("mpegts", "libx264", h264(12, 3, open_gop=True)),
        ("vob", "mpeg2video", mpeg(12, 2)),
        ("matroska", "libx264", h264(12, 3)),
    ],
)
@pytest.mark.usefixtures("as_stored")
def test_joined_recordings_are_shown_whole_and_told(
    container: str, codec: str, options: dict[str, str]
) -> None:
    parts = [film(container, codec, options, count=n, first=f) for n, f in ((31, 0), (43, 100))]
    data = b"".join(parts)
    frames = plain(data)
    assert len(frames) == 74
    agrees(data, frames, seed=3, asks=6)
    clip = read_clip(data)
    np.testing.assert_allclose(np.diff(clip.times), 0.04, atol=2e-3)
    assert any("start again or jump at frame 31 (1.24 s)" in note for note in clip.notes)


def test_a_cut_of_hours_in_a_transport_stream_is_told() -> None:
    late = {"output_ts_offset": "9000"}
    data = film("mpegts", "mpeg2video", mpeg(12, 2), count=25) + film(
        "mpegts", "mpeg2video", mpeg(12, 2), count=25, muxer=late
    )
    clip = read_clip(data)
    assert clip.times[-1] == pytest.approx(49 / 25, abs=2e-3)
    assert "jump at frame 25" in " ".join(clip.notes)


@pytest.mark.parametrize("long", [False, True])
@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
def test_a_recording_that_begins_in_the_middle(
    long: bool, codec: str, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue("as_stored")
    if long:
        request.getfixturevalue("nothing_is_few")
    options = h264(13, 3, open_gop=True) if codec == "libx264" else mpeg(13, 2)
    whole = film("mpegts", codec, options)
    data = whole[len(whole) // 3 // 188 * 188 :]
    frames = plain(data)
    assert 20 < len(frames) < 60
    agrees(data, frames, seed=5, asks=8)


@pytest.mark.parametrize("long", [False, True])
def test_two_frames_in_a_packet_and_none_in_the_next(
    long: bool, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue("as_stored")
    if long:
        request.getfixturevalue("nothing_is_few")
    apart = film("avi", "mpeg4", mpeg(13, 1), count=61)
    together = packed(apart)
    assert together != apart
    agrees(together, plain(apart), seed=8, asks=8)
    np.testing.assert_allclose(read_clip(together).times, np.arange(61) / 25, atol=1e-9)


def _with_empty_chunks(avi: bytes, every: int) -> bytes:
    """Put an empty chunk, which repeats the frame before it, behind every so many frames."""
    movi = avi.index(b"movi")
    end = movi + struct.unpack("<I", avi[movi - 4 : movi])[0]
    out, entries, at = bytearray(avi[: movi + 4]), [], movi + 4
    while at < end:
        size = struct.unpack("<I", avi[at + 4 : at + 8])[0]
        for length, chunk in ((size, avi[at : at + 8 + size + size % 2]), (0, b"00dc" + bytes(4))):
            if length or (len(entries) + 1) % (every + 1) == 0:
                key = 0 if entries else 16
                entries.append(b"00dc" + struct.pack("<III", key, len(out) - movi, length))
                out += chunk
        at += 8 + size + size % 2
    out[movi - 4 : movi] = struct.pack("<I", len(out) - movi)
    out += b"idx1" + struct.pack("<I", 16 * len(entries)) + b"".join(entries)
    out[4:8] = struct.pack("<I", len(out) - 8)
    return bytes(out)


@pytest.mark.usefixtures("as_stored")
def test_empty_chunks_of_avi_repeat_a_frame_and_take_its_time() -> None:
    data = _with_empty_chunks(film("avi", "mpeg4", mpeg(12, 0), count=30), every=5)
    frames = plain(data)
    assert len(frames) == 30
    agrees(data, frames, seed=2, asks=4)
    slots = [k + k // 5 for k in range(30)]
    np.testing.assert_allclose(read_clip(data).times, np.array(slots) / 25, atol=1e-9)


@pytest.mark.usefixtures("as_stored")
def test_times_that_a_container_cannot_tell_apart_are_spread() -> None:
    data = film("matroska", "libx264", h264(12, 2), rate=3000)  # its tick is a millisecond
    frames = plain(data)
    times = Film(BytesIO(data)).times()
    assert len(times) == len(frames) == 70
    assert (np.diff(times) > 0).all()
    assert np.abs(times - np.arange(70) / 3000).max() < 2e-3
    clip = read_clip(data, stride=9)
    for got, place in zip(clip.frames, range(0, 70, 9), strict=True):
        assert np.array_equal(got, frames[place])
    assert "no time or one out of order" in clip.notes[0]


def test_a_stream_without_times_says_which_were_taken() -> None:
    clip = read_clip(film("h264", "libx264", h264(12, 2), count=20), frames=3)
    np.testing.assert_allclose(clip.times, np.array([0, 10, 19]) / 25)
    assert clip.notes == (
        "The file gives its frames no times; 25 frames a second are taken, and the first lies at "
        "0 s.",
    )


# Damage -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("container", "codec", "options"),
    [
        ("mpegts", "libx264", h264(12, 3)),
        ("matroska", "libx264", h264(12, 2)),
        ("avi", "mpeg4", mpeg(12, 2)),
        ("vob", "mpeg2video", mpeg(12, 2)),
        ("webm", "libvpx", {"g": "12"}),
    ],
)
@pytest.mark.usefixtures("as_stored")
def test_damaged_films_of_few_frames_are_what_a_full_decode_gives(
    container: str, codec: str, options: dict[str, str], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    data = bytearray(film(container, codec, options, count=45))
    for at in rng.integers(len(data) // 5, len(data), 1 + 3 * seed):
        data[at] = rng.integers(256)
    frames = plain(bytes(data))
    agrees(bytes(data), frames, seed=seed, asks=4)


@pytest.mark.parametrize("options", [{"start": 0.0}, {"stride": 2, "frames": 20}])
def test_damage_is_told(options: dict[str, Any]) -> None:
    sound = film("avi", "mpeg4", mpeg(12, 2), count=45)
    rng = np.random.default_rng(1)
    data = bytearray(sound)
    for at in rng.integers(len(data) // 5, len(data) * 3 // 5, 20):
        data[at] = rng.integers(256)
    assert any("damaged" in note for note in read_clip(bytes(data), **options).notes)
    assert read_clip(sound, **options).notes == ()


@pytest.mark.parametrize("container", ["mp4", "matroska", "mpegts", "avi", "flv"])
@pytest.mark.usefixtures("as_stored")
def test_films_that_were_cut_short(container: str) -> None:
    muxer = {"movflags": "frag_keyframe"} if container == "mp4" else {}
    codec, options = ("mpeg4", mpeg(12, 2)) if container == "avi" else ("libx264", h264(12, 3))
    data = film(container, codec, options, muxer=muxer)
    data = data[: len(data) * 3 // 5]
    agrees(data, plain(data), seed=4, asks=5)


# One file, read while it changes, stopped, read again ---------------------------------------------


def test_a_file_that_grows_gives_what_it_held_when_it_was_opened(tmp_path: Path) -> None:
    whole = film("mpegts", "mpeg2video", mpeg(12, 2), count=60)
    path = tmp_path / "growing.ts"
    path.write_bytes(whole[: len(whole) // 2 // 188 * 188])
    before = read_clip(path)
    opened = Film(path)
    with path.open("ab") as file:
        file.write(whole[len(whole) // 2 // 188 * 188 :])
    assert len(opened.times()) == len(before.times)
    assert len(read_clip(path).times) == 60


def test_counting_can_be_stopped() -> None:
    class Stopped(Exception):
        pass

    def stop(sentence: str, share: float) -> None:
        raise Stopped

    data = film("avi", "libx264", h264(50, 3), count=260)
    with pytest.raises(Stopped):
        read_clip(data, start=9.0, progress=stop)


def test_a_start_that_seems_to_lie_behind_the_end_is_judged_by_what_decodes() -> None:
    data = film("mpegts", "mpeg2video", mpeg(12, 2), count=31) * 2
    assert read_clip(data, start=2.0).times[0] == pytest.approx(2.0, abs=2e-3)
    with pytest.raises(UnreadableClip, match=r"before the last frame at 2\.44 s, got 2\.5 s"):
        read_clip(data, start=2.5)


@pytest.mark.usefixtures("nothing_is_few")
def test_what_a_full_decode_showed_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(films_module, "_REMEMBERED", Remembered(2))
    data = film("avi", "libx264", h264(12, 3), count=90)
    first = read_clip(data, frames=4)
    monkeypatch.setattr(films_module, "measure", None)
    again = read_clip(data, frames=4)
    np.testing.assert_array_equal(again.frames, first.frames)
    np.testing.assert_array_equal(again.times, first.times)


def test_pictures_of_the_tests_differ() -> None:
    assert len({picture(k).tobytes() for k in range(190)}) == 190
