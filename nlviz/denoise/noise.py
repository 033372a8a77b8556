"""Noise of three kinds to add to a picture.

    Gaussian          z = x + sigma n,                       n ~ N(0, 1)
    Poisson-Gaussian  z = gain p + offset + sigma n,         p ~ Poisson((x - offset) / gain)
    salt and pepper   z = 0 or white with probability amount / 2 each, x otherwise

The second is that of a sensor: the variance gain (x - offset) + sigma^2 grows with the signal (Foi
et al., "Practical Poissonian-Gaussian noise modeling and fitting for single-image raw data", 2008);
"poisson" is short for it with sigma 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from nlviz.denoise.axes import arranged
from nlviz.denoise.image import Image, check_finite, check_type
from nlviz.denoise.ranges import Given, Range, range_of
from nlviz.errors import NlvizError, did_you_mean

Kind = Literal["gaussian", "poisson", "poisson-gaussian", "salt-and-pepper"]
Noisy = npt.NDArray[np.float32]

_MOST_PHOTONS = 1e15
_BAND = 1 << 22  # values of a picture that get their noise at once


@dataclass(frozen=True)
class Noise:
    """Which noise, and how much of it, in units of the picture.

    Attributes:
        kind: ``gaussian``, ``poisson-gaussian`` or ``salt-and-pepper``; ``poisson`` becomes
            ``poisson-gaussian`` with a sigma of 0.
        sigma: standard deviation of the Gaussian part, 0 or above; not of ``salt-and-pepper``.
        gain: units of the picture per photon, above 0; of ``poisson-gaussian`` only.
        amount: share of the pixels that become black or white, in [0, 1]; of ``salt-and-pepper``
            only.
        clipped: whether values below black and above white are cut off, as a camera's file does.
        offset: value where there is no light, a camera's black level; of ``poisson-gaussian`` only.

    Raises:
        NlvizError: when one of them is out of its range.

    >>> Noise("poisson-gaussian", sigma=5, gain=2).sentence
    'Poisson-Gaussian noise, gain 2 and sigma 5'
    """

    kind: Kind = "gaussian"
    sigma: float = 25.0
    gain: float = 1.0
    amount: float = 0.1
    clipped: bool = False
    offset: float = 0.0

    def __post_init__(self) -> None:
        kinds = get_args(Kind)
        if self.kind not in kinds:
            raise NlvizError(f"there is no noise {self.kind!r}{did_you_mean(self.kind, kinds)}")
        checked_sigma(self.sigma)
        if self.kind == "poisson":
            if self.sigma not in (0, Noise.sigma):
                raise NlvizError(
                    f"Poisson noise has no Gaussian part, got sigma={self.sigma:g}; take "
                    "poisson-gaussian for both"
                )
            object.__setattr__(self, "kind", "poisson-gaussian")
            object.__setattr__(self, "sigma", 0.0)
        if not math.isfinite(self.offset):
            raise NlvizError(f"the offset is a value of the picture, got offset={self.offset:g}")
        if not 0 < self.gain < math.inf:
            raise NlvizError(
                f"the gain of Poisson-Gaussian noise must be above 0, got gain={self.gain:g}; "
                "1 counts one photon for each unit of the picture"
            )
        if not 0 <= self.amount <= 1:
            raise NlvizError(
                f"the amount of salt and pepper is a share from 0 to 1, got amount={self.amount:g}"
            )

    @property
    def sentence(self) -> str:
        """The noise in words."""
        offset = f", offset {self.offset:g}" if self.offset else ""
        what = {
            "gaussian": f"Gaussian noise, sigma {self.sigma:g}",
            "poisson-gaussian": (
                f"Poisson-Gaussian noise, gain {self.gain:g} and sigma {self.sigma:g}{offset}"
            ),
            "salt-and-pepper": f"Salt and pepper on {100 * self.amount:g} % of the pixels",
        }[self.kind]
        return f"{what}, clipped to the range" if self.clipped else what

    def level(
        self,
        clean: Image,
        *,
        data_range: Given = None,
        mask: npt.NDArray[np.bool_] | None = None,
    ) -> float:
        """Return the root of the noise's mean variance over a clean picture, before clipping.

        Denoisers are given it as sigma. For Gaussian noise it is sigma itself.

        Args:
            clean: the picture; its shape does not matter.
            data_range: value of white, or black and white.
            mask: True where a pixel does not count, without the axis of channels.

        >>> Noise("poisson-gaussian", sigma=3, gain=4).level(np.full((5, 7), 10.0))
        7.0
        """
        if self.kind == "gaussian":
            return float(self.sigma)
        clean = np.asarray(clean)
        values = (clean if mask is None else clean[~mask]).astype(np.float64)
        if self.kind == "poisson-gaussian":
            photons = np.maximum(values - self.offset, 0)
            return math.sqrt(self.gain * float(photons.mean()) + self.sigma**2)
        ends = range_of(clean, data_range, sigma=0, mask=mask)
        values = np.maximum(values, ends.low)
        square = float(((values - ends.low) ** 2).mean()) + float(
            ((ends.high - values) ** 2).mean()
        )
        return math.sqrt(self.amount * square / 2)


def checked_sigma(sigma: float) -> float:
    """Return a standard deviation of noise as a float.

    Raises:
        NlvizError: when it is below 0 or not finite.

    >>> checked_sigma(25)
    25.0
    """
    if isinstance(sigma, str) or np.ndim(sigma):
        raise NlvizError(f"sigma is one number here, got {type(sigma).__name__}; give a number")
    if not 0 <= sigma < math.inf:
        raise NlvizError(
            f"sigma must be 0 or above, got sigma={sigma:g}; it is the standard deviation of the "
            "noise in units of the picture"
        )
    return float(sigma)


def add_noise(
    image: Image,
    noise: Noise | float = 25.0,
    *,
    seed: int = 0,
    data_range: Given = None,
    axes: str | None = None,
) -> Noisy:
    """Return a picture with noise, as float32 in the picture's own units.

    Args:
        image: (H, W) or (H, W, C), or frames (T, H, W, C); of any type of picture.
        noise: what noise; a number is the sigma of Gaussian noise that is not clipped.
        seed: of the random numbers; the same seed gives the same noise.
        data_range: value of white, or black and white, see
            :func:`nlviz.denoise.ranges.range_of`; clipping and salt and pepper need it.
        axes: letters of the axes, such as ZYX for a volume, where they do not speak for themselves.

    Raises:
        NlvizError: when the picture is invalid or the noise out of its range.

    >>> add_noise(np.full((5, 7), 100, np.uint8), 10, seed=3).round(1)[0, :3]
    array([120.4,  74.4, 104.2], dtype=float32)
    """
    given = noise if isinstance(noise, Noise) else Noise(sigma=checked_sigma(noise))
    found = arranged(np.asarray(image), axes)
    values = found.values
    check_pixels(values)
    ends = range_of(values, data_range, sigma=0)
    if given.kind == "poisson-gaussian":
        _check_counts(values, given, ends)
    random = np.random.default_rng(seed)
    out = np.empty(values.shape, np.float32)
    rows = max(_BAND // max(values[:1].size, 1), 1)
    for first in range(0, len(values), rows):
        band = values[first : first + rows].astype(np.float64)
        out[first : first + rows] = _with_noise(band, given, ends, random, found.coloured)
    return found.back(out)


def _check_counts(values: Image, noise: Noise, ends: Range) -> None:
    low, high = (float(v) - noise.offset for v in (values.min(), values.max()))
    if low < -0.05 * ends.span:
        raise NlvizError(
            f"Poisson noise is of counts, and this picture goes down to {low:g} below its offset; "
            "give the value where there is no light as offset"
        )
    if high / noise.gain > _MOST_PHOTONS:
        raise NlvizError(
            f"a gain of {noise.gain:g} makes {high / noise.gain:.1e} photons of this picture's "
            "brightest value, with no noise to see; take a larger gain"
        )


def _with_noise(
    values: npt.NDArray[np.float64],
    noise: Noise,
    ends: Range,
    random: np.random.Generator,
    coloured: bool,
) -> npt.NDArray[np.float64]:
    if noise.kind == "salt-and-pepper":
        # Pixels of a colour picture become black or white as a whole.
        chance = random.random(values.shape[:-1] if coloured else values.shape)
        chance = chance[..., None] if coloured else chance
        values = np.where(chance < noise.amount / 2, ends.low, values)
        values = np.where(chance >= 1 - noise.amount / 2, ends.high, values)
    else:
        if noise.kind == "poisson-gaussian":
            photons = random.poisson(np.maximum(values - noise.offset, 0) / noise.gain)
            values = noise.gain * photons.astype(np.float64) + noise.offset
        values += noise.sigma * random.standard_normal(values.shape)
    return values.clip(ends.low, ends.high) if noise.clipped else values


def check_pixels(image: npt.NDArray[Any]) -> None:
    """Check the values of an array whose axes are known to be those of a picture.

    Raises:
        NlvizError: when it is empty, holds NaN or infinity, or is of another type.
    """
    if 0 in image.shape:
        raise NlvizError(
            f"a picture needs at least one pixel, this one has the shape {image.shape}"
        )
    check_type(image.dtype)
    check_finite(image)


def checked_picture(image: npt.NDArray[Any]) -> None:
    """Check that an array is a picture, or frames (T, H, W, C).

    Raises:
        NlvizError: when it is neither, holds NaN, or is of another type.
    """
    arranged(image)
    check_pixels(image)
