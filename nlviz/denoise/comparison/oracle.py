"""The oracle: a denoiser's strength tuned on a grid against the clean picture.

The clean picture is unknown in practice; but tuned so, every method shows what it can do, and no
method is judged by how well its default was guessed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from nlviz.denoise.denoiser import Denoiser
from nlviz.denoise.estimation import under_mask
from nlviz.denoise.ground import filled
from nlviz.denoise.image import Image, working_type
from nlviz.denoise.noise import Noise
from nlviz.denoise.quality import psnr
from nlviz.denoise.ranges import Given, Range, range_of
from nlviz.denoise.registry import denoiser_of, told_of
from nlviz.denoise.told import Told, carried_out, values_for
from nlviz.errors import NlvizError
from nlviz.progress import Listener, Progress

_RATIO = 1.25  # of neighbours on the coarse grid; the fine one halves it
_MOST = 24  # values that are tried before the search ends at an edge


@dataclass(frozen=True)
class Tuned:
    """What a search over a grid found.

    Attributes:
        parameter: name of what was tuned: h, or what sets the strength of a denoiser without h.
        value: the best one, in the parameter's own unit.
        psnr: decibels that it gives.
        grid: (value, decibels) of all that were tried, in ascending order.
    """

    parameter: str
    value: float
    psnr: float
    grid: tuple[tuple[float, float], ...]

    @property
    def h(self) -> float:
        """The best value, by the name that most methods have for it."""
        return self.value

    @property
    def at_edge(self) -> bool:
        """Whether the best value is the first or last of the grid: a better one may lie beyond."""
        return self.value in (self.grid[0][0], self.grid[-1][0])


def oracle(
    image: Image,
    noisy: Image,
    name: str,
    grid: Sequence[float] | None = None,
    *,
    sigma: float | None = None,
    data_range: Given = None,
    axes: str | None = None,
    mask: npt.ArrayLike | None = None,
    noise: Noise | str | None = None,
    progress: Listener | None = None,
    **parameters: Any,
) -> Tuned:
    """Return the strength of a denoiser that gives the highest PSNR against the clean picture.

    Args:
        image: the clean picture (H, W) or (H, W, C), or frames (T, H, W, C).
        noisy: the same with noise.
        name: one of ``list_denoisers()``, or ``list_clip_denoisers()`` for frames.
        grid: values to try, in units of the picture for h; by default multiples of the default,
            a quarter apart, on both sides until PSNR falls, and then the halves around the best.
        sigma: as in :func:`nlviz.denoise.denoise`.
        data_range: as there; by default that of ``image``.
        axes: as there, of both.
        mask: as there; what is masked is not measured.
        noise: as there.
        progress: as there.
        parameters: the other parameters, as there.

    Raises:
        NlvizError: as there, and for an empty grid.

    >>> import numpy as np
    >>> clean = np.kron([[0.0, 60.0], [90.0, 30.0]], np.ones((12, 16)))
    >>> noisy = clean + np.random.default_rng(0).normal(0, 5, clean.shape)
    >>> tuned = oracle(clean, noisy, "non-local-means", [1, 4, 40], sigma=5, window=7)
    >>> tuned.h, [h for h, _ in tuned.grid]
    (4.0, [1.0, 4.0, 40.0])
    """
    clean, _ = under_mask(image, None, axes)
    found, ground = under_mask(noisy, mask, axes)
    denoiser = denoiser_of(name, found.kind)
    seen = filled(found.values, ground)
    ends = data_range if data_range is not None else _pair(range_of(clean.values, sigma=0))
    told = told_of(found, seen, ground, sigma, ends, noise)
    values = values_for(denoiser, told, parameters, found.places)
    work = seen.astype(working_type(seen.dtype))
    return tuned(denoiser, clean.values, work, told, values, grid, progress)


def _pair(ends: Range) -> tuple[float, float]:
    return ends.low, ends.high


def tuned(
    denoiser: Denoiser,
    clean: Image,
    noisy: Image,
    told: Told,
    values: Mapping[str, Any],
    grid: Sequence[float] | None = None,
    progress: Listener | None = None,
) -> Tuned:
    """Return what :func:`oracle` does, every parameter given."""
    report = Progress.of(progress)
    what = denoiser.strength
    parameter = denoiser.parameters[what]
    found: dict[float, float] = {}

    def measure(value: float) -> None:
        checked = parameter.checked(what, value)
        assert checked is not None
        value = float(checked)
        if value in found:
            return
        report(f"Oracle: {denoiser.label}, {what} = {value:.4g}", 1 - 0.85 ** len(found))
        done = (
            noisy if value == 0 else carried_out(denoiser, noisy, told, {**values, what: checked})
        )
        found[value] = psnr(clean, done, data_range=_pair(told.range), mask=told.mask)

    if grid is not None:
        if not len(grid):
            raise NlvizError("a grid needs at least one value, this one is empty")
        for value in grid:
            measure(value)
    elif parameter.kind == "odd":
        _climb(measure, found, [1.0, 3.0, 5.0], lambda v, way: v + 2 * way)
    else:
        start = float(values[what] or 0)
        if not 0 < start < math.inf:
            start = 1.0
        _climb(
            measure,
            found,
            [_round(start * _RATIO**k) for k in (-1, 0, 1)],
            lambda v, way: _round(v * _RATIO**way),
        )
        best = _best(found)
        for way in (-0.5, 0.5):
            measure(_round(best * _RATIO**way))
    best = _best(found)
    return Tuned(what, best, found[best], tuple(sorted(found.items())))


def _climb(measure: Any, found: dict[float, float], start: Sequence[float], step: Any) -> None:
    """Measure a start, and then beyond its best end until the decibels fall."""
    for value in start:
        measure(value)
    for way in (-1, 1):
        while len(found) < _MOST:
            end = (min if way < 0 else max)(found)
            if _best(found) != end or step(end, way) <= 0:
                break
            measure(step(end, way))


def _best(found: Mapping[float, float]) -> float:
    return max(found, key=lambda value: found[value])


def _round(value: float) -> float:
    """Return a value in four digits, so that a grid can be read and typed again."""
    return float(f"{value:.4g}")
