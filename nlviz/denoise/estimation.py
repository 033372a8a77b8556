"""Estimates of the noise that is in a picture already, and what is to be known of them.

The details of 2 x 2 pixels, (a - b - c + d) / 2, are noise of the same standard deviation wherever
the picture is smooth; their median absolute value is hardly moved by edges (Donoho and Johnstone,
"Ideal spatial adaptation by wavelet shrinkage", 1994). Details of whole numbers are whole halves,
so that their median says little: there sigma is read from the share of details below the cell's
edge nearest to the median, and what rounding itself adds is subtracted.

Noise that grows with the signal is a line of the variance over the mean, fitted to blocks of 8 x 8
pixels (Foi et al., "Practical Poissonian-Gaussian noise modeling and fitting for single-image raw
data", 2008, fit it likewise to wavelet details).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from nlviz.denoise.axes import Arranged, Kind, arranged
from nlviz.denoise.ground import Mask, checked_mask, filled, without_mask
from nlviz.denoise.image import Image, check_type
from nlviz.denoise.noise import Noise, check_pixels
from nlviz.errors import NlvizError

# The median of |n|, n ~ N(0, 1).
_MEDIAN = 0.6744897501960817
_ROUNDING = (
    1 / 16
)  # variance that rounding adds to the details' bins, in steps; found by simulation
_FEW = 64  # details below which the cells of whole numbers are not counted
_CUT = 0.005  # share of the values at an end from which noise is taken to be cut off there
_AWAY = 3.0  # standard deviations from an end at which noise is whole
_FLOOR = 0.5  # steps below which noise cannot be told from rounding
_ENDS = 0.1  # share of the values at the ends that is told
_BLOCKY = 0.09  # steps at every eighth column, as a share of the mean step, from which JPEG is told
ESTIMATOR = (
    "median absolute value of the finest diagonal Haar details, divided by 0.6745 "
    "(Donoho and Johnstone 1994)"
)


@dataclass(frozen=True)
class Estimate:
    """A standard deviation of noise, and what its reader should know.

    Attributes:
        sigma: in units of the picture.
        notes: sentences; empty where there is nothing to say.
    """

    sigma: float
    notes: tuple[str, ...]


def estimate_sigma(
    image: Image, *, mask: npt.ArrayLike | None = None, axes: str | None = None
) -> float:
    """Return the standard deviation of the noise in a picture, in its own units.

    The mean over the channels. Pixels at the ends of the picture's range may be clipped there and
    are left out. :func:`sigma_estimate` also says how far it can be believed.

    Args:
        image: (H, W) or (H, W, C), or frames (T, H, W, C); of any type of picture.
        mask: True where a pixel does not count.
        axes: letters of the axes, such as ZYX for a volume, where they do not speak for themselves.

    Raises:
        NlvizError: when it is no picture, has fewer than 2 x 2 pixels, or is masked.

    >>> noisy = np.random.default_rng(0).normal(100, 20, (240, 320))
    >>> round(estimate_sigma(noisy))
    20
    """
    found, ground = under_mask(image, mask, axes)
    return estimate_of(found, ground, noted=False).sigma


def sigma_estimate(
    image: Image, *, mask: npt.ArrayLike | None = None, axes: str | None = None
) -> Estimate:
    """Return the standard deviation of the noise, and sentences where it is not to be believed.

    Args:
        image: as for :func:`estimate_sigma`.
        mask: as there.
        axes: as there.

    Raises:
        NlvizError: as there.

    >>> sigma_estimate(np.full((30, 40), 7, np.uint8)).notes
    ('sigma below half a step of the values, 0.5, cannot be told from their rounding',)
    """
    found, ground = under_mask(image, mask, axes)
    return estimate_of(found, ground)


def under_mask(
    image: Any, mask: npt.ArrayLike | None, axes: str | None, *, of: Kind | None = None
) -> tuple[Arranged, Mask | None]:
    """Return an arranged image, and the mask over its pixels: the given and its own, of numpy.ma.

    Raises:
        NlvizError: when axes or mask are not those of the image.
    """
    values, own = without_mask(image)
    check_type(values.dtype)
    found = arranged(values, axes, of=of)
    ground = None
    if mask is not None:
        whole = np.shape(mask) != found.places[1:]
        ground = checked_mask(
            found.map_of("mask", mask, np.asarray(mask).dtype) if whole else mask, found.places
        )
    if own is not None:
        inner = own.transpose(found.order)
        inner = np.asarray(inner.any(-1) if found.coloured else inner)
        ground = checked_mask(inner if ground is None else inner | ground, found.places)
    return found, ground


def estimate_of(found: Arranged, mask: Mask | None, *, noted: bool = True) -> Estimate:
    """Return the estimate of an arranged picture, clip or volume.

    Args:
        found: the picture.
        mask: True where a pixel does not count, or None.
        noted: whether its notes are asked for, which takes some time.
    """
    frames = _frames(filled(found.values, mask), found)
    check_pixels(frames)
    height, width = frames.shape[1:3]
    if min(height, width) < 2:
        raise NlvizError(
            f"noise is estimated from 2 x 2 pixels or more, this picture has {height} x {width}; "
            "give sigma"
        )
    masks = None if mask is None else mask.reshape(frames.shape[:3])
    step = _step(frames)
    low, high = frames.min(), frames.max()
    parts = [_sigma(frames[..., c], masks, low, high, step) for c in range(frames.shape[-1])]
    count = min(n for _, n in parts)
    if not count and mask is not None:
        raise NlvizError(
            "noise is estimated from 2 x 2 pixels beside one another, the mask leaves none; give "
            "sigma"
        )
    sigma = float(np.mean([s for s, _ in parts]))
    notes = _notes(frames, sigma, step, count, (low, high)) if noted else ()
    return Estimate(sigma, tuple(notes))


def _frames(image: Image, found: Arranged) -> Image:
    """Return an image as frames (T, H, W, C) of native numbers."""
    frames = image if found.coloured else image[..., None]
    frames = frames[None] if frames.ndim == 3 else frames
    kind = frames.dtype.newbyteorder("=")
    return frames.astype(np.float32 if kind == np.float16 else kind, copy=False)


def _step(frames: Image) -> float:
    """Return the distance of neighbouring values that type or values show; 0 for any."""
    if frames.dtype.kind in "ui":
        return 1.0
    few = frames[:, :64, :64]
    for step in (1.0, 1 / 255):
        if np.ptp(few) >= step and _whole(few / step) and _whole(frames / step):
            return step
    return 0.0


def _whole(values: Image) -> bool:
    return bool((np.abs(values - np.rint(values)) < 1e-3).all())


def _sigma(
    planes: npt.NDArray[Any], masks: Mask | None, low: float, high: float, step: float
) -> tuple[float, int]:
    """Return the estimate of planes (T, H, W), and from how many details."""
    height, width = (n // 2 * 2 for n in planes.shape[1:])

    def corners(of: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        return [of[:, y:height:2, x:width:2] for y in (0, 1) for x in (0, 1)]

    work = planes if planes.dtype.kind == "f" else planes.astype(np.float32)
    if planes.dtype in (np.int32, np.uint32):
        work = planes.astype(np.float64)
    four = corners(work)
    left_out = np.all([c == low for c in four], 0) | np.all([c == high for c in four], 0)
    if masks is not None:
        left_out |= np.any(corners(masks), 0)
    a, b, c, d = four
    details = np.abs(a.astype(np.float64) - b - c + d) / 2
    counted = ~left_out
    if not counted.any():
        masked = masks is not None and bool(np.any(corners(masks), 0).all())
        return 0.0, 0 if masked else left_out.size
    sigma = _of_details(details[counted], step)
    # Where noise is cut off, near an end that many values lie at, it looks weaker than it is.
    for end, way in ((low, 1), (high, -1)):
        if np.count_nonzero(work == end) > _CUT * work.size:
            free = counted & (((a + b + c + d) / 4 - end) * way > _AWAY * sigma)
            counted = free if free.sum() > max(_FEW, counted.sum() / 4) else counted
    return _of_details(details[counted], step), int(counted.sum())


def _of_details(details: npt.NDArray[np.float64], step: float) -> float:
    if step and details.size >= _FEW:
        return _of_steps(details / step) * step
    return float(np.median(details)) / _MEDIAN


def _of_steps(details: npt.NDArray[np.float64]) -> float:
    """Return sigma from absolute details of whole numbers, in steps."""
    halves = np.rint(details * 2)
    shares = np.cumsum(np.bincount(halves.clip(0, 1 << 20).astype(np.int64))) / halves.size
    if shares[0] == 1:
        return 0.0
    cell = int(np.abs(np.where(shares < 1, shares, np.inf) - 0.5).argmin())
    if not 0 < shares[cell] < 1:
        return float(np.median(details)) / _MEDIAN
    wide = (cell / 2 + 0.25) / NormalDist().inv_cdf((1 + float(shares[cell])) / 2)
    return math.sqrt(max(wide**2 - _ROUNDING, 0.0))


def _notes(
    frames: Image, sigma: float, step: float, count: int, ends: tuple[float, float]
) -> list[str]:
    notes = []
    if step and sigma < _FLOOR * step:
        notes.append(
            f"sigma below half a step of the values, {_FLOOR * step:.2g}, cannot be told from "
            "their rounding"
        )
    if 0 < count < _FEW:
        notes.append(
            f"sigma is estimated from {count} detail{'s' if count > 1 else ''} only, so that it may"
            f" be off by {min(120 / math.sqrt(count), 100):.0f} % and more"
        )
    if step and ends[0] < ends[1]:
        cut = float(((frames == ends[0]) | (frames == ends[1])).mean())
        if cut > _ENDS:
            notes.append(
                f"{100 * cut:.0f} % of the values lie at the ends of their range, where noise is "
                "cut off; sigma is that of the rest"
            )
    if step and _blocks(frames[len(frames) // 2]):
        notes.append(
            "the picture shows the blocks of a JPEG, which smooths fine noise; sigma is that of "
            "what is left, and coarse noise may be stronger"
        )
    return notes


def _blocks(frame: Image) -> bool:
    """Return whether the steps from pixel to pixel are larger at every eighth row and column."""
    grey = frame.mean(-1)
    if min(grey.shape) < 64:
        return False
    found = []
    for plane in (grey, grey.T):
        steps = np.abs(np.diff(plane, axis=1))
        more = (steps[:, 1:-1] - (steps[:, :-2] + steps[:, 2:]) / 2).mean(0)
        phases = [float(more[n::8].mean()) for n in range(8)]
        found.append(max(phases) / max(float(steps.mean()), 1e-12))
    return min(found) > _BLOCKY


_BLOCK = 8  # pixels of a side in which mean and variance are compared
_BINS = 24
_LEAST_BLOCKS = 40


def estimate_noise(
    image: Image,
    *,
    offset: float = 0.0,
    sigma: float | None = None,
    mask: npt.ArrayLike | None = None,
    axes: str | None = None,
) -> Noise:
    """Return the Poisson-Gaussian noise in a picture: its gain and its sigma.

    Blocks of 8 x 8 pixels give a mean and, from their 16 details, a variance. Of blocks of about
    the same mean the middle variance is taken, which textured blocks hardly move, and a line is
    fitted: its slope is the gain, its height at the offset sigma squared.

    Args:
        image: as for :func:`estimate_sigma`.
        offset: the value where there is no light. It cannot be told from sigma in a picture.
        sigma: that of the Gaussian part where it is known, 0 for Poisson noise alone; None fits it.
        mask: True where a pixel does not count.
        axes: letters of the axes, where they do not speak for themselves.

    Raises:
        NlvizError: when the picture is too small, or too even for a line.

    >>> y, x = np.mgrid[:200, :260]
    >>> noisy = 3.0 * np.random.default_rng(0).poisson(20 + 30 * np.sin(x / 40) ** 2)
    >>> 2.7 < estimate_noise(noisy).gain < 3.3
    True
    """
    found, ground = under_mask(image, mask, axes)
    return noise_estimate_of(found, ground, offset=offset, sigma=sigma)


def noise_estimate_of(
    found: Arranged, ground: Mask | None, *, offset: float = 0.0, sigma: float | None = None
) -> Noise:
    """Return the estimate of an arranged picture, clip or volume under a mask over its pixels."""
    frames = _frames(filled(found.values, ground), found)
    check_pixels(frames)
    kept = np.ones(frames.shape[:3]) if ground is None else ~ground.reshape(frames.shape[:3])
    means, variances = _blocks_of(frames.astype(np.float64) - offset, kept)
    if means.size < _LEAST_BLOCKS:
        raise NlvizError(
            f"gain and sigma are estimated from {_LEAST_BLOCKS} blocks of {_BLOCK} x {_BLOCK} "
            f"pixels or more, this picture has {means.size}; give the gain"
        )
    x, v, n = _binned(means, variances)
    gain, rest = _line(x, v, n, None if sigma is None else sigma**2)
    if not gain > 0 or (sigma is None and np.ptp(x) < 0.1 * max(abs(float(x.max())), 1e-300)):
        raise NlvizError(
            "the gain is how much the noise grows with the signal, and in this picture it does not "
            "grow, or everything is of one brightness; give the gain, or take it for Gaussian noise"
        )
    level = math.sqrt(max(rest, 0.0)) if sigma is None else sigma
    return Noise("poisson-gaussian", sigma=level, gain=gain, offset=offset)


def _blocks_of(frames: Image, kept: npt.NDArray[Any]) -> tuple[Any, Any]:
    """Return mean and variance of each whole block and channel."""
    height, width = (n // _BLOCK * _BLOCK for n in frames.shape[1:3])
    frames, kept = frames[:, :height, :width], kept[:, :height, :width]
    a, b, c, d = (frames[:, y::2, x::2] for y in (0, 1) for x in (0, 1))

    def blocks(of: Image, side: int) -> Image:
        rows, columns = (n // side for n in of.shape[1:3])
        found: Image = of.reshape(len(of), rows, side, columns, side, -1).mean((2, 4))
        return found

    whole = blocks(kept[..., None].astype(np.float64), _BLOCK)[..., 0] == 1
    means, variances = blocks(frames, _BLOCK), blocks(((a - b - c + d) / 2) ** 2, _BLOCK // 2)
    return means[whole].ravel(), variances[whole].ravel()


def _binned(means: Any, variances: Any) -> tuple[Any, Any, Any]:
    """Return mean, variance and number of the blocks of each of some bins of equal number."""
    order = np.argsort(means, kind="stable")
    parts = np.array_split(order, min(_BINS, means.size // 20))
    # The median of the mean of 16 squares lies below their mean.
    middle = (1 - 2 / (9 * 16)) ** 3
    x = np.array([means[p].mean() for p in parts])
    v = np.array([np.median(variances[p]) for p in parts]) / middle
    return x, v, np.array([len(p) for p in parts], np.float64)


def _line(x: Any, v: Any, n: Any, known: float | None) -> tuple[float, float]:
    """Return slope and height of a line by weighted least squares, the height not below 0."""
    least = 1e-3 * float(v.max())
    if not least > 0:
        return 0.0, 0.0
    weights = n / np.maximum(v, least) ** 2
    gain, rest = 0.0, 0.0
    for _ in range(12):
        if known is None:
            sums = [float((weights * s).sum()) for s in (np.ones_like(x), x, x * x, v, x * v)]
            w, wx, wxx, wv, wxv = sums
            gain = (w * wxv - wx * wv) / max(w * wxx - wx * wx, 1e-300)
            rest = (wv - gain * wx) / w
        if known is not None or rest < 0:
            rest = 0.0 if known is None else known
            gain = float((weights * x * (v - rest)).sum() / max((weights * x * x).sum(), 1e-300))
        fitted = np.maximum(gain * x + rest, least)
        # Textured bins lie above the line and count less.
        over = np.maximum(v / fitted - 1, 0)
        weights = n / fitted**2 / (1 + (over / 0.3) ** 2)
    return float(gain), float(rest)
