"""As many short films as are wanted, all different, cut out of the bundled and composed footage."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

import nlviz

ROOT = Path(__file__).parents[2]
FILMS = ("bunny.mp4", "composed-space.mp4", "composed-twins.mp4")
FRAMES = 8
Frames = npt.NDArray[np.uint8]


@cache
def footage(name: str) -> Frames:
    """Return all frames of a bundled film, (frames, height, width, 3)."""
    clip = nlviz.read_clip(ROOT / "assets" / "clips" / name, stride=1, frames=48, size=180)
    return clip.frames


def cut(seed: int, height: int, width: int) -> Frames:
    """Return 8 frames, a window of a film in space and time, often mirrored or reversed."""
    rng = np.random.default_rng(seed)
    film = footage(FILMS[seed % len(FILMS)])
    frames, rows, columns = film.shape[:3]
    step = int(rng.integers(1, 4))
    first = int(rng.integers(0, frames - step * (FRAMES - 1)))
    y, x = int(rng.integers(0, rows - height + 1)), int(rng.integers(0, columns - width + 1))
    found = film[first : first + step * FRAMES : step, y : y + height, x : x + width]
    if rng.random() < 0.5:
        found = found[:, :, ::-1]
    if rng.random() < 0.3:
        found = found[::-1]
    return np.ascontiguousarray(found)


def write_film(path: Path, frames: Frames, rate: int = 10) -> None:
    """Write frames as an MPEG-4 film; the codec makes the same file of the same frames."""
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("mpeg4", rate=rate)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 800_000
        stream.time_base = Fraction(1, rate)
        for picture in frames:
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                out.mux(packet)
        for packet in stream.encode():
            out.mux(packet)


def write_films(folder: Path, count: int, *, height: int = 80, width: int = 112) -> Path:
    """Write films ``clip-0000.mp4`` and so on; whoever has fewer has the first of them."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        write_film(folder / f"clip-{number:04d}.mp4", cut(number, height, width))
    return folder
