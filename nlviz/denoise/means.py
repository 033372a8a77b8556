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

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from nlviz.denoise.planes import PlaneArray, check_picture, to_planes
from nlviz.errors import NlvizError

if TYPE_CHECKING:
    from torch import Tensor

Progress = Callable[[str, float], object]
Pictures = TypeVar("Pictures", bound="np.ndarray[Any, Any] | Tensor")


@dataclass(frozen=True)
class Weighting:
    """What gives a key its weight; see the equations above.

    Attributes:
        h: strength, in units of the picture, above 0; infinity weights all keys alike.
        sigma: standard deviation of the noise whose bias is subtracted; 0 subtracts nothing.
        patch: side of the patch in pixels, odd.
        window: side of the window in pixels, odd; it may be smaller than the patch.
        patch_sigma: standard deviation in pixels of the weights over the patch; None is flat.
        spatial: standard deviation in pixels of the weights over the window; None is flat.
        frames: frames of the window in time, odd; it is cut off at the ends of the clip.

    Raises:
        NlvizError: when one of them is out of its range.
    """

    h: float
    sigma: float = 0.0
    patch: int = 7
    window: int = 21
    patch_sigma: float | None = None
    spatial: float | None = None
    frames: int = 1

    def __post_init__(self) -> None:
        for name in ("patch", "window", "frames"):
            object.__setattr__(self, name, _odd(name, getattr(self, name)))
        if not self.h > 0:
            cure = (
                "; take a small h, as the result nears the picture itself when h nears 0"
                if self.h == 0
                else "; about 0.7 times the noise is a start"
            )
            raise NlvizError(f"h must be above 0, got h={self.h:g}{cure}")
        if not 0 <= self.sigma < float("inf"):
            raise NlvizError(
                f"sigma must be 0 or above, got sigma={self.sigma:g}; it is the standard deviation "
                "of the noise in units of the picture, and 0 subtracts no bias"
            )
        for name in ("patch_sigma", "spatial"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise NlvizError(
                    f"{name} must be above 0 pixels, got {name}={value:g}; None weights all alike"
                )

    @property
    def reach(self) -> int:
        """Pixels from a query to the edge of its window."""
        return self.window // 2

    @property
    def margin(self) -> int:
        """Pixels beyond a query that its weights depend on."""
        return self.window // 2 + self.patch // 2

    def taps(self) -> npt.NDArray[np.float64]:
        """Weights over one axis of the patch; their outer product is the patch's, of sum 1."""
        away = np.arange(self.patch) - self.patch // 2
        weights = np.ones(self.patch)
        if self.patch_sigma is not None:
            weights = np.exp(-((away / self.patch_sigma) ** 2) / 2)
        shares: npt.NDArray[np.float64] = weights / weights.sum()
        return shares

    def log_spatial(self) -> npt.NDArray[np.float64]:
        """Natural logarithms of the spatial weights, (window, window)."""
        away = (np.arange(self.window) - self.reach) ** 2
        apart = (away[:, None] + away).astype(np.float64)
        return np.zeros_like(apart) if self.spatial is None else -apart / (2 * self.spatial**2)


def _odd(name: str, value: Any) -> int:
    name, unit = ("frames_window", "frames") if name == "frames" else (name, "pixels")
    try:
        number = operator.index(value)
    except TypeError:
        number = 0
    if number < 1 or number % 2 == 0:
        cure = "take 1 or 3" if number < 2 else f"take {number - 1} or {number + 1}"
        raise NlvizError(f"{name} is an odd number of {unit} from 1 on, got {value}; {cure}")
    return number


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
    progress: Progress | None = None,
) -> Pictures:
    """Return a picture in which each pixel is the mean of pixels with similar patches.

    Args:
        image: (H, W) or (H, W, 3), uint8, uint16 or float of any range; array or tensor.
        h: strength in units of the picture; 0.6 to 0.7 times the noise with ``sigma``, about the
            noise without.
        sigma: standard deviation of the noise, in units of the picture; 0 subtracts no bias.
        patch: side of the patch in pixels, odd.
        window: side of the window in pixels, odd.
        patch_sigma: weights the pixels of a patch by a Gaussian of so many pixels.
        spatial: weights the window by a Gaussian of so many pixels.
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
    sigma: float = 0.0,
    patch: int = 7,
    window: int = 21,
    frames_window: int = 3,
    patch_sigma: float | None = None,
    spatial: float | None = None,
    device: str | None = None,
    threads: int = 1,
    progress: Progress | None = None,
) -> Pictures:
    """Return a clip in which each pixel is the mean of similar ones, in nearby frames too.

    Args:
        frames: (T, H, W) or (T, H, W, 3), as a picture of :func:`non_local_means`.
        h: as there, and so are the other arguments.
        sigma: as there.
        patch: as there; patches lie in one frame.
        window: as there, in each frame at the same place.
        frames_window: frames in the window, odd, the pixel's own in the middle; it is cut off at
            the ends of the clip. 1 denoises each frame by itself, as a batch of pictures.
        patch_sigma: as there.
        spatial: as there; it leaves the distance in time out.
        device: as there.
        threads: as there.
        progress: as there.

    Returns:
        A clip of the same shape, type, range and kind.

    Raises:
        NlvizError: when the clip or a parameter is not as above.

    >>> clip = np.full((4, 9, 11), 7, np.uint8)
    >>> bool((non_local_means_of_clip(clip, h=5, frames_window=3) == clip).all())
    True
    """
    weighting = Weighting(h, sigma, patch, window, patch_sigma, spatial, frames_window)
    return averaged(frames, weighting, device, threads, progress)


def averaged(
    frames: Pictures,
    weighting: Weighting,
    device: str | None = None,
    threads: int = 1,
    progress: Progress | None = None,
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
    from nlviz.denoise import torch_kernel

    tensor, place = torch_kernel.placed(frames, device)
    check_picture(shape[1:], torch_kernel.numpy_type(tensor))
    if place.type == "cpu":
        done = _by_numba(tensor.cpu().numpy(), weighting, threads, progress)
        return torch_kernel.placed(done, None)[0].to(tensor.device)  # type: ignore[return-value]
    done = torch_kernel.of_pictures(tensor.to(place), weighting, progress)
    if isinstance(frames, np.ndarray):
        done = done.cpu().numpy()
    else:
        done = done.to(tensor.device)
    return done  # type: ignore[no-any-return]


def _by_numba(
    frames: npt.NDArray[Any], weighting: Weighting, threads: int, progress: Progress | None
) -> npt.NDArray[Any]:
    from nlviz.denoise.numba_kernel import averaged as kernel

    # The frames one below the other are a tall picture, which knows types and ranges.
    tall = to_planes(frames.reshape(-1, *frames.shape[2:]))
    channels, height, width = len(tall.values), *frames.shape[1:3]
    values = tall.values.reshape(channels, -1, height, width).transpose(1, 0, 2, 3)
    done = kernel(values, weighting, threads, progress)
    planes: PlaneArray = done.transpose(1, 0, 2, 3).reshape(channels, -1, width)
    return tall.picture(planes).reshape(frames.shape)
