"""Which of a picture's numbers is black and which is white, where eight bits do not say it.

A file of 8 bits says it: 0 and 255. Most others do not: cameras put 12 bits into files of 16,
microscopes and models write floats of any unit. Then the numbers of the whole clip decide, by one
rule for every kind of file, and a sentence tells what was decided. Numbers that are not finite
count for nothing there: NaN is shown black, infinities as the end of the scale that they lie at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[Any]
Levels = npt.NDArray[np.uint8]

_BITS = (8, 10, 12, 14, 16)  # of sensors and of files
_OVER = 0.1  # share of the scale by which filters overshoot black and white


@dataclass(frozen=True)
class Extent:
    """Least and largest of the finite numbers of some pictures.

    Attributes:
        low: the least, 0 where none is finite.
        high: the largest, 0 where none is finite.
        odd: how many are NaN or infinite.
        kind: NumPy's letter of their type: ``u``, ``i`` or ``f``.
        bits: of a number in the file.
    """

    low: float
    high: float
    odd: int
    kind: str
    bits: int

    def joined(self, other: Extent) -> Extent:
        """Return the extent of both."""
        low, high = min(self.low, other.low), max(self.high, other.high)
        return Extent(low, high, self.odd + other.odd, self.kind, max(self.bits, other.bits))


@dataclass(frozen=True)
class Scale:
    """The numbers that are shown black and white.

    Attributes:
        black: shown as level 0.
        white: shown as level 255.
        note: one sentence on the choice, empty where the file itself says it.

    >>> Scale(0.0, 4095.0).levels(np.array([0, 2048, 4095, 5000], np.uint16)).tolist()
    [0, 128, 255, 255]
    >>> Scale(0.0, 1.0).levels(np.array([0.5, np.nan, np.inf, -np.inf])).tolist()
    [128, 0, 255, 0]
    """

    black: float
    white: float
    note: str = ""

    def levels(self, samples: Samples) -> Levels:
        """Return numbers of any shape as levels from 0 to 255."""
        if samples.dtype == np.uint8 and (self.black, self.white) == (0.0, 255.0):
            return samples
        span = self.white - self.black or 1.0
        wide: Any = np.float64 if samples.dtype.itemsize > 2 or span > 2**20 else np.float32
        with np.errstate(invalid="ignore", over="ignore"):
            out = (samples.astype(wide) - wide(self.black)) * wide(255.0 / span)
        out = np.nan_to_num(out, copy=False, nan=0.0, posinf=255.0, neginf=0.0)
        return np.asarray(np.floor(np.clip(out, 0, 255) + 0.5), np.uint8)


def extent_of(samples: Samples, bits: int) -> Extent:
    """Return the extent of one picture's numbers, which its file gives so many bits."""
    if samples.dtype.kind != "f":
        return Extent(float(samples.min()), float(samples.max()), 0, samples.dtype.kind, bits)
    finite = samples[np.isfinite(samples)]
    if not finite.size:
        return Extent(0.0, 0.0, samples.size, "f", bits)
    odd = samples.size - finite.size
    return Extent(float(finite.min()), float(finite.max()), odd, "f", bits)


def scale_of(found: Extent) -> Scale:
    """Return the scale for numbers of this extent.

    Whole numbers from 0: the smallest depth of 8, 10, 12, 14 or 16 bits that holds them. Floats:
    white is 1 or 255, whichever holds them, a little overshoot allowed. All others: from the least
    to the largest.

    >>> scale_of(Extent(0, 3900, 0, "u", 16)).note
    'Its 16-bit numbers end at 3900 and are shown as 12 bits: 4095 is white.'
    >>> scale_of(Extent(-1024, 3071, 0, "i", 16)).note
    'Its numbers are shown from -1024, black, to 3071, white.'
    """
    black, white, note = (_of_floats if found.kind == "f" else _of_whole_numbers)(found)
    if found.odd:
        many = f"{found.odd:,} of its numbers are" if found.odd > 1 else "One of its numbers is"
        note = f"{note} {many} NaN or infinite: NaN is shown black.".strip()
    return Scale(black, white, note)


def _of_floats(found: Extent) -> tuple[float, float, str]:
    low, high = found.low, found.high
    ends = f"Its float numbers, from {_text(low)} to {_text(high)},"
    if -_OVER <= low and high <= 1 + _OVER:
        if low < 0 or high > 1:
            return 0.0, 1.0, f"{ends} are cut off at 0 and 1."
        dark = f"Its float numbers end at {_text(high)} and look dark: 1 is white."
        return 0.0, 1.0, dark if 0 < high < 0.5 else ""
    if -_OVER * 255 <= low and high <= (1 + _OVER) * 255:
        return 0.0, 255.0, f"{ends} are shown with 255 as white."
    return _from_end_to_end(low, high)


def _of_whole_numbers(found: Extent) -> tuple[float, float, str]:
    low, high = found.low, found.high
    free = found.bits - (found.kind == "i")
    full = 2.0**free - 1
    depth = next((bits for bits in _BITS if bits <= free and high < 2.0**bits), free)
    if low < 0 or (depth > 16 and high <= full / 2) or (depth < 8 and high <= full / 2):
        return _from_end_to_end(min(low, 0.0), high)
    white = 2.0**depth - 1
    if depth == free:
        return 0.0, white, ""
    return (
        *(0.0, white),
        f"Its {found.bits}-bit numbers end at {_text(high)} and are shown as {depth} bits: "
        f"{_text(white)} is white.",
    )


def _from_end_to_end(low: float, high: float) -> tuple[float, float, str]:
    if high <= low:
        return low, low + 1, f"Its numbers are all {_text(low)}, shown black."
    return low, high, f"Its numbers are shown from {_text(low)}, black, to {_text(high)}, white."


def _text(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else f"{value:.4g}"
