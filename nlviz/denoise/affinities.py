"""The affinity of a denoiser: for one pixel, which others its value is made of, and how much."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nlviz.affinity.base import Affinity
from nlviz.affinity.patches import patch_affinity
from nlviz.clips.clip import Clip
from nlviz.denoise.axes import arranged
from nlviz.denoise.estimation import estimate_sigma
from nlviz.denoise.image import Image, to_planes
from nlviz.denoise.noise import checked_sigma
from nlviz.denoise.ranges import Given, range_of
from nlviz.denoise.registry import SPELLINGS, find_denoiser
from nlviz.denoise.weighted_means import window_of
from nlviz.errors import NlvizError, did_you_mean

WITH_AFFINITY = ("mean", "gaussian", "bilateral", "non-local-means", "learned-nonlocal")


def affinity(
    image: Image | Clip,
    name: str,
    *,
    sigma: float | None = None,
    data_range: Given = None,
    **parameters: Any,
) -> Affinity:
    """Return what a denoiser averages: row i times the pixels is its output at pixel i.

    For ``learned-nonlocal`` the row is that of its non-local block, between cells of 2 x 2 pixels,
    and averages features, not pixels.

    Args:
        image: the noisy picture, (H, W) or (H, W, C), of any type of picture; or a Clip, or its
            frames (T, H, W, C).
        name: ``mean``, ``gaussian``, ``bilateral``, ``nl_means`` (or ``non-local-means``) or
            ``learned-nonlocal``; other spellings are in ``registry.SPELLINGS``.
        sigma: standard deviation of the noise in units of the picture; None estimates it.
        data_range: value of white, or (black, white); see :func:`nlviz.denoise.ranges.range_of`.
        parameters: those of the denoiser, with its defaults. ``window=None`` lets ``nl_means``
            reach the whole picture.

    Raises:
        NlvizError: when the denoiser has no affinity, or a parameter is out of its range.

    >>> noisy = np.random.default_rng(0).normal(128, 20, (24, 32))
    >>> a = affinity(noisy, "nl_means", sigma=20.0)
    >>> a
    Affinity(non-local-means, nl_means, 768 queries (1x24x32) x 768 keys)
    >>> from nlviz.denoise import denoise
    >>> done = denoise(noisy, "non-local-means", sigma=20.0)
    >>> abs(float(a.rows([70])[0, 0].numpy() @ noisy.ravel()) - float(done.ravel()[70])) < 1e-4
    True
    """
    name = SPELLINGS.get(name, name)
    if name not in WITH_AFFINITY:
        find_denoiser(name, of_clips=True)  # an unknown name is refused here
        raise NlvizError(f"{name} does not say what it averages{did_you_mean(name, WITH_AFFINITY)}")
    image = image.frames if isinstance(image, Clip) else np.asarray(image)
    if sigma is not None and np.ndim(sigma):
        raise NlvizError("an affinity has one sigma for all pixels, got a map; give a number")
    arranged(image)
    clip = image.ndim == 4
    planes = to_planes(image.reshape(-1, *image.shape[2:]) if clip else image, checked=True)
    level = estimate_sigma(image) if sigma is None else checked_sigma(sigma)
    white = range_of(image, data_range, sigma=level).span
    if name == "learned-nonlocal":
        from nlviz.denoise.networks.restore import learned_affinity

        if clip:
            raise NlvizError("learned-nonlocal sees one picture, this is a clip; take a frame")
        return learned_affinity(image, sigma=level, data_range=white)
    everywhere = "window" in parameters and parameters["window"] is None
    given = {k: v for k, v in parameters.items() if not (k == "window" and everywhere)}
    values = find_denoiser(name, of_clips=clip).values(level, white, given)
    spatial = values.get("spatial")
    window = values.get("window") or window_of(float(spatial or 1))
    picture = planes.values.transpose(1, 2, 0)
    frames = picture.reshape(-1, *image.shape[1:3], picture.shape[-1]) if clip else picture[None]
    return patch_affinity(
        frames,
        clip_shape=(len(frames), frames.shape[1], frames.shape[2]),
        # A denoiser without a strength of its own weighs all patches alike.
        h=float(values.get("h", math.inf) or 0),
        patch=int(values.get("patch") or 1),
        step=1,
        name=name,
        sigma=level if values.get("bias") else 0.0,
        patch_sigma=_or_none(values.get("patch_sigma")),
        spatial=_or_none(spatial),
        window=None if everywhere else int(window),
        frames=None if everywhere or not clip else int(values.get("frames") or 1),
    )


def _or_none(value: float | None) -> float | None:
    return None if value is None else float(value)
