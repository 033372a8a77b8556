"""Pictures as float planes and back: types, channels and ranges are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from nlviz.denoise.axes import check_channels
from nlviz.denoise.ranges import Given, range_of
from nlviz.errors import NlvizError

Image = npt.NDArray[Any]
PlaneArray = npt.NDArray[np.floating[Any]]

TYPES = ("uint8", "uint16", "uint32", "int8", "int16", "int32", "float16", "float32", "float64")
_DOUBLE = ("uint32", "int32", "float64")  # what float32 does not hold


@dataclass(frozen=True)
class Planes:
    """A picture as planes, and how to get back.

    Attributes:
        values: (C, H, W) float32 (float64 for what float32 does not hold), in the picture's own
            units, contiguous.
        dtype: type of the picture.
        grey: whether the picture had no axis of channels.
    """

    values: PlaneArray
    dtype: np.dtype[Any]
    grey: bool

    def picture(self, values: PlaneArray) -> Image:
        """Return planes as a picture of the same type: integers are rounded and clipped."""
        image = values[0] if self.grey else values.transpose(1, 2, 0)
        return as_type(image, self.dtype)


def as_type(image: Image, dtype: np.dtype[Any]) -> Image:
    """Return float values as an array of a picture's type: integers are rounded and clipped.

    >>> as_type(np.array([-3.2, 1.6, 300.0]), np.dtype(np.uint8))
    array([  0,   2, 255], dtype=uint8)
    """
    if dtype.kind in "ui":
        limits = np.iinfo(dtype)
        image = np.rint(image).clip(limits.min, limits.max)
    return np.ascontiguousarray(image, dtype)


def working_type(dtype: np.dtype[Any]) -> type[np.floating[Any]]:
    """Return the type in which pictures of a type are computed.

    >>> working_type(np.dtype(np.uint16)).__name__, working_type(np.dtype(np.int32)).__name__
    ('float32', 'float64')
    """
    return np.float64 if dtype.name in _DOUBLE else np.float32


def check_type(dtype: np.dtype[Any]) -> None:
    """Raise NlvizError unless pictures can have this type."""
    if dtype.newbyteorder("=").name in TYPES:
        return
    cures = {
        "b": "it looks like a mask, which goes with a picture as mask=",
        "c": "denoise its real and imaginary parts as two channels",
        "O": "make it an array of numbers with image.astype",
    }
    cure = cures.get(dtype.kind, "convert it with image.astype")
    raise NlvizError(
        "a picture is uint8, uint16, float32 or float64, or another integer of at most 32 bits, "
        f"this one is {dtype}; {cure}"
    )


def check_picture(shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Raise NlvizError unless arrays of this shape and type can be pictures."""
    check_channels(shape)
    _check(shape, dtype)


def _check(shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    if 0 in shape:
        raise NlvizError(f"a picture needs at least one pixel, this one has the shape {shape}")
    check_type(dtype)


def check_finite(image: Image) -> None:
    """Raise NlvizError unless all values are finite."""
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        bad = int((~np.isfinite(image)).sum())
        raise NlvizError(
            f"a picture holds finite numbers, {bad} of this one's are NaN or infinite; replace "
            "them first, with numpy.nan_to_num for instance, or leave them out, with "
            "mask=~numpy.isfinite(image)"
        )


def to_planes(image: Image, *, checked: bool = False) -> Planes:
    """Return a picture as planes.

    Args:
        image: (H, W) or (H, W, C); uint8, uint16, another integer of at most 32 bits, float32 or
            float64 (float16 becomes float32).
        checked: whether it is known that the last of three axes are channels.

    Raises:
        NlvizError: when it is no such array, is empty, or holds NaN or infinity.

    >>> planes = to_planes(np.full((5, 7, 3), 9, np.uint8))
    >>> planes.values.shape, planes.picture(planes.values + 0.4).dtype
    ((3, 5, 7), dtype('uint8'))
    """
    image = np.asarray(image)
    if not checked:
        check_channels(image.shape)
    _check(image.shape, image.dtype)
    check_finite(image)
    native = image.dtype.newbyteorder("=")
    kept = image.astype(np.float32) if native == np.float16 else image.astype(native, copy=False)
    planes = kept[None] if kept.ndim == 2 else kept.transpose(2, 0, 1)
    work = working_type(kept.dtype)
    return Planes(np.ascontiguousarray(planes, work), kept.dtype, kept.ndim == 2)


def data_range(image: Image, given: Given = None) -> float:
    """Return the value of white less that of black: 255 or 65535 for integers; 1 or 255 for floats.

    A float picture does not say its range; it is taken for 0..1 or 0..255 where its values, with
    noise, could have come from there, and for what its values span elsewhere. Give it where this is
    wrong. :func:`nlviz.denoise.ranges.range_of` says both ends, and where they come from.

    Raises:
        NlvizError: when what is given is no range.

    >>> data_range(np.zeros((2, 3), np.uint8)), data_range(np.full((2, 3), 1.3))
    (255.0, 1.0)
    """
    return range_of(image, given).span


def picture_of(frame: Image, *, grey: bool = False) -> Image:
    """Return a frame (H, W, 3) as (H, W) where it has no colour or ``grey`` is asked for.

    Grey is the luminance of ITU-R 601-2 in whole numbers, as Pillow computes it.

    >>> picture_of(np.full((5, 7, 3), 9, np.uint8)).shape
    (5, 7)
    """
    if (frame[..., :1] == frame[..., 1:]).all():
        return np.ascontiguousarray(frame[..., 0])
    return np.asarray(Pillow.fromarray(frame).convert("L")) if grey else np.asarray(frame)
