"""OpenCV's non-local means: of pictures, of colours through Lab, and of several frames.

It takes uint8 only: a picture is scaled so that white is 255, rounded and clipped, and its result
scaled back. Its h is that of the formula here: distances are means over patch and channels.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from nlviz.denoise.denoiser import Denoiser, Parameter
from nlviz.denoise.image import Image
from nlviz.denoise.methods.builtin import FRAMES, PATCH, PLAIN, WINDOW, strength
from nlviz.progress import Progress

_NOTE = "Takes uint8 only: the input is scaled to 0..255, rounded and clipped."
_FORMULA = "f_ij = exp(-d_ij / h²), d_ij = mean (P_i - P_j)², weights from a table of integers"
_SOURCE = f"OpenCV {cv2.__version__}, "


def as_bytes(picture: Image, white: float) -> Image:
    """Return a picture as the uint8 that OpenCV is given: scaled, rounded and clipped.

    >>> as_bytes(np.array([[-0.1, 0.5, 1.2]]), 1.0)
    array([[  0, 128, 255]], dtype=uint8)
    """
    scaled = np.rint(picture * (255 / white)) if white != 255 else np.rint(picture)
    return np.ascontiguousarray(scaled.clip(0, 255), np.uint8)


def _back(result: Any, picture: Image, white: float) -> Image:
    image: Image = np.asarray(result, picture.dtype) * picture.dtype.type(white / 255)
    return image


def _image(
    picture: Image,
    sigma: float,
    white: float,
    report: Progress,
    *,
    h: float,
    patch: int,
    window: int,
    lab: bool,
) -> Image:
    source, h = as_bytes(picture, white), h * 255 / white
    if lab and picture.shape[2:] == (3,):
        turned = np.ascontiguousarray(source[..., ::-1])
        done = cv2.fastNlMeansDenoisingColored(turned, None, h, h, patch, window)
        return _back(done[..., ::-1], picture, white)
    done = cv2.fastNlMeansDenoising(source, [h], None, patch, window, cv2.NORM_L2)
    return _back(done, picture, white)


def _clip(
    picture: Image,
    sigma: float,
    white: float,
    report: Progress,
    *,
    h: float,
    patch: int,
    window: int,
    frames: int,
) -> Image:
    source, strength = list(as_bytes(picture, white)), [h * 255 / white]
    out = []
    for index in range(len(source)):
        report(f"OpenCV: frame {index + 1} of {len(source)}", index / len(source))
        # A whole window must lie in the clip.
        reach = min(frames // 2, index, len(source) - 1 - index)
        if reach:
            near = source[index - reach : index + reach + 1]
            done = cv2.fastNlMeansDenoisingMulti(
                near, reach, 2 * reach + 1, strength, None, patch, window, cv2.NORM_L2
            )
        else:
            done = cv2.fastNlMeansDenoising(
                source[index], strength, None, patch, window, cv2.NORM_L2
            )
        out.append(done)
    return _back(np.stack(out), picture, white)


_, _H = strength(PLAIN, PLAIN)
_SHARED = {"h": _H, "patch": PATCH, "window": WINDOW}

DENOISERS = (
    Denoiser(
        "opencv-nlm",
        "OpenCV non-local means",
        _FORMULA,
        f"{_SOURCE}fastNlMeansDenoising",
        "Apache-2.0 (OpenCV)",
        _NOTE,
        {
            **_SHARED,
            "lab": Parameter(
                "colours through Lab, lightness and colour apart", False, kind="switch"
            ),
        },
        _image,
        "h",
        takes="uint8",
        scales=True,
        channels=(2, 3, 4),
    ),
)

CLIP_DENOISERS = (
    Denoiser(
        "opencv-nlm-multi",
        "OpenCV non-local means, multi-frame",
        f"{_FORMULA}, j in the frames around i as well",
        f"{_SOURCE}fastNlMeansDenoisingMulti",
        "Apache-2.0 (OpenCV)",
        f"{_NOTE} Near the ends of the clip the window in time shrinks on both sides.",
        {**_SHARED, "frames": FRAMES},
        _clip,
        "h",
        takes="uint8",
        of=("clip",),
        scales=True,
        channels=(2, 3, 4),
    ),
)
