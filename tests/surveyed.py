"""A small survey of real films: some in a folder, one in a tar, one that is broken."""

from __future__ import annotations

import tarfile
from pathlib import Path

import av
import numpy as np

from nlviz.surveys.survey import Survey, survey

EVIL = "<img src=x onerror=alert(1)>.mp4"
IN_TAR = "dog/犬.mp4"
SIZE = (64, 80)  # of frames, in pixels
QUERIES = 3


def write_film(path: Path, seed: int) -> None:
    """Write a film of a bright square on noise; each seed another."""
    draw = np.random.default_rng(seed)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv420p"
        for n in range(5):
            frame = draw.integers(0, 90, (*SIZE, 3), np.uint8)
            y, x = (int(v) for v in draw.integers(4, 40, 2))
            frame[y : y + 16, x + n : x + n + 16] = (40 * seed % 200 + 50, 200, 90)
            for packet in stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")):
                out.mux(packet)
        for packet in stream.encode():
            out.mux(packet)


def made(folder: Path) -> Survey:
    """Survey the films of a folder, which are written there first."""
    films = folder / "films"
    (films / "cup").mkdir(parents=True)
    (films / "dog").mkdir()
    for seed, name in enumerate(("cup/a.mp4", f"cup/{EVIL}", "dog/b.mp4", "dog/gone.mp4")):
        write_film(films / name, seed)
    (films / "dog" / "broken.mp4").write_bytes(b"no film")
    write_film(folder / "inside.mp4", 7)
    with tarfile.open(folder / "more.tar", "w") as tar:
        tar.add(folder / "inside.mp4", IN_TAR)
    return survey(
        [films, folder / "more.tar"],
        out=folder / "look",
        queries=QUERIES,
        frames=3,
        engine="inline",
    )
