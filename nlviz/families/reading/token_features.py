"""What enters an attention, laid on the grid of the picture by where its tokens lie."""

from __future__ import annotations

import weakref

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from nlviz.clips.point import Shape
from nlviz.errors import NlvizError
from nlviz.families.reading.token_layout import lattice_coordinates
from nlviz.networks.places import Places


def token_features(
    name: str, x: Float[Tensor, "*batch tokens channels"], places: Places | None
) -> Float[Tensor, "channels t h w"]:
    """Return the features of tokens on their grid; tokens without a place are left out.

    Args:
        name: of the block that they enter.
        x: the features.
        places: of the tokens, in as many numbers as there are tokens in all batches together.

    Raises:
        NlvizError: when their places are not known, or fill no grid.

    >>> at = np.array([[np.nan, 1.5, 5.5], [np.nan, 5.5, 1.5]])
    >>> rows = np.zeros_like(at) + at * 0
    >>> frame = rows + np.array([[0], [1]])
    >>> x = torch.arange(6.0).reshape(2, 3, 1)
    >>> token_features("a", x, Places(frame, rows, at, rows)).tolist()
    [[[[1.0, 2.0]], [[5.0, 4.0]]]]
    """
    features = x.flatten(0, -2)
    if places is None or places.y.size != len(features):
        raise NlvizError(
            f"where the tokens lie that enter {name} must be known to lay their features on the "
            "picture, it is not"
        )
    if places not in _KNOWN:
        _KNOWN[places] = _cells(places)
    tokens, shape = _KNOWN[places]
    if tokens is None:
        raise NlvizError(
            f"features must fill a grid of the picture, those that enter {name} do not: "
            f"{int(places.placed.sum())} of {len(features)} tokens have a place"
        )
    return features[tokens.to(features.device)].mT.reshape(-1, *shape)


_KNOWN: weakref.WeakKeyDictionary[Places, tuple[Tensor | None, Shape]] = weakref.WeakKeyDictionary()


def _cells(places: Places) -> tuple[Tensor | None, Shape]:
    """Return the token of each cell of the grid, row by row; None where they fill none."""
    at = np.stack([places.t, places.y, places.x], -1).reshape(1, -1, 3)
    placed = ~np.isnan(at[..., 0])
    if not placed.any():
        return None, (0, 0, 0)
    coordinates, shape = lattice_coordinates(at, placed)
    cell = np.ravel_multi_index(tuple(coordinates[placed].T), shape)
    if not len(np.unique(cell)) == len(cell) == np.prod(shape):
        return None, shape
    token = np.empty(len(cell), np.int64)
    token[cell] = np.flatnonzero(placed[0])
    return torch.from_numpy(token), shape
