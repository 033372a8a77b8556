"""TIFF files of many types, packings and page layouts, against what was written into them."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image, ImageCms

from nlviz.clips.clip import Clip, read_clip
from nlviz.errors import UnreadableClip

HIGH, WIDE = 31, 43
RAMP = np.linspace(0, 1, WIDE)[None].repeat(HIGH, 0) * np.linspace(0.5, 1, HIGH)[:, None]
EIGHT = np.floor(RAMP * 255 + 0.5)


def written(array: npt.NDArray[Any], **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, **options)
    return buffer.getvalue()


def by_pillow(image: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "TIFF", **options)
    return buffer.getvalue()


def of_type(kind: str) -> npt.NDArray[Any]:
    top = 1.0 if kind.startswith("float") else float(np.iinfo(kind).max)
    return (RAMP * (top * (1 - 2**-50))).astype(kind)  # 2**64 is beyond the last of its type


def grey(clip: Clip) -> npt.NDArray[np.int64]:
    frame = clip.frames[0].astype(np.int64)
    assert (frame == frame[..., :1]).all()
    return frame[..., 0]


KINDS = [
    *("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32"),
    *("float16", "float32", "float64"),
]
LAYOUTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "big-endian": {"byteorder": ">"},
    "tiles": {"tile": (16, 32)},
    "strips": {"rowsperstrip": 7},
    "BigTIFF": {"bigtiff": True},
    "deflate": {"compression": "zlib", "rowsperstrip": 5},
    "LZMA in tiles": {"compression": "lzma", "tile": (32, 16)},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_numbers_of_every_type_and_layout(kind: str, layout: str) -> None:
    samples, options = of_type(kind), LAYOUTS[layout]
    plain = grey(read_clip(written(samples, **options)))
    near = 3 if kind == "int8" else 1  # of 127 levels
    assert np.abs(plain - EIGHT).max() <= near
    rgb = np.stack([samples, samples // 2 if samples.dtype.kind != "f" else samples / 2, samples])
    apart = written(rgb, photometric="rgb", planarconfig="separate", **options)
    together = written(np.moveaxis(rgb, 0, -1), photometric="rgb", **options)
    one, two = read_clip(apart), read_clip(together)
    np.testing.assert_array_equal(one.frames, two.frames)
    assert np.abs(one.frames[0, ..., 1] - EIGHT / 2).max() <= 2 * near
    assert one.notes == two.notes == ()
    assert one.reader.startswith("tifffile ")


@pytest.mark.parametrize("codec", ["tiff_lzw", "zstd", "packbits", "tiff_adobe_deflate", "lzma"])
@pytest.mark.parametrize("mode", ["L", "I;16", "F", "RGB"])
def test_packed_numbers_are_those_that_were_packed(codec: str, mode: str) -> None:
    levels = EIGHT.astype(np.uint8)
    array = {"L": levels, "I;16": of_type("uint16"), "F": RAMP.astype(np.float32)}.get(mode)
    image = Image.fromarray(np.stack([levels, levels // 3, levels], -1) if array is None else array)
    clip = read_clip(by_pillow(image, compression=codec))
    np.testing.assert_array_equal(clip.frames, read_clip(by_pillow(image)).frames)
    assert np.abs(clip.frames[0, ..., 0] - EIGHT).max() <= 1


def test_predictors_are_undone() -> None:
    for kind in ("uint8", "uint16"):
        data = written(of_type(kind), compression="zlib", predictor=True, rowsperstrip=9)
        assert np.abs(grey(read_clip(data)) - EIGHT).max() <= 1
    # The one of floats, by the rule of Adobe's technical note 3: bytes by place, then differences.
    rows = RAMP.astype(">f4").view(np.uint8).reshape(HIGH, WIDE, 4).transpose(0, 2, 1)
    coded = np.diff(rows.reshape(HIGH, -1), axis=1, prepend=np.uint8(0)).astype(np.uint8)
    tags = {256: WIDE, 257: HIGH, 258: 32, 259: 8, 262: 1, 317: 3, 339: 3}
    data = directory(zlib.compress(coded.tobytes()), tags)
    assert np.abs(grey(read_clip(data)) - EIGHT).max() <= 1


def directory(pixels: bytes, tags: dict[int, int], *, order: str = "<") -> bytes:
    """Return a TIFF of one uncompressed strip, laid out by hand."""
    tags = {259: 1, 277: 1, 278: tags[257], 279: len(pixels), **tags, 273: 0}
    start = 8 + 2 + 12 * len(tags) + 4
    tags[273] = start
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(tags))
    fields = b"".join(struct.pack(f"{order}HHII", t, 4, 1, v) for t, v in sorted(tags.items()))
    return head + fields + bytes(4) + pixels


@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("order", ["<", ">"])
def test_numbers_of_odd_depth_are_unpacked(bits: int, order: str) -> None:
    numbers = np.round(RAMP * (2**bits - 1)).astype(int)
    ones = (numbers[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    pixels = np.packbits(ones.reshape(HIGH, -1).astype(np.uint8), axis=1).tobytes()
    data = directory(pixels, {256: WIDE, 257: HIGH, 258: bits, 262: 1}, order=order)
    clip = read_clip(data)
    assert np.abs(grey(clip) - EIGHT).max() <= 1
    assert clip.notes == ()


def test_white_may_be_zero_and_colours_a_table() -> None:
    levels = EIGHT.astype(np.uint8)
    assert (grey(read_clip(written(levels, photometric="miniswhite"))) == 255 - EIGHT).all()
    bits = written(RAMP > 0.5, photometric="miniswhite")
    assert (grey(read_clip(bits)) == np.where(RAMP > 0.5, 0, 255)).all()
    table = np.stack([np.arange(256) * 257, np.arange(255, -1, -1) * 257, np.full(256, 21845)])
    clip = read_clip(written(levels, photometric="palette", colormap=table.astype(np.uint16)))
    np.testing.assert_array_equal(clip.frames[0, ..., 0], levels)
    np.testing.assert_array_equal(clip.frames[0, ..., 1], 255 - levels)
    assert (clip.frames[0, ..., 2] == 85).all()


def test_alpha_is_laid_on_white_whether_colours_were_multiplied_or_not() -> None:
    colour, share = 20000, 16384
    straight = np.full((HIGH, WIDE, 4), colour, np.uint16)
    straight[..., 3] = share
    multiplied = straight.copy()
    multiplied[..., :3] = round(colour * share / 65535)
    wanted = (colour * share / 65535 + 65535 - share) / 257
    for samples, kind in ((straight, "unassalpha"), (multiplied, "assocalpha")):
        clip = read_clip(written(samples, photometric="rgb", extrasamples=[kind]))
        assert np.abs(clip.frames.astype(float) - wanted).max() <= 2


def test_channels_that_are_no_picture_are_told() -> None:
    five = np.stack([of_type("uint8")] + [of_type("uint8") // n for n in (2, 3, 4, 5)], -1)
    clip = read_clip(written(five, photometric="minisblack", planarconfig="contig"))
    assert (grey(clip) == five[..., 0]).all()
    assert clip.notes == ("Of its 5 channels the first is shown.",)


@pytest.mark.parametrize("space", ["CMYK", "YCbCr", "LAB"])
def test_other_spaces_of_colour(space: str) -> None:
    rgb = Image.new("RGB", (WIDE, HIGH), (200, 120, 40))
    if space == "LAB":
        srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        image = ImageCms.profileToProfile(rgb, srgb, lab, outputMode="LAB")
        assert image is not None
    else:
        image = rgb.convert(space)
    for options in ({}, {"compression": "tiff_lzw"}, {"compression": "jpeg", "quality": 97}):
        clip = read_clip(by_pillow(image, **options))
        assert np.abs(clip.frames[0, 9, 9].astype(int) - (200, 120, 40)).max() <= 6
        assert ("CMYK" in " ".join(clip.notes)) == (space == "CMYK")


@pytest.mark.parametrize(
    ("low", "high", "levels", "told"),
    [
        (0.0, 255.0, (0, 255), "shown with 255 as white"),
        (0.0, 1.0, (0, 255), ""),
        (-1000.0, 3000.0, (0, 255), "shown from -1000, black, to 3000, white"),
        (0.0, 0.125, (0, 32), "end at 0.125 and look dark"),
        (-0.05, 1.05, (0, 255), "are cut off at 0 and 1"),
        (7.0, 7.0, (7, 7), "255 as white"),
    ],
)
def test_floats_of_any_range_are_told(
    low: float, high: float, levels: tuple[int, int], told: str
) -> None:
    samples = np.linspace(low, high, HIGH * WIDE, dtype=np.float32).reshape(HIGH, WIDE)
    clip = read_clip(written(samples))
    assert (int(clip.frames.min()), int(clip.frames.max())) == levels
    assert told in " ".join(clip.notes)
    assert bool(clip.notes) == bool(told)


def test_places_without_a_number_are_black_and_told() -> None:
    samples = (RAMP * 0.5 + 0.5).astype(np.float32)
    samples[2, 3], samples[4, 5], samples[6, 7] = np.nan, np.inf, -np.inf
    clip = read_clip(written(samples))
    assert [clip.frames[0, y, x, 0] for y, x in ((2, 3), (4, 5), (6, 7))] == [0, 255, 0]
    assert "3 of its numbers are NaN or infinite: NaN is shown black." in clip.notes
    heights = (RAMP * 800).astype(np.float32)
    heights[5] = -9999
    tag = [(42113, "s", 0, "-9999", True)]
    clip = read_clip(written(heights, extratags=tag))
    assert (clip.frames[0, 5] == 0).all()
    assert "black, to 800, white" in " ".join(clip.notes)
    assert "Places without data (-9999) are shown black." in clip.notes


def test_whole_numbers_of_few_bits_are_told() -> None:
    for top, bits in ((255, 8), (1000, 10), (4095, 12), (16000, 14)):
        clip = read_clip(written((RAMP * top).astype(np.uint16)))
        assert abs(int(clip.frames.max()) - round(255 * top / (2**bits - 1))) <= 1
        assert f"shown as {bits} bits" in clip.notes[0]


def stack(count: int, size: tuple[int, int] = (HIGH, WIDE)) -> list[npt.NDArray[np.uint8]]:
    return [np.full(size, 11 * number + 5, np.uint8) for number in range(count)]


def test_pages_are_frames_on_one_scale() -> None:
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as file:
        for number in (1, 2, 4):
            file.write((RAMP * 1000 * number).astype(np.uint16), contiguous=False)
    clip = read_clip(buffer.getvalue(), fps=8)
    assert [int(frame.max()) for frame in clip.frames] == [62, 125, 249]
    assert clip.times.tolist() == [0, 0.125, 0.25]
    assert [n for n in read_clip(buffer.getvalue(), stride=2).notes if "25 a second" in n]


def test_reduced_pictures_and_masks_are_left_out() -> None:
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as file:
        file.write(stack(1, (9, 13))[0], subfiletype=1)
        for page in stack(3):
            file.write(page, contiguous=False)
        file.write(stack(1, (17, 19))[0])
    clip = read_clip(buffer.getvalue(), fps=3)
    assert clip.frames[:, 0, 0, 0].tolist() == [5, 16, 27]
    assert clip.notes == (
        "Of its 5 pages 3 are shown, of 43 x 31 px; the others are smaller, reduced pictures or "
        "masks.",
    )


def test_imagej_says_the_rate_and_may_write_one_directory(tmp_path: Path) -> None:
    pages = np.stack(stack(7))
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, pages, imagej=True, metadata={"axes": "TYX", "fps": 4.0})
    clip = read_clip(path, stride=3)
    assert clip.frames[:, 0, 0, 0].tolist() == [5, 38, 71]
    assert clip.times.tolist() == [0, 0.75, 1.5]
    assert clip.notes == ()
    # Of a stack beyond 4 GiB ImageJ writes the first directory only.
    with tifffile.TiffFile(path) as file:
        ends = [page.offset for page in file.pages][1:]
    data = bytearray(path.read_bytes())
    for place in range(len(data) - 4):
        if struct.unpack_from("<I", data, place)[0] == ends[0]:
            struct.pack_into("<I", data, place, 0)
    single = read_clip(bytes(data), stride=3)
    np.testing.assert_array_equal(single.frames, clip.frames)
    np.testing.assert_array_equal(single.times, clip.times)
    cut = bytes(data[: data.index(pages[5].tobytes()[:40]) + 40])
    with pytest.raises(UnreadableClip, match=r"ends before its picture|is broken"):
        read_clip(cut)


def test_what_nothing_unpacks_is_refused_with_the_cure() -> None:
    pixels = bytes(HIGH * WIDE)
    data = directory(pixels, {256: WIDE, 257: HIGH, 258: 8, 262: 1, 259: 34887})
    with pytest.raises(UnreadableClip, match=r"nothing here unpacks LERC.*deflate"):
        read_clip(data)
    with pytest.raises(UnreadableClip, match="the picture is broken"):
        read_clip(data[:60])
