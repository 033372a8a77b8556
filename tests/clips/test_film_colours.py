"""Colours against the equations of BT.601, BT.709, BT.2020 and H.273, without FFmpeg's own."""

from __future__ import annotations

from typing import Any

import av
import numpy as np
import pytest

from nlviz.clips.clip import read_clip
from nlviz.clips.film_colours import ColourTags, film_rgb
from nlviz.errors import UnreadableClip
from tests.colour_patches import HEIGHT, PATCHES, SIDE, WIDTH, film, middles, patch_frame, ycbcr

LAYOUTS = (
    *("yuv420p", "yuv422p", "yuv444p", "yuv411p", "yuv440p", "yuv410p"),
    *("yuv420p10le", "yuv422p10le", "yuv444p12le", "yuv420p16le"),
)
GREYS = ("gray", "gray10le", "gray12le", "gray16le")


def shown(frame: Any, codec: str = "", container: ColourTags | None = None) -> tuple[Any, str]:
    notes: list[str] = []
    rgb = film_rgb(frame, codec=codec, container=container or ColourTags(), note=notes.append)
    assert rgb.dtype == np.uint8
    assert rgb.shape == (frame.height, frame.width, 3)
    return rgb, " ".join(notes)


def off(rgb: Any, want: Any) -> int:
    return int(np.abs(middles(rgb) - np.asarray(want)).max())


@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("matrix", [1, 4, 5, 6, 7, 9])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_named_colours_come_out_as_they_went_in(layout: str, matrix: int, full: bool) -> None:
    rgb, notes = shown(patch_frame(layout, matrix, full=full))
    assert off(rgb, PATCHES) <= 2
    assert notes == ""


@pytest.mark.parametrize("layout", ["yuv420p", "yuv422p", "yuv444p", "nv12"])
def test_plain_films_are_what_ffmpegs_quick_path_gives(layout: str) -> None:
    frame = patch_frame("yuv420p" if layout == "nv12" else layout)
    frame = frame.reformat(format=layout)
    np.testing.assert_array_equal(shown(frame)[0], frame.to_ndarray(format="rgb24"))


@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("layout", GREYS)
def test_grey_keeps_its_range(layout: str, full: bool) -> None:
    kr, kb = 0.2126, 0.0722
    grey = np.rint(PATCHES @ np.array([kr, 1 - kr - kb, kb]))[:, None].repeat(3, 1)
    rgb, notes = shown(patch_frame(layout, 1, full=full))
    assert off(rgb, grey) <= 1
    assert notes == ""


def test_grey_of_codecs_that_leave_its_range_unnamed() -> None:
    black_and_white = [(0, 0, 0), (1, 1, 1), (0.5, 0.5, 0.5)]
    for codec, full in (("h264", False), ("hevc", False), ("png", True), ("rawvideo", True)):
        frame = patch_frame("gray", 1, full=full, colours=black_and_white, tagged=False)
        rgb, _ = shown(frame, codec)
        assert off(rgb, [[0] * 3, [255] * 3, [128] * 3]) <= 1, codec


@pytest.mark.parametrize(
    ("size", "matrix"),
    [((720, 576), 5), ((720, 480), 5), ((1279, 576), 5), ((1280, 536), 1), ((704, 578), 1)],
)
def test_untagged_films_are_taken_by_their_size(size: tuple[int, int], matrix: int) -> None:
    frame: Any = av.VideoFrame(*size, "yuv420p")
    red = (200, 40, 40)
    for plane, value in zip(
        frame.planes, ycbcr(np.array(red) / 255, matrix, False, 8), strict=True
    ):
        plane.update(bytes([int(value)]) * plane.buffer_size)
    rgb, notes = shown(frame, "h264")
    assert np.abs(rgb[100, 100].astype(int) - red).max() <= 2
    assert ("BT.709 was taken" in notes) == (matrix == 1)
    assert f"{size[0]} x {size[1]}" in notes or matrix == 5
    assert shown(frame, "vp8")[1] == ""  # whose standard names BT.601 at any size


@pytest.mark.parametrize(
    ("container", "matrix"),
    [
        (ColourTags(matrix=9), 9),
        (ColourTags(primaries=9), 9),
        (ColourTags(matrix=1), 1),
        (ColourTags(primaries=1, levels=1), 1),
    ],
)
def test_what_the_frame_leaves_unnamed_the_container_names(
    container: ColourTags, matrix: int
) -> None:
    frame = patch_frame("yuv444p", matrix, tagged=False)
    rgb, _ = shown(frame, "vp9", container)
    if container.primaries == 9:  # then the colours themselves are converted as well
        assert off(rgb[:, 3 * SIDE :], PATCHES[3:]) <= 2
    else:
        assert off(rgb, PATCHES) <= 2


def test_a_reserved_number_names_nothing() -> None:
    frame = patch_frame("yuv444p", 5)
    frame.colorspace = 3
    assert off(shown(frame)[0], PATCHES) <= 2


@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
def test_ycgco(full: bool) -> None:
    frame = patch_frame("yuv444p", 1, full=full)
    r, g, b = PATCHES.T / 255
    y, cg, co = r / 4 + g / 2 + b / 4, -r / 4 + g / 2 - b / 4, r / 2 - b / 2
    planes = (255 * y, 255 * cg + 128, 255 * co + 128)
    if not full:
        planes = (16 + 219 * y, 128 + 224 * cg, 128 + 224 * co)
    for plane, values in zip(frame.planes, planes, strict=True):
        row = np.zeros(plane.line_size, np.uint8)
        row[:WIDTH] = np.rint(values.clip(0, 255)).repeat(SIDE)
        plane.update(np.tile(row, (HEIGHT, 1)).tobytes())
    frame.colorspace = 8
    rgb, notes = shown(frame)
    assert off(rgb, PATCHES) <= 3  # full range cuts Cg of 256 to 255
    assert notes == ""


@pytest.mark.parametrize("matrix", [10, 11, 12, 13, 14, 15, 16, 17, 200])
def test_matrices_that_are_not_supported_are_said(matrix: int) -> None:
    frame = patch_frame("yuv420p")
    frame.colorspace = matrix
    _, notes = shown(frame)
    assert ("constant luminance" if matrix == 10 else "is not supported") in notes


@pytest.mark.parametrize(
    "layout",
    ["rgb24", "bgr24", "bgr0", "0rgb", "rgba", "gbrp", "gbrp10le", "gbrap", "rgb48le", "rgba64le"],
)
def test_rgb_is_left_alone(layout: str) -> None:
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (9, 13, 3), np.uint8)
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=layout)
    rgb, notes = shown(frame, "rawvideo")
    np.testing.assert_allclose(rgb.astype(int), pixels, atol=1 if "10" in layout else 0)
    assert notes == ""


def test_a_palette_with_a_see_through_colour_lies_on_white() -> None:
    frame: Any = av.VideoFrame(8, 6, "pal8")
    index, palette = frame.planes
    index.update(bytes([0, 1] * (index.buffer_size // 2)))
    colours = np.zeros(256, np.uint32)
    colours[:2] = 0x00FF00FF, 0xFF1E78C8  # see-through magenta, opaque blue, as ARGB
    palette.update(colours.tobytes())
    rgb, notes = shown(frame, "png")
    assert rgb[3, :2].tolist() == [[255, 255, 255], [30, 120, 200]]
    assert "laid on white" in notes


@pytest.mark.parametrize("layout", ["yuva420p", "yuva444p", "yuva444p10le", "gbrap", "rgba64le"])
def test_transparency_of_every_kind_lies_on_white(layout: str) -> None:
    rgba = np.zeros((HEIGHT, 64, 4), np.uint8)
    rgba[:] = (30, 120, 200, 255)
    rgba[:, :16, 3], rgba[:, 16:32, 3] = 0, 102
    frame = av.VideoFrame.from_ndarray(rgba, format="rgba").reformat(format=layout)
    rgb, notes = shown(frame, "ffv1")
    want = [(255, 255, 255), (165, 201, 233), (30, 120, 200)]
    assert np.abs(rgb[16, [8, 24, 48]].astype(int) - want).max() <= 2
    assert "laid on white" in notes
    opaque = av.VideoFrame.from_ndarray(rgba[:, 32:].copy(), format="rgba").reformat(format=layout)
    assert shown(opaque, "ffv1")[1] == ""


def test_pixels_that_cannot_be_converted_are_one_sentence() -> None:
    with pytest.raises(UnreadableClip, match="pixels of the format rgb96le"):
        shown(av.VideoFrame(40, 24, "rgb96le"))


# Files --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("container", "codec", "layout", "full"),
    [
        ("mp4", "libx264", "yuv420p", True),
        ("matroska", "libx264", "yuv444p10le", True),
        ("matroska", "libx264", "gray", False),
        ("matroska", "libx265", "gray10le", False),
        ("matroska", "ffv1", "gray16le", True),
        ("matroska", "ffv1", "yuv440p10le", False),
        ("avi", "mjpeg", "yuvj422p", True),
        ("mov", "prores_ks", "yuv422p10le", False),
        ("nut", "rawvideo", "yuv411p", False),
    ],
)
def test_files_of_many_kinds(container: str, codec: str, layout: str, full: bool) -> None:
    quiet = {"x265-params": "log-level=none:lossless=1"} if codec == "libx265" else {}
    options = {"libx264": {"crf": "1"}, "mjpeg": {"q": "1"}}.get(codec, quiet)
    matrix = 5 if codec in ("mjpeg", "rawvideo") else 1  # JPEG has no other, NUT no tags

    def named(stream: Any) -> None:
        stream.codec_context.colorspace, stream.codec_context.color_range = matrix, 1 + full

    data = film(
        container,
        codec,
        [patch_frame(layout, matrix, full=full) for _ in range(2)],
        layout=layout,
        options=options,
        ready=named,
    )
    clip = read_clip(data)
    want = PATCHES.astype(np.float64)
    if layout.startswith("gray"):
        want = (want @ [0.2126, 0.7152, 0.0722])[:, None].repeat(3, 1)
    assert off(clip.frames[1], np.rint(want)) <= (4 if codec == "mjpeg" else 3)
    assert clip.notes == ()


def test_colours_that_only_the_container_names() -> None:
    def named(stream: Any) -> None:
        stream.codec_context.colorspace, stream.codec_context.color_range = 1, 1

    vp9 = {"lossless": "1", "cpu-used": "8", "deadline": "realtime"}
    frames = [patch_frame("yuv420p", 1) for _ in range(2)]
    data = film("webm", "libvpx-vp9", frames, layout="yuv420p", options=vp9, ready=named)
    assert off(read_clip(data).frames[1], PATCHES) <= 3
