"""An affinity whose rows were changed where they multiply the values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from nlviz.affinity.base import Affinity, Indices
from nlviz.affinity.branches import Branches
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.support import Support
from nlviz.clips.point import Shape
from nlviz.interventions.change import RowChange, Rows


@dataclass(frozen=True, eq=False, repr=False)
class ChangedAffinity(Affinity):
    """Rows of an affinity after changes, as they multiplied the values.

    Attributes:
        own: the affinity as it was computed.
        changes: of its rows, one after another.
        name, pairwise, queries, keys, support, clip_shape, note, prefix_name, token_names,
            branches: as of ``Affinity``.
    """

    own: Affinity
    changes: tuple[RowChange, ...]
    name: str
    pairwise: Pairwise
    queries: TokenGrid
    keys: TokenGrid
    support: Support
    clip_shape: Shape | None = None
    note: str = ""
    prefix_name: str = "tokens without a place"
    token_names: tuple[str, ...] = ()
    branches: Branches | None = None

    @classmethod
    def of(cls, own: Affinity, changes: Sequence[RowChange]) -> ChangedAffinity:
        """Return an affinity after changes."""
        said = "; ".join(change.said for change in changes)
        return cls(
            own,
            tuple(changes),
            own.name,
            own.pairwise,
            own.queries,
            own.keys,
            own.support,
            own.clip_shape,
            f"{own.note} Changed: {said}.".strip(),
            own.prefix_name,
            own.token_names,
            own.branches,
        )

    @property
    def heads(self) -> int:
        """Number of heads."""
        return self.own.heads

    @property
    def device(self) -> torch.device:
        """Where rows are computed."""
        return self.own.device

    @property
    def distributes(self) -> bool:
        """Whether rows still sum to 1: not where heads are left out, or all of a row is cut."""
        if not self.own.distributes:
            return False
        rows = self.rows(self.evenly(16))
        return bool(((rows.sum(-1) - 1).abs() < 1e-3).all())

    def rows(self, indices: Indices) -> Float[Tensor, "heads n all_keys"]:
        """Return the changed rows of these queries, keys without a place first.

        Raises:
            OutsideClip: when an index is not on the grid.
        """
        index = self._indices(indices)
        return self._changed(self.own.rows(index), index.cpu() + self.queries.prefix)

    def token_rows(self, indices: Indices | None = None) -> Float[Tensor, "heads n all_keys"]:
        """Return the changed rows of queries without a place."""
        every = range(self.queries.prefix) if indices is None else indices
        index = torch.as_tensor(every, dtype=torch.long)
        return self._changed(self.own.token_rows(index), index)

    def _changed(self, rows: Tensor, numbers: Tensor) -> Tensor:
        keys = torch.arange(self.keys.size + self.keys.prefix)
        for change in self.changes:
            wanted = change.numbers(self.own)
            at = (
                torch.arange(len(numbers))
                if wanted is None
                else torch.isin(numbers, wanted).nonzero()[:, 0]
            )
            if not len(at):
                continue
            heads = torch.arange(self.heads) if change.heads is None else torch.tensor(change.heads)
            where = heads[:, None].to(rows.device), at[None].to(rows.device)
            rows = rows.clone()
            rows[where] = change.changed(Rows(rows[where], heads, numbers[at], keys, self.own))
        return rows
