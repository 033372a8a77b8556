"""The colour scale of a map, in multiples of uniform attention, and its numbers in words.

Where the scale ends is ``AttentionMap.top_of_scale``'s rule; what lies beyond is marked. A
logarithmic one ends at the strongest key, three decades above its lower end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from nlviz.affinity.attention_map import AttentionMap, round_up
from nlviz.errors import NlvizError
from nlviz.words.numbers import (
    multiple_text,
    number_text,
)

DECADES = 3  # of a logarithmic scale; the live view has the same
Unit = Literal["uniform", "absolute", "logit", "cosine"]
Weights = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ColourScale:
    """From weights to shares of the colour scale.

    Attributes:
        lo, hi: weights at the ends.
        uniform: weight of uniform attention.
        unit: of the numbers at the ends.
        most, least: extreme weights, the query's own cell aside.
        planes: own end for every frame of the key grid, or None for one scale over all.
        fixed: whether the end was given rather than found.
        floor: of a logarithmic scale the least weight that has a colour, else 0.
    """

    lo: float
    hi: float
    uniform: float
    unit: Unit
    most: float
    least: float
    planes: tuple[float, ...] | None = None
    fixed: bool = False
    floor: float = 0.0

    @property
    def diverging(self) -> bool:
        """Whether zero is the middle."""
        return self.lo < 0 and self.lo == -self.hi

    @property
    def clipped(self) -> bool:
        """Whether a key lies beyond the upper end."""
        return self.planes is None and self.most > self.hi * (1 + 1e-6)

    @property
    def clipped_below(self) -> bool:
        """Whether a key lies beyond the lower end."""
        return self.planes is None and self.least < self.lo - 1e-6 * abs(self.lo) - 1e-12

    @property
    def of_weights(self) -> bool:
        """Whether what is shown is shared out among keys, so that each frame has a share."""
        return self.unit in ("uniform", "absolute")

    def shares(self, weights: Weights, plane: int) -> Weights:
        """Return the weights of one frame of the key grid as shares, in [0, 1] or [-1, 1]."""
        if self.floor:
            sizes = np.maximum(np.abs(weights.astype(np.float64)), self.floor)
            shares = np.log(sizes / self.floor) / math.log(self.hi / self.floor)
            signed: Weights = (np.sign(weights) * shares.clip(0, 1)).astype(np.float32)
            return signed
        if self.planes is not None:
            return (weights / np.float32(self.planes[plane])).astype(np.float32)
        if self.diverging:
            return (weights / np.float32(self.hi)).astype(np.float32)
        return ((weights - self.lo) / (self.hi - self.lo)).astype(np.float32)

    def text(self, weight: float) -> str:
        """Return a weight in the scale's unit."""
        if weight == 0:
            return "0"
        if self.unit == "uniform":
            return multiple_text(weight / self.uniform)
        return number_text(weight)

    @property
    def _floor_text(self) -> str:
        if self.unit != "uniform":
            return number_text(self.floor)
        return f"{float(f'{self.floor / self.uniform:.2g}'):g}×"  # two digits, however small

    @property
    def title(self) -> str:
        """What the colour bar shows."""
        what = {
            "uniform": "Weight, × uniform attention",
            "absolute": "Weight",
            "logit": "Raw logit",
            "cosine": "Cosine similarity",
        }[self.unit]
        if self.planes is not None:
            return f"{what} · own scale per frame"
        if self.floor:
            return f"{what} · logarithmic"
        return f"{what} · scale locked" if self.fixed else what

    @property
    def ends(self) -> tuple[str, str]:
        """The labels of both ends, the clipped ones marked."""
        if self.planes is not None:
            return ("-" if self.lo < 0 else "0"), "each frame's strongest"
        if self.floor and not self.diverging:
            return f"≤{self._floor_text}", self.text(self.hi)
        below, above = "<" * self.clipped_below, ">" * self.clipped
        return below + self.text(self.lo), above + self.text(self.hi)

    @property
    def middle(self) -> str:
        """The label in the middle; empty where each frame has a scale of its own."""
        if self.planes is not None:
            return ""
        if not self.floor:
            return self.text((self.lo + self.hi) / 2)
        if self.diverging:
            return f"within ±{self._floor_text}"
        return self.text(math.sqrt(self.floor * self.hi))


def scale_of(
    attention: AttentionMap,
    *,
    top: float | None = None,
    per_frame: bool = False,
    logarithmic: bool = False,
    unit: Unit = "uniform",
) -> ColourScale:
    """Return the colour scale of a map.

    Args:
        attention: the map.
        top: end of the scale in multiples of uniform attention; None to find it.
        per_frame: whether every frame has its own scale.
        logarithmic: whether equal colours apart are equal factors, over three decades up to the
            strongest key; weights below, and 0, have no colour. Raw logits stay linear.
        unit: of the numbers at the ends; ``logit`` spans all values, and so does ``cosine``, which
            is taken for a map of similarities.

    Raises:
        NlvizError: when ``top`` is not above 0.

    >>> from nlviz.affinity.grid import TokenGrid
    >>> weights = np.full((1, 10, 30), 0.0025, np.float32)
    >>> weights[0, 5, 5] = 0.25
    >>> scale = scale_of(AttentionMap(weights, (0, 0, 0), TokenGrid((1, 10, 30))))
    >>> scale.ends
    ('0', '>5×')
    """
    if top is not None and not 0 < top < math.inf:
        raise NlvizError(f"the top of a colour scale must be above 0, got {top}; None finds it")
    keep = np.ones(attention.weights.shape, bool)
    if attention.reachable is not None:
        keep &= attention.reachable
    if attention.has_own:
        keep[np.unravel_index(attention.own, keep.shape)] = False
    others = attention.weights[keep].astype(np.float64)
    if attention.keys.line is not None and attention.off_weights is not None:
        others = np.append(others, attention.off_weights)  # words beside the picture
    most, least = (float(others.max()), float(others.min())) if others.size else (0.0, 0.0)
    uniform = attention.uniform
    if attention.values == "similarity":
        unit = "cosine"
    if unit in ("logit", "cosine"):
        lo, hi = (least, most) if most > least else (least, least + 1.0)
        if least < 0 < most:
            hi = max(-least, most)
            lo = -hi
        return ColourScale(lo, hi, uniform, unit, most, least)
    diverging = attention.signed and least < 0
    hi = attention.top_of_scale() if top is None else uniform * top
    floor, planes = 0.0, None
    if logarithmic:
        size = max(most, -least) if diverging else most
        hi = uniform * max(1.0 if attention.normalised else 0.0, round_up(size / uniform))
        floor = hi / 10**DECADES
    if per_frame:
        shown = np.where(keep, attention.weights, 0.0)
        planes = tuple(max(float((np.abs(p) if diverging else p).max()), 1e-30) for p in shown)
    return ColourScale(
        -hi if diverging else 0.0, hi, uniform, unit, most, least, planes, top is not None, floor
    )
