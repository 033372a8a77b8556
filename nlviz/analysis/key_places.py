"""Where queries and keys lie, as tensors: what distances and masses per frame are taken with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from nlviz.affinity.base import Affinity
from nlviz.affinity.grid import Centres, TokenGrid


@dataclass(frozen=True, eq=False)
class KeyPlaces:
    """Where the keys and the queries of an affinity lie, on the affinity's device.

    Attributes:
        cells: number of keys of a frame where all frames hold the same cells, one after the other;
            0 where they do not, as boxes.
        frames: (frames,) the frames that keys lie on, in sampled frames.
        frame_of: (keys,) number of the frame of each key.
        y, x: (keys,) centres of the keys, in pixels.
        own: (queries,) number of the frame of keys that is nearest to each query.
        asked_y, asked_x: (queries,) centres of the queries, in pixels.

    >>> import torch
    >>> from nlviz import EmbeddedAffinity, Pairwise, TokenGrid
    >>> fine = TokenGrid((2, 4, 6), (1, 8, 8), (0, 3.5, 3.5))
    >>> keys = fine.pooled((1, 2, 2))
    >>> theta, phi = torch.ones(1, 48, 3), torch.ones(1, 12, 3)
    >>> p = KeyPlaces.of(EmbeddedAffinity("b", Pairwise("gaussian"), theta, phi, fine, keys))
    >>> p.cells, p.frame_of.tolist(), p.distances(torch.tensor([0])).shape
    (6, [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1], torch.Size([1, 6]))
    """

    cells: int
    frames: Float[Tensor, " frames"]
    frame_of: Int[Tensor, " keys"]
    y: Float[Tensor, " keys"]
    x: Float[Tensor, " keys"]
    own: Int[Tensor, " queries"]
    asked_y: Float[Tensor, " queries"]
    asked_x: Float[Tensor, " queries"]

    @classmethod
    def of(cls, affinity: Affinity) -> KeyPlaces:
        """Return the places of an affinity's keys and queries."""
        keys, queries = affinity.keys, affinity.queries
        at, y, x = _flat(keys)
        asked_at, asked_y, asked_x = _flat(queries)
        if keys.kind == "boxes":
            frames, frame_of = np.unique(at, return_inverse=True)
        else:
            cells = keys.size // keys.shape[0]
            frames, frame_of = at[::cells], np.arange(keys.size) // cells
        if keys.kind == "grid":
            own = keys.axes[0].nearest(asked_at, keys.shape[0])
        else:
            own = np.abs(frames[None] - asked_at[:, None]).argmin(1)
        tensors = (
            torch.from_numpy(np.array(of)).to(affinity.device)
            for of in (frames, frame_of, y, x, own, asked_y, asked_x)
        )
        return cls(0 if keys.kind == "boxes" else keys.size // keys.shape[0], *tensors)

    def distances(
        self, queries: Int[Tensor, " n"], keys: Int[Tensor, " k"] | None = None
    ) -> Float[Tensor, "n cells"]:
        """Return the distance in pixels from queries to keys, frames apart.

        Args:
            queries: their numbers.
            keys: numbers of keys; None for those of one frame, or all where frames differ.
        """
        y, x = self.y, self.x
        if keys is not None:
            y, x = y[keys], x[keys]
        elif self.cells:
            y, x = y[: self.cells], x[: self.cells]
        down = self.asked_y[queries, None] - y
        across = self.asked_x[queries, None] - x
        return torch.hypot(down.float(), across.float())


def _flat(grid: TokenGrid) -> tuple[Centres, Centres, Centres]:
    """Return frame, y and x of the centre of every token, flat."""
    frame, y, x = (np.broadcast_to(of, grid.shape).ravel() for of in grid.centres())
    return frame, y, x
