"""Frames of known colours in any pixel format, made from the standards' equations alone."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import Any

import av
import numpy as np
import numpy.typing as npt

PATCHES = np.array(
    [(200, 40, 40), (40, 180, 60), (30, 60, 220), (128, 128, 128), (255, 255, 255), (0, 0, 0)],
    np.uint8,
)
SIDE = 16  # of a patch, in pixels
HEIGHT, WIDTH = 32, SIDE * len(PATCHES)

# K_R and K_B by the number of a matrix in ITU-T H.273.
LUMA = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 5: (0.299, 0.114), 6: (0.299, 0.114),
        7: (0.212, 0.087), 9: (0.2627, 0.0593)}  # fmt: skip


def ycbcr(rgb: npt.ArrayLike, matrix: int, full: bool, depth: int) -> npt.NDArray[np.int64]:
    """Return (3, ...) quantised Y'CbCr of (..., 3) R'G'B' in [0, 1]: BT.709 and BT.2100."""
    kr, kb = LUMA[matrix]
    r, g, b = np.moveaxis(np.asarray(rgb, np.float64), -1, 0)
    y = kr * r + (1 - kr - kb) * g + kb * b
    cb, cr = (b - y) / (2 - 2 * kb), (r - y) / (2 - 2 * kr)
    unit = 1 << (depth - 8)
    if full:
        most = (1 << depth) - 1
        parts = np.stack([most * y, most * cb + 128 * unit, most * cr + 128 * unit]).clip(0, most)
    else:
        parts = unit * np.stack([16 + 219 * y, 128 + 224 * cb, 128 + 224 * cr])
    return np.rint(parts).astype(np.int64)


def patch_frame(
    layout: str,
    matrix: int = 1,
    *,
    full: bool = False,
    colours: npt.ArrayLike = PATCHES / 255,
    tagged: bool = True,
) -> Any:
    """Return a frame of patches side by side, in a planar Y'CbCr or grey format."""
    colours = np.asarray(colours)
    frame: Any = av.VideoFrame(SIDE * len(colours), HEIGHT, layout)
    depth = frame.format.components[0].bits
    kind = np.uint8 if depth == 8 else np.uint16
    for plane, values in zip(frame.planes, ycbcr(colours, matrix, full, depth), strict=False):
        step = SIDE * plane.width // frame.width
        row = np.zeros(plane.line_size // np.dtype(kind).itemsize, kind)
        row[: plane.width] = values.repeat(step)
        plane.update(np.tile(row, (plane.height, 1)).tobytes())
    if tagged:
        frame.colorspace, frame.color_range = matrix, 2 if full else 1
    return frame


def middles(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Return the colours (patches, 3) in the middle of each patch."""
    return rgb[HEIGHT // 2, SIDE // 2 :: SIDE].astype(np.int64)


def film(
    container: str,
    codec: str,
    frames: Iterable[Any],
    *,
    layout: str,
    options: dict[str, str] | None = None,
    ready: Callable[[Any], None] | None = None,
) -> bytes:
    """Return a file of frames, in memory; ``ready`` sets what else the stream is to say."""
    buffer = io.BytesIO()
    frames = list(frames)
    with av.open(buffer, "w", format=container) as out:
        stream: Any = out.add_stream(codec, rate=25, options=options or {})
        stream.width, stream.height, stream.pix_fmt = frames[0].width, frames[0].height, layout
        if ready:
            ready(stream)
        for number, frame in enumerate(frames):
            frame.pts = number
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return buffer.getvalue()
