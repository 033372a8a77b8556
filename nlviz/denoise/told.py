"""What a denoiser is told of a picture: its noise, its range, its ground, and its axes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from nlviz.denoise.axes import Kind
from nlviz.denoise.denoiser import Denoiser
from nlviz.denoise.ground import Mask, filled
from nlviz.denoise.image import Image
from nlviz.denoise.ranges import Range
from nlviz.denoise.stabilising import Stabiliser
from nlviz.errors import NlvizError
from nlviz.progress import SILENT, Listener, Progress


@dataclass(frozen=True, eq=False)
class Told:
    """What is known of a picture besides its values.

    Attributes:
        sigma: standard deviation of the noise, of a map of it the root of its mean square.
        range: black and white.
        kind: whether the picture is one, a clip or a volume.
        coloured: whether its last axis are channels.
        noise_map: standard deviation of the noise for each pixel, or None where it is one number.
        mask: True where a pixel does not count, or None.
        stabiliser: of noise that grows with the signal, or None.
    """

    sigma: float
    range: Range
    kind: Kind = "picture"
    coloured: bool = False
    noise_map: npt.NDArray[np.float64] | None = None
    mask: Mask | None = None
    stabiliser: Stabiliser | None = None

    @property
    def seen(self) -> Told:
        """What is known of the picture that the denoiser itself is given: stabilised, if at all."""
        if self.stabiliser is None:
            return self
        ends = self.stabiliser.forward(np.array([self.range.low, self.range.high]))
        even = Range(float(ends[0]), float(ends[1]), "stabilised")
        return replace(self, sigma=1.0, range=even, noise_map=None, stabiliser=None)

    def part(self, index: int) -> Told:
        """Return what is known of one frame or slice."""
        mask = None if self.mask is None else self.mask[index]
        noise_map = None if self.noise_map is None else self.noise_map[index]
        return replace(
            self,
            kind="picture",
            mask=mask if mask is not None and mask.any() else None,
            noise_map=noise_map,
        )


def values_for(
    denoiser: Denoiser, told: Told, given: Mapping[str, Any], places: tuple[int, ...]
) -> dict[str, Any]:
    """Return the value of every parameter: what was given, and defaults for the noise.

    Strengths are in units of what the denoiser sees: multiples of the noise's standard deviation
    where noise that grows with the signal is made even. A default that goes with sigma is a map
    where sigma is one.

    Args:
        denoiser: which.
        told: what is known of the picture.
        given: values by name.
        places: shape of the picture without channels, which maps have.

    Raises:
        NlvizError: when a parameter is unknown or out of its range, or the denoiser takes no map.
    """
    seen = told.seen
    if seen.noise_map is not None and not denoiser.maps:
        raise NlvizError(
            f"{denoiser.name} takes one sigma for all pixels, this is a map of it; take "
            "non-local-means, or give a number"
        )
    values: dict[str, Any] = denoiser.values(seen.sigma, seen.range.span, given)
    for name, value in values.items():
        if isinstance(value, np.ndarray):
            if value.shape not in (places, places[1:]) or not value.ndim:
                raise NlvizError(
                    f"{name} is a number or a map with a value for each pixel, {places}, this one "
                    f"has the shape {value.shape}; leave the channels out"
                )
            values[name] = np.broadcast_to(value, places)
        elif (
            seen.noise_map is not None
            and name not in given
            and denoiser.parameters[name].unit == "sigma"
            and seen.sigma > 0
        ):
            # Where there is no noise, a strength of next to nothing keeps the picture.
            least = 1e-6 * seen.sigma
            values[name] = np.maximum(seen.noise_map, least) * (value / seen.sigma)
    return values


def carried_out(
    denoiser: Denoiser,
    picture: Image,
    told: Told,
    values: Mapping[str, Any],
    progress: Listener | None = None,
) -> Image:
    """Return a float picture, clip or volume denoised, every parameter given, as float.

    Args:
        denoiser: which.
        picture: (H, W) or (H, W, C); with one axis more where it is a clip or a volume. It is
            finite under the mask as well.
        told: what is known of it.
        values: of all parameters.
        progress: called with a sentence and a share; what it raises cancels.
    """
    report = Progress.of(progress)
    report(f"Denoising: {denoiser.label}", 0.0)
    even = told.stabiliser
    source = picture if even is None else even.forward(picture)
    done = _run(denoiser, source, told.seen, values, report)
    done = done if even is None else even.inverse(done)
    if told.mask is not None:
        done = np.where(told.mask[..., None] if told.coloured else told.mask, picture, done)
    report(f"Denoised: {denoiser.label}", 1.0)
    return done


def _run(
    denoiser: Denoiser, picture: Image, told: Told, values: Mapping[str, Any], report: Progress
) -> Image:
    if told.kind != "picture" and told.kind not in denoiser.of:
        out = []
        word = "frame" if told.kind == "clip" else "slice"
        for index, part in enumerate(picture):
            share = index / len(picture)
            report(f"{denoiser.label}: {word} {index + 1} of {len(picture)}", share)
            own = {
                name: value[index] if isinstance(value, np.ndarray) else value
                for name, value in values.items()
            }
            out.append(_one(denoiser, part, told.part(index), own, SILENT))
        return np.stack(out)
    return _one(denoiser, picture, told, values, report)


def _one(
    denoiser: Denoiser, picture: Image, told: Told, values: Mapping[str, Any], report: Progress
) -> Image:
    """Denoise what a denoiser takes in one call, or channel by channel."""
    if denoiser.maps:
        more = {} if told.mask is None else {"mask": told.mask}
        sigma: Any = told.sigma if told.noise_map is None else told.noise_map
        return denoiser.run(picture, sigma, told.range.span, report, **values, **more)
    if told.mask is not None:
        picture = from_around(picture, told.mask, told.coloured)
    if not denoiser.scales:
        return denoiser.run(picture, told.sigma, told.range.span, report, **values)
    ends = told.range.holding(picture, told.sigma)
    low = picture.dtype.type(ends.low)
    source = picture - low if low else picture

    def run(planes: Image, told: Progress) -> Image:
        return denoiser.run(planes, sigma, ends.span, told, **values)

    sigma = told.sigma
    if not told.coloured or picture.shape[-1] in denoiser.channels:
        done = run(source, report)
    else:  # each channel for itself
        count = picture.shape[-1]
        parts = (report.part(c / count, (c + 1) / count) for c in range(count))
        planes = np.moveaxis(source, -1, 0)
        pairs = zip(planes, parts, strict=True)
        done = np.stack([run(np.ascontiguousarray(p), r) for p, r in pairs], axis=-1)
    return done + low if low else done


def from_around(picture: Image, mask: Mask, coloured: bool) -> Image:
    """Return a picture whose masked pixels have the values of the nearest others.

    Denoisers that take no mask are given it; what they make of those pixels is thrown away. Of a
    clip or a volume each frame is filled for itself.
    """
    out = filled(picture, mask)
    places = mask.shape
    frames = out.reshape(-1, *places[-2:], *((picture.shape[-1],) if coloured else ()))
    for frame, one in zip(frames, mask.reshape(-1, *places[-2:]), strict=True):
        if not one.any() or one.all():
            continue
        _, labels = cv2.distanceTransformWithLabels(
            one.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
        )
        nearest = np.empty((int(labels.max()) + 1, *frame.shape[2:]), frame.dtype)
        nearest[labels[~one]] = frame[~one]
        frame[one] = nearest[labels[one]]
    return out


def level_of(noise_map: npt.NDArray[np.float64], mask: Mask | None) -> float:
    """Return the root of the mean square of a map of sigma, over what counts."""
    seen = noise_map if mask is None else noise_map[~mask]
    return math.sqrt(float((seen**2).mean()))
