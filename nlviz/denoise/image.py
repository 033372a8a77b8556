"""Pictures as float planes and back: types, channels and ranges are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from nlviz.errors import NlvizError

Image = npt.NDArray[Any]
PlaneArray = npt.NDArray[np.floating[Any]]

# Largest float values by which the range of a noisy float picture is told: noise goes beyond it.
_RANGES = ((4.0, 1.0), (1023.0, 255.0))


@dataclass(frozen=True)
class Planes:
    """A picture as planes, and how to get back.

    Attributes:
        values: (C, H, W) float32 (float64 for float64 pictures), in the picture's own units,
            contiguous; C is 1 or 3.
        dtype: type of the picture.
        grey: whether the picture had no axis of channels.
    """

    values: PlaneArray
    dtype: np.dtype[Any]
    grey: bool

    def picture(self, values: PlaneArray) -> Image:
        """Return planes as a picture of the same type: integers are rounded and clipped."""
        image = values[0] if self.grey else values.transpose(1, 2, 0)
        if self.dtype.kind == "u":
            image = np.rint(image).clip(0, np.iinfo(self.dtype).max)
        return np.ascontiguousarray(image, self.dtype)


def check_picture(shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Raise NlvizError unless arrays of this shape and type can be pictures."""
    if len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] != 3):
        hint = (
            "; take the alpha channel off first, image[..., :3]"
            if shape[2:] in ((2,), (4,))
            else ""
        )
        raise NlvizError(f"a picture has the shape (H, W) or (H, W, 3), this one has {shape}{hint}")
    if 0 in shape:
        raise NlvizError(f"a picture needs at least one pixel, this one has the shape {shape}")
    if dtype not in (np.uint8, np.uint16, np.float16, np.float32, np.float64):
        raise NlvizError(
            "a picture is uint8, uint16, float32 or float64, this one is "
            f"{dtype}; convert it with image.astype"
        )


def to_planes(image: Image) -> Planes:
    """Return a picture as planes.

    Args:
        image: (H, W) or (H, W, 3); uint8, uint16, float32 or float64 (float16 becomes float32).

    Raises:
        NlvizError: when it is no such array, is empty, or holds NaN or infinity.

    >>> planes = to_planes(np.full((5, 7, 3), 9, np.uint8))
    >>> planes.values.shape, planes.picture(planes.values + 0.4).dtype
    ((3, 5, 7), dtype('uint8'))
    """
    image = np.asarray(image)
    check_picture(image.shape, image.dtype)
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        bad = int((~np.isfinite(image)).sum())
        raise NlvizError(
            f"a picture holds finite numbers, {bad} of this one's are NaN or infinite; replace "
            "them first, with numpy.nan_to_num for instance"
        )
    kept = image.astype(np.float32) if image.dtype == np.float16 else image
    work = np.float64 if kept.dtype == np.float64 else np.float32
    planes = kept[None] if kept.ndim == 2 else kept.transpose(2, 0, 1)
    return Planes(np.ascontiguousarray(planes, work), kept.dtype, kept.ndim == 2)


def data_range(image: Image, given: float | None = None) -> float:
    """Return the value of white: 255 or 65535 for integers; for floats 1, 255 or 65535.

    A float picture does not say its range; it is taken for the smallest that its values, with
    noise, could have come from. Give it where this is wrong.

    Raises:
        NlvizError: when the given range is not above 0.

    >>> data_range(np.zeros((2, 3), np.uint8)), data_range(np.full((2, 3), 1.3))
    (255.0, 1.0)
    """
    if given is not None:
        if not given > 0:
            raise NlvizError(f"the value of white must be above 0, got data_range={given:g}")
        return float(given)
    if image.dtype.kind == "u":
        return float(np.iinfo(image.dtype).max)
    largest = float(np.abs(image).max())
    return next((white for most, white in _RANGES if largest <= most), 65535.0)


def picture_of(frame: Image, *, grey: bool = False) -> Image:
    """Return a frame (H, W, 3) as (H, W) where it has no colour or ``grey`` is asked for.

    Grey is the luminance of ITU-R 601-2 in whole numbers, as Pillow computes it.

    >>> picture_of(np.full((5, 7, 3), 9, np.uint8)).shape
    (5, 7)
    """
    if (frame[..., :1] == frame[..., 1:]).all():
        return np.ascontiguousarray(frame[..., 0])
    return np.asarray(Pillow.fromarray(frame).convert("L")) if grey else np.asarray(frame)
