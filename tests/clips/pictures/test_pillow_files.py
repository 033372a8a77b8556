"""JPEG, PNG, WebP, AVIF, HEIC and more: depth, colours, turns, transparency, movement."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pillow_heif
import pytest
from PIL import Image, ImageCms

from nlviz.clips.clip import read_clip
from nlviz.errors import UnreadableClip

HIGH, WIDE = 30, 46
CORNERS = [(220, 40, 40), (40, 200, 60), (50, 60, 210), (230, 220, 50)]


def quarters() -> npt.NDArray[np.uint8]:
    """Return a picture whose quarters have four colours."""
    out = np.zeros((HIGH, WIDE, 3), np.uint8)
    for number, colour in enumerate(CORNERS):
        y, x = divmod(number, 2)
        out[y * 15 : y * 15 + 15, x * 23 : x * 23 + 23] = colour
    return out


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def heic(image: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    pillow_heif.from_pillow(image).save(buffer, quality=95, **options)
    return buffer.getvalue()


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(bits: int, colour: int, samples: npt.NDArray[Any], *extra: bytes) -> bytes:
    """Return a PNG of (H, W, C) samples, laid out by hand."""
    high, wide = samples.shape[:2]
    ones = (samples[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    rows = np.packbits(ones.reshape(high, -1).astype(np.uint8), axis=1)
    head = struct.pack(">IIBBBBB", wide, high, bits, colour, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    parts = [chunk(b"IHDR", head), *extra, chunk(b"IDAT", body), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def ramp(bits: int) -> npt.NDArray[np.int64]:
    """Return (7, 32, 1) numbers from 0 to the largest of this depth."""
    line = np.round(np.linspace(0, 2**bits - 1, 32)).astype(np.int64)
    return np.tile(line[:, None], (7, 1, 1))


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("clear", [False, True])
def test_grey_png_of_every_depth_with_and_without_a_clear_grey(bits: int, clear: bool) -> None:
    numbers, top = ramp(bits), 2**bits - 1
    extra = [chunk(b"tRNS", struct.pack(">H", 0))] if clear else []
    clip = read_clip(png(bits, 0, numbers, *extra))
    wanted = numbers * 255 / top
    wanted[numbers == 0] = 255 if clear else 0  # what is clear is laid on white
    assert np.abs(clip.frames[0].astype(float) - wanted).max() <= 1
    assert clip.notes == ()


@pytest.mark.parametrize(("colour", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_png_of_sixteen_bits_a_channel_keeps_its_dark_half(colour: int, channels: int) -> None:
    numbers = np.repeat(ramp(12), channels, axis=-1)
    if channels in (2, 4):
        numbers[..., -1] = 4095
    clip = read_clip(png(16, colour, numbers))
    assert np.abs(clip.frames[0, ..., 1] - ramp(12)[..., 0] / 4095 * 255).max() <= 1
    assert "shown as 12 bits: 4095 is white" in clip.notes[0]


def test_a_palette_may_be_clear_in_part() -> None:
    image = Image.fromarray(quarters()).quantize(4)
    clear = image.getpixel((2, 2))
    frame = read_clip(saved(image, "PNG", transparency=clear)).frames[0]
    assert (frame[:15, :23] == 255).all()
    assert np.abs(frame[20, 40].astype(int) - CORNERS[3]).max() <= 2


TURNS: dict[int, Callable[[npt.NDArray[Any]], npt.NDArray[Any]]] = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.swapaxes(0, 1),
    6: lambda p: p[::-1].swapaxes(0, 1),
    7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
    8: lambda p: p[:, ::-1].swapaxes(0, 1),
}


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "TIFF packed", "16 bits"])
def test_every_turn_is_applied_once(kind: str, turn: int) -> None:
    exif = Image.Exif()
    exif[274] = turn
    image, picture = Image.fromarray(quarters()), quarters()
    if kind == "16 bits":
        image, picture = Image.fromarray(picture[..., 0].astype(np.uint16) * 257), picture[..., :1]
    options: dict[str, Any] = {"exif": exif}
    options |= {} if kind in ("PNG", "16 bits") else {"quality": 97}
    if kind == "TIFF packed":
        options = {"exif": exif, "compression": "jpeg", "quality": 97}
    data = saved(image, "PNG" if kind == "16 bits" else kind.split()[0], **options)
    wanted = TURNS[turn](picture)
    found = read_clip(data).frames[0]
    assert found.shape[:2] == wanted.shape[:2]
    near = np.abs(found.astype(int) - wanted).max(-1) <= 25
    assert near.mean() > 0.8  # but for seams, which codecs blur


@pytest.mark.parametrize("tile", [0, 16])
def test_heic_of_tiles_is_one_picture(tile: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pillow_heif.options, "GRID_TILE_SIZE", tile)
    big = np.kron(quarters(), np.ones((8, 8, 1), np.uint8))
    clip = read_clip(heic(Image.fromarray(big)))
    assert clip.shape == (1, 8 * HIGH, 8 * WIDE)
    assert np.abs(clip.frames[0].astype(int) - big).mean() < 3
    assert "libheif" in clip.reader


def test_heic_with_alpha_turns_and_ten_bits() -> None:
    image = Image.fromarray(quarters())
    image.putalpha(Image.fromarray(np.repeat(np.uint8([[255] * 23 + [0] * 23]), HIGH, 0)))
    frame = read_clip(heic(image)).frames[0]
    assert (frame[4:26, 27:42] >= 250).all()
    assert np.abs(frame[7, 11].astype(int) - CORNERS[0]).max() <= 12
    exif = Image.Exif()
    exif[274] = 6
    turned = read_clip(heic(Image.fromarray(quarters()), exif=exif.tobytes()))
    assert turned.shape == (1, WIDE, HIGH)
    assert np.abs(turned.frames[0, 11, 7].astype(int) - CORNERS[2]).max() <= 12
    deep = np.tile(np.linspace(0, 65535, 64), (48, 1)).astype(np.uint16)
    buffer = io.BytesIO()
    pillow_heif.from_bytes("I;16", (64, 48), deep.tobytes()).save(buffer, quality=97)
    found = read_clip(buffer.getvalue())
    assert np.abs(found.frames[0, ..., 0] - deep / 257).max() <= 4
    assert found.notes == ()


def test_a_heic_of_several_pictures_shows_its_main_one() -> None:
    file = pillow_heif.from_pillow(Image.fromarray(quarters()))
    file.add_from_pillow(Image.fromarray(quarters()[::-1]))
    buffer = io.BytesIO()
    file.save(buffer, quality=95, primary_index=1)
    clip = read_clip(buffer.getvalue())
    assert np.abs(clip.frames[0, 7, 11].astype(int) - CORNERS[2]).max() <= 12
    assert clip.notes == ("It holds 2 pictures; its main one is shown.",)


def moving(*, see_through: bool) -> list[Image.Image]:
    out = []
    for number in range(4):
        picture = np.zeros((HIGH, WIDE, 4), np.uint8)
        picture[...] = (255, 0, 255, 0) if see_through else (90, 90, 90, 255)
        picture[5:25, 4 + 8 * number : 14 + 8 * number] = (30, 120, 200, 255)
        out.append(Image.fromarray(picture))
    return out


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "AVIF", "GIF"])
@pytest.mark.parametrize("see_through", [False, True])
def test_moving_pictures_have_their_times_and_lie_on_white(kind: str, see_through: bool) -> None:
    first, *rest = moving(see_through=see_through)
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    options |= {"quality": 100} if kind == "AVIF" else {}
    options |= {"disposal": 2} if kind == "GIF" else {}
    data = saved(
        *(first, kind), save_all=True, append_images=rest, duration=[120, 300, 50, 200], **options
    )
    clip = read_clip(data)
    np.testing.assert_allclose(clip.times, [0, 0.12, 0.42, 0.47])
    for number, frame in enumerate(clip.frames):
        assert np.abs(frame[12, 9 + 8 * number].astype(int) - (30, 120, 200)).max() <= 16
        ground = 255 if see_through else 90
        assert np.abs(frame[12, 42].astype(int) - ground).max() <= 8
    late = read_clip(data, start=0.2, frames=1)
    np.testing.assert_array_equal(late.frames[0], clip.frames[2])


def test_the_still_of_an_animated_png_is_no_frame_and_no_length_is_a_tenth() -> None:
    first, *rest = moving(see_through=False)
    still = Image.new("RGBA", first.size, "red")
    data = saved(still, "PNG", save_all=True, default_image=True, append_images=[first, *rest])
    clip = read_clip(data)
    assert clip.frames[:, 12, 42].tolist() == [[90, 90, 90]] * 4
    np.testing.assert_allclose(clip.times, [0, 0.1, 0.2, 0.3])


def test_views_of_another_size_are_left_out_of_an_mpo() -> None:
    one, two = Image.fromarray(quarters()), Image.fromarray(quarters()[::-1])
    data = saved(one, "MPO", save_all=True, append_images=[two, one.resize((23, 15))], quality=95)
    clip = read_clip(data, fps=2)
    assert clip.shape == (2, HIGH, WIDE)
    assert "Of its 3 pictures 1 is left out" in clip.notes[0]


def profile(primaries: npt.NDArray[np.float64], gamma: float) -> bytes:
    """Return an ICC profile of these primaries, as columns of XYZ for D50, laid out by hand."""

    def fixed(*values: float) -> bytes:
        return struct.pack(f">{len(values)}i", *(round(v * 65536) for v in values))

    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    text = "A wide space"
    words = struct.pack(">II2sHII", 1, 12, b"en", 0x5553, 2 * len(text), 28)
    words = words[:8] + b"enUS" + struct.pack(">II", 2 * len(text), 28) + text.encode("utf-16-be")
    tags = {
        b"desc": b"mluc" + bytes(4) + words,
        b"wtpt": b"XYZ " + bytes(4) + fixed(0.9642, 1, 0.8249),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries.T, strict=True):
        tags[name] = b"XYZ " + bytes(4) + fixed(*column)
    at, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, content in tags.items():
        content += bytes(-len(content) % 4)
        table += name + struct.pack(">II", at + len(body), len(content))
        body += content
    size = 128 + 4 + len(table) + len(body)
    head = struct.pack(">I4xI", size, 0x04300000) + b"mntrRGB XYZ " + bytes(12) + b"acsp"
    head += bytes(28) + fixed(0.9642, 1, 0.8249)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


# Adobe RGB (1998), adapted to D50, by its specification.
ADOBE = np.array(
    [[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]]
)


def test_a_profile_is_brought_to_srgb_in_every_kind_of_file() -> None:
    icc = profile(ADOBE, 2.19921875)
    colour = (60, 160, 90)
    image = Image.new("RGB", (WIDE, HIGH), colour)
    # By the definitions of both spaces: to XYZ for D50, to linear sRGB, to its numbers.
    xyz = ADOBE @ (np.array(colour) / 255) ** 2.19921875
    srgb = np.array([[0.4360, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]])
    light = np.clip(np.linalg.solve(srgb, xyz), 0, 1)
    coded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    for kind, options in {
        "JPEG": {"quality": 99},
        "PNG": {},
        "WEBP": {"lossless": True},
        "TIFF": {},
        "AVIF": {"quality": 100},
    }.items():
        clip = read_clip(saved(image, kind, icc_profile=icc, **options))
        assert np.abs(clip.frames[0, 9, 9] - 255 * coded).max() <= 3, kind
        assert clip.notes == ("Its colours were converted to sRGB from A wide space.",)
    plain = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    same = read_clip(saved(image, "PNG", icc_profile=plain))
    assert (same.frames[0, 9, 9].tolist(), same.notes) == (list(colour), ())


def test_a_profile_that_cannot_be_used_is_told() -> None:
    image = Image.fromarray(quarters())
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for icc, told in ((b"nothing" * 40, "is broken"), (lab, "does not fit")):
        clip = read_clip(saved(image, "PNG", icc_profile=icc))
        np.testing.assert_array_equal(clip.frames[0], quarters())
        assert told in clip.notes[0]


def test_gamma_of_a_png_counts_where_nothing_else_is_said() -> None:
    grey = np.full((5, 9, 1), 55, np.int64)
    linear = chunk(b"gAMA", struct.pack(">I", 100_000))
    usual = chunk(b"gAMA", struct.pack(">I", 45_455))
    clip = read_clip(png(8, 0, grey, linear))
    assert clip.frames[0, 2, 2].tolist() == [128] * 3  # 1.055 * (55 / 255) ** (1 / 2.4) - 0.055
    assert "a gamma of 1.00" in clip.notes[0]
    for extra in ([usual], [linear, chunk(b"sRGB", b"\0")]):
        clip = read_clip(png(8, 0, grey, *extra))
        assert (clip.frames[0, 2, 2].tolist(), clip.notes) == ([55] * 3, ())


def test_code_points_of_avif_and_png_are_regarded() -> None:
    image = Image.new("RGB", (WIDE, HIGH), (60, 160, 90))
    data = saved(image, "AVIF", quality=100)
    at = data.index(b"colrnclx") + 8
    wide = data[:at] + struct.pack(">HH", 12, 13) + data[at + 4 :]
    clip = read_clip(wide)
    assert clip.frames[0, 9, 9, 0] < 45  # less red than its number says
    assert "Display P3" in clip.notes[0]
    bright = read_clip(data[:at] + struct.pack(">HH", 9, 16) + data[at + 4 :])
    assert "high dynamic range (PQ), shown without tone mapping" in bright.notes[0]
    listed = read_clip(png(8, 0, ramp(8), chunk(b"cICP", bytes([9, 18, 0, 1]))))
    assert "(HLG)" in listed.notes[0]


def test_inks_are_approximate() -> None:
    image = Image.new("RGB", (WIDE, HIGH), (200, 120, 40)).convert("CMYK")
    clip = read_clip(saved(image, "JPEG", quality=98))
    assert np.abs(clip.frames[0, 9, 9].astype(int) - (200, 120, 40)).max() <= 6
    assert "no colour profile" in clip.notes[0]


@pytest.mark.parametrize("top", [15, 255, 1000, 65535])
def test_portable_maps_say_their_white(top: int) -> None:
    kind = ">u2" if top > 255 else "u1"
    numbers = np.array([[0, top // 3, top]] * 2).astype(kind)
    for code, many in ((b"P5", 1), (b"P6", 3)):
        body = np.repeat(numbers[..., None], many, -1).tobytes()
        clip = read_clip(b"%s\n3 2\n%d\n" % (code, top) + body)
        found = clip.frames[0, 0, :, 1].astype(int)
        assert np.abs(found - np.array([0, top // 3 * 255 / top, 255])).max() <= 1
        assert clip.notes == ()
    if top in (255, 65535):
        head = b"P7\nWIDTH 3\nHEIGHT 2\nDEPTH 3\nMAXVAL %d\nTUPLTYPE RGB\nENDHDR\n" % top
        colours = np.stack([numbers, numbers * 0, numbers], -1).tobytes()
        assert read_clip(head + colours).frames[0, 1].tolist()[2] == [255, 0, 255]


def test_floats_of_a_portable_map_go_by_their_range() -> None:
    for code, many in ((b"Pf", 1), (b"PF", 3)):
        body = np.repeat(np.float32([[0, 100, 200]])[..., None], many, -1).tobytes()
        clip = read_clip(code + b"\n3 1\n-1.0\n" + body)
        assert clip.frames[0, 0, :, 0].tolist() == [0, 100, 200]
        assert "255 as white" in clip.notes[0]


@pytest.mark.parametrize("kind", ["ICO", "PSD", "QOI", "SGI", "DDS", "JPEG2000", "TGA", "BMP"])
def test_rarer_kinds_are_read(kind: str, tmp_path: Any) -> None:
    image = Image.fromarray(quarters())
    path = tmp_path / f"picture.{kind.lower()}"
    if kind == "PSD":
        planes = np.moveaxis(quarters(), -1, 0).tobytes()
        head = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, HIGH, WIDE, 8, 3)
        path.write_bytes(head + bytes(12) + bytes(2) + planes)
    else:
        options = {"sizes": [(WIDE, HIGH)]} if kind == "ICO" else {}
        path.write_bytes(saved(image, kind, **options))
    assert np.abs(read_clip(path).frames[0].astype(int) - quarters()).max() <= 2


def test_broken_pictures_are_one_sentence() -> None:
    for kind in ("PNG", "JPEG", "WEBP", "AVIF", "JPEG2000"):
        data = saved(
            Image.fromarray(np.random.default_rng(3).integers(0, 255, (90, 70, 3), np.uint8)), kind
        )
        with pytest.raises(UnreadableClip):
            read_clip(data[: len(data) // 2])
    with pytest.raises(UnreadableClip, match="the picture is broken"):
        read_clip(heic(Image.fromarray(quarters()))[:300])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "AVIF", "TIFF", "BMP", "HEIC", "PF"])
def test_bytes_that_were_changed_are_read_or_told(kind: str) -> None:
    image = Image.fromarray(quarters())
    icc = {} if kind in ("BMP", "HEIC", "PF") else {"icc_profile": profile(ADOBE, 2.2)}
    whole = b"PF\n3 2\n-1.0\n" + bytes(72) if kind == "PF" else b""
    whole = whole or (heic(image) if kind == "HEIC" else saved(image, kind, **icc))
    rng = np.random.default_rng(11)
    for number in range(24):
        data = bytearray(whole)
        for place in rng.integers(0, len(data) if number % 2 else min(160, len(data)), 9):
            data[place] = rng.integers(256)
        try:
            clip = read_clip(bytes(data[: rng.integers(8, len(data) + 1)] if number % 3 else data))
        except UnreadableClip as error:
            assert str(error).startswith("upload: ")
        else:
            assert clip.frames.size
