"""The one way from pictures to the kernels that average them, and back: types, places, masks."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nlviz.denoise.ground import Mask, checked_mask, filled
from nlviz.denoise.image import PlaneArray, check_type, to_planes
from nlviz.denoise.weighting import Pictures, Weighting
from nlviz.errors import NlvizError
from nlviz.progress import Listener


def averaged(
    frames: Pictures,
    weighting: Weighting,
    h: float | npt.ArrayLike,
    sigma: float | npt.ArrayLike,
    mask: npt.ArrayLike | None = None,
    device: str | None = None,
    threads: int = 1,
    progress: Listener | None = None,
) -> Pictures:
    """Return weighted means of frames (T, H, W) or (T, H, W, C).

    Args:
        frames: of any type of picture; the last of four axes are channels.
        weighting: patch and window; its own h and sigma are not used.
        h: strength, or a map of it, (H, W) or (T, H, W).
        sigma: standard deviation of the noise, or a map of it.
        mask: True where a pixel does not count, of the shape of a map.
        device: where to compute; by default where the frames are.
        threads: of the CPU.
        progress: called with a sentence and the share done between bands.

    Raises:
        NlvizError: when the frames are no pictures, or one of the others is out of its range.
    """
    shape = tuple(frames.shape)
    if operator.index(threads) < 1:
        raise NlvizError(f"threads must be 1 or more, got threads={threads}; take threads=1")
    ground = None if mask is None else checked_mask(mask, shape[:3])
    if ground is not None or np.ndim(h) or np.ndim(sigma) or weighting.volume:
        array, back = _on_the_cpu(frames, device)
        means = _by_maps(array, weighting, h, sigma, ground, threads, progress)
        return back(means)  # type: ignore[no-any-return]
    weighting = replace(weighting, h=_number("h", h), sigma=_number("sigma", sigma))
    if isinstance(frames, np.ndarray):
        _check(shape, frames.dtype)
        if device in (None, "cpu"):
            return _by_numba(frames, weighting, threads, progress)  # type: ignore[return-value]
    from nlviz.denoise.kernels import gpu

    done: Any
    tensor, place = gpu.placed(frames, device)
    _check(shape, gpu.numpy_type(tensor))
    if place.type == "cpu":
        done = _by_numba(tensor.cpu().numpy(), weighting, threads, progress)
        return gpu.placed(done, None)[0].to(tensor.device)  # type: ignore[return-value]
    done = gpu.of_pictures(tensor.to(place), weighting, progress)
    if isinstance(frames, np.ndarray):
        done = done.cpu().numpy()
    else:
        done = done.to(tensor.device)
    return done  # type: ignore[no-any-return]


def _number(name: str, given: Any) -> float:
    try:
        return float(given)
    except (TypeError, ValueError):
        raise NlvizError(
            f"{name} is a number or a map of numbers, got {given!r}; give it in units of the "
            "picture"
        ) from None


def _check(shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    if 0 in shape:
        raise NlvizError(f"a picture needs at least one pixel, this one has the shape {shape[1:]}")
    check_type(dtype)


def _on_the_cpu(frames: Any, device: str | None) -> tuple[npt.NDArray[Any], Any]:
    """Return frames as an array, and what brings a result back to their kind and place."""
    if device not in (None, "cpu"):
        raise NlvizError(
            f"volumes, maps and masks are computed on the CPU, got device={device!r}; leave it out"
        )
    if isinstance(frames, np.ndarray):
        return frames, lambda done: done
    from nlviz.denoise.kernels import gpu

    tensor, _ = gpu.placed(frames, None)
    gpu.numpy_type(tensor)
    return tensor.cpu().numpy(), lambda done: gpu.placed(done, None)[0].to(tensor.device)


def _by_maps(
    frames: npt.NDArray[Any],
    weighting: Weighting,
    h: float | npt.ArrayLike,
    sigma: float | npt.ArrayLike,
    mask: Mask | None,
    threads: int,
    progress: Listener | None,
) -> npt.NDArray[Any]:
    """Return the means of a volume, or with maps or a mask."""
    _check(frames.shape, frames.dtype)
    if mask is None and not np.ndim(h) and not np.ndim(sigma):
        weighting = replace(weighting, h=_number("h", h), sigma=_number("sigma", sigma))
        return _by_numba(frames, weighting, threads, progress)
    from nlviz.denoise.kernels import maps

    places = frames.shape[:3]
    strength, noise = map_of("h", h, places), map_of("sigma", sigma, places)
    kept = np.ones(places, np.bool_) if mask is None else ~mask
    found = maps.Maps(strength, noise, kept)
    return _in_planes(
        filled(frames, mask),
        lambda values: maps.averaged(values, weighting, found, threads, progress),
        frames,
        mask,
    )


def map_of(
    name: str, given: float | npt.ArrayLike, places: tuple[int, ...]
) -> npt.NDArray[np.float64]:
    """Return h or sigma as a map over frames (T, H, W).

    Args:
        name: ``h`` or ``sigma``.
        given: a number, a map of one frame for all, or of all frames.
        places: (T, H, W).

    Raises:
        NlvizError: when it has another shape, or values out of its range.
    """
    found = np.asarray(given, np.float64)
    if found.ndim and found.shape not in (places, places[1:]):
        wanted = places[1:] if places[0] == 1 else places
        raise NlvizError(
            f"{name} is a number or a map with a value for each pixel, {wanted}, this one has the "
            f"shape {found.shape}; leave the channels out"
        )
    good = found > 0 if name == "h" else (found >= 0) & (found < math.inf)
    if not good.all():
        if not found.ndim:
            replace(Weighting(1.0), **{name: float(found)})  # type: ignore[arg-type]
        rule = "above 0" if name == "h" else "0 or above, and finite,"
        bad = found[~good]
        raise NlvizError(
            f"{name} must be {rule} everywhere, {bad.size} values of this map are not, the first is"
            f" {bad.flat[0]:g}; mask pixels that shall stay as they are"
        )
    return np.broadcast_to(found, places)


def _by_numba(
    frames: npt.NDArray[Any], weighting: Weighting, threads: int, progress: Listener | None
) -> npt.NDArray[Any]:
    from nlviz.denoise.kernels.cpu import averaged as kernel

    return _in_planes(frames, lambda values: kernel(values, weighting, threads, progress))


def _in_planes(
    frames: npt.NDArray[Any],
    run: Callable[[PlaneArray], PlaneArray],
    original: npt.NDArray[Any] | None = None,
    mask: Mask | None = None,
) -> npt.NDArray[Any]:
    """Return what ``run`` makes of frames as (T, C, H, W), in their type; masked as they were."""
    # The frames one below the other are a tall picture, which knows types and ranges.
    tall = to_planes(frames.reshape(-1, *frames.shape[2:]), checked=True)
    channels, height, width = len(tall.values), *frames.shape[1:3]
    values = tall.values.reshape(channels, -1, height, width).transpose(1, 0, 2, 3)
    done = run(values)
    planes: PlaneArray = done.transpose(1, 0, 2, 3).reshape(channels, -1, width)
    picture = tall.picture(planes).reshape(frames.shape)
    if original is not None and mask is not None:
        picture[mask] = original[mask]
    return picture
