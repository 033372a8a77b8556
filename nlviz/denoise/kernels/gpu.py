"""Non-local means on a GPU: whole bands per operation, few operations per offset.

As in the kernel for the CPU, each weight is computed once and added to both of its ends. Per offset
there are eight operations on a band: squared differences, their means over channels and rows and
over columns, three for the weights, and two that add weighted keys and weights at once, because a
plane of ones lies below the colours. Bands are tall, as starting an operation takes as long as some
hundred rows of it. No convolution is used: those may round to ten bits there.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nlviz.denoise.weighting import Weighting
from nlviz.errors import NlvizError, OutOfMemory
from nlviz.progress import Listener

BAND_BYTES = 256 * 2**20
_TYPES = {
    torch.uint8: np.uint8,
    torch.uint16: np.uint16,
    torch.int8: np.int8,
    torch.int16: np.int16,
    torch.int32: np.int32,
    torch.float16: np.float16,
    torch.float32: np.float32,
    torch.float64: np.float64,
}


def placed(frames: Any, device: str | None) -> tuple[Tensor, torch.device]:
    """Return frames as a tensor where it is, and the device to compute on.

    Raises:
        NlvizError: when there is no such device here.
    """
    if isinstance(frames, Tensor):
        tensor = frames.detach()
    else:  # no negative strides and nothing read-only in torch
        tensor = torch.from_numpy(np.require(frames, requirements=["C", "W"]))
    try:
        place = torch.device(device if device is not None else tensor.device)
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError):
        raise NlvizError(
            f"there is no device {device!r} here; leave device out to compute where the picture is"
        ) from None
    return tensor, place


def numpy_type(tensor: Tensor) -> np.dtype[Any]:
    """Return the type of a tensor as numpy's.

    Raises:
        NlvizError: when pictures have no such type.
    """
    if tensor.dtype not in _TYPES:
        raise NlvizError(
            f"a picture is uint8, uint16, float32 or float64, this one is {tensor.dtype}; convert "
            "it with tensor.to"
        )
    return np.dtype(_TYPES[tensor.dtype])


def of_pictures(frames: Tensor, weighting: Weighting, progress: Listener | None = None) -> Tensor:
    """Return the weighted means of frames (T, H, W) or (T, H, W, C), on their device.

    Raises:
        NlvizError: when there are NaN or infinite values.
        OutOfMemory: when the device has too little memory.
    """
    kept = torch.float32 if frames.dtype == torch.float16 else frames.dtype
    work = torch.float64 if kept in (torch.float64, torch.int32) else torch.float32
    values = (frames[:, None] if frames.dim() == 3 else frames.permute(0, 3, 1, 2)).to(work)
    bad = int((~values.isfinite()).sum())
    if bad:
        raise NlvizError(
            f"a picture holds finite numbers, {bad} of this one's are NaN or infinite; replace "
            "them first, with torch.nan_to_num for instance"
        )
    try:
        done = averaged(values, weighting, progress)
    except torch.OutOfMemoryError:
        raise OutOfMemory(
            f"{frames.device} has too little memory to average {tuple(frames.shape)}; take fewer "
            "frames at once, or device='cpu'"
        ) from None
    done = done[:, 0] if frames.dim() == 3 else done.permute(0, 2, 3, 1)
    if not kept.is_floating_point:
        limits = torch.iinfo(kept)
        done = done.round().clamp(limits.min, limits.max)
    return done.to(kept).contiguous()


def averaged(frames: Tensor, weighting: Weighting, progress: Listener | None = None) -> Tensor:
    """Return the weighted means of frames (T, C, H, W), float32 or float64 as they are."""
    count, channels, height, width = frames.shape
    m, reach = weighting.margin, weighting.reach
    low, high = frames.amin((0, 2, 3))[:, None, None], frames.amax((0, 2, 3))[:, None, None]
    # What all values share is subtracted where that costs no digit. A power of two, which costs
    # none either, then brings them to -1 .. 1, where no square overflows.
    shared = torch.where((low > 0) & (high / 2 <= low), low, torch.zeros_like(low))
    shared = torch.where((high < 0) & (low / 2 >= high), high, shared)
    most = math.frexp(torch.finfo(frames.dtype).max)[1] - 8
    largest = float(torch.maximum(high - shared, shared - low).max())
    unit = 2.0 ** -min(max(math.frexp(largest)[1], -most), most)
    rows, columns = (
        torch.from_numpy(np.pad(np.arange(n), m, mode="reflect")).to(frames.device)
        for n in (height, width)
    )
    touched = count * (width + 2 * m) * (4 * channels + 6) * frames.element_size()
    total = -(-height // max(16, 2 * reach, BAND_BYTES // touched))
    tall = -(-height // total)
    out = torch.empty_like(frames)
    with torch.inference_mode():
        for number, top in enumerate(range(0, height, tall)):
            inside = rows[top : top + min(tall, height - top) + 2 * m]
            band = frames.new_ones((count, channels + 1, len(inside), len(columns)))
            band[:, :channels] = (frames[:, :, inside][..., columns] - shared) * unit
            sums = _Band(band, weighting, unit).averaged()
            done = sums[:, :channels] / sums[:, channels:] / unit + shared
            out[:, :, top : top + tall] = done.clamp(low, high)
            if progress is not None:
                progress(f"averaging patches: {number + 1} of {total} bands", (number + 1) / total)
    return out


class _Band:
    """A band of all frames with its margin, (T, C + 1, rows + 2 m, columns + 2 m)."""

    def __init__(self, band: Tensor, weighting: Weighting, unit: float) -> None:
        self.band = band
        self.weighting = weighting
        self.margin = weighting.margin
        self.rows, self.columns = (n - 2 * self.margin for n in band.shape[2:])
        kind = torch.finfo(band.dtype)
        strength = (weighting.h * unit) ** 2
        self.bias = min(2 * (weighting.sigma * unit) ** 2, 1e30)
        self.scale = -min(1 / strength, 1e30) if strength else -1e30
        self.flat = weighting.patch_sigma is None
        self.taps = weighting.taps().tolist()
        self.logs = np.maximum(weighting.log_spatial(), math.log(kind.tiny)).tolist()

    def averaged(self) -> Tensor:
        """Return sums of weighted colours, and of weights below: (T, C + 1, rows, columns)."""
        sums = self._cut(self.band, 0, self.rows, 0, self.columns).clone()
        reach, count = self.weighting.reach, len(self.band)
        for apart in range(min(self.weighting.frames // 2, count - 1) + 1):
            here, there = self.band[: count - apart], self.band[apart:]
            mine, theirs = sums[: count - apart], sums[apart:]
            for dy in range(-reach if apart else 0, reach + 1):
                for dx in range(-reach, reach + 1):
                    if apart or dy or dx > 0:
                        self._add(here, there, mine, theirs, dy, dx)
        return sums

    def _cut(self, planes: Tensor, top: int, rows: int, left: int, columns: int) -> Tensor:
        """Return rows and columns of planes with a margin, counted from the band without it."""
        m = self.margin
        return planes[..., top + m : top + m + rows, left + m : left + m + columns]

    def _add(
        self, here: Tensor, there: Tensor, mine: Tensor, theirs: Tensor, dy: int, dx: int
    ) -> None:
        """Add what queries of ``here`` and keys of ``there``, (dy, dx) away, give each other."""
        rows, columns = self.rows, self.columns
        # All queries p with p or p + (dy, dx) in the band.
        top, bottom = min(0, -dy), max(rows, rows - dy)
        left, right = min(0, -dx), max(columns, columns - dx)
        place = (top, bottom - top, left, right - left)
        weights = self._weights(here, there, place, dy, dx)
        w = weights[..., -top : rows - top, -left : columns - left]
        mine.addcmul_(w, self._cut(there, dy, rows, dx, columns))
        w = weights[..., -dy - top : rows - dy - top, -dx - left : columns - dx - left]
        theirs.addcmul_(w, self._cut(here, -dy, rows, -dx, columns))

    def _weights(
        self, here: Tensor, there: Tensor, place: tuple[int, int, int, int], dy: int, dx: int
    ) -> Tensor:
        """Return weights (T, 1, rows, columns) at a place of the queries."""
        top, rows, left, columns = place
        reach, q, channels = self.weighting.reach, self.weighting.patch // 2, here.shape[1] - 1
        log = self.logs[dy + reach][dx + reach]
        if not self.scale:
            return here.new_full((1, 1, rows, columns), math.exp(log))
        wide = (rows + 2 * q, columns + 2 * q)
        queries = self._cut(here[:, :channels], top - q, wide[0], left - q, wide[1])
        keys = self._cut(there[:, :channels], top - q + dy, wide[0], left - q + dx, wide[1])
        d = self._over_patch(functional.mse_loss(queries, keys, reduction="none"))
        if self.bias:
            d = functional.softshrink(d, self.bias)  # max(d - bias, 0), as d is never negative
        d.mul_(self.scale)
        if log:
            d.add_(log)
        return d.exp_()

    def _over_patch(self, squares: Tensor) -> Tensor:
        """Return means over channels and patches: (T, C, rows + 2 q, ...) to (T, 1, rows, ...)."""
        patch = self.weighting.patch
        if self.flat:
            sides = (squares.shape[1], patch, 1)
            down = functional.avg_pool3d(squares[:, None], sides, stride=1)[:, 0]
            return functional.avg_pool2d(down, (1, patch), stride=1)
        mean = squares.mean(1, keepdim=True)
        for dim in (2, 3):
            size = mean.shape[dim] - patch + 1
            parts = [mean.narrow(dim, i, size) for i in range(patch)]
            mean = parts[0] * self.taps[0]
            for tap, part in zip(self.taps[1:], parts[1:], strict=True):
                mean.add_(part, alpha=tap)
        return mean
