"""Real files of many kinds, written here, whole and broken."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from nlviz.clips.clip import read_clip
from nlviz.clips.shown_frames import Screen
from nlviz.clips.video import kept, opened
from nlviz.errors import UnreadableClip
from tests.footage import bar, codec_is_there, shares, write_sound, write_video

KINDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "H.264 in mp4": ("mp4", "libx264", {}),
    "H.264 with B frames": ("mp4", "libx264", {"b_frames": 3, "gop": 12}),
    "H.264 in mov": ("mov", "libx264", {}),
    "H.264 in a transport stream": ("mpegts", "libx264", {"b_frames": 2, "gop": 12}),
    "H.264 in flv": ("flv", "libx264", {"b_frames": 2, "gop": 12}),
    "HEVC": ("matroska", "libx265", {"options": {"x265-params": "log-level=none"}}),
    "VP9": ("webm", "libvpx-vp9", {"options": {"deadline": "realtime", "cpu-used": "8"}}),
    "AV1": ("matroska", "libsvtav1", {"options": {"preset": "12"}}),
    "MPEG-4 in AVI": ("avi", "mpeg4", {}),
    "MPEG-4 in AVI with B frames": ("avi", "mpeg4", {"b_frames": 2, "gop": 12}),
    "MPEG-1 without a container": ("mpeg1video", "mpeg1video", {"rate": 25}),
    "motion JPEG": ("avi", "mjpeg", {"pixels": "yuvj420p"}),
    "GIF": ("gif", "gif", {"pixels": "rgb8"}),
    "animated PNG": ("apng", "apng", {"pixels": "rgb24"}),
    "ten bits": ("matroska", "libx265", {
        "pixels": "yuv420p10le", "options": {"x265-params": "log-level=none"},
    }),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_videos_of_many_kinds(kind: str) -> None:
    container, codec, options = KINDS[kind]
    if not codec_is_there(codec):
        pytest.skip(f"this FFmpeg cannot write {codec}")
    data = write_video(container, codec, **options)
    clip = read_clip(data, name=kind)
    assert clip.shape == (12, 64, 96)
    np.testing.assert_allclose(shares(clip.frames), np.arange(1, 13) / 13, atol=0.04)
    assert clip.times[0] == 0
    if codec != "mpeg1video":  # which has times of its own making
        np.testing.assert_allclose(clip.times, np.arange(12) / options.get("rate", 10), atol=2e-3)
    some = read_clip(data, frames=4)
    np.testing.assert_allclose(shares(some.frames), np.array([1, 5, 8, 12]) / 13, atol=0.04)
    red = clip.frames[11, 30, 20]
    assert abs(red.astype(int) - (220, 60, 40)).max() < 60


def test_a_file_and_its_bytes_are_the_same_clip(tmp_path: Path) -> None:
    data = write_video()
    path = tmp_path / "bar.mp4"
    path.write_bytes(data)
    one, two = read_clip(path), read_clip(data)
    np.testing.assert_array_equal(one.frames, two.frames)
    assert one.digest == two.digest
    assert (one.name, two.name) == ("bar.mp4", "upload")
    assert list(tmp_path.iterdir()) == [path]


def test_frames_of_variable_rate_keep_their_times() -> None:
    pts = [0, 1, 5, 6, 20, 21, 22, 30, 40, 41, 42, 50]
    data = write_video("matroska", pts=pts)
    clip = read_clip(data)
    np.testing.assert_allclose(clip.times, np.array(pts) / 10, atol=2e-3)
    late = read_clip(data, start=2.0, stride=3)
    np.testing.assert_allclose(late.times, [2.0, 3.0, 4.2], atol=2e-3)
    np.testing.assert_allclose(shares(late.frames), np.array([5, 8, 11]) / 13, atol=0.04)


@pytest.mark.parametrize(
    ("matrix", "corner"),
    [
        ((1, 0, 0, 1), (0, 0)),
        ((0, 1, -1, 0), (0, -1)),  # shown turned clockwise, as phones write upright video
        ((-1, 0, 0, -1), (-1, -1)),
        ((0, -1, 1, 0), (-1, 0)),
    ],
)
def test_rotation_metadata_is_honoured(
    matrix: tuple[int, int, int, int], corner: tuple[int, int]
) -> None:
    """The mark in the corner of the stored frame must land where ISO 14496-12's matrix puts it."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as out:
        stream: Any = out.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt = 64, 96, "yuv420p"
        frame = np.zeros((64, 96, 3), np.uint8)
        frame[:24, :24] = 255
        for packet in [
            *stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")), *stream.encode()
        ]:  # fmt: skip
            out.mux(packet)
    data = bytearray(buffer.getvalue())
    a, b, c, d = (n * 0x10000 for n in matrix)
    at = data.index(b"tkhd") + 4 + 40  # version 0: the matrix follows 40 bytes of other fields
    assert struct.unpack(">9i", data[at : at + 36]) == (65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    clip = read_clip(bytes(data))
    turned = matrix[0] == 0
    assert clip.shape == ((1, 96, 64) if turned else (1, 64, 96))
    y, x = (5 if i == 0 else -6 for i in corner)
    assert clip.frames[0, y, x].min() > 200
    others = [(5, 5), (5, -6), (-6, 5), (-6, -6)]
    others.remove((y, x))
    assert max(clip.frames[0, i, j].max() for i, j in others) < 60


def test_a_stream_that_changes_its_size_keeps_the_first() -> None:
    one = write_video("h264", frames=4)
    two = write_video("h264", frames=4, size=(96, 128))
    clip = read_clip(one + two)
    assert clip.shape == (8, 64, 96)
    np.testing.assert_allclose(shares(clip.frames), [0.2, 0.4, 0.6, 0.8] * 2, atol=0.05)


# Sampling -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "want"),
    [
        ({}, range(12)),
        ({"frames": 12}, range(12)),
        ({"frames": 99}, range(12)),
        ({"frames": 8}, [0, 2, 3, 5, 6, 8, 9, 11]),
        ({"frames": 2}, [0, 11]),
        ({"frames": 1}, [0]),
        ({"stride": 3}, [0, 3, 6, 9]),
        ({"stride": 3, "frames": 2}, [0, 3]),
        ({"stride": 99}, [0]),
        ({"start": 0.5}, range(5, 12)),
        ({"start": 0.45, "frames": 3}, [5, 8, 11]),
        ({"start": 0.5, "stride": 2, "frames": 2}, [5, 7]),
        ({"start": 1.1}, [11]),
    ],
)
def test_sampling(options: dict[str, Any], want: Any) -> None:
    clip = read_clip(write_video(), **options)
    np.testing.assert_allclose(clip.times, np.array(want) / 10, atol=1e-6)
    np.testing.assert_allclose(shares(clip.frames), (np.array(want) + 1) / 13, atol=0.04)


def test_eight_frames_of_a_clip_of_eight_are_all_eight() -> None:
    data = write_video(frames=8)
    np.testing.assert_array_equal(read_clip(data, frames=8).frames, read_clip(data).frames)


@pytest.mark.parametrize("start", [1.2, 5.0, 1e9])
def test_a_start_beyond_the_end_names_the_end(start: float) -> None:
    with pytest.raises(UnreadableClip, match=r"start must lie before the last frame at 1\.10 s"):
        read_clip(write_video(), start=start)


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"stride": 0}, "stride must be at least 1, got 0"),
        ({"frames": 0}, "frames must be at least 1, got 0"),
        ({"frames": -2}, "frames must be at least 1, got -2"),
        ({"size": 8}, "size must be at least 16, got 8"),
        ({"start": -1.0}, "start must be 0 seconds or more, got -1"),
        ({"start": float("nan")}, "start must be 0 seconds or more, got nan"),
    ],
)
def test_nonsense_sampling_is_refused(options: dict[str, Any], rule: str) -> None:
    with pytest.raises(UnreadableClip, match=rule):
        read_clip(write_video(), **options)


def test_size_is_the_shorter_side() -> None:
    assert read_clip(write_video(), size=32, frames=1).shape == (1, 32, 48)
    assert read_clip(write_video(), size=128, frames=1).shape == (1, 128, 192)


def test_many_frames_are_sought_not_decoded_through() -> None:
    data = write_video(frames=700, rate=50, gop=50, options={"preset": "ultrafast"}, size=(16, 64))
    clip = read_clip(data, frames=5)
    want = np.linspace(0, 699, 5).round()
    np.testing.assert_allclose(clip.times, want / 50, atol=1e-3)
    np.testing.assert_allclose(shares(clip.frames), (want + 1) / 701, atol=0.04)
    one = read_clip(data, start=10.0, frames=1)
    np.testing.assert_allclose(one.times, [10.0], atol=1e-3)
    np.testing.assert_allclose(shares(one.frames), [501 / 701], atol=0.04)


@pytest.fixture(scope="module")
def film() -> bytes:
    """Twenty minutes at one frame a second."""
    return write_video(
        "matroska", frames=1200, rate=1, gop=20, size=(16, 64), options={"preset": "ultrafast"}
    )


def test_of_long_films_only_what_is_wanted_is_kept(
    film: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = 0
    real = Screen.shown

    def count(screen: Screen, frame: Any) -> Any:
        nonlocal decoded
        decoded += 1
        return real(screen, frame)

    monkeypatch.setattr(Screen, "shown", count)
    clip = read_clip(film, frames=5)
    assert decoded == 5
    assert len(clip.times) == 5
    np.testing.assert_allclose(clip.times, np.linspace(0, 1199, 5).round(), atol=1e-3)
    np.testing.assert_allclose(shares(clip.frames), (clip.times + 1) / 1201, atol=0.04)
    some = read_clip(film, start=700.0, stride=10, frames=3)
    np.testing.assert_allclose(some.times, [700, 710, 720], atol=1e-3)
    with pytest.raises(UnreadableClip, match=r"before the last frame at 1199"):
        read_clip(film, start=4000.0)


def test_a_long_film_that_was_cut_short_gives_frames_of_what_is_there(film: bytes) -> None:
    clip = read_clip(film[: len(film) // 2], frames=6)
    assert len(clip.times) == 6
    assert 300 < clip.times[-1] < 800
    np.testing.assert_allclose(shares(clip.frames), (clip.times + 1) / 1201, atol=0.04)


def test_all_frames_of_four_hours_are_refused_at_once(
    film: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "MAX_BYTES", 1200 * 16 * 64 * 3 - 1)
    read = 0

    def count(sentence: str, share: float) -> None:
        nonlocal read
        read += 1

    with pytest.raises(UnreadableClip, match="1200 of 64 x 16 px take more; ask for fewer frames"):
        read_clip(film, progress=count)
    assert read == 0


def test_memory_stays_with_the_frames_asked_for() -> None:
    data = write_video(frames=120, size=(128, 128), options={"preset": "ultrafast"})
    one = 128 * 128 * 3
    tracemalloc.start()
    try:
        read_clip(data, frames=4)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < len(data) * 3 + 24 * one  # 120 frames would be five times that


def test_reading_can_be_cancelled_and_says_how_far_it_is() -> None:
    told: list[tuple[str, float]] = []

    def stop(sentence: str, share: float) -> None:
        told.append((sentence, share))
        if len(told) == 3:
            raise InterruptedError("stopped")

    with pytest.raises(InterruptedError):
        read_clip(write_video(), progress=stop)
    assert told[-1] == ("Reading frame 3 of 12", pytest.approx(3 / 12))


# Broken files -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"", "'bad.mp4' is empty"),
        (b"this is a text\n" * 200, "bad.mp4: FFmpeg cannot decode"),
        (bytes(5000), "bad.mp4: FFmpeg cannot decode"),
        (write_sound(), "bad.mp4: the file has no video track"),
        (write_sound(cover=True), "bad.mp4: the file has no video track"),
        (write_video()[:700], "bad.mp4: FFmpeg cannot decode"),
        (write_video("matroska")[:700], "bad.mp4: "),
    ],
    ids=["empty", "text", "zeros", "sound", "sound with a cover", "cut", "header only"],
)
def test_files_that_are_no_clips_are_one_sentence(data: bytes, rule: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.mp4"
    path.write_bytes(data)
    with pytest.raises(UnreadableClip, match=rule) as caught:
        read_clip(path)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == [path]


def test_a_video_without_frames() -> None:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as out:
        stream: Any = out.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt = 64, 96, "yuv420p"
        out.start_encoding()
    with pytest.raises(UnreadableClip, match=r"no frame|cannot decode"):
        read_clip(buffer.getvalue())


def test_a_video_of_one_frame() -> None:
    clip = read_clip(write_video(frames=1), frames=8)
    assert clip.shape == (1, 64, 96)
    assert clip.times.tolist() == [0.0]


@pytest.mark.parametrize("container", ["mpegts", "matroska", "avi"])
def test_a_video_that_was_cut_short_gives_what_decodes(container: str) -> None:
    codec = "mpeg4" if container == "avi" else "libx264"
    data = write_video(container, codec, frames=60)
    clip = read_clip(data[: len(data) * 2 // 3], frames=6)
    assert 4 <= len(clip.frames) <= 6
    assert clip.times[-1] < 5.5
    np.testing.assert_allclose(shares(clip.frames), (clip.times * 10 + 1) / 61, atol=0.06)


def test_an_index_that_promises_more_frames_than_there_are() -> None:
    data = bytearray(write_video(frames=40, faststart=True))
    at = data.index(b"mdat")
    cut = at + (len(data) - at) // 2
    clip = read_clip(bytes(data[:cut]), frames=5)
    assert len(clip.frames) >= 4
    assert clip.times[-1] < 3.5


def test_titles_in_another_encoding_do_not_matter() -> None:
    data = write_video("mp4", metadata={"title": "Zoe"}).replace(b"Zoe", b"Zo\xeb")
    assert b"Zo\xeb" in data
    assert read_clip(data).shape[0] == 12


def test_sound_beside_the_video_does_not_matter() -> None:
    assert read_clip(write_video("matroska", sound=True)).shape[0] == 12


@pytest.mark.parametrize("seed", range(4))
def test_damaged_bytes_give_a_clip_or_one_sentence(seed: int) -> None:
    rng = np.random.default_rng(seed)
    picture = io.BytesIO()
    Image.fromarray(bar(0.4)).save(picture, ("PNG", "JPEG", "WEBP", "GIF")[seed])
    kinds = (
        write_video(),
        write_video("matroska"),
        write_video("avi", "mpeg4"),
        picture.getvalue(),
    )
    for data in kinds:
        for _ in range(12):
            bad = bytearray(data)
            for at in rng.integers(0, len(bad), rng.integers(1, 8)):
                bad[at] = rng.integers(0, 256)
            try:
                clip = read_clip(bytes(bad), frames=3)
            except UnreadableClip:
                continue
            assert clip.frames.ndim == 4


# Pictures -----------------------------------------------------------------------------------------


def picture_bytes(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("kind", "options", "tolerance"),
    [
        ("PNG", {}, 0),
        ("BMP", {}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("WEBP", {"quality": 90}, 40),
        ("JPEG", {"quality": 95}, 40),
        ("JPEG2000", {}, 2),
        ("GIF", {}, 4),
        ("AVIF", {"quality": 95}, 40),
    ],
)
def test_pictures_of_many_kinds(kind: str, options: dict[str, Any], tolerance: int) -> None:
    clip = read_clip(picture_bytes(Image.fromarray(bar(0.5)), kind, **options))
    assert clip.shape == (1, 64, 96)
    assert clip.times.tolist() == [0.0]
    assert np.abs(clip.frames[0].astype(int) - bar(0.5)).max() <= tolerance


def test_grey_and_sixteen_bits() -> None:
    ramp = np.linspace(0, 255, 96).round().astype(np.uint8)[None].repeat(32, 0)
    for image in (Image.fromarray(ramp), Image.fromarray(ramp.astype(np.uint16) * 257)):
        for kind in ("PNG", "TIFF"):
            clip = read_clip(picture_bytes(image, kind))
            np.testing.assert_array_equal(clip.frames[0], ramp[..., None].repeat(3, 2))


def test_sixteen_bits_per_colour() -> None:
    rgb = bar(0.5).astype(np.uint16) * 257
    raw = b"".join(b"\0" + row.astype(">u2").tobytes() for row in rgb)

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = struct.pack(">IIBBBBB", 96, 64, 16, 2, 0, 0, 0)
    data = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    )  # fmt: skip
    np.testing.assert_array_equal(read_clip(data).frames[0], bar(0.5))


def test_see_through_pixels_lie_on_white() -> None:
    rgba = np.dstack([bar(0.5), np.full((64, 96), 255, np.uint8)])
    rgba[:, 48:, 3] = 0
    rgba[:, 40:48, 3] = 128
    frame = read_clip(picture_bytes(Image.fromarray(rgba))).frames[0]
    assert (frame[:, 48:] == 255).all()
    assert np.abs(frame[:, 44].astype(int) - (237, 157, 147)).max() <= 2
    palette = Image.fromarray(bar(0.5)).quantize(4)
    index = palette.getpixel((90, 10))
    frame = read_clip(picture_bytes(palette, "PNG", transparency=index)).frames[0]
    assert (frame[:, 60:] == 255).all()


@pytest.mark.parametrize("mode", ["CMYK", "P", "1", "YCbCr", "LA", "L", "I", "F"])
def test_other_colour_modes(mode: str) -> None:
    image = Image.fromarray(bar(0.5)).convert(mode)
    kind = {"CMYK": "JPEG", "YCbCr": "JPEG", "F": "TIFF", "I": "TIFF"}.get(mode, "PNG")
    frame = read_clip(picture_bytes(image, kind)).frames[0]
    assert frame.shape == (64, 96, 3)
    if mode in ("CMYK", "P", "YCbCr"):
        assert np.abs(frame[10, 10].astype(int) - (220, 60, 40)).max() < 60


@pytest.mark.parametrize(
    ("orientation", "corner"),
    [(1, (0, 0)), (2, (0, -1)), (3, (-1, -1)), (4, (-1, 0)), (5, (0, 0)), (6, (0, -1)),
     (7, (-1, -1)), (8, (-1, 0))],
)  # fmt: skip
def test_exif_rotation_is_honoured(orientation: int, corner: tuple[int, int]) -> None:
    frame = np.zeros((64, 96, 3), np.uint8)
    frame[:20, :20] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    clip = read_clip(picture_bytes(Image.fromarray(frame), "JPEG", exif=exif, quality=95))
    assert clip.shape == ((1, 64, 96) if orientation < 5 else (1, 96, 64))
    y, x = (5 if i == 0 else -6 for i in corner)
    assert clip.frames[0, y, x].min() > 200
    assert clip.frames[0].mean() < 40


def test_pages_of_one_size_are_frames() -> None:
    first, second = Image.fromarray(bar(0.3)), Image.fromarray(bar(0.8))
    for kind in ("TIFF", "MPO"):
        data = picture_bytes(first, kind, save_all=True, append_images=[second])
        clip = read_clip(data, fps=20)
        assert shares(clip.frames) == [pytest.approx(at, abs=0.03) for at in (0.3, 0.8)]
        assert clip.times.tolist() == [0.0, 0.05]


def bomb(side: int) -> bytes:
    """Return a PNG whose header promises side x side pixels, in a few bytes."""
    body = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + body + struct.pack(">I", zlib.crc32(b"IHDR" + body))
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 9) + b"IDAT" + bytes(13)


@pytest.mark.parametrize("side", [8001, 10_000, 20_000, 60_000])
def test_huge_pictures_are_refused_before_they_are_decoded(side: int) -> None:
    with pytest.raises(UnreadableClip, match=r"64 million pixels.*smaller"):
        read_clip(bomb(side))


def test_huge_frames_are_refused_before_they_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opened, "MAX_PIXELS", 64 * 96 - 1)
    monkeypatch.setattr(Screen, "shown", None)
    with pytest.raises(UnreadableClip, match="this one has 96 x 64"):
        read_clip(write_video())


def test_a_picture_that_was_cut_short_is_one_sentence() -> None:
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (64, 96, 3), np.uint8))
    for kind in ("PNG", "JPEG", "WEBP", "TIFF", "BMP"):
        data = picture_bytes(noise, kind)
        with pytest.raises(UnreadableClip, match=r"broken|cannot decode|no frame") as caught:
            read_clip(data[: len(data) // 2], name="half")
        assert "\n" not in str(caught.value)


def test_programs_in_disguise_are_not_run() -> None:
    with pytest.raises(UnreadableClip):
        read_clip(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n")
