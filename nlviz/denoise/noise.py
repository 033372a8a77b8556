"""Noise of three kinds to add to a picture, and the estimate of noise that is there already.

    Gaussian          z = x + sigma n,                       n ~ N(0, 1)
    Poisson-Gaussian  z = gain p + sigma n,                  p ~ Poisson(x / gain)
    salt and pepper   z = 0 or white with probability amount / 2 each, x otherwise

The second is that of a sensor: the variance gain x + sigma^2 grows with the signal (Foi et al.,
"Practical Poissonian-Gaussian noise modeling and fitting for single-image raw data", 2008).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from nlviz.denoise.image import Image, to_planes
from nlviz.denoise.image import data_range as white_of
from nlviz.errors import NlvizError, did_you_mean

Kind = Literal["gaussian", "poisson-gaussian", "salt-and-pepper"]
Noisy = npt.NDArray[np.float32]

# The median of |n|, n ~ N(0, 1).
_MEDIAN = 0.6744897501960817
_BAND = 1 << 22  # values of a picture that get their noise at once
ESTIMATOR = (
    "median absolute value of the finest diagonal Haar details, divided by 0.6745 "
    "(Donoho and Johnstone 1994)"
)


@dataclass(frozen=True)
class Noise:
    """Which noise, and how much of it, in units of the picture.

    Attributes:
        kind: ``gaussian``, ``poisson-gaussian`` or ``salt-and-pepper``.
        sigma: standard deviation of the Gaussian part, 0 or above; not of ``salt-and-pepper``.
        gain: units of the picture per photon, above 0; of ``poisson-gaussian`` only.
        amount: share of the pixels that become black or white, in [0, 1]; of ``salt-and-pepper``
            only.
        clipped: whether values below 0 and above white are cut off, as a camera's file does.

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

    def __post_init__(self) -> None:
        kinds = get_args(Kind)
        if self.kind not in kinds:
            raise NlvizError(f"there is no noise {self.kind!r}{did_you_mean(self.kind, kinds)}")
        checked_sigma(self.sigma)
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
        what = {
            "gaussian": f"Gaussian noise, sigma {self.sigma:g}",
            "poisson-gaussian": (
                f"Poisson-Gaussian noise, gain {self.gain:g} and sigma {self.sigma:g}"
            ),
            "salt-and-pepper": f"Salt and pepper on {100 * self.amount:g} % of the pixels",
        }[self.kind]
        return f"{what}, clipped to the range" if self.clipped else what

    def level(self, clean: Image, *, data_range: float | None = None) -> float:
        """Return the root of the noise's mean variance over a clean picture, before clipping.

        Denoisers are given it as sigma. For Gaussian noise it is sigma itself.

        >>> Noise("poisson-gaussian", sigma=3, gain=4).level(np.full((5, 7), 10.0))
        7.0
        """
        if self.kind == "gaussian":
            return float(self.sigma)
        values = np.maximum(to_planes(clean).values, 0).astype(np.float64)
        if self.kind == "poisson-gaussian":
            return math.sqrt(self.gain * float(values.mean()) + self.sigma**2)
        white = white_of(clean, data_range)
        square = (float((values**2).mean()) + float(((white - values) ** 2).mean())) / 2
        return math.sqrt(self.amount * square)


def checked_sigma(sigma: float) -> float:
    """Return a standard deviation of noise as a float.

    Raises:
        NlvizError: when it is below 0 or not finite.

    >>> checked_sigma(25)
    25.0
    """
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
    data_range: float | None = None,
) -> Noisy:
    """Return a picture with noise, as float32 in the picture's own units.

    Args:
        image: (H, W) or (H, W, 3), or frames (T, H, W, 3); uint8, uint16 or float.
        noise: what noise; a number is the sigma of Gaussian noise that is not clipped.
        seed: of the random numbers; the same seed gives the same noise.
        data_range: value of white, see :func:`nlviz.denoise.image.data_range`; clipping and salt
            and pepper need it.

    Raises:
        NlvizError: when the picture is invalid or the noise out of its range.

    >>> add_noise(np.full((5, 7), 100, np.uint8), 10, seed=3).round(1)[0, :3]
    array([120.4,  74.4, 104.2], dtype=float32)
    """
    given = noise if isinstance(noise, Noise) else Noise(sigma=checked_sigma(noise))
    image = np.asarray(image)
    checked_picture(image)
    white = white_of(image, data_range)
    random = np.random.default_rng(seed)
    out = np.empty(image.shape, np.float32)
    rows = max(_BAND // max(image[:1].size, 1), 1)
    for first in range(0, len(image), rows):
        band = image[first : first + rows].astype(np.float64)
        out[first : first + rows] = _with_noise(band, given, white, random, image.ndim > 2)
    return out


def _with_noise(
    values: npt.NDArray[np.float64],
    noise: Noise,
    white: float,
    random: np.random.Generator,
    coloured: bool,
) -> npt.NDArray[np.float64]:
    if noise.kind == "salt-and-pepper":
        # Pixels of a colour picture become black or white as a whole.
        chance = random.random(values.shape[:-1] if coloured else values.shape)
        chance = chance[..., None] if coloured else chance
        values = np.where(chance < noise.amount / 2, 0.0, values)
        values = np.where(chance >= 1 - noise.amount / 2, white, values)
    else:
        if noise.kind == "poisson-gaussian":
            photons = random.poisson(np.maximum(values, 0) / noise.gain)
            values = noise.gain * photons.astype(np.float64)
        values += noise.sigma * random.standard_normal(values.shape)
    return values.clip(0, white) if noise.clipped else values


def checked_picture(image: npt.NDArray[Any]) -> None:
    """Check that an array is a picture, or frames (T, H, W, 3).

    Raises:
        NlvizError: when it is neither, holds NaN, or is of another type.
    """
    tall = image.reshape(-1, *image.shape[2:]) if image.ndim == 4 else image
    to_planes(tall)


def estimate_sigma(image: Image) -> float:
    """Return the standard deviation of the noise in a picture, in its own units.

    The details of 2 x 2 pixels, (a - b - c + d) / 2, are noise of the same standard deviation
    wherever the picture is smooth; their median absolute value is hardly moved by edges. Pixels at
    the ends of the picture's range may be clipped there and are left out. The mean over the
    channels. Source: Donoho and Johnstone, "Ideal spatial adaptation by wavelet shrinkage" (1994).

    Args:
        image: (H, W) or (H, W, 3), or frames (T, H, W, 3); uint8, uint16 or float.

    Raises:
        NlvizError: when it is no picture, or has fewer than 2 x 2 pixels.

    >>> noisy = np.random.default_rng(0).normal(100, 20, (240, 320))
    >>> round(estimate_sigma(noisy))
    20
    """
    image = np.asarray(image)
    checked_picture(image)
    frames = image[None] if image.ndim < 4 else image
    height, width = frames.shape[1:3]
    if min(height, width) < 2:
        raise NlvizError(
            f"noise is estimated from 2 x 2 pixels or more, this picture has {height} x {width}; "
            "give sigma"
        )
    work = frames if frames.dtype.kind == "f" else frames.astype(np.float32)
    low, high = work.min(), work.max()
    channels = work[..., None] if work.ndim == 3 else work
    found = [_haar(channels[..., c], low, high) for c in range(channels.shape[-1])]
    return float(np.mean(found))


def _haar(planes: npt.NDArray[Any], low: float, high: float) -> float:
    height, width = (n // 2 * 2 for n in planes.shape[1:])
    corners = [planes[:, y:height:2, x:width:2] for y in (0, 1) for x in (0, 1)]
    cut = np.all([c == low for c in corners], 0) | np.all([c == high for c in corners], 0)
    a, b, c, d = corners
    details = np.abs(a.astype(np.float64) - b - c + d)[~cut] / 2
    return float(np.median(details)) / _MEDIAN if details.size else 0.0
