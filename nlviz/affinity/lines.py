"""Keys on the lines through a query, along axes of the grid: criss-cross and axial attention.

CCNet, Huang et al. 2019 (arXiv 1811.11721): a query reaches its row and its column. With the axis
of time among them a query reaches its own place in all frames, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.support import Ungrouped
from nlviz.errors import NlvizError

AxisName = Literal["t", "y", "x"]
_AXES: tuple[AxisName, ...] = ("t", "y", "x")
_WORDS = {
    "t": "the keys of its own place in all {} frames",
    "y": "its column of {} keys",
    "x": "its row of {} keys",
}


@dataclass(frozen=True)
class Lines(Ungrouped):
    """Lines of keys through a query; queries and keys are the same tokens.

    Keys without a place are reached by all.

    Attributes:
        axes: along which lines run: ``t`` for the same place over time, ``y`` for the column, ``x``
            for the row, each once and in this order.

    >>> grid = TokenGrid((1, 2, 3))
    >>> Lines(("y", "x")).mask(grid, grid, torch.tensor([1])).view(2, 3)
    tensor([[ True,  True,  True],
            [False,  True, False]])
    """

    kind: ClassVar[str] = "lines"
    axes: tuple[AxisName, ...]

    def __post_init__(self) -> None:
        if not self.axes or self.axes != tuple(a for a in _AXES if a in self.axes):
            raise NlvizError(
                "lines run along some of the axes t, y and x, each once and in this order; got "
                f"{', '.join(self.axes) or 'none'}"
            )

    def check(self, queries: TokenGrid, keys: TokenGrid) -> None:
        """Refuse keys that are other tokens than the queries.

        Raises:
            NlvizError: when they are.
        """
        if queries.shape != keys.shape:
            raise NlvizError(
                "lines run through queries that are keys, too; got queries "
                f"{queries.shape} and keys {keys.shape}"
            )

    def mask(self, queries: TokenGrid, keys: TokenGrid, indices: Tensor) -> Bool[Tensor, "n keys"]:
        """Return which keys these queries reach: those that differ along one of the axes alone."""
        self.check(queries, keys)
        _, h, w = keys.shape
        at = indices // (h * w), indices // w % h, indices % w
        same = [
            torch.arange(n, device=indices.device) == place[:, None]
            for n, place in zip(keys.shape, at, strict=True)
        ]
        found = torch.zeros(len(indices), *keys.shape, dtype=torch.bool, device=indices.device)
        for axis in (_AXES.index(a) for a in self.axes):
            line = [torch.ones_like(s) if i == axis else s for i, s in enumerate(same)]
            t, y, x = line
            found |= t[:, :, None, None] & y[:, None, :, None] & x[:, None, None, :]
        return found.flatten(1)

    def reaching(self, queries: TokenGrid, keys: TokenGrid, key: int) -> Bool[Tensor, " queries"]:
        """Return which queries reach one key: those on the lines through it."""
        return self.mask(keys, queries, torch.tensor([key]))[0]

    def counts(self, queries: TokenGrid, keys: TokenGrid) -> Int[Tensor, " queries"]:
        """Return how many keys each query reaches, tokens without a place included."""
        self.check(queries, keys)
        others = sum(keys.shape[_AXES.index(a)] - 1 for a in self.axes)
        return torch.full((queries.size,), 1 + others + keys.prefix)

    def sentence(self, keys: TokenGrid) -> str:
        """Return in a sentence what a query reaches.

        >>> Lines(("y", "x")).sentence(TokenGrid((1, 5, 7)))
        'A query reaches its column of 5 keys and its row of 7 keys, itself once.'
        """
        lengths = {a: keys.shape[_AXES.index(a)] for a in self.axes}
        said = [_WORDS[a].format(n) for a, n in lengths.items()]
        once = ", itself once" if len(said) > 1 else ""
        return (
            f"A query reaches {', '.join(said[:-1])}{' and ' if said[1:] else ''}{said[-1]}{once}."
        )

    def to_json(self) -> dict[str, Any]:
        """Return the support as JSON can hold it: its kind and its axes."""
        return {"kind": self.kind, "axes": [*self.axes]}


def lines_of(cells: Int[Tensor, "queries keys"], keys: TokenGrid) -> Lines | None:
    """Return the lines that each query reaches, in the queries' order; None where it is no such.

    Args:
        cells: of each query the keys that it reaches, those without a place left out; -1 for none.
        keys: the grid of queries and keys.

    >>> lines_of(torch.tensor([[0, 1, -1], [1, -1, 0]]), TokenGrid((1, 1, 2)))
    Lines(axes=('x',))
    """
    there = cells >= 0
    count = there.sum(1)
    if len(cells) != keys.size or not len(cells) or bool((count != count[0]).any()):
        return None
    _, h, w = keys.shape
    own = torch.arange(keys.size)[:, None]
    apart = torch.stack(
        [
            cells // (h * w) != own // (h * w),
            cells // w % h != own // w % h,
            cells % w != own % w,
        ]
    )
    apart &= there
    if bool((apart.sum(0) > 1).any()):
        return None
    axes = tuple(a for a, n in zip(_AXES, apart.any(2).any(1).tolist(), strict=True) if n)
    ordered = cells.sort(1).values
    twice = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)
    if not axes or bool(twice.any()):
        return None
    found = Lines(axes)
    grid = TokenGrid(keys.shape)
    return found if int(found.counts(grid, grid)[0]) == int(count[0]) else None
