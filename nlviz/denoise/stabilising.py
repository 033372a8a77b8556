"""Noise that grows with the signal made even: the generalised Anscombe transform and its inverse.

A picture z = gain p + offset + sigma n, with p ~ Poisson(y) and n ~ N(0, 1), is brought to units of
one photon, z' = (z - offset) / gain, and to

    f(z') = 2 sqrt(max(z' + 3/8 + s^2, 0)),         s = sigma / gain

where its noise has nearly the standard deviation 1 everywhere (Anscombe 1948; Starck, Murtagh and
Bijaoui 1998). A denoiser then gives about the mean D of f. As the root of a mean is not the mean of
roots, the algebraic inverse (D / 2)^2 - 3/8 - s^2 is too low in the dark. Here D is taken back by
the *exact unbiased inverse*, which finds the y of which D is the mean:

    E(f | y) = sum_p Poisson(p; y) integral f(p + s n) N(n) dn = D

Sources: Mäkitalo and Foi, "Optimal inversion of the Anscombe transformation in low-count Poisson
image denoising" (2011) and "Optimal inversion of the generalized Anscombe transformation for
Poisson-Gaussian noise" (2013). They interpolate tables as well; this one is computed when it is
needed, for the s at hand.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from nlviz.denoise.image import Image
from nlviz.denoise.noise import Noise
from nlviz.errors import NlvizError

Numbers = npt.NDArray[np.float64]

_SUMMED = 2000.0  # photons up to which the mean is a sum; beyond, five moments give twelve digits
_REACH = 10.0  # standard deviations of both noises that the sums take in
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(96)


def forward(photons: npt.NDArray[np.floating], s: float) -> Numbers:
    """Return f of values in units of one photon.

    >>> forward(np.array([-1.0, 3.625]), 0.0)
    array([0., 4.])
    """
    return 2 * np.sqrt(np.maximum(np.asarray(photons, np.float64) + 0.375 + s**2, 0))


def expected(photons: npt.ArrayLike, s: float) -> Numbers:
    """Return the mean of f for each expected number of photons.

    Args:
        photons: 0 or above.
        s: standard deviation of the Gaussian part, in photons.

    >>> expected([0.0, 5.0], 0.0).round(4)
    array([1.2247, 4.5274])
    """
    y = np.asarray(photons, np.float64)
    out = np.empty_like(y)
    many = y > _SUMMED
    out[many] = _by_moments(y[many], s)
    few = np.flatnonzero(~many)
    if few.size:
        most = float(y.flat[few].max())
        counts = np.arange(math.ceil(most + _REACH * math.sqrt(most) + 30) + 1)
        roots = _of_counts(counts.astype(np.float64), s)
        logs = np.concatenate([[0.0], np.cumsum(np.log(np.maximum(counts[1:], 1)))])
        for index in few:
            mean = float(y.flat[index])
            if mean == 0:
                out.flat[index] = roots[0]
                continue
            chance = np.exp(counts * math.log(mean) - mean - logs)
            out.flat[index] = float(chance @ roots)
    return out


def _of_counts(counts: Numbers, s: float) -> Numbers:
    """Return the mean of f(p + s n) over n for each number of photons p.

    Over t = sqrt(p + s n + 3/8 + s^2) instead of n nothing has a kink, so that few nodes do.
    """
    if s == 0:
        return forward(counts, 0.0)
    centre = counts + 0.375 + s**2
    low = np.sqrt(np.maximum(centre - _REACH * s, 0))
    high = np.sqrt(centre + _REACH * s)
    half = (high - low)[:, None] / 2
    t = low[:, None] + half * (_NODES + 1)
    density = np.exp(-(((t**2 - centre[:, None]) / s) ** 2) / 2) / (s * math.sqrt(2 * math.pi))
    return (2 * t * density * 2 * t * half) @ _WEIGHTS


def _by_moments(y: Numbers, s: float) -> Numbers:
    """Return the mean of f by its expansion around y, to the fourth moment."""
    u = y + 0.375 + s**2
    variance = y + s**2
    fourth = 3 * variance**2 + y
    even = 1 - variance / (8 * u**2) + y / (16 * u**3) - 5 * fourth / (128 * u**4)
    return 2 * np.sqrt(u) * even


@lru_cache(maxsize=8)
def _table(s: float, most: float) -> tuple[Numbers, Numbers]:
    """Return D of a grid of y up to at least ``most``, and y - (D^2 / 4 - 1/8 - s^2) there.

    The rest is small, even, and falls to 0, so that lines between its points are near.
    """
    grid = np.linspace(0, math.sqrt(min(most, 400)), 1201) ** 2
    if most > 400:
        steps = math.ceil(math.log(most / 400) / math.log(1.02))
        grid = np.concatenate([grid, np.geomspace(400, most, steps + 1)[1:]])
    means = expected(grid, s)
    return means, grid - (means**2 / 4 - 0.125 - s**2)


def inverse(means: npt.NDArray[np.floating], s: float) -> Numbers:
    """Return the expected number of photons of which these are the means of f, exactly.

    Means below that of no photon at all give 0.

    >>> y = np.array([0.0, 0.3, 40.0, 5000.0])
    >>> bool(np.allclose(inverse(expected(y, 0.7), 0.7), y, atol=1e-4))
    True
    """
    d = np.asarray(means, np.float64)
    asymptotic = d**2 / 4 - 0.125 - s**2
    most = max(float(asymptotic.max(initial=0.0)) * 1.1, 25.0)
    # One table serves all pictures of about this brightness.
    known, rest = _table(float(s), 2.0 ** math.ceil(math.log2(most)))
    found: Numbers = np.maximum(asymptotic + np.interp(d, known, rest), 0) * (d > known[0])
    return found


@dataclass(frozen=True)
class Stabiliser:
    """The transform for one noise, in a picture's own units.

    Attributes:
        noise: of the kind ``poisson-gaussian``.

    >>> stabiliser = Stabiliser(Noise("poisson-gaussian", sigma=0, gain=2))
    >>> stabiliser.forward(np.array([7.25]))
    array([4.])
    """

    noise: Noise

    def __post_init__(self) -> None:
        if self.noise.kind != "poisson-gaussian":
            raise NlvizError(
                f"the transform is for Poisson-Gaussian noise, got {self.noise.kind!r}; Gaussian "
                "noise is even already, and salt and pepper is none that grows with the signal"
            )

    @property
    def s(self) -> float:
        """Standard deviation of the Gaussian part, in photons."""
        return self.noise.sigma / self.noise.gain

    def forward(self, picture: Image) -> Image:
        """Return a picture with even noise, of standard deviation 1."""
        photons = (np.asarray(picture, np.float64) - self.noise.offset) / self.noise.gain
        return forward(photons, self.s).astype(picture.dtype)

    def inverse(self, picture: Image) -> Image:
        """Return a denoised picture in its own units, by the exact unbiased inverse."""
        photons = inverse(picture, self.s)
        return (photons * self.noise.gain + self.noise.offset).astype(picture.dtype)
