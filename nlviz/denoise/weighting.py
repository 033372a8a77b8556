"""The parameters of the weights f_ij of a weighted mean: patch, window and strength."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from nlviz.errors import NlvizError

if TYPE_CHECKING:
    from torch import Tensor

Pictures = TypeVar("Pictures", bound="np.ndarray[Any, Any] | Tensor")


@dataclass(frozen=True)
class Weighting:
    """Parameters of f_ij, the weight of key j for query i; the equation is in ``weighted_means``.

    Attributes:
        h: strength, in units of the picture, above 0; infinity weights all keys alike.
        sigma: standard deviation of the noise whose bias is subtracted; 0 subtracts nothing.
        patch: side of the patch in pixels, odd.
        window: side of the window in pixels, odd; it may be smaller than the patch.
        patch_sigma: standard deviation in pixels of the weights over the patch; None is flat.
        spatial: standard deviation in pixels of the weights over the window; None is flat.
        frames: frames of the window in time, odd; it is cut off at the ends of the clip. Of a
            volume the slices of the window, which is mirrored as rows and columns are.
        patch_frames: slices of the patch, odd; 1 but for volumes.
        volume: whether frames are the slices of a volume.

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
    patch_frames: int = 1
    volume: bool = False

    def __post_init__(self) -> None:
        for name in ("patch", "window", "frames", "patch_frames"):
            said = self._said(name)
            object.__setattr__(self, name, _odd(said, getattr(self, name)))
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

    def _said(self, name: str) -> tuple[str, str]:
        """Return what callers call a side, and its unit."""
        if name in ("patch", "window"):
            return name, "pixels"
        if self.volume:
            return {"frames": "window_slices", "patch_frames": "patch_slices"}[name], "slices"
        return "frames_window", "frames"

    def taps(self) -> npt.NDArray[np.float64]:
        """Return weights over one axis of the patch; their outer product is its, of sum 1."""
        return self._taps(self.patch)

    def depth_taps(self) -> npt.NDArray[np.float64]:
        """Return weights over the slices of the patch, (patch_frames,), of sum 1."""
        return self._taps(self.patch_frames)

    def _taps(self, side: int) -> npt.NDArray[np.float64]:
        away = np.arange(side) - side // 2
        weights = np.ones(side)
        if self.patch_sigma is not None:
            weights = np.exp(-((away / self.patch_sigma) ** 2) / 2)
        shares: npt.NDArray[np.float64] = weights / weights.sum()
        return shares

    def log_spatial(self, frames_away: int = 0) -> npt.NDArray[np.float64]:
        """Return the natural logarithms of the spatial weights, (window, window).

        Args:
            frames_away: slices of a volume between query and keys; of a clip they do not count.
        """
        away = (np.arange(self.window) - self.reach) ** 2
        apart = (away[:, None] + away).astype(np.float64)
        if self.volume:
            apart += frames_away**2
        return np.zeros_like(apart) if self.spatial is None else -apart / (2 * self.spatial**2)


def _odd(said: tuple[str, str], value: Any) -> int:
    name, unit = said
    try:
        number = operator.index(value)
    except TypeError:
        number = 0
    if number < 1 or number % 2 == 0:
        cure = "take 1 or 3" if number < 2 else f"take {number - 1} or {number + 1}"
        raise NlvizError(f"{name} is an odd number of {unit} from 1 on, got {value}; {cure}")
    return number
