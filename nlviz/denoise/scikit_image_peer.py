"""scikit-image's non-local means, fast and slow; an optional peer."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from nlviz.denoise.method import Denoiser, Parameter, Tell
from nlviz.denoise.own import PATCH, WINDOW
from nlviz.denoise.planes import Image

_MISSING = "it needs scikit-image; pip install scikit-image"
_WITHOUT_BIAS = 0.9


def _run(
    picture: Image,
    sigma: float,
    white: float,
    tell: Tell,
    *,
    fast: bool,
    h: float,
    patch: int,
    window: int,
    bias: bool,
) -> Image:
    from skimage.restoration import denoise_nl_means

    done = denoise_nl_means(
        picture,
        patch_size=patch,
        patch_distance=window // 2,
        h=h,
        fast_mode=fast,
        sigma=sigma if bias else 0.0,
        preserve_range=True,
        channel_axis=-1 if picture.ndim == 3 else None,
    )
    return np.asarray(done, picture.dtype)


def _h_without_bias(given: Mapping[str, Any]) -> Mapping[str, float]:
    return {"h": _WITHOUT_BIAS} if given.get("bias", True) in (False,) else {}


def _parameters(h: float) -> dict[str, Parameter]:
    return {
        "h": Parameter("strength: patches so far apart count 1/e", h, 0.1, 2.0, 0.05, "sigma"),
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
        _parameters(0.65),
        partial(_run, fast=True),
        "h",
        needs="skimage",
        missing=_MISSING,
        adjusted=_h_without_bias,
    ),
    Denoiser(
        "scikit-image-slow",
        "scikit-image, slow",
        "f_ij = exp(-max(d_ij - 2 sigma², 0) / h²), d_ij with Gaussian weights over the patch",
        "scikit-image denoise_nl_means, fast_mode=False; Buades et al. 2005",
        "BSD-3-Clause (scikit-image)",
        "Takes float. One thread; some twenty times slower than fast.",
        _parameters(0.65),
        partial(_run, fast=False),
        "h",
        needs="skimage",
        missing=_MISSING,
        adjusted=_h_without_bias,
        slow=True,
    ),
)
