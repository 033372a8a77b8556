"""Which keys a query may reach: all, those of its own frames, or those of a window around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Bool
from torch import Tensor

from nlviz.affinity.grid import TokenGrid
from nlviz.errors import NlvizError


@dataclass(frozen=True)
class Window:
    """Keys around a query, or around the block of queries that it belongs to.

    Attributes:
        rows, columns: cells that are reached above and below, left and right of the block.
        frames: frames that are reached before and after; None for all.
        block: side of the blocks in cells; queries of one block share their keys, 1 gives every
            query a window of its own.

    >>> Window(rows=1, columns=2).size
    (3, 5)
    """

    rows: int
    columns: int
    frames: int | None = None
    block: int = 1

    def __post_init__(self) -> None:
        sizes = (self.rows, self.columns, 0 if self.frames is None else self.frames)
        if min(sizes) < 0 or self.block < 1:
            raise NlvizError(
                "a window reaches 0 or more cells, around blocks of at least 1; got "
                f"rows={self.rows}, columns={self.columns}, frames={self.frames}, "
                f"block={self.block}"
            )

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the keys of one query, away from the border."""
        return self.block + 2 * self.rows, self.block + 2 * self.columns

    def spans(self, at: Tensor, *, of: int, axis: int) -> tuple[Tensor, Tensor]:
        """Return the first key that is reached and the one behind the last, along an axis.

        Args:
            at: places of queries along the axis.
            of: number of cells along the axis, where the window is cut off.
            axis: 0 is time, 1 rows, 2 columns.
        """
        far = (self.frames, self.rows, self.columns)[axis]
        block = self.block if axis else 1
        first = at.div(block, rounding_mode="floor") * block
        beyond = of if far is None else far
        return (first - beyond).clamp(min=0), (first + block + beyond).clamp(max=of)


@dataclass(frozen=True)
class Support:
    """Which keys a query may reach.

    Attributes:
        frames_per_group: groups of this many frames see only each other (long clips of the
            original code fold time so); None lets every query reach every key.
        own_prefix: whether tokens without a place belong to groups, too: every group has as many,
            in the groups' order, and its queries reach these alone (a transformer that sees a
            batch of frames has a class token for each). Otherwise every query reaches them all.
        window: the keys around each query that it reaches, where queries and keys are the same
            tokens; None for no such limit.
    """

    frames_per_group: int | None = None
    own_prefix: bool = False
    window: Window | None = None

    def __post_init__(self) -> None:
        if self.window is not None and self.frames_per_group is not None:
            raise NlvizError(
                "a support is a window or groups of frames, not both; got frames_per_group="
                f"{self.frames_per_group} and {self.window}"
            )

    def mask(
        self, queries: TokenGrid, keys: TokenGrid, indices: Tensor
    ) -> Bool[Tensor, "n keys"] | None:
        """Return which keys the queries reach, or None for all."""
        if self.window is not None:
            return _product([self._reached(keys, indices, axis) for axis in range(3)])
        if self.frames_per_group is None:
            return None
        of_keys = self._groups(keys, torch.arange(keys.size, device=indices.device), queries)
        return self._groups(queries, indices, queries)[:, None] == of_keys[None, :]

    def mask_all(
        self, queries: TokenGrid, keys: TokenGrid, indices: Tensor
    ) -> Bool[Tensor, "n all_keys"] | None:
        """Return which keys the queries reach, tokens without a place first, or None for all.

        >>> grid = TokenGrid((2, 1, 3), prefix=2)
        >>> Support(1, own_prefix=True).mask_all(grid, grid, torch.tensor([4]))
        tensor([[False,  True, False, False, False,  True,  True,  True]])
        """
        mask = self.mask(queries, keys, indices)
        if mask is None:
            return None
        before = torch.ones(len(indices), keys.prefix, dtype=torch.bool, device=mask.device)
        if self.own_prefix:
            group = torch.arange(keys.prefix, device=mask.device) // self.prefix_of_group(
                queries, keys
            )
            before = self._groups(queries, indices, queries)[:, None] == group[None, :]
        return torch.cat([before, mask], 1)

    def prefix_of_group(self, queries: TokenGrid, keys: TokenGrid) -> int:
        """Return how many keys without a place each query reaches."""
        if self.frames_per_group is None or not self.own_prefix:
            return keys.prefix
        return keys.prefix // -(-queries.shape[0] // self.frames_per_group)

    def reaching(
        self, queries: TokenGrid, keys: TokenGrid, key: int
    ) -> Bool[Tensor, " queries"] | None:
        """Return which queries reach one key, or None for all."""
        if self.window is not None:
            axes = []
            for axis, (place, of) in enumerate(zip(keys.unravel(key), queries.shape, strict=True)):
                low, high = self.window.spans(torch.arange(of), of=of, axis=axis)
                axes.append((low <= place) & (place < high))
            return _product([reached[None] for reached in axes])[0]
        if self.frames_per_group is None:
            return None
        of_key = self._groups(keys, torch.tensor([key]), queries)
        return self._groups(queries, torch.arange(queries.size), queries) == of_key

    def _reached(self, keys: TokenGrid, indices: Tensor, axis: int) -> Bool[Tensor, "n cells"]:
        """Return which cells of one axis each query reaches."""
        _, h, w = keys.shape
        places = (indices // (h * w), indices // w % h, indices % w)
        low, high = cast(Window, self.window).spans(places[axis], of=keys.shape[axis], axis=axis)
        cells = torch.arange(keys.shape[axis], device=indices.device)
        return (low[:, None] <= cells) & (cells < high[:, None])

    def _groups(self, grid: TokenGrid, indices: Tensor, queries: TokenGrid) -> Tensor:
        """Return the group of each token; frames are counted on the grid of the queries."""
        t, h, w = grid.shape
        return indices // (h * w) * queries.shape[0] // t // cast(int, self.frames_per_group)


ALL_KEYS = Support()


def _product(axes: Sequence[Tensor]) -> Bool[Tensor, "n keys"]:
    """Return which cells of a grid are in all of three masks of its axes, (n, cells) each."""
    t, y, x = axes
    return (t[:, :, None, None] & y[:, None, :, None] & x[:, None, None, :]).flatten(1)
