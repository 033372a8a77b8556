"""What a comparison is made of, so that it can be made again to the same digits."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any, Literal, get_args

import msgspec
import numpy as np
from msgspec import Meta

from nlviz.denoise.denoiser import Denoiser
from nlviz.denoise.image import Image
from nlviz.denoise.noise import Noise, checked_sigma
from nlviz.denoise.registry import find_denoiser, list_clip_denoisers, list_denoisers
from nlviz.denoise.stabilising import Stabiliser
from nlviz.errors import NlvizError
from nlviz.files.checked_json import Finite, FromZero, Positive, Record, checked

Precision = Literal["float", "uint8"]
_LIBRARIES = ("nlviz", "numpy", "numba", "opencv-python-headless", "scikit-image", "bm3d", "torch")
_SHAPE = ("patch", "window")  # what a fair comparison has in common


@dataclass(frozen=True)
class Setup:
    """Everything but the pixels.

    Attributes:
        denoisers: names, in the order of the table.
        noise: what is added, or None where the picture is noisy already.
        sigma: what denoisers are given, or None for the noise's own level, or the estimate.
        seed: of the noise.
        fair: whether every strength is tuned against the clean picture, on the same input.
        parameters: value by name for all denoisers that have it, or a mapping by denoiser.
        data_range: value of white, (black, white), or None to infer them from the picture.
        precision: ``float``, or ``uint8`` for an input that is rounded and clipped for all;
            None is ``uint8`` where a fair comparison has a denoiser that takes nothing else.
        axes: letters of the picture's axes, or None where they speak for themselves.
        model: the Poisson-Gaussian noise that is made even before each denoiser and brought back
            after it, or None.
    """

    denoisers: tuple[str, ...]
    noise: Noise | None = None
    sigma: float | None = None
    seed: int = 0
    fair: bool = False
    parameters: Mapping[str, Any] = field(default_factory=dict)
    data_range: float | tuple[float, float] | None = None
    precision: Precision | None = None
    axes: str | None = None
    model: Noise | None = None

    def check(self, *, of_clips: bool, of_volumes: bool = False) -> None:
        """Check what can be checked before anything is computed.

        Args:
            of_clips: whether a clip is denoised.
            of_volumes: whether a volume is.

        Raises:
            NlvizError: when a denoiser is unknown or cannot run, a name given twice, a parameter
                that no denoiser has, or a fair comparison with unlike patches or windows.
        """
        if not self.denoisers:
            raise NlvizError("a comparison needs at least one denoiser, none is named")
        if len(set(self.denoisers)) < len(self.denoisers):
            raise NlvizError(f"a denoiser is named twice: {', '.join(self.denoisers)}")
        if self.sigma is not None:
            checked_sigma(self.sigma)
        if self.precision is not None and self.precision not in get_args(Precision):
            raise NlvizError(f"the input is float or uint8, got precision={self.precision!r}")
        if self.model is not None:
            Stabiliser(self.model)
        found = [
            find_denoiser(name, of_clips=of_clips, of_volumes=of_volumes) for name in self.denoisers
        ]
        for denoiser in found:
            denoiser.check()
        for key, value in self.parameters.items():
            own = value.values() if isinstance(value, Mapping) else (value,)
            if any(np.ndim(one) for one in own):
                raise NlvizError(
                    "a comparison has one value of each parameter for all pixels; maps of them go "
                    "to nlviz.denoise.denoise"
                )
            if isinstance(value, Mapping):
                if key not in self.denoisers:
                    raise NlvizError(
                        f"parameters are given for {key!r}, which is not among the denoisers "
                        f"{', '.join(self.denoisers)}"
                    )
            elif not any(_shares(denoiser, key) for denoiser in found):
                raise NlvizError(f"none of {', '.join(self.denoisers)} has a parameter {key!r}")
        if self.fair:
            self._check_fair(found)

    def _check_fair(self, found: Sequence[Denoiser]) -> None:
        for name in _SHAPE:
            values = {
                denoiser.values(1.0, 255.0, self.of(denoiser))[name]
                for denoiser in found
                if _shares(denoiser, name)
            }
            if len(values) > 1:
                raise NlvizError(
                    f"a fair comparison has the same {name} for all, got "
                    f"{' and '.join(map(str, sorted(values, key=str)))}; give it once for all"
                )

    def of(self, denoiser: Denoiser) -> dict[str, Any]:
        """Return the parameters that were given for a denoiser, its own before the shared."""
        shared = {
            key: value
            for key, value in self.parameters.items()
            if not isinstance(value, Mapping) and _shares(denoiser, key)
        }
        return {**shared, **self.parameters.get(denoiser.name, {})}

    def input_type(self, *, of_clips: bool) -> Precision:
        """Return the type of input that all denoisers are given."""
        if self.precision is not None:
            return self.precision
        takes = {find_denoiser(name, of_clips=of_clips).takes for name in self.denoisers}
        return "uint8" if self.fair and "uint8" in takes else "float"

    def to_dict(self) -> dict[str, Any]:
        """Return it as what JSON can hold.

        >>> Setup(("mean",), Noise(sigma=5)).to_dict()["noise"]["sigma"]
        5
        """
        return {**asdict(self), "denoisers": list(self.denoisers)}

    @classmethod
    def from_dict(cls, given: Any) -> Setup:
        """Return the setup that ``to_dict`` wrote.

        Raises:
            NlvizError: when the fields are not those of a setup.

        >>> Setup.from_dict(Setup(("mean",)).to_dict()) == Setup(("mean",))
        True
        """
        found = checked(given, _Saved, of="a setup's", cure="save the comparison again")
        fields = msgspec.structs.asdict(found)
        if isinstance(found.data_range, list):
            fields["data_range"] = tuple(found.data_range)
        return cls(**fields)


_Pair = Annotated[list[Finite], Meta(min_length=2, max_length=2)]


class _Saved(Record):
    denoisers: tuple[str, ...]
    noise: Noise | None
    sigma: FromZero | None = None
    seed: Annotated[int, Meta(ge=0)] = 0
    fair: bool = False
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)
    # msgspec 0.22 ends the process on a union with a tuple of two.
    data_range: Positive | _Pair | None = None
    precision: Precision | None = None
    axes: str | None = None
    model: Noise | None = None


def in_units(
    values: Mapping[str, Mapping[str, Any]], known: Mapping[str, Denoiser], sigma: float
) -> dict[str, dict[str, Any]]:
    """Return parameters that were chosen in multiples of sigma in the picture's units.

    Args:
        values: by denoiser and parameter; what no denoiser has is left out.
        known: the denoisers by name.
        sigma: standard deviation of the noise, in units of the picture.

    >>> from nlviz.denoise.registry import DENOISERS
    >>> in_units({"bilateral": {"h": 0.5, "spatial": 3.0}, "other": {"h": 2}}, DENOISERS, 10.0)
    {'bilateral': {'h': 5.0, 'spatial': 3.0}}
    """
    out: dict[str, dict[str, Any]] = {}
    for name, chosen in values.items():
        for parameter, value in chosen.items():
            if name not in known or parameter not in known[name].parameters:
                continue
            if known[name].parameters[parameter].unit == "sigma" and value is not None:
                value = float(f"{value * sigma:.6g}")  # as it would be typed
            out.setdefault(name, {})[parameter] = value
    return out


def default_denoisers(*, of_clips: bool = False) -> tuple[str, ...]:
    """Return the names of all denoisers that run here, but for the very slow ones.

    >>> "scikit-image-slow" in default_denoisers()
    False
    """
    names = list_clip_denoisers() if of_clips else list_denoisers()
    return tuple(name for name in names if not find_denoiser(name, of_clips=of_clips).slow)


def digest_of_pixels(image: Image) -> str:
    """Return the sha256 of a picture: its type, shape and values.

    >>> digest_of_pixels(np.zeros((2, 3), np.uint8))[:8]
    'e78a34c8'
    """
    head = f"{image.dtype.str} {image.shape}".encode()
    return hashlib.sha256(head + np.ascontiguousarray(image).tobytes()).hexdigest()


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that compute, where they are installed.

    >>> "numpy" in versions()
    True
    """
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _shares(denoiser: Denoiser, name: str) -> bool:
    """Return whether a parameter given for all is this denoiser's too."""
    if name not in denoiser.parameters:
        return False
    # The mean filter's window is its strength, not the window in which patches are looked for.
    return not (name == "window" and denoiser.strength == "window")
