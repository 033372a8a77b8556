"""How near a denoised picture is to the clean one: PSNR, SSIM, and the method noise.

Both measures are taken on the float values as they are: neither rounded nor clipped. They are
written here as scikit-image, which has them too, is an extra and not needed otherwise; the tests
hold them to its figures. They also take a whole clip, band by band, without copies of its size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from nlviz.denoise.axes import arranged
from nlviz.denoise.ground import checked_mask, filled
from nlviz.denoise.image import Image
from nlviz.denoise.noise import check_pixels
from nlviz.denoise.ranges import Given, Range, one_range, range_of
from nlviz.errors import NlvizError

Floats = npt.NDArray[np.float64]

SIDE = 11  # pixels of SSIM's window
_DEVIATION = 1.5
_K1, _K2 = 0.01, 0.03
_BAND = 256  # rows of the picture that are measured at once


def psnr(
    clean: Image,
    other: Image,
    *,
    data_range: Given = None,
    range: Sequence[float] | None = None,
    mask: npt.ArrayLike | None = None,
) -> float:
    """Return the peak signal-to-noise ratio in decibels: 10 log10(span^2 / mean square error).

    Args:
        clean: a picture, clip or volume.
        other: the picture that is measured, of the same shape and in the same units.
        data_range: the span, white less black, or (black, white); by default that of ``clean``, see
            :func:`nlviz.denoise.ranges.range_of`.
        range: (black, white), another way to say ``data_range``.
        mask: True where a pixel does not count, of the shape of the first axes.

    Returns:
        Decibels; infinity for equal pictures.

    Raises:
        NlvizError: when one is not a picture, or the shapes differ.

    >>> clean = np.zeros((5, 7), np.uint8)
    >>> round(psnr(clean, clean + np.float32(25.5)), 3)
    20.0
    """
    clean, other = _pair(clean, other, mask)
    ends = range_of(clean, one_range(data_range, range), sigma=0)
    total, count = 0.0, clean.size
    if mask is not None:
        kept = ~np.asarray(mask, np.bool_)
        clean, other = clean[kept], other[kept]
        count = clean.size
    for part in _bands(len(clean)):
        total += float(((other[part].astype(np.float64) - clean[part]) ** 2).sum())
    return 10 * math.log10(ends.span**2 * count / total) if total else math.inf


def _bands(rows: int) -> list[slice]:
    starts = np.arange(0, rows, _BAND).tolist()
    return [slice(first, first + _BAND) for first in starts]


def ssim(
    clean: Image,
    other: Image,
    *,
    data_range: Given = None,
    range: Sequence[float] | None = None,
    mask: npt.ArrayLike | None = None,
    axes: str | None = None,
) -> float:
    """Return the structural similarity, 1 for equal pictures.

    The mean over all pixels whose window of 11 x 11 lies inside the picture, and over the
    channels, of

        (2 m_x m_y + c_1) (2 s_xy + c_2) / ((m_x^2 + m_y^2 + c_1) (s_x^2 + s_y^2 + c_2))

    with means, variances and covariance weighted by a Gaussian of 1.5 pixels, c_1 = (0.01 L)^2 and
    c_2 = (0.03 L)^2, L being white less black; values are counted from black. Source: Wang, Bovik,
    Sheikh and Simoncelli, "Image quality assessment: from error visibility to structural
    similarity" (2004).

    Args:
        clean: (H, W) or (H, W, C), or frames (T, H, W, C).
        other: the picture that is measured, of the same shape and in the same units.
        data_range: as for :func:`psnr`.
        range: as there.
        mask: as there; windows that hold a masked pixel are left out.
        axes: letters of the axes, such as ZYX for a volume, which is measured slice by slice.

    Raises:
        NlvizError: when one is not a picture, the shapes differ, a side is below 11 pixels, or the
            mask leaves no window.

    >>> ramp = np.tile(np.arange(20, dtype=np.uint8) * 10, (16, 1))
    >>> ssim(ramp, ramp), round(ssim(ramp, ramp[:, ::-1]), 1)
    (1.0, -0.6)
    """
    clean, other = _pair(clean, other, mask)
    ends = range_of(clean, one_range(data_range, range), sigma=0)
    found = arranged(clean, axes)
    second = other.transpose(found.order)
    ground = None
    if mask is not None:
        ground = found.map_of("mask", mask, np.bool_)
    shape = found.places if len(found.places) == 3 else (1, *found.places)
    height, width = shape[1:]
    if min(height, width) < SIDE:
        raise NlvizError(
            f"SSIM looks at {SIDE} x {SIDE} pixels at a time, this picture has {height} x {width}; "
            "take PSNR instead"
        )
    total, count = 0.0, 0
    frames = (found.values.reshape(*shape, -1), second.reshape(*shape, -1))
    masks = np.zeros(shape, np.bool_) if ground is None else ground.reshape(shape)
    for x, y, one in zip(*frames, masks, strict=True):
        inside = _inside(one)
        total += _similarity(x, y, inside, ends)
        count += int(inside.sum()) * x.shape[2]
    if not count:
        raise NlvizError(
            f"SSIM looks at {SIDE} x {SIDE} pixels at a time, the mask leaves none; take PSNR "
            "instead"
        )
    return total / count


def _inside(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return where a window lies inside the picture and holds no masked pixel."""
    edge = SIDE // 2
    free: Any = np.ones(mask.shape, np.uint8)
    if mask.any():
        free = cv2.erode((~mask).astype(np.uint8), np.ones((SIDE, SIDE), np.uint8))
    inside = np.zeros(mask.shape, np.bool_)
    inside[edge:-edge, edge:-edge] = free[edge:-edge, edge:-edge] > 0
    return inside


def _similarity(clean: Image, other: Image, inside: npt.NDArray[np.bool_], ends: Range) -> float:
    """Return the sum of the similarities of all channels of (H, W, C) inside."""
    edge = SIDE // 2
    total = 0.0
    tops = len(clean) - 2 * edge
    for band in _bands(tops):
        rows = slice(band.start, min(band.stop, tops) + 2 * edge)
        within = inside[rows][edge:-edge, edge:-edge]
        for channel in np.arange(clean.shape[2]):
            x = np.ascontiguousarray(clean[rows, :, channel], np.float64)
            y = np.ascontiguousarray(other[rows, :, channel], np.float64)
            if ends.low:
                x, y = x - ends.low, y - ends.low
            values = _map(x, y, ends.span)[edge:-edge, edge:-edge]
            total += float(values.sum() if within.all() else values[within].sum())
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


def _pair(clean: Image, other: Image, mask: npt.ArrayLike | None = None) -> tuple[Image, Image]:
    clean, other = np.asarray(clean), np.asarray(other)
    if clean.shape != other.shape:
        raise NlvizError(
            f"pictures are compared pixel by pixel, these have the shapes {clean.shape} and "
            f"{other.shape}; bring them to one"
        )
    ground = None
    if mask is not None:
        last = clean.ndim - 1 if np.ndim(mask) == clean.ndim - 1 else clean.ndim
        ground = checked_mask(mask, clean.shape[:last])
    clean, other = filled(clean, ground), filled(other, ground)
    for image in (clean, other):
        check_pixels(image)
    return clean, other
