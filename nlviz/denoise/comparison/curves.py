"""Curves over a parameter: PSNR over sigma, and how many pixels are averaged over h."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nlviz.denoise.comparison.run import compare
from nlviz.denoise.comparison.setup import default_denoisers
from nlviz.denoise.estimation import estimate_sigma
from nlviz.denoise.image import Image, to_planes
from nlviz.denoise.noise import checked_sigma
from nlviz.denoise.ranges import Given, range_of
from nlviz.denoise.weighting import Weighting
from nlviz.errors import NlvizError
from nlviz.progress import Listener, Progress

Numbers = npt.NDArray[np.float64]

SIGMAS = (5.0, 10.0, 15.0, 25.0, 35.0, 50.0, 75.0, 100.0)  # of 255
MULTIPLES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0)  # of sigma: values of h


@dataclass(frozen=True, eq=False)
class QualityCurve:
    """PSNR and SSIM over the noise.

    Attributes:
        sigmas: (n,) standard deviations, in units of the picture.
        noisy: (n,) decibels of the noisy picture itself.
        psnr: (n,) decibels by denoiser.
        ssim: (n,) by denoiser; NaN for pictures below 11 pixels.
    """

    sigmas: Numbers
    noisy: Numbers
    psnr: dict[str, Numbers]
    ssim: dict[str, Numbers]


@dataclass(frozen=True, eq=False)
class EffectiveCurve:
    """How many pixels non-local means averages, over h.

    Attributes:
        h: (n,) strengths, in units of the picture.
        effective: (n, queries) effective number of pixels, exp(entropy of the row).
        places: (queries, 2) y and x of the queries.
        pixels: of a whole window: the number that h = infinity gives.
    """

    h: Numbers
    effective: Numbers
    places: npt.NDArray[np.int64]
    pixels: int

    @property
    def median(self) -> Numbers:
        """The middle query's number at each h."""
        return np.asarray(np.median(self.effective, axis=1), np.float64)

    def quantile(self, share: float) -> Numbers:
        """Return the number below which this share of the queries lies, at each h."""
        return np.asarray(np.quantile(self.effective, share, axis=1), np.float64)


def psnr_over_sigma(
    image: Image,
    *,
    sigmas: Sequence[float] | None = None,
    denoisers: Sequence[str] | None = None,
    seed: int = 0,
    fair: bool = False,
    parameters: Mapping[str, Any] | None = None,
    data_range: Given = None,
    progress: Listener | None = None,
) -> QualityCurve:
    """Return the quality of denoisers on one picture with more and more Gaussian noise.

    Args:
        image: the clean picture (H, W) or (H, W, C), or a clip (T, H, W, C).
        sigmas: standard deviations in units of the picture; by default 5 to 100 of 255.
        denoisers: as in :func:`nlviz.denoise.compare`.
        seed: as there.
        fair: as there; each sigma has its own oracle.
        parameters: as there; without h the defaults follow sigma.
        data_range: as there.
        progress: called with a sentence and a share in [0, 1]; what it raises cancels.

    Raises:
        NlvizError: as there, and when there is no sigma.

    >>> ramp = np.tile(np.arange(0, 240, 8, dtype=np.uint8), (24, 1))
    >>> curve = psnr_over_sigma(ramp, sigmas=[5, 50], denoisers=["gaussian"])
    >>> bool(curve.psnr["gaussian"][0] > curve.psnr["gaussian"][1] > curve.noisy[1])
    True
    """
    image, report = np.asarray(image), Progress.of(progress)
    ends = range_of(image, data_range, sigma=0)
    if sigmas is None:
        sigmas = [s * ends.span / 255 for s in SIGMAS]
    if not len(sigmas):
        raise NlvizError("a curve over sigma needs at least one sigma, none is given")
    levels = [checked_sigma(s) for s in sigmas]
    names = default_denoisers(of_clips=image.ndim == 4) if denoisers is None else tuple(denoisers)
    rows = []
    for index, sigma in enumerate(levels):
        report(f"Sigma {sigma:g}", index / len(levels))
        rows.append(
            compare(
                image,
                sigma=sigma,
                denoisers=names,
                seed=seed,
                fair=fair,
                parameters=parameters,
                data_range=(ends.low, ends.high),
                progress=report.part(index / len(levels), (index + 1) / len(levels)),
            )
        )

    def column(name: str, what: str) -> Numbers:
        values = [getattr(row.results[name], what) for row in rows]
        return np.array([np.nan if v is None else v for v in values], np.float64)

    return QualityCurve(
        np.array(levels),
        np.array([row.psnr for row in rows], np.float64),
        {name: column(name, "psnr") for name in names},
        {name: column(name, "ssim") for name in names},
    )


def effective_number_over_h(
    image: Image,
    *,
    sigma: float | None = None,
    h: Sequence[float] | None = None,
    queries: int = 64,
    seed: int = 0,
    bias: bool = True,
    patch: int = 7,
    window: int = 21,
    patch_sigma: float | None = None,
    progress: Listener | None = None,
) -> EffectiveCurve:
    """Return how the effective number of averaged pixels of non-local means grows with h.

    The effective number is exp(-sum_j w_j log w_j), as everywhere here: 1 where a pixel keeps its
    own value, the pixels of the window where all count alike. A mirrored pixel counts as one more.
    With the bias, patches no farther apart than noise explains count fully at any h, so that it
    does not begin at 1.

    Args:
        image: the noisy picture (H, W) or (H, W, C).
        sigma: standard deviation of its noise; None estimates it.
        h: strengths in units of the picture; by default 0.1 to 3 times sigma.
        queries: how many pixels are asked, drawn at random.
        seed: of the draw.
        bias: whether 2 sigma^2 is subtracted from the distances.
        patch: as in :func:`nlviz.denoise.non_local_means`.
        window: as there.
        patch_sigma: as there.
        progress: called with a sentence and a share in [0, 1]; what it raises cancels.

    Raises:
        NlvizError: when the picture or a number is out of its range.

    >>> noisy = np.random.default_rng(0).normal(100, 10, (24, 32))
    >>> few = {"window": 5, "queries": 3, "bias": False}
    >>> curve = effective_number_over_h(noisy, sigma=10, h=[1e-3, 1e9], **few)
    >>> curve.median.round(), curve.pixels
    (array([ 1., 25.]), 25)
    """
    planes = to_planes(image)
    level = estimate_sigma(image) if sigma is None else checked_sigma(sigma)
    if h is None:
        h = [m * level for m in MULTIPLES] if level else [1e-3]
    if not len(h):
        raise NlvizError("a curve over h needs at least one h, none is given")
    if queries < 1:
        raise NlvizError(f"a curve needs at least one query, got queries={queries}")
    told = level if bias else 0.0
    first = Weighting(float(h[0]), told, patch, window, patch_sigma)
    weightings = [replace(first, h=float(value)) for value in h]
    values = planes.values.astype(np.float64)
    _, height, width = values.shape
    chosen = np.random.default_rng(seed).choice(
        height * width, min(queries, height * width), replace=False
    )
    places = np.stack(np.unravel_index(np.sort(chosen), (height, width)), axis=1)
    out = np.empty((len(h), len(places)))
    report = Progress.of(progress)
    for index, distances in enumerate(_distances(values, places, first)):
        report(f"Query {index + 1} of {len(places)}", index / len(places))
        for row, weighting in enumerate(weightings):
            out[row, index] = _effective(np.maximum(distances - 2 * told**2, 0), weighting.h)
    report("Counted", 1.0)
    return EffectiveCurve(np.array([w.h for w in weightings]), out, places, first.window**2)


def _distances(
    values: Numbers, places: npt.NDArray[Any], weighting: Weighting
) -> Iterator[Numbers]:
    """Give the distances of each query's patch to those of its window, itself at 0."""
    margin, side, patch = weighting.margin, weighting.window, weighting.patch
    mirrored = np.pad(values, ((0, 0), (margin, margin), (margin, margin)), mode="reflect")
    taps = np.outer(weighting.taps(), weighting.taps())
    reach = weighting.reach
    for y, x in places:
        around = mirrored[:, y : y + side + patch - 1, x : x + side + patch - 1]
        patches = np.lib.stride_tricks.sliding_window_view(around, (patch, patch), axis=(1, 2))
        apart = (patches - patches[:, reach, reach][:, None, None]) ** 2
        yield (apart * taps).sum((-1, -2)).mean(0)


def _effective(distances: Numbers, h: float) -> float:
    # Denoising needs no PyTorch until here.
    import torch

    from nlviz.affinity.attention_map import effective_number

    weights = np.exp(-distances / h**2)
    return float(effective_number(torch.from_numpy((weights / weights.sum()).ravel())))
