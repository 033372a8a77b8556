"""Tokens that have no place in the picture, as a line: object queries, latents, class tokens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Whole = npt.NDArray[np.int64]
Array = npt.NDArray[np.float64]


class NoLayout(Exception):
    """Tokens that are no map of the picture; the message says why."""


@dataclass(frozen=True)
class Batch:
    """What the entries of a product are.

    Attributes:
        sizes: of the axes of its batch, as the network has them.
        heads: of the module that it ran in, where that says it; else 0.
    """

    sizes: tuple[int, ...]
    heads: int = 0

    def groups(self, entries: int, frames: int) -> Whole:
        """Return (groups, heads) numbers of entries: each group is a frame, or the whole clip.

        Frames are the axis of the batch that is as long as the clip; where there is one axis alone,
        a module that says how many heads it has tells them from frames.

        Args:
            entries: how many there are.
            frames: of the network's input.

        Raises:
            NoLayout: when frames cannot be told from heads.

        >>> Batch((3, 2)).groups(6, 3).tolist(), Batch((2,)).groups(2, 1).tolist()
        ([[0, 1], [2, 3], [4, 5]], [[0, 1]])
        """
        every = np.arange(entries)
        if len(self.sizes) > 1 and int(np.prod(self.sizes)) == entries:
            axis = next((i for i, n in enumerate(self.sizes) if n == frames), 0)
            return np.moveaxis(every.reshape(self.sizes), axis, 0).reshape(self.sizes[axis], -1)
        if self.heads and entries in (self.heads, self.heads * frames):
            return every.reshape(-1, self.heads)
        if frames == 1 or entries % frames:
            return every[None]
        if entries == frames:
            return every[:, None]
        raise NoLayout(
            f"which of its {entries} products are heads and which are the {frames} frames is not "
            "known, as none of its tokens has a place in the picture; give it one frame"
        )


def is_line(at: Array, boxes: int, *, least: int = 1) -> bool:
    """Check whether tokens are a line of their own.

    Args:
        at: (entries, tokens, 3) where they lie in the network's input; NaN for what has no place.
        boxes: number of boxes that the network was asked about.
        least: fewer tokens without a place are none.
    """
    tokens = at.shape[1]
    if np.isnan(at[..., 0]).all():
        return bool(tokens >= least or tokens == boxes)
    if tokens != boxes:
        return False
    return bool(tokens == 1) or not _fills_a_grid(at[0])


def of_frames(at: Array, frames: int) -> tuple[float, ...] | None:
    """Return the one frame of each group's tokens; None where they lie on several, or nowhere.

    Args:
        at: (groups, tokens, 3) where the tokens on the other side lie.
        frames: of the network's input.
    """
    found = []
    for group in at[..., 0]:
        own = np.unique(group[~np.isnan(group)].round(2))
        if len(own) != 1:
            return None
        found.append(float(own[0]))
    return tuple(found) if frames > 1 else None


def _fills_a_grid(at: Array) -> bool:
    """Check whether tokens (tokens, 3) are as many as the lines of a grid have crossings."""
    if np.isnan(at).any():
        return False
    lines = [len(np.unique(at[:, axis].round(2))) for axis in range(3)]
    return int(np.prod(lines)) == len(at)
