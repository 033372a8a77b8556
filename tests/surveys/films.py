"""Small films for surveys: of noise, of one colour, and pieces of the bundled ones."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from nlviz.clips.clip import read_clip
from nlviz.resources import asset

Frames = npt.NDArray[np.uint8]


def write_film(path: Path, frames: Iterable[Frames], rate: int = 10) -> Path:
    """Write frames of (H, W, 3) RGB as a film of MPEG-4, the same bytes each time."""
    with av.open(str(path), "w") as out:
        stream = None
        for frame in frames:
            if stream is None:
                stream = out.add_stream("mpeg4", rate=rate)
                stream.height, stream.width = frame.shape[:2]
                stream.pix_fmt = "yuv420p"
                stream.options = {"qscale": "4"}
                stream.codec_context.thread_count = 1
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            out.mux(stream.encode(picture))
        if stream is not None:
            out.mux(stream.encode())
    return path


def noise_film(path: Path, seed: int, frames: int = 5, height: int = 48, width: int = 64) -> Path:
    """Write a film of coarse noise that moves, another for every seed."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    picture = coarse.repeat(8, 0).repeat(8, 1)
    return write_film(path, (np.roll(picture, 3 * n, 1) for n in range(frames)))


def plain_film(path: Path, colour: tuple[int, int, int]) -> Path:
    """Write a film of one colour."""
    return write_film(path, [np.full((48, 64, 3), colour, np.uint8)] * 5)


def noise_films(folder: Path, count: int) -> list[Path]:
    """Write films of noise into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    return [noise_film(folder / f"clip-{n:04d}.mp4", n) for n in range(count)]


def cut_films(
    folder: Path, count: int, *, frames: int = 10, height: int = 120, width: int = 160
) -> list[Path]:
    """Write short films, cut out of the bundled ones in time and space; no two are the same.

    Args:
        folder: that they are written into.
        count: how many.
        frames: of each.
        height: of each, in pixels.
        width: of each, in pixels.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = ("bunny.mp4", "composed-twins.mp4", "composed-space.mp4")
    sources = [read_clip(asset(f"clips/{name}"), size=height + 40).frames for name in names]
    places = list(product(range(0, 41, 4), range(0, 41, 4)))
    paths = []
    for n in range(count):
        source = sources[n % len(sources)]
        y, x = places[n // len(sources) % len(places)]
        starts = max(len(source) - frames, 0) + 1
        first = n // (len(sources) * len(places)) % starts
        cut = source[first : first + frames, y : y + height, x : x + width]
        if n // (len(sources) * len(places) * starts) % 2:
            cut = cut[:, :, ::-1]
        paths.append(write_film(folder / f"cut-{n:05d}.mp4", cut))
    return paths
