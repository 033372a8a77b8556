"""Files with all their bits: read as they are, written as they were."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, ImageOps

from nlviz.denoise.picture_values import PictureValues, read_values
from nlviz.denoise.ranges import Range
from nlviz.denoise.value_files import png_bytes, write_values
from nlviz.errors import NlvizError, UnreadableClip

ENDS = Range(-100.0, 300.0, "given")
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def random(*shape: int, dtype: Any = np.uint16) -> np.ndarray:
    most = 1 if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max
    return (np.random.default_rng(3).random(shape) * most).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize("clear", [False, True])
@pytest.mark.parametrize("kind", ["png", "tif"])
def test_what_is_written_is_read_again(
    kind: str, clear: bool, colours: int, dtype: Any, tmp_path: Path
) -> None:
    values = random(11, 17, *([3] if colours == 3 else []), dtype=dtype)
    alpha = random(11, 17, dtype=dtype) if clear else None
    profile = PROFILE if colours == 3 else None
    like = PictureValues(values, alpha, profile)
    path = tmp_path / f"a.{kind}"
    done = values.astype(np.float32) + np.float32(0.3)
    assert write_values(path, done, like, ENDS, coloured=colours == 3) == ()
    found = read_values(path)
    assert found is not None and found.values.dtype == dtype
    np.testing.assert_array_equal(found.values, values)
    assert (found.alpha is None) == (alpha is None)
    if alpha is not None:
        np.testing.assert_array_equal(found.alpha, alpha)
        assert found.mask is None or (found.mask == (alpha == 0)).all()
    assert found.profile == profile
    if kind == "png":  # another reader agrees
        other = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        order = [2, 1, 0, 3][: other.shape[2]] if other.ndim == 3 else None
        other = other if order is None else other[..., order]
        layers = values[..., None] if values.ndim == 2 else values
        np.testing.assert_array_equal(other.reshape(11, 17, -1)[..., :colours], layers)


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "u4", "f2", "f4", "f8"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_tiff_files_of_instruments_keep_their_type(dtype: str, order: str, tmp_path: Path) -> None:
    values = random(9, 13, dtype=dtype) - (1 if dtype[0] == "i" else 0)
    tifffile.imwrite(tmp_path / "a.tif", values, byteorder=order)
    found = read_values(tmp_path / "a.tif")
    assert found is not None and found.values.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(found.values, values)
    write_values(tmp_path / "b.tif", found.values.astype(float), found, ENDS, coloured=False)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "b.tif"), values)


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_all_channels_of_a_multispectral_file_are_read(planar: str, tmp_path: Path) -> None:
    values = random(9, 13, 7)
    stored = values if planar == "contig" else values.transpose(2, 0, 1)
    options: dict[str, Any] = {"photometric": "minisblack", "planarconfig": planar}
    tifffile.imwrite(tmp_path / "a.tif", stored, extrasamples=["unspecified"] * 6, **options)
    found = read_values(tmp_path / "a.tif")
    assert found is not None and "All of its 7 channels" in found.notes[0]
    np.testing.assert_array_equal(found.values, values)
    write_values(tmp_path / "b.tif", values.astype(float), found, ENDS, coloured=True)
    again = read_values(tmp_path / "b.tif")
    assert again is not None
    np.testing.assert_array_equal(again.values, values)
    with pytest.raises(NlvizError, match=r"this picture has 7; write a \.tif or a \.npy"):
        write_values(tmp_path / "b.png", values.astype(float), found, ENDS, coloured=True)


@pytest.mark.parametrize("turn", range(1, 9))
def test_pictures_come_upright(turn: int, tmp_path: Path) -> None:
    picture = Image.fromarray(random(8, 13, 3, dtype=np.uint8))
    exif = picture.getexif()
    exif[274] = turn
    picture.save(tmp_path / "a.png", exif=exif)
    found = read_values(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        want = np.asarray(ImageOps.exif_transpose(image))
    assert found is not None
    np.testing.assert_array_equal(found.values, want)


def test_stacks_are_read_page_by_page(tmp_path: Path) -> None:
    values = random(5, 9, 13)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack")
    one, some, every = (read_values(tmp_path / "a.tif", pages=n, stride=2) for n in (1, 2, None))
    assert one is not None and some is not None and every is not None
    np.testing.assert_array_equal(one.values, values[0])
    np.testing.assert_array_equal(some.values, values[[0, 2]])
    np.testing.assert_array_equal(every.values, values[::2])
    assert one.pages == 1 and every.pages == 3 and "1 of its 5 pages" in one.notes[-1]
    write_values(tmp_path / "b.tif", values.astype(float), every, ENDS, coloured=False, many=True)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "b.tif"), values)
    with pytest.raises(NlvizError, match=r"a \.png holds one picture"):
        write_values(tmp_path / "b.png", values * 1.0, every, ENDS, coloured=False, many=True)


def test_palettes_with_transparency_and_twelve_bits(tmp_path: Path) -> None:
    picture = Image.fromarray(random(8, 13, 3, dtype=np.uint8)).quantize(16)
    picture.save(tmp_path / "a.png", transparency=2)
    found = read_values(tmp_path / "a.png")
    assert found is not None and found.values.shape == (8, 13, 3) and found.mask is not None
    np.testing.assert_array_equal(found.mask, np.asarray(picture) == 2)
    inverted = random(6, 7, dtype=np.uint16)
    tifffile.imwrite(tmp_path / "b.tif", inverted, photometric="miniswhite")
    turned = read_values(tmp_path / "b.tif")
    assert turned is not None and "0 is white" in turned.notes[0]
    np.testing.assert_array_equal(turned.values, 65535 - inverted)


def test_floats_in_a_png_are_told(tmp_path: Path) -> None:
    values = np.array([[-100.0, 100.0, 300.0, 900.0]])
    path = tmp_path / "a.png"
    notes = write_values(path, values, PictureValues(values), ENDS, coloured=False)
    assert "0 stands for -100 and 65535 for 300" in notes[0]
    found = read_values(path)
    assert found is not None and found.values.tolist() == [[0, 32768, 65535, 65535]]
    grey = PictureValues(random(3, 4), None, PROFILE)
    (note,) = write_values(path, grey.values * 1.0, grey, ENDS, coloured=False)
    assert "one for RGB, does not fit 1 channels" in note
    clear = PictureValues(random(3, 4), random(3, 4))
    (note,) = write_values(tmp_path / "a.npy", clear.values * 1.0, clear, ENDS, coloured=False)
    assert "alpha channel is not in the .npy" in note


def test_smaller_pictures_keep_their_type() -> None:
    like = PictureValues(random(40, 60, 3), random(40, 60))
    small = like.resized(20)
    assert small.values.shape == (20, 30, 3) and small.values.dtype == np.uint16
    np.testing.assert_allclose(small.values[0, 0], like.values[:2, :2].mean((0, 1)), atol=0.51)
    assert small.alpha is not None and small.grey().values.shape == (20, 30)


def test_films_and_broken_files(tmp_path: Path) -> None:
    assert read_values("bunny.mp4") is None
    path = tmp_path / "a.png"
    path.write_bytes(png_bytes(random(40, 60))[:200])
    with pytest.raises(UnreadableClip, match="broken"):
        read_values(path)


def test_what_a_written_result_does_not_have_of_its_file_is_said(tmp_path: Path) -> None:
    picture = Image.fromarray(np.arange(35, dtype=np.uint8).reshape(5, 7))
    exif = picture.getexif()
    exif[274], exif[306] = 6, "2026:01:02 03:04:05"  # a turn, a time
    picture.save(tmp_path / "a.jpg", exif=exif, dpi=(301, 301), quality=100)
    found = read_values(tmp_path / "a.jpg")
    assert found is not None and found.values.shape == (7, 5)
    said = write_values(tmp_path / "b.png", found.values.astype(float), found, ENDS, coloured=False)
    assert [any(word in each for each in said) for word in ("upright", "301 dots", "EXIF")] == [
        True,
        True,
        True,
    ]
    picture.save(tmp_path / "c.png")
    bare = read_values(tmp_path / "c.png")
    assert bare is not None and bare.beside == ()
