"""Keys that come before a query in a sequence, itself among them: causal attention.

A query at place n of the sequence reaches the keys at places up to n; with a window, the last of
them alone (Beltagy et al. 2020, arXiv 2004.05150).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.support import Counted, Ungrouped
from nlviz.errors import NlvizError
from nlviz.files.checked_json import Count


@dataclass(frozen=True)
class Causal(Ungrouped):
    """Each query reaches the keys that come before it in the sequence, and its own.

    Tokens without a place come first, among queries as among keys.

    Attributes:
        queries_at: place of each query in the sequence; empty where they stand in its order.
        keys_at: place of each key in the sequence, likewise.
        nearest: how many keys a query reaches at most; None for all before it.

    >>> line = TokenGrid((1, 1, 4))
    >>> Causal(nearest=2).mask(line, line, torch.tensor([0, 2])).int().tolist()
    [[1, 0, 0, 0], [0, 1, 1, 0]]
    """

    kind: ClassVar[str] = "causal"
    queries_at: tuple[Count, ...] = ()
    keys_at: tuple[Count, ...] = ()
    nearest: Counted | None = None

    def check(self, queries: TokenGrid, keys: TokenGrid) -> None:
        """Refuse places of other numbers of queries and of keys.

        Raises:
            NlvizError: when there are others.
        """
        for what, at, grid in (("query", self.queries_at, queries), ("key", self.keys_at, keys)):
            wanted = grid.size + grid.prefix
            if len(at) not in (0, wanted):
                raise NlvizError(
                    f"each {what} has its place in the sequence, {wanted} of them; got {len(at)}"
                )

    @cached_property
    def _given(self) -> tuple[Tensor, Tensor]:
        return torch.tensor(self.queries_at), torch.tensor(self.keys_at)

    def _at(self, grid: TokenGrid, which: int) -> Int[Tensor, " tokens"]:
        given = self._given[which]
        return given if len(given) else torch.arange(grid.size + grid.prefix)

    def _reach(
        self, of_queries: Int[Tensor, " n"], of_keys: Int[Tensor, " m"]
    ) -> Bool[Tensor, "n m"]:
        apart = of_queries[:, None] - of_keys[None]
        return (apart >= 0) if self.nearest is None else (apart >= 0) & (apart < self.nearest)

    def mask(self, queries: TokenGrid, keys: TokenGrid, indices: Tensor) -> Bool[Tensor, "n keys"]:
        """Return which keys these queries reach, those without a place aside."""
        return self.mask_all(queries, keys, indices)[:, keys.prefix :]

    def mask_all(
        self, queries: TokenGrid, keys: TokenGrid, indices: Tensor
    ) -> Bool[Tensor, "n all_keys"]:
        """Return which keys these queries reach, tokens without a place first."""
        asked = self._at(queries, 0)[indices.cpu() + queries.prefix]
        return self._reach(asked, self._at(keys, 1)).to(indices.device)

    def mask_apart(self, queries: TokenGrid, keys: TokenGrid) -> Bool[Tensor, "prefix all_keys"]:
        """Return which keys the queries without a place reach."""
        return self._reach(self._at(queries, 0)[: queries.prefix], self._at(keys, 1))

    def reaching(self, queries: TokenGrid, keys: TokenGrid, key: int) -> Bool[Tensor, " queries"]:
        """Return which queries reach one key."""
        own = self._at(keys, 1)[keys.prefix + key : keys.prefix + key + 1]
        return self._reach(self._at(queries, 0)[queries.prefix :], own)[:, 0]

    def counts(self, queries: TokenGrid, keys: TokenGrid) -> Int[Tensor, " queries"]:
        """Return how many keys each query reaches, tokens without a place included."""
        of_keys = self._at(keys, 1).sort().values
        asked = self._at(queries, 0)[queries.prefix :]
        most = torch.searchsorted(of_keys, asked, right=True)
        if self.nearest is None:
            return most
        return most - torch.searchsorted(of_keys, asked - self.nearest, right=True)

    def between_placed(self, queries: TokenGrid, keys: TokenGrid) -> Causal:
        """Return the support between the tokens that have a place."""
        if not queries.prefix and not keys.prefix:
            return self
        of_queries, of_keys = (
            tuple(self._at(grid, which)[grid.prefix :].tolist())
            for which, grid in enumerate((queries, keys))
        )
        return Causal(of_queries, of_keys, self.nearest)

    def sentence(self, keys: TokenGrid) -> str:
        """Return in a sentence what a query reaches."""
        if self.nearest is None:
            return "A query reaches itself and what comes before it."
        return f"A query reaches itself and up to {self.nearest - 1} tokens before it."

    def to_json(self) -> dict[str, Any]:
        """Return the support as JSON can hold it: its kind and its fields."""
        return {"kind": self.kind, **asdict(self)}
