"""The features of a layer, laid on the clip, and how alike they are.

Raw features compare positions of all frames, also where the network attends within a frame alone:
Caron et al. 2021 (DINO), arXiv 2104.14294; Amir et al. 2021, "Deep ViT Features as Dense Visual
Descriptors", arXiv 2112.05814, take the keys of an attention, all heads together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import Pairwise
from nlviz.clips.clip import Clip
from nlviz.clips.point import Shape
from nlviz.errors import NlvizError

MINUS_MEAN = "The mean feature of all cells of all frames was subtracted first."


@dataclass(frozen=True, eq=False, repr=False)
class FeatureMap:
    """The features of a layer on one clip.

    Attributes:
        name: of the layer.
        values: a vector for each cell, (channels, t, h, w).
        grid: where the cells lie in the clip.
        apart: vectors of tokens without a place, class token and registers, (tokens, channels).
        token_names: a name for each of them; where each frame has its own, frame after frame.
        clip: the clip, where known.
        note: a sentence on what a reader must know of these features, or empty.

    >>> values = torch.arange(30.0).reshape(5, 1, 2, 3) - 14
    >>> features = FeatureMap("layer", values, TokenGrid((1, 2, 3), (1, 8, 8)))
    >>> features
    FeatureMap(layer, 5 channels, 6 cells (1x2x3))
    >>> round(float(features.cosine().map(frame=0, y=0, x=16).weights[0, 0, 2]), 6)
    1.0
    """

    name: str
    values: Float[Tensor, "channels t h w"]
    grid: TokenGrid
    apart: Float[Tensor, "tokens channels"] | None = None
    token_names: tuple[str, ...] = ()
    clip: Clip | None = None
    note: str = ""

    def __post_init__(self) -> None:
        if tuple(self.values.shape[1:]) != tuple(self.grid.shape):
            raise NlvizError(
                "features are (channels, t, h, w) on a grid of these cells, got "
                f"{tuple(self.values.shape)} on {self.grid.shape}"
            )

    @property
    def clip_shape(self) -> Shape | None:
        """Frames, height and width of the clip, where known."""
        return None if self.clip is None else self.clip.shape

    @property
    def channels(self) -> int:
        """Number of channels."""
        return int(self.values.shape[0])

    @property
    def vectors(self) -> Float[Tensor, "cells channels"]:
        """The vectors of all cells of all frames, over t, then y, then x."""
        return self.values.flatten(1).mT

    def cosine(self, *, minus_mean: bool = False) -> EmbeddedAffinity:
        """Return how alike the features of every two cells are, over all frames: an affinity.

        A row is the cosine of the query's feature with that of every cell, in [-1, 1]: f itself
        with C = 1, which sums to nothing and shares nothing out. Tokens without a place can be
        asked for, ``map(token="cls")``; they are no keys. A feature of zeros is alike to nothing.

        Args:
            minus_mean: subtract the mean feature of all cells of all frames first, so that what
                all have in common does not count.

        >>> grid = TokenGrid((1, 1, 2))
        >>> vectors = torch.tensor([[3.0, 1.0], [1.0, 3.0]]).reshape(2, 1, 1, 2)
        >>> features = FeatureMap("layer", vectors, grid)
        >>> features.cosine().rows([0]), features.cosine(minus_mean=True).rows([0]).round()
        (tensor([[[1.0000, 0.6000]]]), tensor([[[ 1., -1.]]]))
        """
        x = self.vectors
        x = x if x.dtype == torch.float64 else x.float()
        apart = x.new_zeros(0, x.shape[1]) if self.apart is None else self.apart.to(x)
        notes = [self.note] if self.note else []
        if minus_mean:
            mean = x.mean(0, keepdim=True)
            x, apart = x - mean, apart - mean
            notes.append(MINUS_MEAN)
        phi = F.normalize(x, dim=-1)[None].contiguous()
        theta = phi
        if len(apart):
            theta = torch.cat([F.normalize(apart, dim=-1)[None], phi], 1)
        return EmbeddedAffinity(
            self.name,
            Pairwise("cosine"),
            theta,
            phi,
            replace(self.grid, prefix=len(apart)),
            replace(self.grid, prefix=0),
            clip_shape=self.clip_shape,
            note=" ".join(notes),
            token_names=self.token_names if len(apart) else (),
        )

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.grid.shape))
        return (
            f"FeatureMap({self.name}, {self.channels} channels, {self.grid.size} cells ({shape}))"
        )


def keys_as_features(
    affinity: EmbeddedAffinity,
    *,
    of: Literal["keys", "queries"] = "keys",
    head: int | None = None,
    clip: Clip | None = None,
) -> FeatureMap:
    """Return the keys, or the queries, of an attention as features: phi, or theta, of each cell.

    Args:
        affinity: of a block.
        of: which of the two.
        head: one head's alone; by default the channels of all heads side by side.
        clip: the clip that it was computed on, where features are to be drawn over it.

    Raises:
        NlvizError: when there is no such head, or the affinity has no vectors of such a kind.

    >>> phi = torch.randn(2, 6, 5)
    >>> grid = TokenGrid((1, 2, 3), (1, 8, 8))
    >>> attention = EmbeddedAffinity("layer", Pairwise("embedded_gaussian"), phi, phi, grid, grid)
    >>> keys_as_features(attention)
    FeatureMap(layer, keys, 10 channels, 6 cells (1x2x3))
    """
    if of not in ("keys", "queries"):
        raise NlvizError(f"features of an attention are its 'keys' or 'queries', got {of!r}")
    if not isinstance(affinity, EmbeddedAffinity) or affinity.pairwise.name == "concatenation":
        raise NlvizError(
            f"an affinity must hold a vector for each of its {of}, {affinity.name} "
            f"({affinity.pairwise.name}) holds none"
        )
    grid = affinity.keys if of == "keys" else affinity.queries
    x = affinity.phi if of == "keys" else affinity.theta
    if head is not None:
        if not 0 <= head < affinity.heads:
            raise NlvizError(f"head must be between 0 and {affinity.heads - 1}, got {head}")
        x = x[head : head + 1]
    vectors = x.permute(1, 0, 2).flatten(1)
    placed = vectors[grid.prefix :].mT.reshape(-1, *grid.shape)
    names = affinity.token_names
    own = "" if head is None else f", head {head}"
    return FeatureMap(
        f"{affinity.name}, {of}{own}",
        placed,
        replace(grid, prefix=0),
        vectors[: grid.prefix],
        names if len(names) == grid.prefix else (),
        clip,
    )
