"""Data sets as people have them, of tiny real films and pictures."""

from __future__ import annotations

from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from tests.footage import write_video

FILM_FRAMES, FRAMES = 5, 7


@cache
def film(length: int = FILM_FRAMES) -> bytes:
    """Return a film of 5 frames of 48 x 64."""
    return write_video(frames=length, size=(48, 64))


@cache
def picture(level: int, size: tuple[int, int] = (32, 40), kind: str = "PNG") -> bytes:
    """Return a flat picture, of height and width."""
    buffer = BytesIO()
    Image.fromarray(np.full((*size, 3), level, np.uint8)).save(buffer, kind)
    return buffer.getvalue()


def lay(root: Path, *names: str, content: bytes | None = None) -> Path:
    """Write a film, a picture or something else under each name, as its ending says."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is not None:
            path.write_bytes(content)
        elif path.suffix.lower() in (".png", ".jpg", ".jpeg"):
            kind = "PNG" if path.suffix.lower() == ".png" else "JPEG"
            number = sum(path.name.encode())
            path.write_bytes(picture(number % 250, kind=kind))
        elif path.suffix.lower() in (".mp4", ".avi", ".webm", ".mkv"):
            path.write_bytes(film())
        else:
            path.write_text("{}", "utf-8")
    return root


def frames(root: Path, folder: str, pattern: str = "{:05d}.jpg", first: int = 0) -> Path:
    """Write a folder of numbered frames."""
    lay(root, *(f"{folder}/{pattern.format(first + n)}" for n in range(FRAMES)))
    return root
