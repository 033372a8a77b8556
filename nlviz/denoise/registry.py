"""All denoisers by name, and the one way to run them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from nlviz.clips.clip import Clip
from nlviz.denoise.averaging import map_of
from nlviz.denoise.axes import Arranged, Kind
from nlviz.denoise.denoiser import Denoiser
from nlviz.denoise.estimation import estimate_of, noise_estimate_of, under_mask
from nlviz.denoise.ground import Mask, filled
from nlviz.denoise.image import Image, as_type, check_type, working_type
from nlviz.denoise.methods import bm3d, builtin, learned, opencv, scikit_image
from nlviz.denoise.noise import Noise, check_pixels, checked_sigma
from nlviz.denoise.ranges import Given, one_range, range_of
from nlviz.denoise.stabilising import Stabiliser
from nlviz.denoise.told import Told, carried_out, level_of, values_for
from nlviz.errors import NlvizError, did_you_mean
from nlviz.progress import Listener

# One line for each family; the order is that of the lists and tables.
_METHODS = (builtin, opencv, scikit_image, bm3d, learned)
_OF_CLIPS = (builtin, opencv)

DENOISERS: Mapping[str, Denoiser] = {d.name: d for m in _METHODS for d in m.DENOISERS}
CLIP_DENOISERS: Mapping[str, Denoiser] = {d.name: d for m in _OF_CLIPS for d in m.CLIP_DENOISERS}
VOLUME_DENOISERS: Mapping[str, Denoiser] = {d.name: d for d in builtin.VOLUME_DENOISERS}

# Other spellings of a method: names of pairwise functions, and of the networks' middle blocks.
SPELLINGS = {
    "nl_means": "non-local-means",
    "nonlocal": "learned-nonlocal",
    "local": "learned-local",
}


def known_denoisers(*, of_clips: bool = False, of_volumes: bool = False) -> dict[str, Denoiser]:
    """Return the denoisers by name, whether they run here or not.

    Args:
        of_clips: whether clips are denoised; space-time forms replace those of single pictures.
        of_volumes: whether volumes are; forms in three dimensions replace them.
    """
    more = {**(CLIP_DENOISERS if of_clips else {}), **(VOLUME_DENOISERS if of_volumes else {})}
    return {**DENOISERS, **more}


def list_denoisers() -> list[str]:
    """Return the names of the denoisers of single pictures that run here.

    >>> [name for name in list_denoisers() if name.startswith("non")]
    ['non-local-means']
    """
    return [name for name, denoiser in DENOISERS.items() if denoiser.available]


def list_clip_denoisers() -> list[str]:
    """Return the names of the denoisers of clips that run here.

    Those of single pictures denoise each frame by itself; ``non-local-means`` and
    ``opencv-nlm-multi`` look across frames.

    >>> "opencv-nlm-multi" in list_clip_denoisers()
    True
    """
    both = known_denoisers(of_clips=True)
    return [name for name, denoiser in both.items() if denoiser.available]


def find_denoiser(name: str, *, of_clips: bool = False, of_volumes: bool = False) -> Denoiser:
    """Return the denoiser of this name, whether it runs here or not.

    Args:
        name: its name.
        of_clips: whether clips are denoised; space-time forms come first then.
        of_volumes: whether volumes are; forms in three dimensions come first then.

    Raises:
        NlvizError: when no denoiser has that name.

    >>> find_denoiser("bm3d").licence
    'Tampere University: non-commercial use only'
    """
    known = known_denoisers(of_clips=of_clips, of_volumes=of_volumes)
    if name not in known:
        if name in CLIP_DENOISERS:
            what = "a volume" if of_volumes else "one picture"
            raise NlvizError(f"the denoiser {name!r} is for clips, this is {what}")
        raise NlvizError(f"no denoiser is called {name!r}{did_you_mean(name, known)}")
    return known[name]


def denoiser_of(name: str, kind: Kind) -> Denoiser:
    """Return the denoiser of this name, or of another spelling of it, for a kind of input.

    Raises:
        NlvizError: when no denoiser has that name.

    >>> denoiser_of("nl_means", "volume").label
    'Non-local means, in 3-D'
    """
    name = SPELLINGS.get(name, name)
    return find_denoiser(name, of_clips=kind == "clip", of_volumes=kind == "volume")


@overload
def denoise(
    image: Clip,
    name: str,
    *,
    sigma: float | npt.ArrayLike | None = None,
    data_range: Given = None,
    range: Sequence[float] | None = None,
    axes: str | None = None,
    mask: npt.ArrayLike | None = None,
    noise: Noise | str | None = None,
    progress: Listener | None = None,
    **parameters: Any,
) -> Clip: ...
@overload
def denoise(
    image: Image,
    name: str,
    *,
    sigma: float | npt.ArrayLike | None = None,
    data_range: Given = None,
    range: Sequence[float] | None = None,
    axes: str | None = None,
    mask: npt.ArrayLike | None = None,
    noise: Noise | str | None = None,
    progress: Listener | None = None,
    **parameters: Any,
) -> Image: ...
def denoise(
    image: Image | Clip,
    name: str,
    *,
    sigma: float | npt.ArrayLike | None = None,
    data_range: Given = None,
    range: Sequence[float] | None = None,
    axes: str | None = None,
    mask: npt.ArrayLike | None = None,
    noise: Noise | str | None = None,
    progress: Listener | None = None,
    **parameters: Any,
) -> Image | Clip:
    """Return a picture, a clip or a volume denoised.

    Where sigma is 0 there is nothing to remove: the picture is returned as it is, unless the
    parameter that sets the strength is given.

    Args:
        image: (H, W) or (H, W, C), uint8, uint16, another integer of at most 32 bits, or float of
            any range; a clip (T, H, W, C) or a Clip, which is denoised in space-time where the
            denoiser can, else frame by frame; or with ``axes`` a volume. Of a ``numpy.ma`` array
            the mask is taken as well.
        name: one of ``list_denoisers()``; for a Clip one of ``list_clip_denoisers()``.
        sigma: standard deviation of the noise in units of the picture, or a map of it with a value
            for each pixel, which the means that are computed here take; None estimates it.
        data_range: the value of white, or (black, white); by default that of the type, for others
            see :func:`nlviz.denoise.ranges.range_of`. Only some denoisers ask for it, and the
            defaults of strengths follow it a little.
        range: (black, white), another way to say ``data_range``.
        axes: a letter for each axis, T frames, Z slices, Y rows, X columns, C channels: ``ZYX`` for
            a volume, ``CYX`` for channels that come first. Without, the last of three axes are
            channels where they can be, and four axes are those of a clip.
        mask: True where a pixel does not count: it comes back as it was, and no other has a share
            of it. Denoisers of other libraries are given the nearest pixel's value there.
        noise: the noise in the picture where it grows with the signal: a Poisson-Gaussian one, with
            its gain and sigma, or ``"poisson"`` or ``"poisson-gaussian"`` to estimate them. The
            picture is made even by :mod:`nlviz.denoise.stabilising`, denoised, and brought back;
            strengths are multiples of the noise's standard deviation then.
        progress: called with a sentence and a share in [0, 1]; what it raises cancels: between
            bands or tiles what is computed here, before and after what other libraries compute.
        parameters: those of the denoiser, h in units of the picture, or a map of it.

    Returns:
        A picture of the same shape and type, in the same units; float results are never clipped.
        Of a Clip a Clip with the same times and notes.

    Raises:
        NlvizError: when there is no such denoiser, it cannot run here, or the picture, sigma or
            a parameter is out of its range.

    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (24, 32))
    >>> bool(denoise(noisy, "non-local-means", sigma=0.1).std() < 0.03)
    True
    >>> clip = Clip.from_frames(np.full((3, 9, 11, 3), 7, np.uint8), name="grey")
    >>> denoise(clip, "gaussian", sigma=5)
    Clip('grey, denoised', 3 frames of 11x9 px, 0.00 to 0.08 s)
    >>> volume = np.random.default_rng(0).normal(40, 8, (9, 12, 14))
    >>> bool(denoise(volume, "non-local-means", axes="ZYX", sigma=8, window=5).std() < 2)
    True
    """
    asked = _Asked(sigma, one_range(data_range, range), mask, noise, progress, parameters)
    if isinstance(image, Clip):
        frames = _denoised(image.frames, name, asked, axes=None, of="clip")
        done = Clip.from_frames(frames, name=f"{image.name}, denoised")
        return replace(done, times=image.times, sampling=image.sampling, notes=image.notes)
    return _denoised(image, name, asked, axes=axes, of=None)


def denoise_clip(
    frames: Image,
    name: str,
    /,  # a parameter is called frames, too
    *,
    sigma: float | npt.ArrayLike | None = None,
    data_range: Given = None,
    range: Sequence[float] | None = None,
    mask: npt.ArrayLike | None = None,
    noise: Noise | str | None = None,
    progress: Listener | None = None,
    **parameters: Any,
) -> Image:
    """Return a clip denoised: in space-time where the denoiser can, else frame by frame.

    Args:
        frames: (T, H, W) or (T, H, W, C), as a picture of :func:`denoise`.
        name: one of ``list_clip_denoisers()``.
        sigma: as there.
        data_range: as there.
        range: as there.
        mask: as there, (H, W) or (T, H, W).
        noise: as there.
        progress: as there.
        parameters: as there; ``frames`` is how many frames the window reaches over.

    Raises:
        NlvizError: as there.

    >>> clip = np.full((4, 9, 11), 7, np.uint8)
    >>> denoise_clip(clip, "gaussian", sigma=5, spatial=1).shape
    (4, 9, 11)
    """
    asked = _Asked(sigma, one_range(data_range, range), mask, noise, progress, parameters)
    return _denoised(frames, name, asked, axes=None, of="clip")


@dataclass(frozen=True, eq=False)
class _Asked:
    """What a caller of ``denoise`` asked for besides the picture and the denoiser."""

    sigma: float | npt.ArrayLike | None
    data_range: Given
    mask: npt.ArrayLike | None
    noise: Noise | str | None
    progress: Listener | None
    parameters: Mapping[str, Any]


def _denoised(image: Any, name: str, asked: _Asked, *, axes: str | None, of: Kind | None) -> Image:
    raw = np.ma.getdata(image)
    check_type(raw.dtype)
    found, mask = under_mask(image, asked.mask, axes, of=of)
    denoiser = denoiser_of(name, found.kind)
    denoiser.check()
    values = found.values
    seen = filled(values, mask)
    check_pixels(seen)
    told = told_of(found, seen, mask, asked.sigma, asked.data_range, asked.noise)
    given = {k: _arranged_map(found, k, v) for k, v in asked.parameters.items()}
    parameters = values_for(denoiser, told, given, found.places)
    kept = np.dtype(np.float32) if raw.dtype == np.float16 else raw.dtype.newbyteorder("=")
    if told.sigma == 0 and told.stabiliser is None and denoiser.strength not in given:
        return found.back(as_type(values.astype(working_type(kept)), kept))
    work = np.ascontiguousarray(seen, working_type(kept))
    done = as_type(carried_out(denoiser, work, told, parameters, asked.progress), kept)
    still = mask
    if told.noise_map is not None and denoiser.strength not in given:  # nothing to remove there
        quiet = told.noise_map == 0
        still = quiet if mask is None else mask | quiet
    if still is not None:
        done[still] = values[still]
    return found.back(done)


def _arranged_map(found: Arranged, name: str, value: Any) -> Any:
    """Return a parameter, which may be a map in the order of the caller's axes."""
    if np.ndim(value) < 2 or np.shape(value) == found.places[1:]:
        return value
    return found.map_of(name, value, np.asarray(value).dtype)


def told_of(
    found: Arranged,
    seen: Image,
    mask: Mask | None,
    sigma: float | npt.ArrayLike | None,
    data_range: Given,
    noise: Noise | str | None = None,
) -> Told:
    """Return what a denoiser is told of a picture: what was given, and estimates of the rest.

    Args:
        found: the picture.
        seen: its values, finite under the mask.
        mask: True where a pixel does not count.
        sigma: what was given.
        data_range: what was given.
        noise: what was given.

    Raises:
        NlvizError: when one is out of its range.
    """
    stabiliser, noise_map = None, None
    if noise is not None:
        if sigma is not None:
            raise NlvizError("noise says its sigma, got both; leave sigma out")
        given = noise_of(noise, found, mask)
        if given.kind == "gaussian":
            level = given.sigma
        else:
            stabiliser = Stabiliser(given)
            level = given.level(seen, mask=mask)
    elif sigma is None:
        level = estimate_of(found, mask, noted=False).sigma
    elif np.ndim(sigma):
        shared = np.shape(sigma) == found.places[1:]
        whole = sigma if shared else found.map_of("sigma", sigma, np.float64)
        noise_map = map_of("sigma", whole, found.places)
        level = level_of(noise_map, mask)
    else:
        level = checked_sigma(sigma)  # type: ignore[arg-type]
    ends = range_of(seen, data_range, sigma=level, mask=mask)
    return Told(level, ends, found.kind, found.coloured, noise_map, mask, stabiliser)


def noise_of(noise: Noise | str, found: Arranged, mask: Mask | None) -> Noise:
    """Return the noise in a picture, its gain and sigma estimated where only its kind is given.

    Raises:
        NlvizError: when there is no such noise, or nothing to estimate it from.
    """
    if isinstance(noise, Noise):
        return noise
    if noise not in ("poisson", "poisson-gaussian"):
        raise NlvizError(
            f"noise that is estimated is poisson or poisson-gaussian, got {noise!r}; give a Noise, "
            "or sigma for Gaussian noise"
        )
    return noise_estimate_of(found, mask, sigma=0.0 if noise == "poisson" else None)
