"""Denoisers beside affinities: non-local means, its relatives, its peers and two learned networks.

Each denoiser is equation (1) of Wang et al. 2018 (arXiv 1711.07971) with its own f: the mean
filter has f = 1 in a window, the Gaussian filter an f of the distance, the bilateral filter of the
distance and the pixels, non-local means (Buades, Coll and Morel 2005) of the patches, and the
learned non-local network of what it made of them.

Pictures are (H, W) or (H, W, 3) arrays, uint8, uint16 or float; ``sigma`` and ``h`` are in the
picture's own units. The names below are imported when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nlviz.denoise.affinities import affinity
    from nlviz.denoise.comparison.curves import effective_number_over_h, psnr_over_sigma
    from nlviz.denoise.comparison.oracle import oracle
    from nlviz.denoise.comparison.run import Comparison, compare
    from nlviz.denoise.noise import Noise, add_noise, estimate_sigma
    from nlviz.denoise.quality import method_noise, psnr, ssim
    from nlviz.denoise.registry import denoise, denoise_clip, list_clip_denoisers, list_denoisers
    from nlviz.denoise.weighted_means import non_local_means, non_local_means_of_clip

_HOMES = {
    "Comparison": "comparison.run",
    "Noise": "noise",
    "add_noise": "noise",
    "affinity": "affinities",
    "compare": "comparison.run",
    "denoise": "registry",
    "denoise_clip": "registry",
    "effective_number_over_h": "comparison.curves",
    "estimate_sigma": "noise",
    "list_clip_denoisers": "registry",
    "list_denoisers": "registry",
    "method_noise": "quality",
    "non_local_means": "weighted_means",
    "non_local_means_of_clip": "weighted_means",
    "oracle": "comparison.oracle",
    "psnr": "quality",
    "psnr_over_sigma": "comparison.curves",
    "ssim": "quality",
}

__all__ = [
    "Comparison",
    "Noise",
    "add_noise",
    "affinity",
    "compare",
    "denoise",
    "denoise_clip",
    "effective_number_over_h",
    "estimate_sigma",
    "list_clip_denoisers",
    "list_denoisers",
    "method_noise",
    "non_local_means",
    "non_local_means_of_clip",
    "oracle",
    "psnr",
    "psnr_over_sigma",
    "ssim",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'nlviz.denoise' has no attribute {name!r}")
    value = getattr(import_module(f"nlviz.denoise.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
