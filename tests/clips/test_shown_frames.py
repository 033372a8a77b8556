from __future__ import annotations

import gc
import io
import struct
from fractions import Fraction
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageCms

from nlviz.clips import shown_frames
from nlviz.clips.clip import read_clip
from nlviz.clips.shown_frames import Screen
from nlviz.clips.streams import StreamFacts
from nlviz.errors import UnreadableClip
from tests.colour_patches import film
from tests.footage import write_video


def picture(height: int, width: int) -> Any:
    pixels = np.random.default_rng(2).integers(0, 256, (height, width, 3), np.uint8)
    return av.VideoFrame.from_ndarray(pixels, format="rgb24")


def disc(height: int, width: int, aspect: Fraction) -> Any:
    """Return a frame that shows a round disc on a screen whose pixels have this aspect."""
    y, x = np.mgrid[:height, :width] + 0.5
    radius = 0.3 * min(height, width * aspect)
    inside = ((x - width / 2) * float(aspect)) ** 2 + (y - height / 2) ** 2 < radius**2
    grey = np.where(inside, 230, 30).astype(np.uint8)[..., None].repeat(3, 2)
    return av.VideoFrame.from_ndarray(grey, format="rgb24").reformat(format="yuv420p")


def extent(frame: npt.NDArray[np.uint8]) -> tuple[int, int]:
    bright = frame[..., 0] > 128
    return int(bright.any(1).sum()), int(bright.any(0).sum())


@pytest.mark.parametrize(
    ("container", "codec"),
    [("mp4", "libx264"), ("mov", "libx264"), ("matroska", "libx264"), ("mpegts", "libx264"),
     ("avi", "mpeg4"), ("matroska", "mpeg4")],
)  # fmt: skip
@pytest.mark.parametrize(
    ("size", "aspect", "shown"),
    [
        ((48, 72), Fraction(10, 11), (53, 72)),  # NTSC DV
        ((48, 72), Fraction(40, 33), (48, 87)),  # the same, wide
        ((64, 54), Fraction(4, 3), (64, 72)),  # HDV
        ((64, 66), Fraction(1), (64, 66)),
    ],
)
def test_pixels_become_square(
    container: str, codec: str, size: tuple[int, int], aspect: Fraction, shown: tuple[int, int]
) -> None:
    def ready(stream: Any) -> None:
        stream.codec_context.sample_aspect_ratio = aspect

    count = 9 if container == "mpegts" else 2  # less of a transport stream is not recognised
    frames = [disc(*size, aspect) for _ in range(count)]
    clip = read_clip(film(container, codec, frames, layout="yuv420p", ready=ready))
    assert clip.shape == (count, *shown)
    high, wide = extent(clip.frames[1])
    assert abs(high - wide) <= 2
    assert (f"not square ({aspect.numerator}:{aspect.denominator})" in "".join(clip.notes)) == (
        aspect != 1
    )


def test_the_containers_aspect_wins_over_the_codecs() -> None:
    def ready(stream: Any) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)

    frames = [disc(64, 66, Fraction(3, 2)) for _ in range(2)]
    data = film("mp4", "libx264", frames, layout="yuv420p", ready=ready)
    stored, wanted = (b"pasp" + struct.pack(">II", *pair) for pair in ((4, 3), (3, 2)))
    assert stored in data
    clip = read_clip(data.replace(stored, wanted))
    assert clip.shape == (2, 64, 99)
    assert "(3:2)" in clip.notes[0]


def test_a_display_size_of_matroska_counts() -> None:
    data = film("matroska", "libx264", [disc(64, 66, Fraction(3, 2))] * 2, layout="yuv420p")
    unit = bytes.fromhex("54b28104")  # DisplayUnit, which says nothing here, makes room
    assert data.count(unit) == 1
    clip = read_clip(data.replace(unit, bytes([0x54, 0xB0, 0x81, 99])))  # DisplayWidth
    assert clip.shape == (2, 64, 99)
    high, wide = extent(clip.frames[1])
    assert abs(high - wide) <= 2


@pytest.mark.parametrize(
    "aspect", [Fraction(1, 100), Fraction(97, 1), Fraction(0), Fraction(-1, 2)]
)
def test_nonsense_aspects_leave_pixels_alone(aspect: Fraction) -> None:
    screen = Screen(StreamFacts(pixel_aspect=aspect))
    assert screen.shown(picture(20, 30)).shape == (20, 30, 3)
    assert bool(screen.notes) == (aspect > 0)


def test_pixels_are_made_square_before_the_film_is_turned() -> None:
    """A phone's clip: the stored width is stretched, then becomes the height."""

    def ready(stream: Any) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        stream.set_display_rotation(90)

    frames = [disc(64, 54, Fraction(4, 3)) for _ in range(2)]
    clip = read_clip(film("mov", "libx264", frames, layout="yuv420p", ready=ready))
    assert clip.shape == (2, 72, 64)
    high, wide = extent(clip.frames[1])
    assert abs(high - wide) <= 2


def test_what_has_square_pixels_and_no_turn_is_not_touched() -> None:
    frame = picture(21, 34)
    np.testing.assert_array_equal(Screen().shown(frame), frame.to_ndarray())


def test_a_slanted_picture_is_said() -> None:
    def ready(stream: Any) -> None:
        stream.set_display_rotation(78)

    frames = [disc(64, 54, Fraction(1)) for _ in range(2)]
    clip = read_clip(film("mov", "libx264", frames, layout="yuv420p", ready=ready))
    assert clip.shape == (2, 54, 64)
    assert clip.notes == (
        "The file asks for a turn that is no multiple of 90 degrees; it is shown 12 degrees "
        "short of it.",
    )


def test_sizes_that_change_are_said() -> None:
    one, two = (write_video("h264", frames=3, size=size) for size in ((64, 96), (96, 128)))
    clip = read_clip(one + two)
    assert clip.shape == (6, 64, 96)
    assert clip.notes[0] == (
        "The film changes its size on the way; all frames were brought to the size of the first "
        "one shown (96 x 64 px)."
    )
    assert not any("size" in note for note in read_clip(one).notes)


def test_too_large_frames_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown_frames, "MAX_PIXELS", 20 * 30 - 1)
    with pytest.raises(UnreadableClip, match="this one has 30 x 20"):
        Screen().shown(picture(20, 30))
    screen = Screen(StreamFacts(pixel_aspect=Fraction(2)))
    assert screen.shown(picture(20, 29)).shape == (20, 29, 3)  # its stretched size is too large


def swapped_profile() -> bytes:
    """Return an ICC profile in which red and blue have changed places."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    profile = profile.replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))
    for one, two in ((b"rXYZ", b"?XYZ"), (b"bXYZ", b"rXYZ"), (b"?XYZ", b"bXYZ")):
        profile = profile.replace(one, two)
    return profile


def test_a_colour_profile_counts_as_in_pictures() -> None:
    pixels = np.full((24, 40, 3), (200, 40, 40), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95, icc_profile=swapped_profile())
    with av.open(io.BytesIO(buffer.getvalue())) as container:
        frames = list(container.decode(video=0))
    screen = Screen(StreamFacts("mjpeg"))
    shown = screen.shown(frames[0])
    assert np.abs(shown[12, 20].astype(int) - (40, 40, 200)).max() <= 6
    assert "to sRGB" in screen.notes[0]


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_frames_with_much_beside_their_pixels_are_freed(kind: str) -> None:
    buffer = io.BytesIO()
    pixels = np.full((24, 40, 3), (200, 40, 40), np.uint8)
    exif = Image.Exif()
    exif[0x010E] = "a description"
    image = Image.fromarray(pixels)
    image.save(buffer, kind, lossless=True, icc_profile=swapped_profile(), exif=exif)
    for _ in range(20):
        with av.open(io.BytesIO(buffer.getvalue())) as container:
            name = container.streams.video[0].codec_context.name
            shown = [Screen(StreamFacts(name)).shown(f) for f in container.decode(video=0)]
        assert shown[0].shape == pixels.shape
    gc.collect()


def test_a_film_of_png_is_turned() -> None:
    frames = [disc(64, 54, Fraction(1)) for _ in range(2)]
    data = film(
        "mov",
        "png",
        [frame.reformat(format="rgb24") for frame in frames],
        layout="rgb24",
        ready=lambda stream: stream.set_display_rotation(90),
    )
    want = np.rot90(frames[0].to_ndarray(format="rgb24"))
    np.testing.assert_array_equal(read_clip(data).frames[1], want)


def test_a_pixel_aspect_that_changes_on_the_way_is_said() -> None:
    """A recording of a 4:3 programme that ends in a wide one."""
    parts = []
    for aspect in (Fraction(12, 11), Fraction(16, 11)):

        def ready(stream: Any, aspect: Fraction = aspect) -> None:
            stream.codec_context.sample_aspect_ratio = aspect

        frames = [disc(64, 66, aspect) for _ in range(6)]
        parts.append(film("h264", "libx264", frames, layout="yuv420p", ready=ready))
    clip = read_clip(b"".join(parts))
    assert clip.shape == (12, 64, 72)
    assert any("changes on the way, from 12:11 to 16:11" in note for note in clip.notes)
    assert not any("changes" in note for note in read_clip(parts[0] * 2).notes)


# Streams ------------------------------------------------------------------------------------------


def two_films(first: str, second: str, *, default: int | None = None) -> bytes:
    """Return a file of two films; the letters are their brightness and size."""
    sizes = {"small": (48, 64), "large": (80, 112)}
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as out:
        streams: list[Any] = []
        for place, name in enumerate((first, second)):
            stream: Any = out.add_stream("ffv1", rate=5)
            stream.height, stream.width = sizes[name]
            stream.pix_fmt = "yuv420p"
            none = av.stream.Disposition(0)
            stream.disposition = av.stream.Disposition.default if place == default else none
            streams.append(stream)
        for number in range(2):
            for place, stream in enumerate(streams):
                grey = np.full((stream.height, stream.width, 3), 60 + 100 * place, np.uint8)
                frame = av.VideoFrame.from_ndarray(grey, format="rgb24")
                frame.pts = number
                out.mux(stream.encode(frame))
        for stream in streams:
            out.mux(stream.encode())
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("first", "second", "default", "number"),
    [
        ("small", "large", None, 2),
        ("large", "small", None, 1),
        ("small", "small", None, 1),
        ("small", "large", 0, 1),
        ("large", "small", 1, 2),
    ],
)
def test_of_several_films_the_one_that_players_take_is_shown(
    first: str, second: str, default: int | None, number: int
) -> None:
    clip = read_clip(two_films(first, second, default=default))
    size = (48, 64) if (first, second)[number - 1] == "small" else (80, 112)
    assert clip.shape == (2, *size)
    assert abs(int(clip.frames[1, 20, 20, 0]) - (60 + 100 * (number - 1))) <= 2
    assert "2 video streams" in clip.notes[0]
    assert f"number {number} is shown" in clip.notes[0]


# Transparency -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("container", "codec", "layout", "options"),
    [
        ("webm", "libvpx-vp9", "yuva420p", {"crf": "4", "b:v": "0", "auto-alt-ref": "0"}),
        ("webm", "libvpx", "yuva420p", {"crf": "4", "b:v": "2M", "auto-alt-ref": "0"}),
        ("matroska", "ffv1", "bgra", {}),
        ("mov", "prores_ks", "yuva444p10le", {"profile": "4444", "alpha_bits": "16"}),
        ("mov", "png", "rgba", {}),
        ("mov", "qtrle", "argb", {}),
    ],
)
def test_transparent_films_lie_on_white(
    container: str, codec: str, layout: str, options: dict[str, str]
) -> None:
    frames = []
    for k in range(4):
        rgba = np.zeros((48, 64, 4), np.uint8)
        rgba[..., :3] = (255, 0, 255)  # hidden
        rgba[12:36, 8 + 6 * k : 32 + 6 * k] = (30, 120, 200, 255)
        frames.append(av.VideoFrame.from_ndarray(rgba, format="rgba").reformat(format=layout))
    data = film(container, codec, frames, layout=layout, options=options)
    clip = read_clip(data)
    assert clip.shape == (4, 48, 64)
    for k, frame in enumerate(clip.frames):
        assert frame[:6].min() >= 249
        assert np.abs(frame[24, 20 + 6 * k].astype(int) - (30, 120, 200)).max() < 12
    assert "laid on white" in "".join(clip.notes)
    later = read_clip(data, start=0.08)
    np.testing.assert_array_equal(later.frames, clip.frames[2:])


@pytest.mark.parametrize(("container", "white"), [("avi", False), ("mov", True)])
def test_the_fourth_byte_of_uncompressed_avi_is_padding(container: str, white: bool) -> None:
    """BI_RGB leaves it unused, and writers leave 0 there; QuickTime's 32 bits have an alpha."""
    rgba = np.zeros((24, 40, 4), np.uint8)
    rgba[..., :3] = (30, 120, 200)
    frames = [av.VideoFrame.from_ndarray(rgba, format="rgba").reformat(format="bgra")] * 2
    clip = read_clip(film(container, "rawvideo", frames, layout="bgra"))
    assert (clip.frames == (255 if white else (30, 120, 200))).all()
    assert bool(clip.notes) == white
