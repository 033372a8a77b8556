"""Non-local means, exact.

Buades, Coll and Morel, "A non-local algorithm for image denoising" (2005).
Equation (1) of the non-local block with the pixel as g and a Gaussian of patches as f:

    d_ij = mean over the patch and the channels of (x_{i+k} - x_{j+k})^2
    f_ij = exp(-max(d_ij - 2 sigma^2, 0) / h^2)
    y_i  = sum_j f_ij x_j / sum_j f_ij          j in the window around i, i itself with f = 1

2 sigma^2 is what noise alone adds to d. With ``patch_sigma`` the mean over the patch is weighted
by a Gaussian, with ``spatial`` f has the factor exp(-|i - j|^2 / (2 spatial^2)). The picture is
mirrored at its borders, without repeating the edge (``numpy.pad``'s "reflect"), for patches and
windows alike.
"""

from __future__ import annotations

import math
import operator
from typing import Any, TypedDict, Unpack

import numpy as np
import numpy.typing as npt

from nlviz.denoise.image import PlaneArray, check_picture, to_planes
from nlviz.denoise.weighting import Pictures, Weighting
from nlviz.errors import NlvizError
from nlviz.progress import Listener

EVERY_KEY_ALIKE = math.inf  # an h
REACH = 3  # standard deviations from the query to the edge of its window


class Computing(TypedDict, total=False):
    """Where and how weighted means are computed, the same for every function of this file.

    Attributes:
        device: where to compute, such as "cpu" or "cuda"; by default where the picture is.
        threads: of the CPU, 1 by default; the result does not depend on it.
        progress: called with a sentence and the share done between bands; what it raises cancels.
    """

    device: str | None
    threads: int
    progress: Listener | None


class Weights(TypedDict, total=False):
    """What gives a key its weight in non-local means, besides h.

    Attributes:
        sigma: standard deviation of the noise, in units of the picture; 0 subtracts no bias.
        patch: side of the patch in pixels, odd, 7 by default.
        window: side of the window in pixels, odd, 21 by default.
        patch_sigma: standard deviation in pixels of Gaussian weights over the patch, or None.
        spatial: standard deviation in pixels of Gaussian weights over the window, or None.
    """

    sigma: float
    patch: int
    window: int
    patch_sigma: float | None
    spatial: float | None


def non_local_means(
    image: Pictures,
    *,
    h: float,
    sigma: float = 0.0,
    patch: int = 7,
    window: int = 21,
    patch_sigma: float | None = None,
    spatial: float | None = None,
    device: str | None = None,
    threads: int = 1,
    progress: Listener | None = None,
) -> Pictures:
    """Return a picture in which each pixel is the mean of pixels with similar patches.

    Args:
        image: (H, W) or (H, W, 3), uint8, uint16 or float of any range; array or tensor.
        h: strength in units of the picture; 0.6 to 0.7 times the noise with ``sigma``, about the
            noise without.
        sigma: standard deviation of the noise, in units of the picture; 0 subtracts no bias.
        patch: side of the patch in pixels, odd.
        window: side of the window in pixels, odd.
        patch_sigma: standard deviation in pixels of Gaussian weights over the patch; None is flat.
        spatial: standard deviation in pixels of Gaussian weights over the window; None is flat.
        device: where to compute, such as "cpu" or "cuda"; by default where the picture is.
        threads: of the CPU; the result does not depend on it.
        progress: called with a sentence and the share done between bands; what it raises cancels.

    Returns:
        A picture of the same shape, type, range and kind; float results are not clipped.

    Raises:
        NlvizError: when the picture or a parameter is not as above.

    >>> noisy = np.random.default_rng(0).normal(128, 25, (24, 32))
    >>> bool(non_local_means(noisy, h=17, sigma=25).std() < 5)
    True
    """
    weighting = Weighting(h, sigma, patch, window, patch_sigma, spatial)
    if len(image.shape) not in (2, 3):
        raise NlvizError(
            f"a picture has the shape (H, W) or (H, W, 3), this one has {tuple(image.shape)}; "
            "frames go through non_local_means_of_clip"
        )
    return averaged(image[None], weighting, device, threads, progress)[0]  # type: ignore[return-value]


def non_local_means_of_clip(
    frames: Pictures,
    *,
    h: float,
    frames_window: int = 3,
    device: str | None = None,
    threads: int = 1,
    progress: Listener | None = None,
    **weights: Unpack[Weights],
) -> Pictures:
    """Return a clip in which each pixel is the mean of similar ones, in nearby frames too.

    Args:
        frames: (T, H, W) or (T, H, W, 3), as a picture of :func:`non_local_means`.
        h: strength, as there.
        frames_window: frames in the window, odd, the pixel's own in the middle; it is cut off at
            the ends of the clip. 1 denoises each frame by itself, as a batch of pictures.
        device: as there.
        threads: as there.
        progress: as there.
        weights: ``sigma``, ``patch``, ``window``, ``patch_sigma`` and ``spatial``, as there.
            Patches lie in one frame, the window at the same place in each; ``spatial`` leaves the
            distance in time out.

    Returns:
        A clip of the same shape, type, range and kind.

    Raises:
        NlvizError: when the clip or a parameter is not as above.

    >>> clip = np.full((4, 9, 11), 7, np.uint8)
    >>> bool((non_local_means_of_clip(clip, h=5, frames_window=3) == clip).all())
    True
    """
    weighting = Weighting(h, frames=frames_window, **weights)
    return averaged(frames, weighting, device, threads, progress)


def averaged(
    frames: Pictures,
    weighting: Weighting,
    device: str | None = None,
    threads: int = 1,
    progress: Listener | None = None,
) -> Pictures:
    """Return weighted means of frames (T, H, W) or (T, H, W, 3); the one way to both kernels."""
    shape = tuple(frames.shape)
    if len(shape) not in (3, 4) or 0 in shape[:1]:
        raise NlvizError(f"a clip has the shape (T, H, W) or (T, H, W, 3), this one has {shape}")
    if operator.index(threads) < 1:
        raise NlvizError(f"threads must be 1 or more, got threads={threads}; take threads=1")
    done: Any
    if isinstance(frames, np.ndarray):
        check_picture(shape[1:], frames.dtype)
        if device in (None, "cpu"):
            done = _by_numba(frames, weighting, threads, progress)
            return done  # type: ignore[no-any-return]
    from nlviz.denoise.kernels import gpu

    tensor, place = gpu.placed(frames, device)
    check_picture(shape[1:], gpu.numpy_type(tensor))
    if place.type == "cpu":
        done = _by_numba(tensor.cpu().numpy(), weighting, threads, progress)
        return gpu.placed(done, None)[0].to(tensor.device)  # type: ignore[return-value]
    done = gpu.of_pictures(tensor.to(place), weighting, progress)
    if isinstance(frames, np.ndarray):
        done = done.cpu().numpy()
    else:
        done = done.to(tensor.device)
    return done  # type: ignore[no-any-return]


def _by_numba(
    frames: npt.NDArray[Any], weighting: Weighting, threads: int, progress: Listener | None
) -> npt.NDArray[Any]:
    from nlviz.denoise.kernels.cpu import averaged as kernel

    # The frames one below the other are a tall picture, which knows types and ranges.
    tall = to_planes(frames.reshape(-1, *frames.shape[2:]))
    channels, height, width = len(tall.values), *frames.shape[1:3]
    values = tall.values.reshape(channels, -1, height, width).transpose(1, 0, 2, 3)
    done = kernel(values, weighting, threads, progress)
    planes: PlaneArray = done.transpose(1, 0, 2, 3).reshape(channels, -1, width)
    return tall.picture(planes).reshape(frames.shape)


def window_of(spatial: float) -> int:
    """Return the side of the window that holds a Gaussian of this standard deviation in pixels.

    >>> window_of(2.0)
    13
    """
    if not 0 < spatial < math.inf:
        raise NlvizError(f"spatial must be above 0 pixels, got spatial={spatial:g}; 1.5 is a start")
    return 2 * math.ceil(REACH * spatial) + 1


def mean(
    image: Pictures,
    *,
    window: int = 5,
    **computing: Unpack[Computing],
) -> Pictures:
    """Return the mean over a window of (H, W) or (H, W, 3); see :func:`non_local_means`.

    Raises:
        NlvizError: when the window is even or below 1, or the picture is invalid.

    >>> import numpy as np
    >>> mean(np.array([[0.0, 3.0, 6.0]]), window=3)
    array([[2., 3., 4.]])
    """
    return non_local_means(
        image,
        h=EVERY_KEY_ALIKE,
        patch=1,
        window=window,
        **computing,
    )


def gaussian(
    image: Pictures,
    *,
    spatial: float = 1.5,
    window: int | None = None,
    **computing: Unpack[Computing],
) -> Pictures:
    """Return a picture (H, W) or (H, W, 3) blurred by a Gaussian of ``spatial`` pixels.

    The window reaches three times as far unless given.

    Raises:
        NlvizError: when spatial is not above 0, the window even, or the picture invalid.

    >>> import numpy as np
    >>> gaussian(np.eye(3), spatial=0.5, window=3).round(2)[1]
    array([0.25, 0.64, 0.25])
    """
    return non_local_means(
        image,
        h=EVERY_KEY_ALIKE,
        patch=1,
        window=window_of(spatial) if window is None else window,
        spatial=spatial,
        **computing,
    )


def bilateral(
    image: Pictures,
    *,
    h: float,
    spatial: float = 2.0,
    window: int | None = None,
    **computing: Unpack[Computing],
) -> Pictures:
    """Return a picture (H, W) or (H, W, 3) averaged over near pixels of similar value.

    h is in units of the picture, spatial in pixels; the window reaches three times spatial unless
    given.

    Raises:
        NlvizError: when h or spatial is not above 0, the window even, or the picture invalid.

    >>> import numpy as np
    >>> edge = np.repeat([[10.0, 12.0, 200.0, 202.0]], 2, axis=0)
    >>> bilateral(edge, h=20, spatial=1).round()[0]
    array([ 11.,  11., 201., 201.])
    """
    return non_local_means(
        image,
        h=h,
        patch=1,
        window=window_of(spatial) if window is None else window,
        spatial=spatial,
        **computing,
    )
