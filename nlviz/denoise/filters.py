"""Relatives of non-local means: the same weighted mean with a simpler f.

    mean       f_ij = 1
    Gaussian   f_ij = exp(-|i - j|^2 / (2 spatial^2))
    bilateral  f_ij = exp(-|i - j|^2 / (2 spatial^2)) exp(-d_ij / h^2)

d_ij is the mean over the channels of the squared difference of two pixels. The bilateral filter is
Tomasi and Manduchi, "Bilateral filtering for gray and color images" (1998), with an h^2 instead of
2 sigma_r^2, so that h is the h of non-local means.
"""

from __future__ import annotations

import math

from nlviz.denoise.means import Pictures, Progress, non_local_means
from nlviz.errors import NlvizError

EVERY_KEY_ALIKE = math.inf  # an h
REACH = 3  # standard deviations from the query to the edge of its window


def window_of(spatial: float) -> int:
    """Return the side of the window that holds a Gaussian of so many pixels.

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
    device: str | None = None,
    threads: int = 1,
    progress: Progress | None = None,
) -> Pictures:
    """Return the mean over a window of (H, W) or (H, W, 3); see :func:`non_local_means`.

    Raises:
        NlvizError: when the window is even or below 1, or the picture is none.

    >>> import numpy as np
    >>> mean(np.array([[0.0, 3.0, 6.0]]), window=3)
    array([[2., 3., 4.]])
    """
    return non_local_means(
        image,
        h=EVERY_KEY_ALIKE,
        patch=1,
        window=window,
        device=device,
        threads=threads,
        progress=progress,
    )


def gaussian(
    image: Pictures,
    *,
    spatial: float = 1.5,
    window: int | None = None,
    device: str | None = None,
    threads: int = 1,
    progress: Progress | None = None,
) -> Pictures:
    """Return a picture (H, W) or (H, W, 3) blurred by a Gaussian of ``spatial`` pixels.

    The window reaches three times as far unless given.

    Raises:
        NlvizError: when spatial is not above 0, the window even, or the picture none.

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
        device=device,
        threads=threads,
        progress=progress,
    )


def bilateral(
    image: Pictures,
    *,
    h: float,
    spatial: float = 2.0,
    window: int | None = None,
    device: str | None = None,
    threads: int = 1,
    progress: Progress | None = None,
) -> Pictures:
    """Return a picture (H, W) or (H, W, 3) averaged over near pixels of similar value.

    h is in units of the picture, spatial in pixels; the window reaches three times spatial unless
    given.

    Raises:
        NlvizError: when h or spatial is not above 0, the window even, or the picture none.

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
        device=device,
        threads=threads,
        progress=progress,
    )
