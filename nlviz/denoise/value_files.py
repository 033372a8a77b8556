"""Writing pictures with all their bits: PNG of 8 and 16, TIFF of any type, arrays.

Alpha, colour profile and gamma go with the values where the kind of file can hold them; what it
cannot hold is told.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from nlviz.denoise.image import Image, as_type
from nlviz.denoise.picture_values import PictureValues
from nlviz.denoise.ranges import Range
from nlviz.errors import NlvizError
from nlviz.files.local import suffix_of, write_whole

KINDS = ("png", "tif", "tiff", "npy")
_COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}  # PNG's types of colour by the number of samples
_MARK = b"\x89PNG\r\n\x1a\n"
_WHOLE = (np.dtype(np.uint8), np.dtype(np.uint16))


def write_values(
    path: str | Path,
    done: Image,
    like: PictureValues,
    ends: Range,
    *,
    coloured: bool,
    many: bool = False,
) -> tuple[str, ...]:
    """Write a denoised picture in the type of the one that it came from.

    Args:
        path: a .png, .tif or .npy.
        done: float values, (H, W) or (H, W, C), in the units of ``like``; frames or slices first.
        like: the picture as it was read.
        ends: black and white, for a .png of values that are neither of 8 nor of 16 bits.
        coloured: whether the last axis of ``done`` are channels.
        many: whether its first axis are frames or slices.

    Returns:
        Sentences on what the file does not hold as the picture did.

    Raises:
        NlvizError: when the kind of file holds no such picture, or it cannot be written.
    """
    kind = suffix_of(path, KINDS, what="a result")
    if kind == "npy":
        buffer = BytesIO()
        np.save(buffer, done)
        write_whole(path, buffer.getvalue())
        lost = [] if like.alpha is None else ["its alpha channel is not in the .npy"]
        return tuple(lost)
    like, lost_profile = _with_fitting_profile(like, done.shape[-1] if coloured else 1)
    if kind == "png":
        content, notes = _as_png(done, like, ends, coloured, many)
    else:
        content, notes = _as_tiff(as_type(done, like.values.dtype), like, coloured), ()
    write_whole(path, content)
    return (*notes, *lost_profile, *like.beside)


def _with_fitting_profile(
    like: PictureValues, channels: int
) -> tuple[PictureValues, tuple[str, ...]]:
    """Return what is kept, without a colour profile that is for other channels."""
    space = b"" if like.profile is None else like.profile[16:20]
    if like.profile is None or space == {1: b"GRAY", 3: b"RGB "}.get(channels):
        return like, ()
    name = space.decode("ascii", "replace").strip()
    note = f"its colour profile, one for {name}, does not fit {channels} channels and is left out"
    return replace(like, profile=None), (note,)


def _as_png(
    done: Image, like: PictureValues, ends: Range, coloured: bool, many: bool
) -> tuple[bytes, tuple[str, ...]]:
    if many:
        raise NlvizError(
            "a .png holds one picture, this is a clip or a volume; write a .tif or a .npy"
        )
    channels = done.shape[-1] if coloured else 1
    if channels not in (1, 3):
        raise NlvizError(
            f"a .png holds 1 or 3 channels and alpha, this picture has {channels}; write a .tif or "
            "a .npy"
        )
    notes: tuple[str, ...] = ()
    alpha = like.alpha
    if like.values.dtype in _WHOLE:
        values = as_type(done, like.values.dtype)
    else:
        values = as_type((done - ends.low) * (65535 / ends.span), np.dtype(np.uint16))
        notes = (
            f"the .png holds 16 bits: 0 stands for {ends.low:.6g} and 65535 for {ends.high:.6g}, "
            "values beyond are cut off; a .tif or .npy keeps the units",
        )
        if alpha is not None:
            most = 1.0 if alpha.dtype.kind == "f" else float(np.iinfo(alpha.dtype).max)
            alpha = as_type(alpha / most * 65535, np.dtype(np.uint16))
    return png_bytes(values, alpha, profile=like.profile, gamma=like.gamma), notes


def png_bytes(
    values: Image,
    alpha: Image | None = None,
    *,
    profile: bytes | None = None,
    gamma: float | None = None,
) -> bytes:
    """Return the bytes of a PNG file of 8 or 16 bits, which libraries write in 8 only.

    Args:
        values: (H, W) or (H, W, 3), uint8 or uint16.
        alpha: (H, W) of the same type, or None.
        profile: ICC profile.
        gamma: exponent from light to number.

    >>> list(png_bytes(np.zeros((2, 3), np.uint16))[24:26])  # bits, and PNG's number of grey
    [16, 0]
    """
    layers = values[..., None] if values.ndim == 2 else values
    if alpha is not None:
        layers = np.concatenate([layers, alpha[..., None]], axis=-1)
    height, width, count = layers.shape
    size = layers.itemsize
    rows = np.ascontiguousarray(layers, f">u{size}").view(np.uint8).reshape(height, -1)
    # Each row as its difference to the one above (filter 2), which packs well.
    above = np.concatenate([np.zeros_like(rows[:1]), rows[:-1]])
    filtered = np.concatenate([np.full((height, 1), 2, np.uint8), rows - above], axis=1)
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8 * size, _COLOURS[count], 0, 0, 0))]
    if profile is not None:
        parts.append((b"iCCP", b"ICC profile\0\0" + zlib.compress(profile)))
    elif gamma:
        parts.append((b"gAMA", struct.pack(">I", round(gamma * 100_000))))
    parts += [(b"IDAT", zlib.compress(filtered.tobytes(), 6)), (b"IEND", b"")]
    return _MARK + b"".join(_chunk(*part) for part in parts)


def _chunk(name: bytes, content: bytes) -> bytes:
    body = name + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def _as_tiff(values: Image, like: PictureValues, coloured: bool) -> bytes:
    import tifffile

    channels = values.shape[-1] if coloured else 1
    options: dict[str, Any] = {"photometric": "rgb" if channels == 3 else "minisblack"}
    extra: Sequence[str] = ["unspecified"] * (channels - 1) if channels not in (1, 3) else []
    if like.alpha is not None:
        alpha = like.alpha[..., None]
        values = values if coloured else values[..., None]
        values = np.concatenate([values, alpha], axis=-1)
        extra = [*extra, "unassalpha"]
        channels += 1
    if channels > 1:
        options["planarconfig"] = "contig"
    if extra:
        options["extrasamples"] = extra
    buffer = BytesIO()
    tifffile.imwrite(buffer, values, iccprofile=like.profile, metadata=None, **options)
    return buffer.getvalue()
