"""How a clip becomes a network's input: size, colours, normalisation, layout, sampling in time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from nlviz.clips.clip import Sampling
from nlviz.errors import NlvizError

Layout = Literal["clip", "frames", "frames first"]
Channels = Literal["rgb", "bgr", "grey"]
Colours = tuple[float, ...]

FILM = 30.0  # frames per second of the films that data sets of videos are made of: 25 to 30


@dataclass(frozen=True)
class InputSpec:
    """How a clip becomes a network's input, (value - mean) / std of pixels in [0, white].

    Attributes:
        size: shorter side in pixels.
        multiple: both sides are rounded to a multiple of this.
        mean, std: per channel in the network's order, three numbers, or one for ``grey``; on values
            in [0, 255], or in [0, 1] as recipes have them. Their size says which; ``white`` says
            it where they do not.
        layout: ``clip`` for (1, 3, T, H, W), ``frames first`` for (1, T, 3, H, W), ``frames`` for
            (T, 3, H, W).
        frames, stride: how the network was trained to see a video, every stride-th frame of it; the
            app offers it. None where the network has no preference.
        least_frames: fewer than these the network cannot take; the last frame of a shorter clip is
            repeated.
        sides: height and width of a network that takes no others; the whole picture is resized to
            them, whatever its aspect, and ``size`` and ``multiple`` play no part.
        grey: the same as ``channels="grey"``.
        channels: order of the channels: ``rgb``, ``bgr``, or ``grey`` for luminance alone,
            normalised as the first channel; by default RGB, or luminance where the network's
            first convolution takes one channel.
        white: 255 or 1, the value of white that mean and std speak of; needed where these do not
            tell, as 0 and 1 do not.
        fps: frames per second of the videos it was trained on; by default 25 to 30.

    Raises:
        NlvizError: when a field has a value that cannot be meant.

    >>> InputSpec(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)).normalisation()[0]
    (123.675, 116.28, 103.53)
    """

    size: int = 224
    multiple: int = 32
    mean: Colours = (123.675, 116.28, 103.53)
    std: Colours = (58.395, 57.12, 57.375)
    layout: Layout = "clip"
    frames: int | None = None
    stride: int | None = None
    least_frames: int = 1
    sides: tuple[int, int] | None = None
    grey: bool = False
    channels: Channels | None = None
    white: float | None = None
    fps: float | None = None

    def __post_init__(self) -> None:
        for name, known in (("layout", get_args(Layout)), ("channels", get_args(Channels))):
            value = getattr(self, name)
            if value not in known and not (name == "channels" and value is None):
                cure = f"; say channels={value!r}" if value in get_args(Channels) else ""
                raise NlvizError(f"{name} is one of {', '.join(known)}; got {value!r}{cure}")
        if self.grey and self.channels not in (None, "grey"):
            raise NlvizError(
                f"an input is grey or {self.channels}, not both; leave out grey=True or channels="
            )
        for name in ("size", "multiple", "frames", "stride", "least_frames"):
            _at_least_one(name, getattr(self, name))
        if self.sides is not None:
            sides = tuple(self.sides)
            if len(sides) != 2:
                raise NlvizError(f"sides are height and width in pixels, got {self.sides!r}")
            for side in sides:
                _at_least_one("a side", side)
            object.__setattr__(self, "sides", sides)
        if self.fps is not None and not _above_zero(self.fps):
            raise NlvizError(f"fps must be above 0 frames per second, got {self.fps!r}")
        if self.white is not None and self.white not in (1, 255):
            raise NlvizError(f"white is 255 or 1, the value of white, got {self.white!r}")
        for name in ("mean", "std"):
            object.__setattr__(self, name, _colours(name, getattr(self, name), self.is_grey))
        self._check_normalisation()

    @property
    def is_grey(self) -> bool:
        """Whether one channel of luminance is asked for."""
        return self.grey or self.channels == "grey"

    def normalisation(self) -> tuple[Colours, Colours]:
        """Return mean and deviation per channel on pixels in [0, 255].

        >>> InputSpec(mean=(0.5,) * 3, std=(0.25,) * 3).normalisation()
        ((127.5, 127.5, 127.5), (63.75, 63.75, 63.75))
        """
        scale = 255 / (self.white or self._told_white() or 255)
        mean, std = (tuple(v * scale for v in values) for values in (self.mean, self.std))
        return mean, std

    def sampling(self, default: int = 8) -> Sampling:
        """Return how to sample a video for this network: as it was trained, or spread evenly.

        Args:
            default: number of frames where the network has no preference.

        >>> InputSpec(frames=4, stride=16).sampling(), InputSpec().sampling().frames
        (Sampling(start=0.0, stride=16, frames=4, size=None, fps=None), 8)
        """
        return Sampling(stride=self.stride, frames=self.frames or default)

    def completed(
        self, *, frames: int | None, stride: int | None, rate: float | None
    ) -> tuple[int | None, int | None]:
        """Return frames and stride, where a user left them open as the network was trained.

        Args:
            frames: that the user asked for; None leaves them open.
            stride: the same; with ``frames`` and no stride, frames are spread evenly.
            rate: frames per second that the stride speaks of.

        >>> spec = InputSpec(frames=4, stride=16)
        >>> spec.completed(frames=None, stride=None, rate=None)
        (4, 16)
        >>> spec.completed(frames=6, stride=None, rate=None)
        (6, None)
        """
        trained = self.sampling()
        if rate is not None and stride is None:
            stride = trained.stride
        if frames is None:
            frames, stride = trained.frames, trained.stride if stride is None else stride
        return frames, stride

    def _told_white(self) -> float | None:
        """Return the value of white that mean and std themselves tell; None where they do not."""
        if max(self.mean) > 1 or max(self.std) > 1:
            return 255.0
        return None if set(self.mean) <= {0.0} and set(self.std) == {1.0} else 1.0

    def _check_normalisation(self) -> None:
        cure = "give both on values in [0, 255] or both in [0, 1], or say white=255 or white=1"
        white = self.white or self._told_white()
        told = f"mean {_listed(self.mean)} and std {_listed(self.std)}"
        if white is None:
            raise NlvizError(
                f"{told} do not say whether pixels are in [0, 255] or in [0, 1]; say white=255 or "
                "white=1"
            )
        if not 0 <= min(self.mean) <= max(self.mean) <= white:
            raise NlvizError(
                f"mean is a colour, between 0 and {white:g}, got {_listed(self.mean)}; {cure}"
            )
        if self.white is None and white == 255:
            # One of them in [0, 1], the other not: std of 1 and mean of 0 are common on [0, 255].
            small_std = any(s < 1 for s in self.std)
            small_mean = 0 < max(self.mean) <= 1
            if small_std or small_mean:
                raise NlvizError(f"{told} are not of the same pixels; {cure}")


def _at_least_one(name: str, value: Any) -> None:
    if value is None and name in ("frames", "stride"):
        return
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole and hasattr(value, "__index__") and not isinstance(value, bool):
        whole = True
    if not whole or value < 1:
        raise NlvizError(f"{name} must be a whole number of at least 1, got {value!r}")


def _above_zero(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value) and value > 0


def _colours(name: str, values: Any, grey: bool) -> Colours:
    lengths = (1, 3) if grey else (3,)
    rule = "one number, or three" if grey else "three numbers, one for each channel"
    try:
        found = tuple(float(v) for v in values)
    except (TypeError, ValueError):
        raise NlvizError(f"{name} must be {rule}, got {values!r}") from None
    if len(found) not in lengths:
        raise NlvizError(f"{name} must be {rule}, got {len(found)}: {_listed(found)}")
    if not all(math.isfinite(v) for v in found) or (name == "std" and min(found) <= 0):
        kind = "finite numbers above 0" if name == "std" else "finite numbers"
        raise NlvizError(f"{name} must be {kind}, got {_listed(found)}")
    return found


def _listed(values: Sequence[float]) -> str:
    return f"({', '.join(f'{v:g}' for v in values)})"
