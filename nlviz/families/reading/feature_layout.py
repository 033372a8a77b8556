"""The axes of what a layer computes: which are channels, and where its cells lie.

A layer's tensor may be (T, C, h, w), (1, C, t, h, w), (B, h, w, C), (B, tokens, C), (tokens, B, C),
windows times their tokens, or heads apart. Positions in place of values say which is which: along
the axes of channels all elements lie at one place, along all others they do not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from torch import Tensor

from nlviz.affinity.grid import Axis, TokenGrid
from nlviz.families.reading.prepared import Prepared
from nlviz.families.reading.token_layout import NoLayout, Side, cells_of
from nlviz.networks.places import SPREAD, Array

MIXED = (
    "Each cell is a mean over several places, as where branches are joined or places mixed with "
    "fixed weights: cells are evenly spread, in their order."
)
ALIKE = 1e-6  # of the picture: positions that differ by less are one


@dataclass(frozen=True, eq=False)
class FeatureLayout:
    """How a layer's tensor is laid on the picture.

    Attributes:
        channels: its axes of channels, in their order.
        rest: its other axes, those of frames first.
        side: where the elements along these lie.
        note: what a reader must know, or empty.
    """

    channels: tuple[int, ...]
    rest: tuple[int, ...]
    side: Side
    note: str = ""

    def laid_out(
        self, x: Tensor
    ) -> tuple[Float[Tensor, "channels t h w"], Float[Tensor, "tokens channels"]]:
        """Return the features of all cells, and those of the tokens that have no place.

        What lies beyond the picture, as padding does, is in neither.
        """
        axes = (*self.rest, *self.channels)
        vectors = x.permute(*axes, *(d for d in range(x.dim()) if d not in axes))
        count = int(np.prod([x.shape[d] for d in self.rest]))
        vectors = vectors.reshape(count, -1)
        cell, prefix = self.side.cell[0], self.side.prefix
        order = np.argsort(cell, kind="stable")
        placed = vectors[order[prefix:].tolist()]
        apart = [i for i in order[:prefix] if cell[i] not in self.side.padding]
        return placed.mT.reshape(-1, *self.side.shape), vectors[[int(i) for i in apart]]

    def grid(self, prepared: Prepared) -> TokenGrid:
        """Return where the cells lie in the clip."""
        found = self.side.grid(prepared)
        return TokenGrid(found.shape, found.stride, found.origin, 0, found.off)


def feature_layout(at: Array, shape: tuple[int, ...], size: tuple[int, int, int]) -> FeatureLayout:
    """Return how a tensor is laid on the picture.

    Args:
        at: frame, row and column of each element, and the pixels over which it is a mean,
            (*shape, 3 or 4), an axis of one place 1 long.
        shape: of the tensor.
        size: frames, rows and columns of the network's input.

    Raises:
        NoLayout: when it has no cells in the picture, or they lie on no grid.

    >>> at = np.stack(np.meshgrid(0, [1.5, 5.5], [1.5, 5.5, 9.5], indexing="ij"), -1)[:, None]
    >>> found = feature_layout(at, (1, 5, 2, 3), (1, 8, 12))
    >>> found.channels, found.side.shape
    ((1,), (1, 2, 3))
    """
    if np.isnan(at).all():
        raise NoLayout(
            "nothing that it computes has a place in the picture, as where it is a sum over all of "
            "it; take the module around it, or one before"
        )
    spread = float(np.nanmax(at[..., 3])) if at.shape[-1] > 3 else 0.0
    at = at[..., :3]
    apart = np.stack([_apart(at, d, size) for d in range(len(shape))])  # (axes, 3)
    widest = apart.max(1)
    long = [d for d, n in enumerate(shape) if n > 1]
    channels = [d for d in long if widest[d] <= ALIKE]
    note = ""
    if not channels and not any(shape[d] == 1 for d in {1, len(shape) - 1} if d < len(shape)):
        channels, note = _nearly_channels(widest, long, len(shape))
    rest = [d for d in long if d not in channels]
    if not rest and len(channels) > 1:
        raise NoLayout("all of its cells lie at one place, so they are no map of the picture")
    frames = [d for d in rest if apart[d, 0] > ALIKE and apart[d, 1:].max() <= ALIKE]
    rest = [*frames, *(d for d in rest if d not in frames)]
    gone = tuple(d for d in range(len(shape)) if d not in rest)
    of_rest = at.mean(gone, keepdims=True) if gone else at
    placed = np.moveaxis(of_rest, rest, range(len(rest))).reshape(-1, 3)
    side = cells_of(placed, size)
    if side.padding and not _covers(side, size):
        # Cells that lie half beside the picture, as the means of branches do, are no padding.
        side = cells_of(placed, size, all_of_them=True)
    t, h, w = side.shape
    if side.cells is not None and (h, w) != (1, 1):
        y, x = side.cells.y, side.cells.x
        if spread > SPREAD * max(abs(y.stride), abs(x.stride)):
            side, note = _spread_out(side, size), f"{note} {MIXED}".strip()
    if (h, w) == (1, 1):
        if t == 1:
            raise NoLayout("it computes one vector for the whole clip, so it has no cells")
        note = f"{note} It computes one vector for each frame: a cell is a whole frame.".strip()
    if side.padding:
        note = f"{note} Cells of padding, beyond the picture, are left out.".strip()
    return FeatureLayout(tuple(channels), tuple(rest), side, note)


def _covers(side: Side, size: tuple[int, int, int]) -> bool:
    """Check whether cells reach the lower and right border of the picture, to a cell."""
    if side.cells is None:
        return True
    axes = zip((side.cells.y, side.cells.x), side.shape[1:], size[1:], strict=True)
    return all(
        axis.origin + axis.stride * (count - 0.5) > length - 1 - axis.stride
        and axis.origin < 1.5 * axis.stride
        for axis, count, length in axes
    )


def _spread_out(side: Side, size: tuple[int, int, int]) -> Side:
    """Return the cells evenly spread over the picture; frames stay where they are."""
    assert side.cells is not None  # the caller saw to it
    y, x = (
        Axis(length / count, (length / count - 1) / 2)
        for length, count in zip(size[1:], side.shape[1:], strict=True)
    )
    return replace(side, cells=replace(side.cells, y=y, x=x))


def far_apart(at: Array, size: tuple[int, int, int]) -> bool:
    """Check whether elements lie at different places along their first axis: parts of the clip.

    >>> far_apart(np.zeros((3, 1, 4)), (2, 8, 12))
    False
    """
    return bool(_apart(at[..., :3], 0, size).max() > ALIKE)


def _apart(at: Array, dim: int, size: tuple[int, int, int]) -> Array:
    """Return how far elements lie apart along an axis, in frames, rows and columns of the input.

    As shares of their number; infinite along an axis where some have a place and others none.
    """
    there = ~np.isnan(at[..., 0])
    filled = np.where(there[..., None], at, np.nan)
    some = there.any(dim)
    if not some.any():
        return np.zeros(3)
    low = np.where(np.isnan(filled), np.inf, filled).min(dim)[some]
    high = np.where(np.isnan(filled), -np.inf, filled).max(dim)[some]
    found: Array = (high - low).max(0) / np.maximum(np.array(size), 1)
    if (some & ~there.all(dim)).any():
        found = np.maximum(found, [0, np.inf, np.inf])  # patches and a class token: no frames
    return found


def _nearly_channels(widest: Array, long: list[int], axes: int) -> tuple[list[int], str]:
    """Return the axis of channels whose places differ a little, as where branches are joined."""
    likely = [d for d in long if d in (1, axes - 1) and axes > 2]
    at = min(likely, key=lambda d: widest[d], default=None)
    others = [widest[d] for d in long if d != at]
    if at is None or not others or widest[at] > min(others) / 2:
        raise NoLayout(
            "none of its axes is one of channels: along each of them its elements lie at different "
            "places"
        )
    return [at], "Its channels look at slightly different places; a cell lies at their mean."
