"""What a comparison starts from: pictures, noise, range, and what denoisers are told of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from nlviz.denoise.axes import Arranged
from nlviz.denoise.comparison.results import Floats
from nlviz.denoise.comparison.setup import Setup
from nlviz.denoise.estimation import ESTIMATOR, estimate_of, under_mask
from nlviz.denoise.ground import Mask, filled
from nlviz.denoise.image import Image, working_type
from nlviz.denoise.methods.opencv import as_bytes
from nlviz.denoise.noise import Noise, add_noise, check_pixels
from nlviz.denoise.ranges import Range, range_of
from nlviz.denoise.registry import noise_of
from nlviz.denoise.stabilising import Stabiliser
from nlviz.denoise.told import Told
from nlviz.errors import NlvizError

_SENSORS = (8, 10, 12, 14)  # bits that cameras put into 16
_EIGHT_BITS = 25.0 / 255.0  # the default sigma, as a share of white


def sigma_of_white(span: float) -> float:
    """Return the sigma that is added unless another is given: 25 of 255.

    >>> sigma_of_white(255)
    25.0
    """
    return _EIGHT_BITS * span


def model_of(noise: Noise | str | None, found: Arranged, mask: Mask | None) -> Noise | None:
    """Return the noise that grows with the signal in a picture that is noisy already.

    Raises:
        NlvizError: when it is another noise.
    """
    if noise is None:
        return None
    given = noise_of(noise, found, mask)
    if given.kind != "poisson-gaussian":
        raise NlvizError(
            f"a picture that is noisy already gets no more noise, got {given.kind}; leave noise "
            "out, or say which Poisson-Gaussian noise it has"
        )
    return replace(given, clipped=False)


@dataclass(frozen=True, eq=False)
class GivenPictures:
    """The pictures of a comparison, in the order of their axes.

    Attributes:
        setup: how they are compared.
        clean: the clean one, or None.
        found: what is given to start from, the noisy one where no noise is added.
        mask: True where a pixel does not count, or None.
        digested: the array that the comparison's digest is of, as it was given.
    """

    setup: Setup
    clean: Image | None
    found: Arranged
    mask: Mask | None
    digested: Image

    @classmethod
    def of(
        cls, setup: Setup, image: Image | None, noisy: Image | None, mask: npt.ArrayLike | None
    ) -> GivenPictures:
        """Return the pictures that a caller gave, checked, under the mask.

        Raises:
            NlvizError: when there is no picture, or its axes, mask or values are not as they must.
        """
        given = image if noisy is None else noisy
        if given is None:
            raise NlvizError("a comparison needs a picture, none is given")
        found, ground = under_mask(given, mask, setup.axes)
        check_pixels(filled(found.values, ground))
        clean = None
        if image is not None:
            clean = filled(under_mask(image, None, setup.axes)[0].values, ground)
            if clean.shape != found.values.shape:
                raise NlvizError(
                    f"the clean picture has the shape {clean.shape}, the noisy one "
                    f"{found.values.shape}; bring them to one"
                )
            check_pixels(clean)
        whole = np.ma.getdata(given if image is None else image)
        return cls(setup, clean, found, ground, np.asarray(whole))

    def seen(self) -> tuple[Floats, Told, str, tuple[str, ...]]:
        """Return the noisy picture, what denoisers are told, where sigma is from, and notes."""
        setup, clean = self.setup, self.clean
        values = filled(self.found.values, self.mask)
        ends = range_of(
            values if clean is None else clean,
            setup.data_range,
            sigma=0 if clean is not None else setup.sigma,
            mask=self.mask,
        )
        notes: list[str] = _range_notes(values, ends)
        if setup.noise is None or clean is None:
            seen, sigma, origin, more = self._already(values)
            notes += more
            if clean is None:
                ends = range_of(values, setup.data_range, sigma=sigma, mask=self.mask)
        else:
            seen, sigma, origin = self._with_noise(clean, setup.noise, ends)
        stabiliser = None if setup.model is None else Stabiliser(setup.model)
        if stabiliser is not None:
            notes.append(
                f"{stabiliser.noise.sentence} is made even for the denoisers by an Anscombe "
                "transform and brought back by its exact unbiased inverse; strengths are multiples "
                "of the noise"
            )
        if setup.input_type(of_clips=self.found.kind == "clip") == "uint8":
            low, unit = seen.dtype.type(ends.low), seen.dtype.type(ends.span / 255)
            seen = as_bytes(seen - low if low else seen, ends.span) * unit + low
        kind, coloured = self.found.kind, self.found.coloured
        told = Told(sigma, ends, kind, coloured, None, self.mask, stabiliser)
        return np.asarray(seen), told, origin, tuple(notes)

    def _already(self, values: Image) -> tuple[Floats, float, str, list[str]]:
        setup = self.setup
        if setup.model is not None:
            sigma = setup.model.level(values, mask=self.mask)
            return _as_floats(values, sigma), sigma, "root of the mean variance", []
        if setup.sigma is not None:
            return _as_floats(values, setup.sigma), float(setup.sigma), "given", []
        found = estimate_of(self.found, self.mask)
        seen = _as_floats(values, found.sigma)
        return seen, found.sigma, f"estimated: {ESTIMATOR}", list(found.notes)

    def _with_noise(self, clean: Image, noise: Noise, ends: Range) -> tuple[Floats, float, str]:
        setup, pair = self.setup, (ends.low, ends.high)
        if noise.sigma > 4 * ends.span:
            raise NlvizError(
                f"sigma is in units of the picture, whose white is {ends.high:g}; sigma="
                f"{noise.sigma:g} leaves nothing of it, and 25 of 255 would be "
                f"sigma={sigma_of_white(ends.span):.3g}"
            )
        letters = {"picture": "", "clip": "T", "volume": "Z"}[self.found.kind]
        axes = f"{letters}YX{'C' if self.found.coloured else ''}"
        seen = add_noise(clean, noise, seed=setup.seed, data_range=pair, axes=axes)
        if setup.sigma is not None:
            return seen, float(setup.sigma), "given"
        level = noise.level(clean, data_range=pair, mask=self.mask)
        what = "that of the noise" if noise.kind == "gaussian" else "root of the mean variance"
        return seen, level, what


def _as_floats(values: Image, sigma: float) -> Floats:
    """Return values as float32, or as float64 where float32 would round noise of sigma away."""
    fine = np.finfo(np.float32).eps * float(np.abs(values.astype(np.float64)).max()) < sigma / 100
    narrow = working_type(values.dtype) is np.float32 or (values.dtype.kind == "f" and fine)
    return values.astype(np.float32 if narrow else np.float64)


def _range_notes(values: Image, ends: Range) -> list[str]:
    highest = float(values.max())
    if values.dtype == np.uint16 and "given" not in ends.how and highest < 2**14:
        bits = next(bits for bits in _SENSORS if highest < 2**bits)
        return [
            f"values reach {highest:g} only: where they have {bits} bits, give the range 0 to "
            f"{2**bits - 1}"
        ]
    return []
