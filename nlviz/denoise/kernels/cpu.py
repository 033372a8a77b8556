"""Non-local means on the CPU: one compiled function over a tile and a pair of frames.

Each weight is computed once and added to both of its ends, as it is symmetric: half of the window
within a frame, the whole window between two frames. Per offset and row, four passes run along the
row with a stride of one and no value carried from pixel to pixel, so that they become vector
instructions: squared differences with their vertical sums, horizontal sums, weights, and the two
weighted sums.

Vertical sums of flat patches are a suffix plus a prefix of blocks of rows (van Herk 1992, Gil and
Werman 1993, there for maxima): as cheap as adding one row and subtracting another, without drift.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from nlviz.denoise.image import PlaneArray
from nlviz.denoise.kernels.scaling import Scaled, mirrored
from nlviz.denoise.kernels.threads import steps_of
from nlviz.denoise.kernels.whole_numba import intrinsic, numba, overload
from nlviz.denoise.weighting import Weighting
from nlviz.progress import Listener

TILE_ROWS = 64
TILE_COLUMNS = 1024
LOG2_E = 1.4426950408889634
# Loops that write zeros, not slices: those keep the loops around them from becoming vectors.
FAST: Any = {"fastmath": True, "error_model": "numpy", "boundscheck": False}
_Function = TypeVar("_Function", bound=Callable[..., Any])
_fast: Callable[[_Function], _Function] = numba.njit(**FAST)


def _bits(context: Any, bits: Any) -> Any:
    """Return the float that has these bits."""
    real = numba.float32 if bits == numba.int32 else numba.float64

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], context.get_value_type(signature.return_type))

    return real(bits), codegen


_float_of: Any = intrinsic(_bits)


def _two_to(z: Any) -> Any:
    """Return 2^z for z from the least exponent to 0.

    A scalar ``exp`` would stop the loop around it from becoming vector instructions. The exponent's
    bits times a polynomial of the rest, of least largest relative error over -0.5 .. 0.5: 1.9e-9
    for float32, 2.1e-16 for float64.
    """
    raise NotImplementedError


def _two_to_of(z: Any) -> Any:
    if z == numba.float32:

        def two_to(z: Any) -> Any:
            whole = np.int32(z - np.float32(0.5))
            f = z - np.float32(whole)
            p = np.float32(1.53458122e-4) * f + np.float32(1.339993121e-3)
            p = p * f + np.float32(9.618488957e-3)
            p = p * f + np.float32(5.550328777e-2)
            p = p * f + np.float32(2.4022646891e-1)
            p = p * f + np.float32(6.9314720574e-1)
            p = p * f + np.float32(1.0)
            return p * _float_of(np.int32((whole + np.int32(127)) << np.int32(23)))

    else:

        def two_to(z: Any) -> Any:
            whole = np.int64(z - 0.5)
            f = z - np.float64(whole)
            p = 7.03727884672690088e-9 * f + 1.02085379296574044e-7
            p = p * f + 1.32156628359592394e-6
            p = p * f + 1.52526581164098545e-5
            p = p * f + 1.54035299611270757e-4
            p = p * f + 1.33335582285617659e-3
            p = p * f + 9.61812910803459701e-3
            p = p * f + 5.55041086644588314e-2
            p = p * f + 2.40226506959087678e-1
            p = p * f + 6.93147180559949775e-1
            p = p * f + 1.0
            return p * _float_of((whole + np.int64(1023)) << np.int64(52))

    return two_to


overload(_two_to, jit_options=FAST)(_two_to_of)


@_fast
def _down(high: Any, ring: Any, taps: Any, row: Any) -> None:
    """Put weighted sums over the rows of a patch, of which ``ring[row]`` is the last."""
    patch = taps.size
    high[:] = taps.dtype.type(0.0)
    for i in range(patch):
        tap = taps[i]
        later = ring[(row + 1 + i) % patch]
        for x in range(high.size):
            high[x] += tap * later[x]


@_fast
def _across(total: Any, high: Any, taps: Any) -> None:
    """Put sums over the columns of a patch; small sizes are written out, which is faster."""
    length = total.size
    patch = taps.size
    q = patch // 2
    zero = taps.dtype.type(0.0)
    c0 = taps[q]
    c1 = taps[q - 1] if q >= 1 else zero
    c2 = taps[q - 2] if q >= 2 else zero
    c3 = taps[q - 3] if q >= 3 else zero
    c4 = taps[q - 4] if q >= 4 else zero
    if patch == 1:
        for x in range(length):
            total[x] = c0 * high[x]
    elif patch == 3:
        for x in range(length):
            total[x] = c0 * high[x + 1] + c1 * (high[x] + high[x + 2])
    elif patch == 5:
        for x in range(length):
            total[x] = (
                c0 * high[x + 2] + c1 * (high[x + 1] + high[x + 3]) + c2 * (high[x] + high[x + 4])
            )
    elif patch == 9:
        for x in range(length):
            total[x] = (
                c0 * high[x + 4]
                + c1 * (high[x + 3] + high[x + 5])
                + c2 * (high[x + 2] + high[x + 6])
                + c3 * (high[x + 1] + high[x + 7])
                + c4 * (high[x] + high[x + 8])
            )
    else:
        total[:] = zero
        for i in range(patch):
            tap = taps[i]
            for x in range(length):
                total[x] += tap * high[x + i]


def _pair(
    here: Any,
    there: Any,
    sums: Any,
    totals: Any,
    sums_there: Any,
    totals_there: Any,
    same: Any,
    flat: Any,
    taps: Any,
    log_spatial: Any,
    bias: Any,
    scale: Any,
    least: Any,
) -> None:
    """Add what the pixels of a tile of two frames give each other.

    Args:
        here: tile of the frame of the queries with its margin, (C, rows + 2 m, columns + 2 m);
            what patches are compared by.
        there: the same tile of the frame of the keys.
        sums: weighted sums of the queries' frame (first of the C, rows, columns), added to.
        totals: sums of weights (rows, columns), added to.
        sums_there: the same for the keys' frame; the same array where the frames are one.
        totals_there: likewise.
        same: whether the frames are one; then half of the window is visited.
        flat: whether the taps are all 1.
        taps: (patch,) weights over one axis of the patch.
        log_spatial: (window, window) logarithms to base 2.
        bias: what is subtracted from the sum of squared differences.
        scale: factor that makes the rest an exponent of base 2; negative, 0 for no distances.
        least: least exponent.
    """
    channels = here.shape[0]
    colours = sums.shape[0]
    rows, columns = totals.shape
    patch = taps.size
    q = patch // 2
    reach = log_spatial.shape[0] // 2
    m = reach + q
    wide = columns + 2 * m
    zero = here.dtype.type(0.0)
    # Squared differences of the last rows, or suffix sums of them; the last row stays 0.
    ring = np.zeros((patch + 1, wide), here.dtype)
    prefix = np.zeros(wide, here.dtype)
    high = np.zeros(wide, here.dtype)
    across = np.zeros(wide, here.dtype)
    weights = np.zeros(wide, here.dtype)
    c0 = taps[q]
    c1 = taps[q - 1] if q >= 1 else zero
    c2 = taps[q - 2] if q >= 2 else zero
    c3 = taps[q - 3] if q >= 3 else zero
    for dy in range(0 if same else -reach, reach + 1):
        for dx in range(-reach, reach + 1):
            if same and dy == 0 and dx <= 0:
                continue
            log = log_spatial[dy + reach, dx + reach]
            # All queries p with p or p + (dy, dx) in the tile.
            top = min(0, -dy)
            bottom = max(rows, rows - dy)
            left = min(0, -dx)
            length = max(columns, columns - dx) - left
            long = length + 2 * q
            lo = left + m - q
            if scale == zero:
                weight = _two_to(max(log, least))
                for x in range(length):
                    weights[x] = weight
            for x in range(long):
                prefix[x] = zero
            ring[:patch, :long] = zero
            for s in range(bottom - top + 2 * q):
                y = top + s - 2 * q  # the row that is complete after this one
                if scale != zero:
                    yp = top + s - q + m
                    j = s % patch
                    own = ring[j]
                    a0 = here[0, yp, lo : lo + long]
                    b0 = there[0, yp + dy, lo + dx : lo + dx + long]
                    if channels == 3:
                        a1 = here[1, yp, lo : lo + long]
                        a2 = here[2, yp, lo : lo + long]
                        b1 = there[1, yp + dy, lo + dx : lo + dx + long]
                        b2 = there[2, yp + dy, lo + dx : lo + dx + long]
                        for x in range(long):
                            d0 = a0[x] - b0[x]
                            d1 = a1[x] - b1[x]
                            d2 = a2[x] - b2[x]
                            own[x] = d0 * d0 + d1 * d1 + d2 * d2
                    else:
                        for x in range(long):
                            d = a0[x] - b0[x]
                            own[x] = d * d
                        for c in range(1, channels):
                            a0 = here[c, yp, lo : lo + long]
                            b0 = there[c, yp + dy, lo + dx : lo + dx + long]
                            for x in range(long):
                                d = a0[x] - b0[x]
                                own[x] += d * d
                    if flat:
                        rest = ring[j + 1]
                        for x in range(long):
                            d = own[x] + prefix[x]
                            prefix[x] = d
                            high[x] = d + rest[x]
                        if j == patch - 1:
                            for x in range(long):
                                prefix[x] = zero
                            for i in range(patch - 2, -1, -1):
                                upper = ring[i]
                                lower = ring[i + 1]
                                for x in range(long):
                                    upper[x] += lower[x]
                    else:
                        _down(high[:long], ring, taps, j)
                if s < 2 * q:
                    continue
                if scale != zero:
                    if patch == 7:  # here once more, as a call for each row costs a tenth
                        for x in range(length):
                            across[x] = (
                                c0 * high[x + 3]
                                + c1 * (high[x + 2] + high[x + 4])
                                + c2 * (high[x + 1] + high[x + 5])
                                + c3 * (high[x] + high[x + 6])
                            )
                    else:
                        _across(across[:length], high, taps)
                    for x in range(length):
                        z = max(across[x] - bias, zero) * scale + log
                        weights[x] = _two_to(max(z, least))
                if 0 <= y < rows:
                    w = weights[-left:]
                    total = totals[y]
                    for c in range(colours):
                        weighted = sums[c, y]
                        key = there[c, y + dy + m, m + dx : m + dx + columns]
                        for x in range(columns):
                            weighted[x] += w[x] * key[x]
                    for x in range(columns):
                        total[x] += w[x]
                if 0 <= y + dy < rows:
                    w = weights[-dx - left :]
                    total = totals_there[y + dy]
                    for c in range(colours):
                        weighted = sums_there[c, y + dy]
                        key = here[c, y + m, m - dx : m - dx + columns]
                        for x in range(columns):
                            weighted[x] += w[x] * key[x]
                    for x in range(columns):
                        total[x] += w[x]


def _compiler() -> Any:
    """Return the compiled form of ``_pair``, made when first called, kept on disk where it can be.

    It lies in the folder of this file, or in the user's folder of numba where this is read-only.
    """
    try:
        return numba.njit(nogil=True, cache=True, **FAST)(_pair)
    except RuntimeError:  # no folder can be written to
        return numba.njit(nogil=True, **FAST)(_pair)


_compiled = _compiler()


def compiled() -> bool:
    """Return whether the compiled function is at hand, in this process or on disk."""
    if _compiled.signatures:
        return True
    folder = Path(_compiled.stats.cache_path or "")
    written = Path(__file__).stat().st_mtime
    found = folder.glob(f"{Path(__file__).stem}.{_pair.__name__}-*.nbi")
    return any(index.stat().st_mtime >= written for index in found)


def warm_up(progress: Listener | None = None) -> None:
    """Compile, or load from disk; seconds once on a machine, and nothing from then on."""
    if progress is not None and not compiled():
        progress("compiling non-local means, once on this machine", 0.0)
    averaged(np.zeros((1, 1, 2, 2), np.float32), Weighting(1.0, patch=1, window=3))


def averaged(
    frames: PlaneArray,
    weighting: Weighting,
    threads: int = 1,
    progress: Listener | None = None,
) -> PlaneArray:
    """Return the weighted means of frames (T, C, H, W), float32 or float64 as they are.

    Threads share the tiles; the sums do not depend on which thread computes a tile.
    """
    count, channels, height, width = frames.shape
    kind = frames.dtype.type
    scaled = Scaled.of(frames)
    unit = float(scaled.unit)
    flat = weighting.patch_sigma is None
    taps = (np.ones(weighting.patch) if flat else weighting.taps()).astype(kind)
    # The slices of a patch are compared as channels are, after the pixel's own.
    deep = weighting.patch_frames // 2
    order = np.argsort(np.abs(np.arange(-deep, deep + 1)), kind="stable") - deep
    depth = weighting.depth_taps()[order + deep] / weighting.depth_taps()[deep]
    size = channels * float(taps.sum(dtype=np.float64)) ** 2 * float(depth.sum())
    bias = min(2.0 * (weighting.sigma * unit) ** 2 * size, 1e30)
    strength = (weighting.h * unit) ** 2 * size
    fixed = (
        kind(bias),
        kind(-LOG2_E * min(1.0 / strength, 1e30) if strength else -1e30),
        kind(np.finfo(kind).minexp),
    )
    m, half = weighting.margin, weighting.frames // 2
    logs = [(weighting.log_spatial(n) * LOG2_E).astype(kind) for n in range(half + 1)]
    rows, columns = (mirrored(n, m) for n in (height, width))
    # Frames beyond the ends are mirrored ones of a volume; of a clip there are none.
    beyond = half if weighting.volume else 0
    slices = mirrored(count, half + deep) if weighting.volume else np.arange(-deep, count + deep)
    out = np.empty_like(frames)

    def tile_of(frame: int, top: int, left: int) -> Any:
        y = rows[top : top + min(tall, height - top) + 2 * m]
        x = columns[left : left + min(TILE_COLUMNS, width - left) + 2 * m]

        def padded(index: int) -> PlaneArray:
            one = frames[slices[index + beyond + deep]]
            return np.ascontiguousarray((one[:, y[:, None], x] - scaled.shared) * scaled.unit)

        own = padded(frame)
        inner = own[:, m : len(y) - m, m : len(x) - m]
        sums = (inner.copy(), np.ones(inner.shape[1:], frames.dtype))
        if deep:
            near = [
                padded(frame + n) * kind(math.sqrt(w)) for n, w in zip(order, depth, strict=True)
            ]
            own = np.concatenate([own, *near[1:]])
        return own, *sums

    def compute(place: tuple[int, int]) -> Iterator[None]:
        top, left = place
        held: dict[int, Any] = {}
        for frame in range(-beyond, count + beyond):
            for other in range(frame, min(frame + half, count + beyond - 1) + 1):
                if not (0 <= frame < count or 0 <= other < count):
                    continue
                for one in (frame, other):
                    if one not in held:
                        held[one] = tile_of(one, top, left)
                (here, *mine), (there, *theirs) = held[frame], held[other]
                same, log = frame == other, logs[other - frame]
                _compiled(here, there, *mine, *theirs, same, flat, taps, log, *fixed)
            _, sums, totals = held.pop(frame, (None, None, None))
            if 0 <= frame < count:
                done = scaled.back(sums / totals)
                out[frame, :, top : top + tall, left : left + TILE_COLUMNS] = done
                yield

    tall = max(TILE_ROWS, 4 * weighting.reach)
    places = [(y, x) for y in range(0, height, tall) for x in range(0, width, TILE_COLUMNS)]
    if progress is not None and not compiled():
        progress("compiling non-local means, once on this machine", 0.0)
    total = len(places) * count
    for done, _ in enumerate(steps_of(compute, places, total, threads), 1):
        if progress is not None:
            progress(f"averaging patches: {done} of {total} bands", done / total)
    return out
