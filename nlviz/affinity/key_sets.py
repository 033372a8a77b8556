"""Any set of keys for any query: windows, shifted ones, grids of far cells, one place over time.

Queries that reach the same keys share one set, so a network's windows are as many sets as there
are windows; a set is the runs of keys that it holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.support import Ungrouped
from nlviz.errors import NlvizError
from nlviz.files.checked_json import Count

Runs = tuple[Count, ...]  # first key and number of keys, again and again


@dataclass(frozen=True)
class KeySets(Ungrouped):
    """Sets of keys; each query reaches the keys of one of them.

    Tokens without a place come first, among queries as among keys.

    Attributes:
        set_of: the set that each query reaches, those without a place first.
        runs: of each set, the first key of a run and how many keys it has, one run after another.
        said: what a query reaches, as a sentence.

    >>> line = TokenGrid((1, 1, 4))
    >>> pairs = KeySets.of(torch.tensor([0, 0, 1, 1]), torch.eye(2).repeat_interleave(2, 1) > 0)
    >>> pairs.runs, pairs.mask(line, line, torch.tensor([1, 2]))
    (((0, 2), (2, 2)), tensor([[ True,  True, False, False],
            [False, False,  True,  True]]))
    """

    kind: ClassVar[str] = "key_sets"
    set_of: tuple[Count, ...]
    runs: tuple[Runs, ...]
    said: str = ""

    @classmethod
    def of(
        cls, set_of: Int[Tensor, " queries"], reach: Bool[Tensor, "sets keys"], said: str = ""
    ) -> KeySets:
        """Return the sets that a table of sets and keys holds, those without a place first."""
        return cls(
            tuple(int(i) for i in set_of.tolist()),
            tuple(tuple(_runs(row)) for row in reach.cpu()),
            said,
        )

    def check(self, queries: TokenGrid, keys: TokenGrid) -> None:
        """Refuse other numbers of queries and of keys, and sets that are not there.

        Raises:
            NlvizError: when a query has no set, or a set reaches beyond the keys.
        """
        count, wanted = len(self.set_of), queries.size + queries.prefix
        if count != wanted or max(self.set_of, default=0) >= len(self.runs):
            raise NlvizError(
                f"each of {wanted} queries reaches one of {len(self.runs)} sets of keys, got "
                f"{count} queries"
            )
        most = keys.size + keys.prefix
        for runs in self.runs:
            if len(runs) % 2 or any(
                a + n > most for a, n in zip(runs[::2], runs[1::2], strict=True)
            ):
                raise NlvizError(f"sets of keys hold some of {most} keys, got runs {runs[:6]}")

    @cached_property
    def _sets(self) -> Int[Tensor, " queries"]:
        return torch.tensor(self.set_of)

    def _reach(self, keys: TokenGrid) -> Bool[Tensor, "sets all_keys"]:
        kept: dict[int, Tensor] = self.__dict__.setdefault("_tables", {})
        size = keys.size + keys.prefix
        if size not in kept:
            table = torch.zeros(len(self.runs), size, dtype=torch.bool)
            for row, runs in zip(table, self.runs, strict=True):
                for first, count in zip(runs[::2], runs[1::2], strict=True):
                    row[first : first + count] = True
            kept[size] = table
        return kept[size]

    def mask(self, queries: TokenGrid, keys: TokenGrid, indices: Tensor) -> Bool[Tensor, "n keys"]:
        """Return which keys these queries reach, those without a place aside."""
        return self.mask_all(queries, keys, indices)[:, keys.prefix :]

    def mask_all(
        self, queries: TokenGrid, keys: TokenGrid, indices: Tensor
    ) -> Bool[Tensor, "n all_keys"]:
        """Return which keys these queries reach, tokens without a place first."""
        sets = self._sets[indices.cpu() + queries.prefix]
        return self._reach(keys)[sets].to(indices.device)

    def mask_apart(self, queries: TokenGrid, keys: TokenGrid) -> Bool[Tensor, "prefix all_keys"]:
        """Return which keys the queries without a place reach."""
        return self._reach(keys)[self._sets[: queries.prefix]]

    def reaching(self, queries: TokenGrid, keys: TokenGrid, key: int) -> Bool[Tensor, " queries"]:
        """Return which queries reach one key."""
        return self._reach(keys)[:, keys.prefix + key][self._sets[queries.prefix :]]

    def counts(self, queries: TokenGrid, keys: TokenGrid) -> Int[Tensor, " queries"]:
        """Return how many keys each query reaches, tokens without a place included."""
        return self._reach(keys).sum(1)[self._sets[queries.prefix :]]

    def groups(self, queries: TokenGrid) -> Int[Tensor, " queries"]:
        """Return the set that each query reaches, numbered from 0 by its first query."""
        sets = self._sets[queries.prefix :]
        found: Tensor = torch.unique(sets, return_inverse=True)[1]
        return found

    def each(self, queries: TokenGrid, keys: TokenGrid) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the queries of each set that any has, and its keys, those without a place first."""
        of_query = self._sets[queries.prefix :]
        for reached in torch.unique(of_query).tolist():
            yield (of_query == reached).nonzero()[:, 0], self._reach(keys)[reached].nonzero()[:, 0]

    def between_placed(self, queries: TokenGrid, keys: TokenGrid) -> KeySets:
        """Return the support between the tokens that have a place."""
        if not queries.prefix and not keys.prefix:
            return self
        reach = self._reach(keys)[:, keys.prefix :]
        return KeySets.of(self._sets[queries.prefix :], reach, self.said)

    def sentence(self, keys: TokenGrid) -> str:
        """Return in a sentence what a query reaches."""
        return self.said

    def to_json(self) -> dict[str, Any]:
        """Return the support as JSON can hold it: its kind and its fields."""
        return {"kind": self.kind, **asdict(self)}


def _runs(row: Tensor) -> Iterable[int]:
    padded = torch.zeros(len(row) + 2, dtype=torch.int8)
    padded[1:-1] = row
    steps = padded.diff()
    first, behind = (steps == 1).nonzero()[:, 0], (steps == -1).nonzero()[:, 0]
    for a, b in zip(first.tolist(), behind.tolist(), strict=True):
        yield a
        yield b - a
