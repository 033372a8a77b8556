"""The row of a query by frames of the clip: which keys a frame shows, and their mass."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nlviz.affinity.attention_map import AttentionMap
from nlviz.affinity.grid import Axis, TokenGrid
from nlviz.affinity.token_boxes import TokenBoxes


def key_planes(grid: TokenGrid, frames: int) -> list[int]:
    """Return the frame of the key grid that each frame of the clip shows, or -1 for no frame.

    >>> key_planes(TokenGrid((2, 5, 7), (3, 8, 8), (1, 0, 0)), 7)
    [0, 0, 0, 1, 1, 1, -1]
    """
    axis, frame = grid.axes[0], np.arange(frames)
    plane = axis.nearest(frame, grid.shape[0])
    away = np.abs(frame - axis.centres(grid.shape[0])[plane])
    near = away <= 0.5 * max(axis.stride, 1) + 1e-6
    return [int(index) for index in np.where(near, plane, -1)]


def shown_frame(place: float, frames: int) -> int:
    """Return the frame of the clip that shows a token whose centre lies at this frame."""
    return int(Axis().nearest(place, frames))


def masses(attention: AttentionMap, frames: int) -> npt.NDArray[np.float64]:
    """Return the (frames,) share of the magnitude that lies in each frame of the clip.

    Frames that show the same frame of the key grid share its mass evenly. Of a row minus the mean
    row it is what a frame gains or loses, as a share of a whole row: signed, summing to 0.

    >>> grid = TokenGrid((2, 1, 3), (2, 8, 8), (0.5, 0, 0))
    >>> weights = np.array([[[1, 0, 0]], [[1, 1, 1]]], np.float32) / 4
    >>> masses(AttentionMap(weights, (0, 0, 0), grid), 4)
    array([0.125, 0.125, 0.375, 0.375])
    """
    if isinstance(attention.keys, TokenBoxes):
        return _masses_of_boxes(attention, attention.keys, frames)
    plane = attention.per_frame()
    if not attention.balanced:
        plane = np.abs(attention.weights).sum((1, 2), dtype=np.float64)
        plane = plane / max(float(plane.sum()), 1e-300)
    planes = key_planes(attention.keys, frames)
    return np.array([0.0 if a < 0 else plane[a] / planes.count(a) for a in planes])


def boxes_of(grid: TokenBoxes, frame: int, frames: int) -> list[int]:
    """Return the boxes that a frame of the clip shows, by number.

    >>> boxes_of(TokenBoxes.of([(0, 0, 0, 5, 5), (1, 0, 0, 5, 5), (0, 2, 2, 3, 3)]), 0, 2)
    [0, 2]
    """
    return [i for i, box in enumerate(grid.boxes) if shown_frame(box[0], frames) == frame]


def _masses_of_boxes(
    attention: AttentionMap, grid: TokenBoxes, frames: int
) -> npt.NDArray[np.float64]:
    weights = attention.weights.ravel().astype(np.float64)
    if not attention.balanced:
        weights = np.abs(weights)
        weights = weights / max(float(weights.sum()), 1e-300)
    return np.array([weights[boxes_of(grid, i, frames)].sum() for i in range(frames)])


def lengths(shares: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return how long the bars of ``masses`` are, in [0, 1].

    Gains and losses are small shares of a row; they are drawn as shares of all that changes.

    >>> lengths(np.array([0.25, 0.75])), lengths(np.array([0.02, -0.03, 0.01]))
    (array([0.25, 0.75]), array([0.33333333, 0.5       , 0.16666667]))
    """
    if not (shares < 0).any():
        return shares
    size: npt.NDArray[np.float64] = np.abs(shares) / np.abs(shares).sum()
    return size


def nothing_there(attention: AttentionMap, frame: int, frames: int) -> str | None:
    """Return why a frame of the clip shows no key, or None where it shows some."""
    if isinstance(attention.keys, TokenBoxes):
        here = boxes_of(attention.keys, frame, frames)
        seen = attention.reachable is None or bool(attention.reachable.ravel()[here].any())
        return None if here and seen else "not reachable" if here else "no boxes"
    plane = key_planes(attention.keys, frames)[frame]
    if plane < 0:
        return "no keys"
    if attention.reachable is None or attention.reachable[plane].any():
        return None
    own, _, _ = attention.keys.unravel(attention.own)
    return "left out" if plane == own else "not reachable"
