"""Non-local means, exact.

Buades, Coll and Morel, "A non-local algorithm for image denoising" (2005).
Equation (1) of the non-local block with the pixel as g and a Gaussian of patches as f:

    d_ij = mean over the patch and the channels of (x_{i+k} - x_{j+k})^2
    f_ij = exp(-max(d_ij - 2 sigma^2, 0) / h^2)
    y_i  = sum_j f_ij x_j / sum_j f_ij          j in the window around i, i itself with f = 1

2 sigma^2 is what noise alone adds to d; with maps of h or sigma, or a mask, the formula is that of
``kernels.maps``. With ``patch_sigma`` the mean over the patch is weighted by a Gaussian, with
``spatial`` f has the factor exp(-|i - j|^2 / (2 spatial^2)). The picture is
mirrored at its borders, without repeating the edge (``numpy.pad``'s "reflect"), for patches and
windows alike. In a volume patch and window have three dimensions.
"""

from __future__ import annotations

import math
from typing import Any, Literal, TypedDict, Unpack

import numpy as np
import numpy.typing as npt

from nlviz.denoise.averaging import averaged
from nlviz.denoise.axes import arranged, check_channels
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
        mask: True where a pixel does not count; it comes back as it was.
        axes: letters of the axes, where they do not speak for themselves.
    """

    device: str | None
    threads: int
    progress: Listener | None
    mask: npt.ArrayLike | None
    axes: str | None


class Weights(TypedDict, total=False):
    """What gives a key its weight in non-local means, besides h.

    Attributes:
        sigma: standard deviation of the noise, in units of the picture, or a map of it; 0 subtracts
            no bias.
        patch: side of the patch in pixels, odd, 7 by default.
        window: side of the window in pixels, odd, 21 by default.
        patch_sigma: standard deviation in pixels of Gaussian weights over the patch, or None.
        spatial: standard deviation in pixels of Gaussian weights over the window, or None.
    """

    sigma: float | npt.ArrayLike
    patch: int
    window: int
    patch_sigma: float | None
    spatial: float | None


def non_local_means(
    image: Pictures,
    *,
    h: float | npt.ArrayLike,
    sigma: float | npt.ArrayLike = 0.0,
    patch: int = 7,
    window: int = 21,
    patch_sigma: float | None = None,
    spatial: float | None = None,
    mask: npt.ArrayLike | None = None,
    axes: str | None = None,
    device: str | None = None,
    threads: int = 1,
    progress: Listener | None = None,
) -> Pictures:
    """Return a picture in which each pixel is the mean of pixels with similar patches.

    Args:
        image: (H, W) or (H, W, C), uint8, uint16, another integer of at most 32 bits, or float of
            any range; array or tensor.
        h: strength in units of the picture; 0.6 to 0.7 times the noise with ``sigma``, about the
            noise without. An array (H, W) is a map of it.
        sigma: standard deviation of the noise, in units of the picture; 0 subtracts no bias. An
            array (H, W) is a map of it.
        patch: side of the patch in pixels, odd.
        window: side of the window in pixels, odd.
        patch_sigma: standard deviation in pixels of Gaussian weights over the patch; None is flat.
        spatial: standard deviation in pixels of Gaussian weights over the window; None is flat.
        mask: (H, W), True where a pixel does not count: it is averaged into no other and comes back
            as it was.
        axes: letters of the axes, YX, YXC or CYX, where they do not speak for themselves.
        device: where to compute, such as "cpu" or "cuda"; by default where the picture is. With
            maps or a mask it is the CPU.
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
    if axes is not None:
        if not isinstance(image, np.ndarray):
            raise NlvizError(f"axes are those of an array, this is a {type(image).__name__}")
        found = arranged(image, axes, of="picture")
        image = found.values  # type: ignore[assignment]
    elif len(image.shape) not in (2, 3):
        raise NlvizError(
            f"a picture has the shape (H, W) or (H, W, C), this one has {tuple(image.shape)}; "
            "frames go through non_local_means_of_clip"
        )
    else:
        check_channels(tuple(image.shape))
    weighting = Weighting(1.0, 0.0, patch, window, patch_sigma, spatial)
    done = averaged(image[None], weighting, h, sigma, mask, device, threads, progress)[0]
    return done if axes is None else found.back(done)  # type: ignore[return-value, arg-type]


def non_local_means_of_clip(
    frames: Pictures,
    *,
    h: float | npt.ArrayLike,
    frames_window: int = 3,
    mask: npt.ArrayLike | None = None,
    device: str | None = None,
    threads: int = 1,
    progress: Listener | None = None,
    **weights: Unpack[Weights],
) -> Pictures:
    """Return a clip in which each pixel is the mean of similar ones, in nearby frames too.

    Args:
        frames: (T, H, W) or (T, H, W, C), as a picture of :func:`non_local_means`.
        h: strength, as there; a map is (H, W) or (T, H, W).
        frames_window: frames in the window, odd, the pixel's own in the middle; it is cut off at
            the ends of the clip. 1 denoises each frame by itself, as a batch of pictures.
        mask: as there, (H, W) or (T, H, W).
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
    _check_frames(frames, "clip")
    own: dict[str, Any] = dict(weights)
    sigma = own.pop("sigma", 0.0)
    weighting = Weighting(1.0, frames=frames_window, **own)
    return averaged(frames, weighting, h, sigma, mask, device, threads, progress)


def non_local_means_of_volume(
    volume: Pictures,
    *,
    h: float | npt.ArrayLike,
    sigma: float | npt.ArrayLike = 0.0,
    patch: int = 5,
    window: int = 11,
    patch_slices: int | None = None,
    window_slices: int | None = None,
    patch_sigma: float | None = None,
    spatial: float | None = None,
    mask: npt.ArrayLike | None = None,
    device: str | None = None,
    threads: int = 1,
    progress: Listener | None = None,
) -> Pictures:
    """Return a volume in which each voxel is the mean of voxels with similar patches, in 3-D.

    Patches are boxes of voxels and reach over slices, as the window does.

    Args:
        volume: (Z, Y, X) or (Z, Y, X, C), as a picture of :func:`non_local_means`.
        h: strength, as there; a map is (Z, Y, X).
        sigma: as there, likewise.
        patch: side of the patch in voxels, odd.
        window: side of the window in voxels, odd.
        patch_slices: slices of the patch, odd; as many as ``patch`` by default. Fewer suit slices
            that lie farther apart than pixels do.
        window_slices: slices of the window, odd; as many as ``window`` by default.
        patch_sigma: as there, in voxels in all three directions.
        spatial: as there, likewise.
        mask: as there, (Z, Y, X).
        device: as there; volumes are computed on the CPU.
        threads: as there.
        progress: as there.

    Returns:
        A volume of the same shape, type, range and kind.

    Raises:
        NlvizError: when the volume or a parameter is not as above.

    >>> noisy = np.random.default_rng(0).normal(0, 9, (7, 12, 14))
    >>> bool(non_local_means_of_volume(noisy, h=6, sigma=9, patch=3, window=5).std() < 2)
    True
    """
    _check_frames(volume, "volume")
    weighting = Weighting(
        1.0,
        0.0,
        patch,
        window,
        patch_sigma,
        spatial,
        frames=window if window_slices is None else window_slices,
        patch_frames=patch if patch_slices is None else patch_slices,
        volume=True,
    )
    return averaged(volume, weighting, h, sigma, mask, device, threads, progress)


def _check_frames(frames: Any, of: Literal["clip", "volume"]) -> None:
    shape = tuple(frames.shape)
    if len(shape) not in (3, 4) or not shape[0]:
        first = "T" if of == "clip" else "Z"
        raise NlvizError(
            f"a {of} has the shape ({first}, H, W) or ({first}, H, W, C), this one has {shape}"
        )
    if len(shape) == 4:
        check_channels(shape[1:], of)


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
    """Return the mean over a window of (H, W) or (H, W, C); see :func:`non_local_means`.

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
    """Return a picture (H, W) or (H, W, C) blurred by a Gaussian of ``spatial`` pixels.

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
    h: float | npt.ArrayLike,
    spatial: float = 2.0,
    window: int | None = None,
    **computing: Unpack[Computing],
) -> Pictures:
    """Return a picture (H, W) or (H, W, C) averaged over near pixels of similar value.

    h is in units of the picture, a number or a map (H, W), spatial in pixels; the window reaches
    three times spatial unless given.

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
