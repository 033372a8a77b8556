"""What a denoiser is, and what a parameter of one is."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np

from nlviz.denoise.axes import Kind
from nlviz.denoise.image import Image
from nlviz.errors import NlvizError, did_you_mean

Value = float | int | bool | None  # of a parameter; a map of it is an array


@dataclass(frozen=True)
class Parameter:
    """One parameter of a denoiser.

    Attributes:
        what: what it does, as half a sentence.
        default: its value; None leaves the thing out; a function is given sigma as a share of
            white. Of ``unit`` "sigma" it is in multiples of sigma.
        low, high, step: what a slider offers, in the same unit; no limits.
        unit: "sigma" for values in the picture's units that go with the noise, else in words.
        kind: ``number`` above 0, ``odd`` whole number from 1 on, or ``switch``.
        optional: whether None is a value.
        maps: whether an array is a value, with one for each pixel.
    """

    what: str
    default: Value | Callable[[float], float]
    low: float = 0.0
    high: float = 1.0
    step: float = 1.0
    unit: str = ""
    kind: Literal["number", "odd", "switch"] = "number"
    optional: bool = False
    maps: bool = False

    def at(self, sigma: float, white: float) -> Value:
        """Return the default for noise of this sigma in a picture of this white.

        >>> Parameter("strength", 0.65, unit="sigma").at(20, 255)
        13.0
        """
        value = self.default(sigma / white) if callable(self.default) else self.default
        return value * sigma if self.unit == "sigma" and value is not None else value

    def checked(self, name: str, value: Any) -> Any:
        """Return a value that a caller gave, in its type.

        Raises:
            NlvizError: when it is not of the parameter's kind.
        """
        if np.ndim(value):
            return self._map(name, value)
        if self.kind == "switch":
            if value not in (True, False):
                raise NlvizError(f"{name} is true or false, got {name}={value}")
            return bool(value)
        if value is None and self.optional:
            return None
        if self.kind == "odd":
            return _odd(name, value, self.unit)
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not number > 0:
            start = 0.65 if self.unit == "sigma" else self.low
            cure = f"{start:g} times sigma" if self.unit == "sigma" else f"{start:g}"
            raise NlvizError(f"{name} must be above 0, got {name}={value}; {cure} is a start")
        return number

    def _map(self, name: str, value: Any) -> Image:
        if not self.maps:
            raise NlvizError(
                f"{name} is one value for all pixels, got an array of {np.shape(value)}; h of the "
                "means that are computed here may be a map"
            )
        found = np.asarray(value)
        if found.dtype.kind not in "uif" or not (found > 0).all():
            bad = found[~(found > 0)] if found.dtype.kind in "uif" else found
            raise NlvizError(
                f"{name} must be above 0 everywhere, {bad.size} values of this map are not, the "
                f"first is {bad.flat[0]}; mask pixels that shall stay as they are"
            )
        return found.astype(np.float64)


def _odd(name: str, value: Any, unit: str) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        number = int(value) if isinstance(value, float) and value.is_integer() else 0
    if number < 1 or number % 2 == 0:
        cure = "take 1 or 3" if number < 2 else f"take {number - 1} or {number + 1}"
        raise NlvizError(f"{name} is an odd number of {unit} from 1 on, got {value}; {cure}")
    return number


# (picture, sigma, white, report, **parameters) -> picture: float, in its own units, never clipped.
Run = Callable[..., Image]


@dataclass(frozen=True)
class Denoiser:
    """A denoiser and what there is to know about it.

    Attributes:
        name: as in ``denoise(image, name)``.
        label: for people.
        formula: one line.
        source: paper or library.
        licence: of the code that runs.
        note: what a reader of its result should know, such as the type that it takes.
        parameters: by name.
        run: how it is computed.
        strength: name of the parameter that sets how much is smoothed; an oracle tunes it.
        takes: ``uint8`` for those that round and clip what they are given.
        of: which of ``clip`` and ``volume`` it takes whole, (T, H, W), (Z, H, W), or with channels
            behind, and looks across frames or slices; others are taken a frame or slice at a time.
        maps: whether sigma may be a map, an array, and ``run`` takes a ``mask`` over the pixels.
        scales: whether it needs to know black and white; then it is given 0 for black.
        channels: numbers of channels that ``run`` takes at once, where it does not take any.
        needs: module that must be installed.
        ready: whether it can run, beyond what must be installed.
        missing: what to do where it cannot, as the end of a sentence.
        adjusted: parameters with another default, because of what the caller chose otherwise.
        slow: whether it is left out unless asked for.
    """

    name: str
    label: str
    formula: str
    source: str
    licence: str
    note: str
    parameters: Mapping[str, Parameter]
    run: Run
    strength: str
    takes: Literal["float", "uint8"] = "float"
    of: tuple[Kind, ...] = ()
    maps: bool = False
    scales: bool = False
    channels: tuple[int, ...] = (3,)
    needs: str | None = None
    ready: Callable[[], bool] = field(default=lambda: True)
    missing: str = ""
    adjusted: Callable[[Mapping[str, Any]], Mapping[str, Parameter]] = field(
        default=lambda given: {}
    )
    slow: bool = False

    @property
    def of_clips(self) -> bool:
        """Whether it looks across the frames of a clip."""
        return "clip" in self.of

    @property
    def available(self) -> bool:
        """Whether it runs here."""
        return (self.needs is None or find_spec(self.needs) is not None) and self.ready()

    def check(self) -> None:
        """Check that it runs here.

        Raises:
            NlvizError: when it does not; the sentence says what to do.
        """
        if not self.available:
            raise NlvizError(f"the denoiser {self.name!r} cannot run here: {self.missing}")

    def values(
        self, sigma: float, white: float, given: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the value of every parameter: what the caller gave, and defaults for the rest.

        Args:
            sigma: standard deviation of the noise.
            white: value of white.
            given: values by name, in units of the picture.

        Raises:
            NlvizError: when a name is not a parameter's, or a value not of its kind.
        """
        given = dict(given or {})
        for name in given:
            if name not in self.parameters:
                raise NlvizError(
                    f"{self.name} has no parameter {name!r}{did_you_mean(name, self.parameters)}"
                )
        other = self.adjusted(given)
        values: dict[str, Any] = {}
        for name, parameter in self.parameters.items():
            if name in given:
                values[name] = parameter.checked(name, given[name])
            else:
                values[name] = other.get(name, parameter).at(sigma, white)
        return values


def grown(at_25: float, power: float) -> Callable[[float], float]:
    """Return a default that is ``at_25`` for sigma 25 of 255 and goes with a power of sigma.

    >>> grown(1.2, 0.65)(100 / 255)
    2.95
    """
    return lambda share: float(f"{at_25 * (max(share, 1 / 255) * 255 / 25) ** power:.3g}")


def odd_near(side: Callable[[float], float], *, least: int = 3) -> Callable[[float], int]:
    """Return a default that is the odd number nearest to another one.

    >>> odd_near(lambda share: 4.2)(0.1)
    5
    """
    return lambda share: max(2 * round((side(share) - 1) / 2) + 1, least)
