"""What the axes of an array mean: rows, columns, channels, slices of a volume, frames of a clip.

Axes are written as in microscopy, a letter each: T frames, Z slices, Y rows, X columns, C channels.
An array of two axes is YX. One of three is YXC where its last axis can be channels, and one of four
TYXC; whatever else it could be has to be said, because a volume that is taken for a picture of 64
channels gives a result that looks right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from nlviz.errors import NlvizError

Kind = Literal["picture", "clip", "volume"]

FEW = 4  # channels that a last axis always is
MOST = 16  # channels that it is where rows and columns are longer
_ORDERS = ("YX", "YXC", "TYX", "TYXC", "ZYX", "ZYXC")


@dataclass(frozen=True)
class Arranged:
    """An array in the order in which it is computed, and how to get back.

    Attributes:
        values: (H, W), (H, W, C), or one of them behind an axis of frames or slices.
        kind: whether it is a picture, a clip or a volume.
        coloured: whether its last axis are channels.
        order: place of each axis of ``values`` in the caller's array.
    """

    values: npt.NDArray[Any]
    kind: Kind
    coloured: bool
    order: tuple[int, ...]

    @property
    def places(self) -> tuple[int, ...]:
        """Shape without the channels: what a mask or a map of sigma has."""
        shape = self.values.shape
        return shape[:-1] if self.coloured else shape

    def back(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return values in the order of the caller's array."""
        return np.ascontiguousarray(values.transpose(np.argsort(self.order)))

    def map_of(self, name: str, given: npt.ArrayLike, dtype: Any) -> npt.NDArray[Any]:
        """Return a map over the pixels that a caller gave, in the order of ``values``.

        Args:
            name: what it is, for the error.
            given: the array, in the caller's order, without channels.
            dtype: that it shall have.

        Raises:
            NlvizError: when its shape is another.
        """
        found = np.asarray(given)
        channels = self.order[-1] if self.coloured else None
        rest = [axis for axis in sorted(self.order) if axis != channels]
        order = [rest.index(axis) for axis in self.order if axis != channels]
        wanted = tuple(self.places[order.index(i)] for i in range(len(order)))
        if found.shape != wanted:
            raise NlvizError(
                f"{name} has a value for each pixel, {wanted}, this one has the shape "
                f"{found.shape}; leave the channels out"
            )
        return np.ascontiguousarray(found.transpose(order), dtype)


def arranged(
    image: npt.NDArray[Any], axes: str | None = None, *, of: Kind | None = None
) -> Arranged:
    """Return an array with its axes in the order T or Z, Y, X, C.

    Args:
        image: the array.
        axes: a letter for each axis; None takes YX, YXC and TYXC where nothing else is meant.
        of: what it must be, where the caller knows.

    Raises:
        NlvizError: when the letters are not those of the array, or must be said.

    >>> found = arranged(np.zeros((3, 20, 30)), "CYX")
    >>> found.kind, found.values.shape, found.back(found.values).shape
    ('picture', (20, 30, 3), (3, 20, 30))
    """
    letters = _letters(image.shape, axes, of)
    wanted = next((o for o in _ORDERS if sorted(o) == sorted(letters)), None)
    if wanted is None or len(letters) != image.ndim:
        raise NlvizError(
            f"axes are a letter for each of the {image.ndim} axes of {image.shape}: Y, X and where "
            f"there are any C (channels) and one of T (frames) and Z (slices), got axes={axes!r}; "
            "take one frame or volume at a time where there are both"
        )
    kind: Kind = "volume" if "Z" in wanted else "clip" if "T" in wanted else "picture"
    if of is not None and kind != of:
        raise NlvizError(f"axes={axes!r} describe a {kind}, a {of} is asked for; leave axes out")
    order = tuple(letters.index(letter) for letter in wanted)
    return Arranged(image.transpose(order), kind, "C" in wanted, order)


def _letters(shape: tuple[int, ...], axes: str | None, of: Kind | None) -> str:
    if axes is not None:
        return axes.upper()
    first = {"clip": "T", "volume": "Z"}.get(of or "picture", "")
    if of in ("clip", "volume"):
        known = {3: f"{first}YX", 4: f"{first}YXC"}
        if len(shape) not in known:
            many = "T" if of == "clip" else "Z"
            raise NlvizError(
                f"a {of} has the shape ({many}, H, W) or ({many}, H, W, C), this one has {shape}"
            )
        check_channels(shape[1:], of)
        return known[len(shape)]
    if len(shape) == 4:
        check_channels(shape[1:], "clip")
        return "TYXC"
    check_channels(shape)
    return "YX" if len(shape) == 2 else "YXC"


def check_channels(shape: tuple[int, ...], of: Kind = "picture") -> None:
    """Check that an array of this shape is a picture, and its last axis channels.

    Args:
        shape: (H, W) or (H, W, C).
        of: what it is a part of.

    Raises:
        NlvizError: when it is not, or could be something else as well.

    >>> check_channels((64, 48, 7))
    """
    if len(shape) not in (2, 3):
        raise NlvizError(
            f"a picture has the shape (H, W) or (H, W, C), this one has {shape}; clips and volumes "
            "have one axis more"
        )
    if len(shape) == 2 or shape[2] <= FEW:
        return
    height, width, last = shape
    if last <= MOST and last < min(height, width):
        return
    front = {"picture": "", "clip": "T", "volume": "Z"}[of]
    if height <= FEW:
        raise NlvizError(
            f"pictures have their channels last, in this one of {shape} they seem to come first; "
            f"say axes='{front}CYX', or turn it with numpy.moveaxis"
        )
    if of != "picture":
        raise NlvizError(
            f"the last of the axes would be {last} channels of {height} x {width} pixels; say "
            f"axes='{front}YXC' if it is so"
        )
    raise NlvizError(
        f"an array of {shape} may be a volume of {height} slices, {height} frames of a clip, or a "
        f"picture of {last} channels; say which, axes='ZYX', 'TYX' or 'YXC' "
        "(non_local_means_of_volume and non_local_means_of_clip know it)"
    )
