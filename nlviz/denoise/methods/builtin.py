"""The entries of the weighted means that are computed here: mean to non-local means."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import cv2

from nlviz.denoise.denoiser import Denoiser, Parameter, grown, odd_near
from nlviz.denoise.image import Image
from nlviz.progress import Progress

LICENCE = "Apache-2.0 (nlviz)"
VOLUME_H = 0.47  # multiple of sigma: h at sigma 25 for patches of 5 x 5 x 5 voxels
PLAIN = 0.92  # multiple of sigma: h at sigma 25 where 2 sigma^2 is not subtracted

PATCH = Parameter("side of the patches that are compared", 7, 1, 15, 2, "pixels", "odd")
WINDOW = Parameter("side of the window in which keys lie", 21, 3, 61, 2, "pixels", "odd")


def threads() -> int:
    """Return how many threads OpenCV was given in this process: ours take as many."""
    return max(int(cv2.getNumThreads()), 1)


def _axes(picture: Image) -> str:
    """Return the letters of a picture's axes, which is known to have its channels last."""
    return "YXC"[: picture.ndim]


def _mean(
    picture: Image, sigma: Any, white: float, report: Progress, *, window: int, **mask: Any
) -> Image:
    from nlviz.denoise.weighted_means import mean

    axes = _axes(picture)
    return mean(picture, window=window, axes=axes, threads=threads(), progress=report, **mask)


def _gaussian(
    picture: Image, sigma: Any, white: float, report: Progress, *, spatial: float, **mask: Any
) -> Image:
    from nlviz.denoise.weighted_means import gaussian

    axes = _axes(picture)
    return gaussian(picture, spatial=spatial, axes=axes, threads=threads(), progress=report, **mask)


def _bilateral(
    picture: Image,
    sigma: Any,
    white: float,
    report: Progress,
    *,
    h: Any,
    spatial: float,
    **mask: Any,
) -> Image:
    from nlviz.denoise.weighted_means import bilateral

    axes = _axes(picture)
    return bilateral(
        picture, h=h, spatial=spatial, axes=axes, threads=threads(), progress=report, **mask
    )


def _means(
    picture: Image, sigma: Any, white: float, report: Progress, *, bias: bool, **parameters: Any
) -> Image:
    from nlviz.denoise.weighted_means import non_local_means

    return non_local_means(
        picture,
        sigma=sigma if bias else 0.0,
        axes=_axes(picture),
        threads=threads(),
        progress=report,
        **parameters,
    )


def _means_of_clip(
    picture: Image,
    sigma: Any,
    white: float,
    report: Progress,
    *,
    bias: bool,
    frames: int,
    **parameters: Any,
) -> Image:
    from nlviz.denoise.weighted_means import non_local_means_of_clip

    return non_local_means_of_clip(
        picture,
        sigma=sigma if bias else 0.0,
        frames_window=frames,
        threads=threads(),
        progress=report,
        **parameters,
    )


def _means_of_volume(
    picture: Image,
    sigma: Any,
    white: float,
    report: Progress,
    *,
    bias: bool,
    slices: int | None,
    **parameters: Any,
) -> Image:
    from nlviz.denoise.weighted_means import non_local_means_of_volume

    return non_local_means_of_volume(
        picture,
        sigma=sigma if bias else 0.0,
        window_slices=slices,
        threads=threads(),
        progress=report,
        **parameters,
    )


def _local_of_volume(
    picture: Image,
    sigma: Any,
    white: float,
    report: Progress,
    *,
    window: int | None = None,
    spatial: float | None = None,
    h: Any = math.inf,
    **mask: Any,
) -> Image:
    from nlviz.denoise.weighted_means import non_local_means_of_volume, window_of

    return non_local_means_of_volume(
        picture,
        h=h,
        patch=1,
        window=window_of(spatial or 1.0) if window is None else window,
        spatial=spatial,
        threads=threads(),
        progress=report,
        **mask,
    )


def strength(with_bias: float, without: float) -> tuple[Parameter, Parameter]:
    """Return h, given its multiple of sigma at sigma 25 with the bias subtracted and without.

    Near the best on average for the bundled photos at sigma 5 to 100: more noise needs less of it,
    as it spreads the distances of patches that are alike less than the picture itself does.
    """
    what = "strength: patches so far apart count 1/e"
    low, high, step = 0.1, 2.0, 0.05
    biased, plain = grown(with_bias, -0.28), grown(without, -0.13)
    return (
        Parameter(what, biased, low, high, step, "sigma", maps=True),
        Parameter(what, plain, low, high, step, "sigma", maps=True),
    )


_BIASED, _PLAIN = strength(0.6, PLAIN)


def _h_without_bias(given: Mapping[str, Any]) -> Mapping[str, Parameter]:
    return {} if given.get("bias", True) else {"h": _PLAIN}


MEANS = {
    "h": _BIASED,
    "patch": PATCH,
    "window": WINDOW,
    "patch_sigma": Parameter(
        "Gaussian weights over the patch; without, all its pixels count alike",
        None,
        0.5,
        5.0,
        0.1,
        "pixels",
        optional=True,
    ),
    "bias": Parameter(
        "subtract 2 sigma², what noise alone adds to a distance", True, kind="switch"
    ),
}
FRAMES = Parameter(
    "frames in the window, the pixel's own in the middle", 3, 1, 15, 2, "frames", "odd"
)

DENOISERS = (
    Denoiser(
        "mean",
        "Mean filter",
        "y_i = mean of x_j over the window",
        "moving average",
        LICENCE,
        "The same window everywhere: edges are smoothed with the noise.",
        {
            "window": Parameter(
                "side of the window", odd_near(grown(4.2, 0.65)), 1, 15, 2, "pixels", "odd"
            )
        },
        _mean,
        "window",
        maps=True,
    ),
    Denoiser(
        "gaussian",
        "Gaussian filter",
        "f_ij = exp(-|i-j|² / (2 s²))",
        "Gaussian convolution",
        LICENCE,
        "The same weights everywhere: edges are smoothed with the noise.",
        {"spatial": Parameter("standard deviation s", grown(1.2, 0.65), 0.3, 5.0, 0.1, "pixels")},
        _gaussian,
        "spatial",
        maps=True,
    ),
    Denoiser(
        "bilateral",
        "Bilateral filter",
        "f_ij = exp(-|i-j|² / (2 s²)) exp(-|x_i-x_j|² / h²)",
        "Tomasi and Manduchi 1998",
        LICENCE,
        "Compares single pixels, which are as noisy as what is to be denoised.",
        {
            "h": Parameter(
                "strength: pixels so far apart count 1/e",
                grown(3.0, 0.25),
                0.2,
                8.0,
                0.1,
                "sigma",
                maps=True,
            ),
            "spatial": Parameter(
                "standard deviation s of the window", grown(1.7, 0.4), 0.5, 8.0, 0.1, "pixels"
            ),
        },
        _bilateral,
        "h",
        maps=True,
    ),
    Denoiser(
        "non-local-means",
        "Non-local means",
        "f_ij = exp(-max(d_ij - 2 sigma², 0) / h²), d_ij = mean (P_i - P_j)² of the patches",
        "Buades, Coll and Morel 2005",
        LICENCE,
        "Exact weights in float; any patch and window.",
        MEANS,
        _means,
        "h",
        maps=True,
        adjusted=_h_without_bias,
    ),
)

CLIP_DENOISERS = (
    Denoiser(
        "non-local-means",
        "Non-local means in space-time",
        "f_ij = exp(-max(d_ij - 2 sigma², 0) / h²), j in the frames around i as well",
        "Buades, Coll and Morel 2005 and 2008",
        LICENCE,
        "Exact weights in float; the window in time is cut off at the ends of the clip.",
        {**MEANS, "frames": FRAMES},
        _means_of_clip,
        "h",
        of=("clip",),
        maps=True,
        adjusted=_h_without_bias,
    ),
)

# Patches of 5 x 5 x 5 voxels say more than those of 7 x 7 pixels, so that less of h does.
_OF_VOLUMES, _OF_VOLUMES_PLAIN = strength(VOLUME_H, PLAIN)
_SLICES = Parameter(
    "slices in the window; as many as rows if left out", None, 1, 61, 2, "slices", "odd", True
)

VOLUME_DENOISERS = (
    *(
        replace(
            one,
            label=f"{one.label}, in 3-D",
            run=_local_of_volume,
            of=("volume",),
        )
        for one in DENOISERS[:3]
    ),
    Denoiser(
        "non-local-means",
        "Non-local means, in 3-D",
        "f_ij = exp(-max(d_ij - 2 sigma², 0) / h²), patches and window reach over slices",
        "Buades, Coll and Morel 2005; Coupé et al. 2008 for volumes",
        LICENCE,
        "Exact weights in float; patches and window are boxes of voxels, mirrored at all borders.",
        {
            **MEANS,
            "h": _OF_VOLUMES,
            "patch": replace(PATCH, default=5),
            "window": replace(WINDOW, default=11),
            "patch_slices": replace(_SLICES, what="slices in a patch; as many as rows if left out"),
            "slices": _SLICES,
        },
        _means_of_volume,
        "h",
        of=("volume",),
        maps=True,
        adjusted=lambda given: {} if given.get("bias", True) else {"h": _OF_VOLUMES_PLAIN},
    ),
)
