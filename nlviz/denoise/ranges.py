"""The range of a picture's values: what is black, what is white, and how that is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nlviz.errors import NlvizError

Given = float | Sequence[float] | None

_WHITES = (1.0, 255.0)  # of float pictures
_LEAST = 4.0  # a largest value that is of 0..255 rather than of 0..1 and more
_BEYOND = 6.0  # standard deviations that noise goes beyond black and white
_OVERSHOOT = 0.05  # of white: resized pictures go beyond it
_UNKNOWN = 3.0  # of white: what noise of unknown sigma may add


@dataclass(frozen=True)
class Range:
    """Which values are black and white.

    Attributes:
        low: the value of black.
        high: the value of white.
        how: where that is known from, in words.

    >>> Range(-1024, 3071, "given").sentence
    '-1024 to 3071, given'
    """

    low: float
    high: float
    how: str

    @property
    def span(self) -> float:
        """White minus black: what PSNR and SSIM are measured against."""
        return self.high - self.low

    @property
    def sentence(self) -> str:
        """The range in words."""
        return f"{self.low:.6g} to {self.high:.6g}, {self.how}"

    def holding(self, image: npt.NDArray[Any], sigma: float) -> Range:
        """Return the range, wider where values lie beyond it that noise of sigma cannot explain.

        Denoisers that know black and white, or cut off what lies beyond, are given this one.
        """
        lowest, highest = float(image.min()), float(image.max())
        away = _BEYOND * sigma + _OVERSHOOT * self.span
        low = self.low if lowest >= self.low - away else lowest
        high = self.high if highest <= self.high + away else highest
        if (low, high) == (self.low, self.high):
            return self
        return Range(low, high, "of the values themselves, which go beyond the range")


def range_of(
    image: npt.NDArray[Any],
    given: Given = None,
    *,
    sigma: float | None = None,
    mask: npt.NDArray[np.bool_] | None = None,
) -> Range:
    """Return the range of a picture: given, that of its type, or told by its values.

    Pictures of uint8 and uint16 have that of their type. A float picture does not say it: values
    that noise could have brought from 0..1 or 0..255 are taken for that, all others, as the
    Hounsfield units of a CT or counts, for what they span, as those of other integers are.

    Args:
        image: an array of any shape.
        given: the value of white, where black is 0; or (black, white).
        sigma: standard deviation of the noise in the picture, 0 for a clean one; None where it is
            not known.
        mask: True where pixels do not count, of the shape of the first axes of ``image``.

    Raises:
        NlvizError: when what is given is no range.

    >>> range_of(np.array([-1000.0, 30.0, 1800.0])).sentence
    '-1000 to 1800, of its values'
    >>> range_of(np.array([0.0, 0.4])).sentence
    '0 to 1, taken from its values'
    """
    if given is not None:
        return _checked(given)
    if image.dtype in (np.uint8, np.uint16):
        return Range(0.0, float(np.iinfo(image.dtype).max), f"of {image.dtype}")
    seen = image if mask is None or not mask.any() else image[~mask]
    low, high = (float(seen.min()), float(seen.max())) if seen.size else (0.0, 1.0)
    if image.dtype.kind == "f":
        for white in _WHITES:
            most = _UNKNOWN * white
            away = most if sigma is None else min(_BEYOND * sigma + _OVERSHOOT * white, most)
            small = white > 1 and sigma is not None and high <= _LEAST
            if -away <= low and high <= white + away and not small:
                return Range(0.0, white, "taken from its values")
    return Range(low, high if high > low else low + 1, "of its values")


def _checked(given: float | Sequence[float]) -> Range:
    if isinstance(given, int | float | np.number):
        if not 0 < given < math.inf:
            raise NlvizError(
                f"the value of white must be above 0, got data_range={given:g}; where black is not "
                "0 give both, range=(black, white)"
            )
        return Range(0.0, float(given), "given")
    try:
        low, high = (float(value) for value in given)
    except (TypeError, ValueError):
        low = high = math.nan
    if not -math.inf < low < high < math.inf:
        raise NlvizError(
            f"a range is (black, white), black below white, got {given!r}; range=(-1024, 3071) is "
            "that of many a CT"
        )
    return Range(low, high, "given")


def one_range(data_range: Given, pair: Sequence[float] | None) -> Given:
    """Return what a caller gave as ``data_range`` or as ``range``.

    Raises:
        NlvizError: when both are given.
    """
    if data_range is not None and pair is not None:
        raise NlvizError(
            f"a range is given once, got data_range={data_range} and range={tuple(pair)}; leave "
            "one of them out"
        )
    return data_range if pair is None else pair
