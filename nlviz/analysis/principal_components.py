"""Principal components of features as colours: what a layer tells apart, in three numbers a cell.

One basis for all cells of all frames, so that a colour means the same throughout a clip, and
throughout several clips that are given together. A component's sign is arbitrary; it is fixed here,
so that the same features have the same colours. Oquab et al. 2023 (DINOv2), arXiv 2304.07193,
figure 1, whose threshold on the first component is the option ``foreground``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from nlviz.affinity.feature_map import FeatureMap
from nlviz.errors import NlvizError

ENDS = 0.01  # share of the cells beyond each end of the range of a colour


@dataclass(frozen=True)
class Foreground:
    """Which cells a second basis is made of.

    Attributes:
        threshold: of the first component, whose least value is 0 and whose largest is 1.
        keep: the cells ``above`` it, or ``below``; which of the two is the foreground depends on
            the layer and the clip, so look at both.
    """

    threshold: float = 0.5
    keep: Literal["above", "below"] = "above"

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1 or self.keep not in ("above", "below"):
            raise NlvizError(
                "a foreground lies above or below a threshold between 0 and 1, got "
                f"{self.threshold}, {self.keep!r}"
            )


@dataclass(frozen=True, eq=False)
class PrincipalComponents:
    """Directions in which features vary most.

    Attributes:
        directions: unit vectors, the first that of most variance, (components, channels). Of each
            the entry of largest size is positive.
        mean: what is subtracted first, (channels,).
        shares: of the variance of the cells that each explains, (components,).
        low, high: ends of each component's range of colour, (components,): one per cent of the
            cells lie beyond each.
        unit_length: whether features are brought to unit length first.
        first: the basis that tells the foreground, or None.
        foreground: how it tells it.
    """

    directions: Float[Tensor, "components channels"]
    mean: Float[Tensor, " channels"]
    shares: Float[Tensor, " components"]
    low: Float[Tensor, " components"]
    high: Float[Tensor, " components"]
    unit_length: bool = False
    first: PrincipalComponents | None = None
    foreground: Foreground | None = None

    @property
    def explained(self) -> float:
        """Share of the variance that all of them explain together."""
        return float(self.shares.sum())

    def scores(self, features: FeatureMap) -> Float[Tensor, "components t h w"]:
        """Return the components of every cell.

        Raises:
            NlvizError: when features have another number of channels.
        """
        if features.channels != len(self.mean):
            raise NlvizError(
                f"features must have the {len(self.mean)} channels of the basis, {features.name} "
                f"has {features.channels}"
            )
        x = _vectors(features, self.unit_length) - self.mean
        return (x @ self.directions.mT).mT.reshape(-1, *features.grid.shape)

    def inside(self, features: FeatureMap) -> Bool[Tensor, "t h w"]:
        """Return which cells are foreground; all where none was asked for."""
        if self.first is None or self.foreground is None:
            return torch.ones(features.grid.shape, dtype=torch.bool)
        score = self.first.scores(features)[0]
        return _kept(score, self.first, self.foreground)

    def colours(self, features: FeatureMap) -> npt.NDArray[np.uint8]:
        """Return red, green and blue of every cell, (t, h, w, 3) uint8: the first three components.

        Where there are fewer than three, the rest is half; cells outside the foreground are black.
        """
        scores = self.scores(features)[:3]
        low, high = (each[:3].reshape(-1, 1, 1, 1) for each in (self.low, self.high))
        shares = ((scores - low) / (high - low).clamp(min=1e-30)).clamp(0, 1)
        # A component in which nothing varies is no more red than not.
        shares = shares.where(high - low > 1e-12 * self.high.abs().max(), 0.5)
        if len(shares) < 3:
            missing = torch.full_like(shares[:1], 0.5)
            shares = torch.cat([shares, missing.expand(3 - len(shares), *shares.shape[1:])])
        shares = shares * self.inside(features)
        found: npt.NDArray[np.uint8] = (
            (shares * 255).round().to(torch.uint8).permute(1, 2, 3, 0).cpu().numpy()
        )
        return found

    def __repr__(self) -> str:
        each = ", ".join(f"{100 * float(s):.0f} %" for s in self.shares)
        return f"PrincipalComponents({len(self.shares)} of {len(self.mean)} channels: {each})"


def principal_components(
    features: FeatureMap | Sequence[FeatureMap],
    n: int = 3,
    *,
    unit_length: bool = False,
    foreground: Foreground | None = None,
) -> PrincipalComponents:
    """Return the principal components of features, over all cells of all frames.

    Args:
        features: of a layer on a clip, or of one layer on several clips, which then have one basis.
        n: how many components.
        unit_length: bring each cell's feature to unit length first, as the cosine does.
        foreground: take the basis of these cells alone, which the first component of all tells.

    Raises:
        NlvizError: when there are fewer channels or cells than components, or unlike layers.

    >>> from nlviz.affinity.grid import TokenGrid
    >>> line = torch.arange(6.0).reshape(1, 1, 2, 3)
    >>> features = FeatureMap("layer", torch.cat([line, -2 * line]), TokenGrid((1, 2, 3)))
    >>> found = principal_components(features, 2)
    >>> found, found.colours(features)[0, 0, :, 0].tolist()
    (PrincipalComponents(2 of 2 channels: 100 %, 0 %), [255, 204, 153])
    """
    several = [features] if isinstance(features, FeatureMap) else list(features)
    if not several or len({each.channels for each in several}) != 1:
        raise NlvizError(
            "a basis is of features of one layer, all of as many channels; got "
            f"{', '.join(f'{each.name} ({each.channels})' for each in several) or 'none'}"
        )
    x = torch.cat([_vectors(each, unit_length) for each in several])
    if not 1 <= n <= min(x.shape):
        raise NlvizError(
            f"there are between 1 and {min(x.shape)} components of {x.shape[0]} cells with "
            f"{x.shape[1]} channels, got n={n}"
        )
    if not bool(x.isfinite().all()):
        raise NlvizError(
            f"features must be finite to have components, those of {several[0].name} are not"
        )
    whole = _basis(x, n, unit_length)
    if foreground is None:
        return whole
    first = _basis(x, 1, unit_length) if n != 1 else whole
    score = (x - first.mean) @ first.directions[0]
    kept = x[_kept(score, first, foreground)]
    if n > min(kept.shape):
        raise NlvizError(
            f"a foreground must hold {n} cells or more, {len(kept)} of {len(x)} lie "
            f"{foreground.keep} {foreground.threshold}; take another threshold"
        )
    found = _basis(kept, n, unit_length)
    return PrincipalComponents(
        found.directions,
        found.mean,
        found.shares,
        found.low,
        found.high,
        unit_length,
        first,
        foreground,
    )


def _vectors(features: FeatureMap, unit_length: bool) -> Tensor:
    x = features.vectors.cpu().double()  # not every device has double precision
    return F.normalize(x, dim=-1) if unit_length else x


def _basis(x: Tensor, n: int, unit_length: bool) -> PrincipalComponents:
    """Return the first components of vectors, (cells, channels) in double precision."""
    mean = x.mean(0)
    centred = x - mean
    cells, channels = x.shape
    if channels <= cells:
        size, vectors = torch.linalg.eigh(centred.mT @ centred)
        directions = vectors.flip(1)[:, :n].mT
    else:  # the same from the products of cells
        size, vectors = torch.linalg.eigh(centred @ centred.mT)
        directions = F.normalize((centred.mT @ vectors.flip(1)[:, :n]).mT, dim=-1)
    size = size.clamp(min=0)
    largest = directions.gather(1, directions.abs().argmax(1, keepdim=True))
    directions = directions * torch.where(largest < 0, -1.0, 1.0)
    scores = centred @ directions.mT
    ends = torch.tensor([ENDS, 1 - ENDS], dtype=x.dtype, device=x.device)
    low, high = _quantiles(scores, ends)
    total = size.sum().clamp(min=1e-300)
    shares = scores.square().sum(0) / total
    return PrincipalComponents(directions, mean, shares.clamp(0, 1), low, high, unit_length)


def _quantiles(scores: Tensor, ends: Tensor) -> tuple[Tensor, Tensor]:
    """Return the lower and upper ends of each column, (components,)."""
    ordered = scores.sort(0).values
    at = (ends * (len(ordered) - 1)).round().long()
    return ordered[at[0]], ordered[at[1]]


def _kept(score: Tensor, first: PrincipalComponents, foreground: Foreground) -> Tensor:
    low, high = first.low[0], first.high[0]
    share = (score - low) / (high - low).clamp(min=1e-30)
    above = share > foreground.threshold
    return above if foreground.keep == "above" else ~above
