"""How near a denoised picture is to the clean one: PSNR, SSIM, and the method noise.

Both measures are taken on the float values as they are: neither rounded nor clipped. They are
written here as scikit-image, which has them too, is an extra and not needed otherwise; the tests
hold them to its figures. They also take a whole clip, band by band, without copies of its size.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from nlviz.denoise.image import Image
from nlviz.denoise.image import data_range as white_of
from nlviz.denoise.noise import checked_picture
from nlviz.errors import NlvizError

Floats = npt.NDArray[np.float64]

SIDE = 11  # pixels of SSIM's window
_DEVIATION = 1.5
_K1, _K2 = 0.01, 0.03
_BAND = 256  # rows of the picture that are measured at once


def psnr(clean: Image, other: Image, *, data_range: float | None = None) -> float:
    """Return the peak signal-to-noise ratio in decibels: 10 log10(white^2 / mean square error).

    Args:
        clean: (H, W) or (H, W, 3), or frames (T, H, W, 3).
        other: the picture that is measured, of the same shape and in the same units.
        data_range: value of white; by default that of ``clean``.

    Returns:
        Decibels; infinity for equal pictures.

    Raises:
        NlvizError: when one is not a picture, or the shapes differ.

    >>> clean = np.zeros((5, 7), np.uint8)
    >>> round(psnr(clean, clean + np.float32(25.5)), 3)
    20.0
    """
    clean, other = _pair(clean, other)
    white = white_of(clean, data_range)
    total = 0.0
    for first in range(0, len(clean), _BAND):
        part = slice(first, first + _BAND)
        total += float(((other[part].astype(np.float64) - clean[part]) ** 2).sum())
    return 10 * math.log10(white**2 * clean.size / total) if total else math.inf


def ssim(clean: Image, other: Image, *, data_range: float | None = None) -> float:
    """Return the structural similarity, 1 for equal pictures.

    The mean over all pixels whose window of 11 x 11 lies inside the picture, and over the
    channels, of

        (2 m_x m_y + c_1) (2 s_xy + c_2) / ((m_x^2 + m_y^2 + c_1) (s_x^2 + s_y^2 + c_2))

    with means, variances and covariance weighted by a Gaussian of 1.5 pixels, c_1 = (0.01 white)^2
    and c_2 = (0.03 white)^2. Source: Wang, Bovik, Sheikh and Simoncelli, "Image quality
    assessment: from error visibility to structural similarity" (2004).

    Args:
        clean: (H, W) or (H, W, 3), or frames (T, H, W, 3).
        other: the picture that is measured, of the same shape and in the same units.
        data_range: value of white; by default that of ``clean``.

    Raises:
        NlvizError: when one is not a picture, the shapes differ, or a side is below 11 pixels.

    >>> ramp = np.tile(np.arange(20, dtype=np.uint8) * 10, (16, 1))
    >>> ssim(ramp, ramp), round(ssim(ramp, ramp[:, ::-1]), 1)
    (1.0, -0.6)
    """
    clean, other = _pair(clean, other)
    white = white_of(clean, data_range)
    first, second = (a if a.ndim == 4 else a.reshape(1, *a.shape) for a in (clean, other))
    height, width = first.shape[1:3]
    if min(height, width) < SIDE:
        raise NlvizError(
            f"SSIM looks at {SIDE} x {SIDE} pixels at a time, this picture has {height} x {width}; "
            "take PSNR instead"
        )
    channels: int = first.shape[3] if first.ndim == 4 else 1
    total = 0.0
    for x, y in zip(first, second, strict=True):
        total += _similarity(x.reshape(height, width, -1), y.reshape(height, width, -1), white)
    inside: int = (height - SIDE + 1) * (width - SIDE + 1)
    return total / (len(first) * channels * inside)


def _similarity(clean: Image, other: Image, white: float) -> float:
    """Return the sum of the similarities of all inner pixels and channels of (H, W, C)."""
    edge = SIDE // 2
    total = 0.0
    for top in range(0, len(clean) - 2 * edge, _BAND):
        rows = slice(top, top + _BAND + 2 * edge)
        for channel in range(clean.shape[2]):
            x = np.ascontiguousarray(clean[rows, :, channel], np.float64)
            y = np.ascontiguousarray(other[rows, :, channel], np.float64)
            values = _map(x, y, white)
            total += float(values[edge:-edge, edge:-edge].sum())
    return total


def _map(x: Floats, y: Floats, white: float) -> Floats:
    away = np.arange(SIDE) - SIDE // 2
    taps = np.exp(-(away**2) / (2 * _DEVIATION**2))
    taps /= taps.sum()

    def blurred(values: Floats) -> Floats:
        return np.asarray(cv2.sepFilter2D(values, cv2.CV_64F, taps, taps), np.float64)

    mx, my = blurred(x), blurred(y)
    vx, vy = blurred(x * x) - mx * mx, blurred(y * y) - my * my
    both = blurred(x * y) - mx * my
    c1, c2 = (_K1 * white) ** 2, (_K2 * white) ** 2
    values: Floats = (2 * mx * my + c1) * (2 * both + c2)
    return values / ((mx * mx + my * my + c1) * (vx + vy + c2))


def method_noise(noisy: Image, denoised: Image) -> npt.NDArray[np.float32]:
    """Return what a denoiser took away, noisy minus denoised, as float32.

    A perfect denoiser's is the noise and nothing else: what can be recognised in it is lost from
    the picture. Source: Buades, Coll and Morel (2005).

    Raises:
        NlvizError: when the shapes differ.

    >>> method_noise(np.full((2, 3), 7, np.uint8), np.full((2, 3), 9, np.uint8))[0]
    array([-2., -2., -2.], dtype=float32)
    """
    noisy, denoised = _pair(noisy, denoised)
    work = np.result_type(np.float32, noisy, denoised)
    return np.asarray(np.subtract(noisy, denoised, dtype=work), np.float32)


def _pair(clean: Image, other: Image) -> tuple[Image, Image]:
    clean, other = np.asarray(clean), np.asarray(other)
    if clean.shape != other.shape:
        raise NlvizError(
            f"pictures are compared pixel by pixel, these have the shapes {clean.shape} and "
            f"{other.shape}; bring them to one"
        )
    for image in (clean, other):
        checked_picture(image)
    return clean, other
