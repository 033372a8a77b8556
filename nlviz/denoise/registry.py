"""All denoisers by name, and the one way to run them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, overload

import numpy as np

from nlviz.clips.clip import Clip
from nlviz.denoise.denoiser import Denoiser, Value
from nlviz.denoise.image import Image, to_planes
from nlviz.denoise.image import data_range as white_of
from nlviz.denoise.methods import bm3d, builtin, learned, opencv, scikit_image
from nlviz.denoise.noise import checked_sigma, estimate_sigma
from nlviz.errors import NlvizError, did_you_mean
from nlviz.progress import SILENT, Listener, Progress

# One line for each family; the order is that of the lists and tables.
_METHODS = (builtin, opencv, scikit_image, bm3d, learned)
_OF_CLIPS = (builtin, opencv)

DENOISERS: Mapping[str, Denoiser] = {d.name: d for m in _METHODS for d in m.DENOISERS}
CLIP_DENOISERS: Mapping[str, Denoiser] = {d.name: d for m in _OF_CLIPS for d in m.CLIP_DENOISERS}

# Other spellings of a method: names of pairwise functions, and of the networks' middle blocks.
SPELLINGS = {
    "nl_means": "non-local-means",
    "nonlocal": "learned-nonlocal",
    "local": "learned-local",
}


def known_denoisers(*, of_clips: bool = False) -> dict[str, Denoiser]:
    """Return the denoisers by name, whether they run here or not.

    Args:
        of_clips: whether clips are denoised; space-time forms replace those of single pictures.
    """
    return {**DENOISERS, **CLIP_DENOISERS} if of_clips else dict(DENOISERS)


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


def find_denoiser(name: str, *, of_clips: bool = False) -> Denoiser:
    """Return the denoiser of this name, whether it runs here or not.

    Args:
        name: its name.
        of_clips: whether clips are denoised; space-time forms come first then.

    Raises:
        NlvizError: when no denoiser has that name.

    >>> find_denoiser("bm3d").licence
    'Tampere University: non-commercial use only'
    """
    known = known_denoisers(of_clips=of_clips)
    if name not in known:
        if name in CLIP_DENOISERS:
            raise NlvizError(f"the denoiser {name!r} is for clips, this is one picture")
        raise NlvizError(f"no denoiser is called {name!r}{did_you_mean(name, known)}")
    return known[name]


@overload
def denoise(
    image: Clip,
    name: str,
    *,
    sigma: float | None = None,
    data_range: float | None = None,
    progress: Listener | None = None,
    **parameters: Any,
) -> Clip: ...
@overload
def denoise(
    image: Image,
    name: str,
    *,
    sigma: float | None = None,
    data_range: float | None = None,
    progress: Listener | None = None,
    **parameters: Any,
) -> Image: ...
def denoise(
    image: Image | Clip,
    name: str,
    *,
    sigma: float | None = None,
    data_range: float | None = None,
    progress: Listener | None = None,
    **parameters: Any,
) -> Image | Clip:
    """Return a picture or a clip denoised.

    Where sigma is 0 there is nothing to remove: the picture is returned as it is, unless the
    parameter that sets the strength is given.

    Args:
        image: (H, W) or (H, W, 3), uint8, uint16 or float of any range; or a Clip, which is
            denoised in space-time where the denoiser can, else frame by frame.
        name: one of ``list_denoisers()``; for a Clip one of ``list_clip_denoisers()``.
        sigma: standard deviation of the noise in units of the picture; None estimates it.
        data_range: value of white; by default that of the type, for floats see
            :func:`nlviz.denoise.image.data_range`. Only some denoisers ask for it.
        progress: called with a sentence and a share in [0, 1]; what it raises cancels: between
            bands or tiles what is computed here, before and after what other libraries compute.
        parameters: those of the denoiser, h in units of the picture.

    Returns:
        A picture of the same shape and type, in the same units; float results are never clipped.
        Of a Clip a Clip with the same times.

    Raises:
        NlvizError: when there is no such denoiser, it cannot run here, or the picture, sigma or
            a parameter is out of its range.

    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (24, 32))
    >>> bool(denoise(noisy, "non-local-means", sigma=0.1).std() < 0.03)
    True
    >>> clip = Clip.from_frames(np.full((3, 9, 11, 3), 7, np.uint8), name="grey")
    >>> denoise(clip, "gaussian", sigma=5)
    Clip('grey, denoised', 3 frames of 11x9 px, 0.00 to 0.08 s)
    """
    if isinstance(image, Clip):
        frames = denoise_clip(
            image.frames,
            name,
            sigma=sigma,
            data_range=data_range,
            progress=progress,
            **parameters,
        )
        done = Clip.from_frames(frames, name=f"{image.name}, denoised")
        return replace(done, times=image.times, sampling=image.sampling)
    found = find_denoiser(SPELLINGS.get(name, name))
    return _denoised(image, found, sigma, data_range, progress, parameters)


def denoise_clip(
    frames: Image,
    name: str,
    /,  # a parameter is called frames, too
    *,
    sigma: float | None = None,
    data_range: float | None = None,
    progress: Listener | None = None,
    **parameters: Any,
) -> Image:
    """Return a clip denoised: in space-time where the denoiser can, else frame by frame.

    Args:
        frames: (T, H, W) or (T, H, W, 3), as a picture of :func:`denoise`.
        name: one of ``list_clip_denoisers()``.
        sigma: as there.
        data_range: as there.
        progress: as there.
        parameters: as there; ``frames`` is how many frames the window reaches over.

    Raises:
        NlvizError: as there.

    >>> clip = np.full((4, 9, 11), 7, np.uint8)
    >>> denoise_clip(clip, "gaussian", sigma=5, spatial=1).shape
    (4, 9, 11)
    """
    found = find_denoiser(SPELLINGS.get(name, name), of_clips=True)
    frames = np.asarray(frames)
    if frames.ndim not in (3, 4):
        raise NlvizError(
            f"a clip has the shape (T, H, W) or (T, H, W, 3), this one has {frames.shape}"
        )
    if sigma is None:
        sigma = estimate_sigma(frames.reshape(-1, *frames.shape[2:]))
    white = white_of(frames, data_range)
    return _denoised(frames, found, sigma, white, progress, parameters, clip=True)


def _denoised(
    image: Image,
    denoiser: Denoiser,
    sigma: float | None,
    data_range: float | None,
    progress: Listener | None,
    parameters: Mapping[str, Any],
    *,
    clip: bool = False,
) -> Image:
    denoiser.check()
    image = np.asarray(image)
    # The frames one below the other are a tall picture, which knows types and ranges.
    tall = to_planes(image.reshape(-1, *image.shape[2:]) if clip else image)
    white = white_of(image, data_range)
    level = estimate_sigma(image) if sigma is None else checked_sigma(sigma)
    values = denoiser.values(level, white, parameters)
    if level == 0 and denoiser.strength not in parameters:
        return tall.picture(tall.values).reshape(image.shape)
    work = image.astype(tall.values.dtype)
    done = denoise_picture(denoiser, work, level, white, values, progress, clip=clip)
    planes = done.reshape(-1, *image.shape[2:]) if clip else done
    flat = planes[None] if planes.ndim == 2 else planes.transpose(2, 0, 1)
    return tall.picture(flat).reshape(image.shape)


def denoise_picture(
    denoiser: Denoiser,
    picture: Image,
    sigma: float,
    white: float,
    values: Mapping[str, Value],
    progress: Listener | None = None,
    *,
    clip: bool | None = None,
) -> Image:
    """Return a float picture, or a clip, denoised with every parameter given, as float.

    Args:
        denoiser: which.
        picture: (H, W) or (H, W, 3); a clip (T, H, W) or (T, H, W, 3).
        sigma: standard deviation of the noise.
        white: value of white.
        values: of all parameters.
        progress: called with a sentence and a share; what it raises cancels.
        clip: whether it is a clip; None for one with four axes.
    """
    report = Progress.of(progress)
    report(f"Denoising: {denoiser.label}", 0.0)
    clip = picture.ndim == 4 if clip is None else clip
    if clip and not denoiser.of_clips:
        out = []
        for index, frame in enumerate(picture):
            report(f"{denoiser.label}: frame {index + 1} of {len(picture)}", index / len(picture))
            out.append(denoiser.run(frame, sigma, white, SILENT, **values))
        done: Image = np.stack(out)
    else:
        done = denoiser.run(picture, sigma, white, report, **values)
    report(f"Denoised: {denoiser.label}", 1.0)
    return done
