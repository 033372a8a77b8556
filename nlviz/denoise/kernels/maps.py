"""Weighted means whose strength, noise or ground differ from pixel to pixel, on the CPU.

    d_ij = mean over what patches i and j both have of (x_{i+k} - x_{j+k})^2 - s_{i+k}^2 - s_{j+k}^2
    f_ij = m_j min(1, s_i^2 / s_j^2) exp(-max(d_ij, 0) / h_i^2)

s is the map of sigma, h that of the strength, and m is 0 for masked pixels, which neither count in
a patch nor are averaged. A key noisier than the query has as much less weight as its variance is
larger, as in any mean of unlike precision; a cleaner one has no more than its patch gives it. Where
s and h are the same everywhere and nothing is masked, this is the formula of ``weighted_means``. f
is not symmetric here, so that each query sees its whole window: some six times the work of
``kernels.cpu``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nlviz.denoise.image import PlaneArray
from nlviz.denoise.kernels.cpu import FAST, LOG2_E, _down, _two_to
from nlviz.denoise.kernels.scaling import Scaled, mirrored
from nlviz.denoise.kernels.threads import steps_of
from nlviz.denoise.kernels.whole_numba import numba
from nlviz.denoise.weighting import Weighting
from nlviz.progress import Listener

TILE_ROWS = 64
TILE_COLUMNS = 512


@dataclass(frozen=True)
class Maps:
    """What differs from pixel to pixel, each (T, H, W).

    Attributes:
        h: strength, in units of the picture; infinity weights all keys alike.
        sigma: standard deviation of the noise.
        kept: whether a pixel counts; where it does not it comes back as it was.
    """

    h: npt.NDArray[np.float64]
    sigma: npt.NDArray[np.float64]
    kept: npt.NDArray[np.bool_]


def _gather(
    here: Any,
    there: Any,
    noise_here: Any,
    noise_there: Any,
    kept_here: Any,
    kept_there: Any,
    depth: Any,
    taps: Any,
    log_spatial: Any,
    inverse: Any,
    least: Any,
    sums: Any,
    totals: Any,
) -> None:
    """Add what the pixels of a tile of one frame are given by those of another.

    Args:
        here: the slices of the queries' patches with their margin, (S, C, rows + 2 m, columns +
            2 m), the queries' own slice in the middle; S is 1 but for volumes.
        there: the same of the keys.
        noise_here: variance of the noise times C, (S, rows + 2 m, columns + 2 m).
        noise_there: the same of the keys.
        kept_here: 1 where a pixel counts, else 0, likewise.
        kept_there: the same of the keys.
        depth: (S,) weights over the slices of a patch.
        taps: (patch,) weights over one axis of the patch.
        log_spatial: (window, window) logarithms to base 2.
        inverse: (rows, columns) factor that makes a sum of squares over the channels an exponent of
            base 2, not above 0.
        least: least exponent.
        sums: weighted sums (C, rows, columns), added to.
        totals: sums of weights (rows, columns), added to.
    """
    slices, channels = here.shape[:2]
    rows, columns = totals.shape
    patch = taps.size
    reach = log_spatial.shape[0] // 2
    q = patch // 2
    m = reach + q
    middle = slices // 2
    long = columns + 2 * q
    zero = here.dtype.type(0.0)
    one = here.dtype.type(1.0)
    little = here.dtype.type(1e-6)
    tiny = here.dtype.type(1e-30)
    ring = np.zeros((patch, long), here.dtype)
    counts = np.zeros((patch, long), here.dtype)
    squares = np.zeros(long, here.dtype)
    high = np.zeros(long, here.dtype)
    counted = np.zeros(long, here.dtype)
    across = np.zeros(columns, here.dtype)
    number = np.zeros(columns, here.dtype)
    weights = np.zeros(columns, here.dtype)
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            log = log_spatial[dy + reach, dx + reach]
            for s in range(rows + 2 * q):
                yp = s + reach
                j = s % patch
                own = ring[j]
                count = counts[j]
                for x in range(long):
                    own[x] = zero
                    count[x] = zero
                for g in range(slices):
                    for x in range(long):
                        squares[x] = zero
                    for c in range(channels):
                        a = here[g, c, yp, reach : reach + long]
                        b = there[g, c, yp + dy, reach + dx : reach + dx + long]
                        for x in range(long):
                            d = a[x] - b[x]
                            squares[x] += d * d
                    n0 = noise_here[g, yp, reach : reach + long]
                    n1 = noise_there[g, yp + dy, reach + dx : reach + dx + long]
                    k0 = kept_here[g, yp, reach : reach + long]
                    k1 = kept_there[g, yp + dy, reach + dx : reach + dx + long]
                    tap = depth[g]
                    for x in range(long):
                        both = tap * k0[x] * k1[x]
                        own[x] += both * (squares[x] - n0[x] - n1[x])
                        count[x] += both
                if s < 2 * q:
                    continue
                y = s - 2 * q
                _down(high, ring, taps, j)
                _down(counted, counts, taps, j)
                for x in range(columns):
                    across[x] = zero
                    number[x] = zero
                for i in range(patch):
                    tap = taps[i]
                    for x in range(columns):
                        across[x] += tap * high[x + i]
                        number[x] += tap * counted[x + i]
                scale = inverse[y]
                own_noise = noise_here[middle, y + m, m : m + columns]
                key_noise = noise_there[middle, y + m + dy, m + dx : m + dx + columns]
                key_kept = kept_there[middle, y + m + dy, m + dx : m + dx + columns]
                for x in range(columns):
                    n = number[x]
                    seen = one if n > little else zero
                    d = max(across[x], zero) / max(n, little)
                    share = min((own_noise[x] + tiny) / (key_noise[x] + tiny), one)
                    f = _two_to(max(d * scale[x] + log, least))
                    weights[x] = f * share * key_kept[x] * seen
                total = totals[y]
                for c in range(channels):
                    weighted = sums[c, y]
                    key = there[middle, c, y + m + dy, m + dx : m + dx + columns]
                    for x in range(columns):
                        weighted[x] += weights[x] * key[x]
                for x in range(columns):
                    total[x] += weights[x]


def _compiler() -> Any:
    try:
        return numba.njit(nogil=True, cache=True, **FAST)(_gather)
    except RuntimeError:  # no folder can be written to
        return numba.njit(nogil=True, **FAST)(_gather)


_compiled = _compiler()


def averaged(
    frames: PlaneArray,
    weighting: Weighting,
    maps: Maps,
    threads: int = 1,
    progress: Listener | None = None,
) -> PlaneArray:
    """Return the weighted means of frames (T, C, H, W), float32 or float64 as they are.

    Args:
        frames: finite everywhere, under the mask as well.
        weighting: patch and window; its own h and sigma are not used.
        maps: h, sigma and mask.
        threads: of the CPU; the result does not depend on it.
        progress: called with a sentence and the share done between bands.
    """
    count, channels, height, width = frames.shape
    kind = frames.dtype.type
    scaled = Scaled.of(frames)
    unit = float(scaled.unit)
    deep, half, m = weighting.patch_frames // 2, weighting.frames // 2, weighting.margin
    taps, depth = weighting.taps().astype(kind), weighting.depth_taps().astype(kind)
    logs = [(weighting.log_spatial(n) * LOG2_E).astype(kind) for n in range(half + 1)]
    noise = np.minimum((maps.sigma * unit) ** 2 * channels, 1e30).astype(kind)
    with np.errstate(divide="ignore", over="ignore"):
        strength = LOG2_E / ((maps.h * unit) ** 2 * channels)
    inverse = -np.minimum(strength, 1e30).astype(kind)
    kept = maps.kept.astype(kind)
    rows, columns = (mirrored(n, m) for n in (height, width))
    beyond = half if weighting.volume else 0
    slices = mirrored(count, half + deep) if weighting.volume else np.arange(count)
    out = frames.copy()

    def tile_of(frame: int, y: Any, x: Any) -> tuple[PlaneArray, PlaneArray, PlaneArray]:
        near = slices[frame + beyond : frame + beyond + 2 * deep + 1]
        pixels = (frames[near][:, :, y[:, None], x] - scaled.shared) * scaled.unit
        planes = (a[near][:, y[:, None], x] for a in (noise, kept))
        first, second = (np.ascontiguousarray(p) for p in planes)
        return np.ascontiguousarray(pixels, kind), first, second

    def compute(place: tuple[int, int]) -> Iterator[None]:
        top, left = place
        bottom, right = min(top + TILE_ROWS, height), min(left + TILE_COLUMNS, width)
        y, x = rows[top : bottom + 2 * m], columns[left : right + 2 * m]
        held: dict[int, Any] = {}
        for frame in range(count):
            first, last = frame - half, frame + half
            if not weighting.volume:
                first, last = max(first, 0), min(last, count - 1)
            held = {n: held[n] if n in held else tile_of(n, y, x) for n in range(first, last + 1)}
            sums = np.zeros((channels, bottom - top, right - left), kind)
            totals = np.zeros(sums.shape[1:], kind)
            scale = np.ascontiguousarray(inverse[frame, top:bottom, left:right])
            least = kind(np.finfo(kind).minexp)
            own = held[frame]
            for other in range(first, last + 1):
                pairs = (a for both in zip(own, held[other], strict=True) for a in both)
                log = logs[abs(other - frame)]
                _compiled(*pairs, depth, taps, log, scale, least, sums, totals)
            asked = maps.kept[frame, top:bottom, left:right] & (totals > 0)
            done = scaled.back(sums / np.where(asked, totals, 1))
            np.copyto(out[frame, :, top:bottom, left:right], done, where=asked)
            yield

    places = [(y, x) for y in range(0, height, TILE_ROWS) for x in range(0, width, TILE_COLUMNS)]
    if progress is not None and not _compiled.signatures:
        progress("compiling non-local means with maps, once on this machine", 0.0)
    total = len(places) * count
    for done, _ in enumerate(steps_of(compute, places, total, threads), 1):
        if progress is not None:
            progress(f"averaging patches: {done} of {total} bands", done / total)
    return out
