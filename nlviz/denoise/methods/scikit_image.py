"""scikit-image's non-local means, fast and slow; an optional peer."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from nlviz.denoise.denoiser import Denoiser, Parameter
from nlviz.denoise.image import Image
from nlviz.denoise.methods.builtin import PATCH, WINDOW, strength
from nlviz.progress import Progress

_MISSING = "it needs scikit-image; pip install scikit-image"


def _run(
    picture: Image,
    sigma: float,
    white: float,
    report: Progress,
    *,
    fast: bool,
    h: float,
    patch: int,
    window: int,
    bias: bool,
) -> Image:
    from skimage.restoration import denoise_nl_means

    if picture.shape[2:] == (1,):  # it means to be given no axis for one channel
        told = {"fast": fast, "h": h, "patch": patch, "window": window, "bias": bias}
        return _run(picture[..., 0], sigma, white, report, **told)[..., None]  # type: ignore[arg-type]
    height, width = picture.shape[:2]
    # It takes no picture of one row or column: that one is repeated, as its mirror image.
    more = [(0, 1 if n == 1 else 0) for n in (height, width)]
    done = denoise_nl_means(
        np.pad(picture, [*more, (0, 0)][: picture.ndim], mode="edge"),
        patch_size=patch,
        patch_distance=window // 2,
        h=h,
        fast_mode=fast,
        sigma=sigma if bias else 0.0,
        preserve_range=True,
        channel_axis=-1 if picture.ndim == 3 else None,
    )
    return np.asarray(done[:height, :width], picture.dtype)


# Fast distances come out some 20 % smaller than the formula's, slow ones weigh the patch's middle.
_FAST, _SLOW = strength(0.54, 0.82), strength(0.83, 1.08)


def _unbiased(given: Mapping[str, Any], h: Parameter) -> Mapping[str, Parameter]:
    return {} if given.get("bias", True) else {"h": h}


def _parameters(h: Parameter) -> dict[str, Parameter]:
    return {
        "h": h,
        "patch": PATCH,
        "window": WINDOW,
        "bias": Parameter("tell it sigma, whose bias it then subtracts", True, kind="switch"),
    }


DENOISERS = (
    Denoiser(
        "scikit-image-fast",
        "scikit-image, fast",
        "f_ij = exp(-max(d_ij - 2 sigma², 0) / h²), flat patches from integral images",
        "scikit-image denoise_nl_means, fast_mode=True; Darbon et al. 2008",
        "BSD-3-Clause (scikit-image)",
        "Takes float. One thread.",
        _parameters(_FAST[0]),
        partial(_run, fast=True),
        "h",
        needs="skimage",
        missing=_MISSING,
        adjusted=partial(_unbiased, h=_FAST[1]),
    ),
    Denoiser(
        "scikit-image-slow",
        "scikit-image, slow",
        "f_ij = exp(-max(d_ij - 2 sigma², 0) / h²), d_ij with Gaussian weights over the patch",
        "scikit-image denoise_nl_means, fast_mode=False; Buades et al. 2005",
        "BSD-3-Clause (scikit-image)",
        "Takes float. One thread; some twenty times slower than fast.",
        _parameters(_SLOW[0]),
        partial(_run, fast=False),
        "h",
        needs="skimage",
        missing=_MISSING,
        adjusted=partial(_unbiased, h=_SLOW[1]),
        slow=True,
    ),
)
