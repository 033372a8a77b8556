"""Values brought to where sums of squares lose nothing, and axes with mirrored margins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nlviz.denoise.image import PlaneArray


@dataclass(frozen=True)
class Scaled:
    """How values are brought to where no square overflows and no digit is lost.

    Attributes:
        low, high: (C, 1, 1) ends of the values.
        shared: (C, 1, 1) what all values share, which is subtracted where that costs no digit.
        unit: a power of two that brings the rest to -1 .. 1, which costs no digit either.
    """

    low: PlaneArray
    high: PlaneArray
    shared: PlaneArray
    unit: Any

    @classmethod
    def of(cls, frames: PlaneArray) -> Scaled:
        """Return it for frames (T, C, H, W)."""
        kind = frames.dtype.type
        low, high = (end((0, 2, 3))[:, None, None] for end in (frames.min, frames.max))
        shared = np.where(
            (low > 0) & (high / 2 <= low),
            low,
            np.where((high < 0) & (low / 2 >= high), high, kind(0)),
        )
        most = np.finfo(kind).maxexp - 8
        largest = max(float((high - shared).max()), float((shared - low).max()))
        unit = kind(2.0 ** -min(max(int(np.frexp(largest)[1]), -most), most))
        return cls(low, high, shared, unit)

    def back(self, means: PlaneArray) -> PlaneArray:
        """Return means in the frames' units; one lies between its ends, in the last digit too."""
        done: PlaneArray = (means / self.unit + self.shared).clip(self.low, self.high)
        return done


def mirrored(length: int, margin: int) -> npt.NDArray[np.intp]:
    """Return indices of an axis with a margin, mirrored without repeating the edge.

    >>> mirrored(3, 2)
    array([2, 1, 0, 1, 2, 1, 0])
    """
    return np.pad(np.arange(length), margin, mode="reflect")
