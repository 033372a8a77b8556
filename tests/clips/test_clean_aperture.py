from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from nlviz.clips.clean_aperture import Borders, borders_of
from nlviz.clips.clip import read_clip
from tests.colour_patches import film

HEIGHT, WIDTH = 48, 72


def frames() -> list[Any]:
    """Return frames of 48 x 72 px whose border of 8 px on the left and 4 at the top is white."""
    pixels = np.full((HEIGHT, WIDTH, 3), 60, np.uint8)
    pixels[:4], pixels[:, :8] = 255, 255
    return [av.VideoFrame.from_ndarray(pixels, format="rgb24") for _ in range(2)]


def with_clap(data: bytes, wide: int, high: int, right: int, down: int) -> bytes:
    """Put a clean aperture into the only track of an MP4 whose index comes last."""
    box = struct.pack(">I4sIIIIiIiI", 40, b"clap", wide, 1, high, 1, right, 2, down, 2)
    changed = bytearray(data)
    for kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1"):
        at = data.index(kind, data.index(b"moov")) - 4
        changed[at : at + 4] = struct.pack(">I", struct.unpack(">I", data[at : at + 4])[0] + 40)
    end = data.index(b"avc1", data.index(b"moov")) - 4 + 86
    return bytes(changed[:end]) + box + bytes(changed[end:])


@pytest.mark.parametrize("container", ["mp4", "mov"])
def test_the_clean_aperture_of_mp4_is_shown(container: str, tmp_path: Path) -> None:
    data = with_clap(film(container, "libx264", frames(), layout="yuv420p"), 64, 44, 8, 4)
    path = tmp_path / "film.mp4"
    path.write_bytes(data)
    assert borders_of(path, 0) == borders_of(io.BytesIO(data), 0) == Borders(4, 0, 8, 0)
    for source in (path, data):
        clip = read_clip(source)
        assert clip.shape == (2, 44, 64)
        assert clip.frames[:, 3:, 3:].max() < 75
        assert "The file shows only 64 x 44 of its 72 x 48 px" in clip.notes[0]


@pytest.mark.parametrize(
    ("element", "shape", "borders"),
    [
        (0x54BB, (40, 72), Borders(top=8)),
        (0x54AA, (40, 72), Borders(bottom=8)),
        (0x54CC, (48, 64), Borders(left=8)),
        (0x54DD, (48, 64), Borders(right=8)),
    ],
)
def test_the_crop_of_matroska_is_cut_off(
    element: int, shape: tuple[int, int], borders: Borders
) -> None:
    data = film("matroska", "libx264", frames(), layout="yuv420p")
    unit = bytes.fromhex("54b28104")  # DisplayUnit, which says nothing here, makes room
    assert data.count(unit) == 1
    data = data.replace(unit, struct.pack(">H", element) + bytes([0x81, 8]))
    assert borders_of(io.BytesIO(data), 0) == borders
    clip = read_clip(data)
    assert clip.shape == (2, *shape)
    assert (clip.frames[0, 20, 2].min() > 200) == (borders.left == 0)


@pytest.mark.parametrize("container", ["mp4", "mov", "matroska", "avi", "mpegts"])
def test_films_without_borders_are_left_alone(container: str) -> None:
    data = film(container, "libx264", frames() * 6, layout="yuv420p")
    assert borders_of(io.BytesIO(data), 0) == Borders()
    assert read_clip(data).notes == ()


def test_nonsense_cuts_nothing() -> None:
    picture = np.zeros((20, 30, 3), np.uint8)
    for borders in (Borders(top=20), Borders(left=16, right=14), Borders(top=-1)):
        assert borders.cut(picture).shape == picture.shape


@pytest.mark.parametrize("seed", range(3))
def test_damaged_headers_have_borders_or_none(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for container in ("mp4", "matroska"):
        data = film(container, "libx264", frames(), layout="yuv420p")
        for _ in range(40):
            bad = bytearray(data)
            for at in rng.integers(0, len(bad), 6):
                bad[at] = rng.integers(0, 256)
            assert isinstance(borders_of(io.BytesIO(bytes(bad)), 0), Borders)
