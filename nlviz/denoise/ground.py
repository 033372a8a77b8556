"""Masked ground: pixels that are no part of the picture, such as gaps, margins and broken pixels.

A mask is True where a pixel does not count, as in ``numpy.ma``. Such pixels come back as they were;
they are averaged into no other, count in no patch, and are left out of estimates and measures.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nlviz.denoise.image import Image
from nlviz.errors import NlvizError

Mask = npt.NDArray[np.bool_]


def checked_mask(mask: npt.ArrayLike, shape: tuple[int, ...]) -> Mask | None:
    """Return a mask over pixels of this shape; None where it masks nothing.

    Args:
        mask: of the shape of the pixels, or of one frame for all; booleans, or 0 and 1.
        shape: of the pixels, without channels.

    Raises:
        NlvizError: when it has another shape or type, or leaves no pixel.

    >>> checked_mask(np.eye(3), (3, 3)).sum(), checked_mask(np.zeros((3, 3)), (3, 3))
    (np.int64(3), None)
    """
    found = np.asarray(mask)
    if found.dtype != np.bool_:
        if found.dtype.kind not in "uif" or not np.isin(found, (0, 1)).all():
            raise NlvizError(
                "a mask is True where a pixel does not count, this one has values besides 0 and 1 "
                f"({found.dtype}); compare it with a threshold first"
            )
        found = found.astype(np.bool_)
    if found.shape != shape:
        if found.shape != shape[1:] or not found.ndim:
            raise NlvizError(
                f"a mask has a value for each pixel, {shape}, this one has the shape {found.shape}"
                "; leave the channels out"
            )
        found = np.broadcast_to(found, shape)
    if found.all():
        raise NlvizError(
            "a mask leaves the pixels that count, this one leaves none; it is True where a pixel "
            "does not count, so it may be the wrong way round"
        )
    return found if found.any() else None


def without_mask(image: Any) -> tuple[Image, Mask | None]:
    """Return an array's values and the mask that it brings, of ``numpy.ma``.

    A pixel is masked where one of its values is; the last axis of the mask is kept.
    """
    if not isinstance(image, np.ma.MaskedArray):
        return np.asarray(image), None
    return np.asarray(image.data), np.asarray(np.ma.getmaskarray(image))


def filled(image: Image, mask: Mask | None) -> Image:
    """Return an image with its masked pixels set to the middle value of the others.

    Nothing is computed from them; but their values, NaN for instance, may not be in the way.
    """
    if mask is None:
        return image
    kept = image[~mask]
    middle = np.median(kept[np.isfinite(kept)] if kept.dtype.kind == "f" else kept)
    if not np.isfinite(middle):  # the picture is refused for it
        return image
    out = image.copy()
    out[mask] = image.dtype.type(middle)
    return out
