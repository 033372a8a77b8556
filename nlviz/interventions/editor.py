"""Changes rows of one block where they multiply the values, and keeps what became of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from nlviz.affinity.base import CHUNK, Affinity
from nlviz.affinity.grid import TokenGrid
from nlviz.errors import NlvizError
from nlviz.interventions.change import RowChange, Rows
from nlviz.interventions.rows import BypassHeads, CutEdges, CutFrames
from nlviz.networks.attention.running import RunningProduct
from nlviz.networks.attention.sites import Group, Site, tokens_site

KEPT = 1 << 24  # numbers of rows, before and after, that are kept of a pass
CHECKED = 4  # queries whose rows are compared with those that are shown


@dataclass(frozen=True, eq=False)
class EditedRows:
    """What was changed of a block in a pass.

    Attributes:
        numbers: (n,) the queries, those without a place first.
        rows_before, rows: (heads, n, all_keys) as they multiplied the values, of all heads.
        y_before, y: (heads, n, dv) what they gathered.
    """

    numbers: Tensor
    rows_before: Float[Tensor, "heads n all_keys"]
    rows: Float[Tensor, "heads n all_keys"]
    y_before: Float[Tensor, "heads n dv"]
    y: Float[Tensor, "heads n dv"]


@dataclass(frozen=True)
class Look(RowChange):
    """Nothing is changed: rows of a few queries are looked at.

    Attributes:
        block: name of the block.
        queries: numbers of the queries.
        heads: None, for all.
    """

    block: str
    queries: tuple[int, ...]
    heads: tuple[int, ...] | None = None

    @property
    def said(self) -> str:
        """What is changed, as a clause."""
        return f"{self.block} stays as it is"

    def numbers(self, affinity: Affinity) -> Tensor:
        """Return the queries."""
        return torch.tensor(self.queries, dtype=torch.long)

    def changed(self, rows: Rows) -> Float[Tensor, "heads n columns"]:
        """Return the rows themselves."""
        return rows.weights


CUTS = (CutEdges, CutFrames, BypassHeads, Look)  # what may be done to summands of a row apart


@dataclass(eq=False)
class _Part:
    """Rows of some heads and queries, before and after; y follows where it is not known yet."""

    heads: Tensor
    numbers: Tensor
    before: Tensor
    after: Tensor
    y_before: Tensor | float = 0.0
    y: Tensor | float = 0.0


@dataclass(eq=False)
class _Waiting:
    """Rows that a softmax made for a product which is still to come.

    Attributes:
        number: of the product.
        group, rows: which of its rows they are, before those of a head begin.
        heads: of which heads.
        before, after: what they were and what they become, (heads, n, columns).
        kept: what is kept of them and of those beside them; None where nothing is.
    """

    number: int
    group: Group
    rows: Tensor
    heads: Tensor
    before: Tensor
    after: Tensor
    kept: _Part | None


@dataclass(eq=False)
class BlockEditor:
    """Changes rows of one block, whichever of its products passes by.

    Attributes:
        affinity: as it was read, whose grids numbers are of.
        changes: one after another.
        site: where the rows are computed; None where hooks of the family see the product, and its
            tokens are those of the affinity in their order.
        keep: whether rows and sums, before and after, are kept; never where they are too many.
        began: called when the first product passes by.
        passed: how many products passed by.

    Raises:
        NlvizError: when there are no such queries, keys or heads.
    """

    affinity: Affinity
    changes: Sequence[RowChange]
    site: Site | None
    keep: bool = True
    began: Callable[[], None] | None = None
    passed: int = 0
    _parts: list[_Part] = field(default_factory=list)
    _waiting: list[_Waiting] = field(default_factory=list)
    _before: tuple[int, int] = (0, 0)
    _made: bool = False  # whether a shared softmax passed by

    def __post_init__(self) -> None:
        self._asked = [change.numbers(self.affinity) for change in self.changes]
        queries, keys = (g.size + g.prefix for g in (self.affinity.queries, self.affinity.keys))
        rows = sum(queries if asked is None else len(asked) for asked in self._asked)
        self.keep = self.keep and self.affinity.heads * rows * keys <= KEPT
        for change in self.changes:
            count = self.affinity.heads
            if change.heads is not None and not all(0 <= h < count for h in change.heads):
                raise NlvizError(
                    f"heads of {change.block} are 0 to {count - 1}, got "
                    f"{', '.join(map(str, change.heads))}"
                )
            if self.site is not None and self.site.summed and not isinstance(change, CUTS):
                raise NlvizError(
                    f"rows of {change.block} are summed over windows that overlap, so nothing but "
                    "edges and heads can be cut; cut edges instead"
                )

    def edit(self, product: RunningProduct) -> None:
        """Change the rows of a product; it is the family's business that it is of this block."""
        site = self._begun(product)
        if site.shared:
            if not self._made:
                raise NlvizError(
                    f"rows of {self.affinity.name} are made by one softmax over several products, "
                    "whose axes cannot be told apart to change them; bypass the block instead"
                )
            with _in_full(product):
                self._summed_up(product)
            return
        for group in site.of(product.number, product.turn):
            found = [
                _rows_of(group, asked, site.stand_in) for asked in self._asked
            ]  # rows, and the queries that they are asked for as, of each change
            if any(len(rows) for rows, _ in found):
                with _in_full(product):
                    self._edit(product, group, found)

    def edit_shared(self, parts: Sequence[RunningProduct]) -> None:
        """Change rows that a softmax made for several products together, before these run.

        Args:
            parts: of each product its part of the rows, as what is written to.
        """
        site = self.site
        if site is None or not parts:
            return
        self._begun(parts[0])
        lanes = [[g for g in site.groups if g.number == part.number] for part in parts]
        if not all(lanes):
            return
        self._made = True
        held = [_held(own, self.affinity.queries) for own in lanes]
        every = torch.arange(self.affinity.queries.size + self.affinity.queries.prefix)
        wanted = [every if asked is None else asked for asked in self._asked]
        numbers = torch.unique(torch.cat(wanted)) if wanted else every[:0]
        at = torch.stack([group[numbers] for group, _ in held], 1)
        for which in torch.unique(at, dim=0):
            own = numbers[(at == which).all(1)]
            groups = [lane[int(g)] for lane, g in zip(lanes, which, strict=True)]
            rows = [row[own] for _, row in held]
            with _in_full(parts[0]):
                self._edit_shared(parts, groups, rows, own, wanted)

    def edited(self) -> EditedRows | None:
        """Return what was changed; None where it was too much to keep, or nothing."""
        if not self._parts:
            return None
        numbers = torch.unique(torch.cat([part.numbers for part in self._parts]))
        heads, n = self.affinity.heads, len(numbers)
        size = self._parts[0].before.shape[-1]
        dv = next((p.y.shape[-1] for p in self._parts if isinstance(p.y, Tensor)), 0)
        found = [torch.zeros(heads, n, d) for d in (size, size, dv, dv)]
        for part in self._parts:
            at = part.heads[:, None], torch.searchsorted(numbers, part.numbers)[None]
            for held, new in zip(
                found, (part.before, part.after, part.y_before, part.y), strict=True
            ):
                held[at] = held[at] + new  # several windows' rows, or one
        return EditedRows(numbers, *found)

    def _begun(self, product: RunningProduct) -> Site:
        if self.began is not None:
            self.began()
        site = self.site or self._site(product)
        if site.entries and site.entries != product.size[0]:
            raise NlvizError(
                f"{self.affinity.name} is of one of {site.entries} objects that the network found, "
                f"it found {product.size[0]} in this pass; change nothing that runs before"
            )
        self.passed += 1
        return site

    def _site(self, product: RunningProduct) -> Site:
        entries, queries, keys = product.size
        heads, first = self.affinity.heads, self._before
        batch = entries // heads
        self._before = (first[0] + batch * queries, first[1] + batch * keys)
        return tokens_site(heads, batch, queries, keys, before=first)

    def _edit(
        self, product: RunningProduct, group: Group, found: Sequence[tuple[Tensor, Tensor]]
    ) -> None:
        rows = torch.unique(torch.cat([rows for rows, _ in found]))
        heads = self._heads()
        columns = len(group.keys)
        for first in torch.unique(group.first[heads]).tolist():
            own = heads[group.first[heads] == first]
            entries = group.entries[own]
            values = product.values(entries)
            step = max(CHUNK // max(columns * len(own), 1), 1)
            for part in torch.split(rows, step):
                at = part + first
                before = product.weights(entries, at)
                after, names = self._changed(before, own, part, group, found)
                y_before = product.sums(entries, at) if self.keep else None
                mine = [i for i, h in enumerate(own.tolist()) if self._in(h)]
                if mine and after is not before:  # else all stays, also the sign of a zero
                    more = (after - before)[mine] @ values.to(before)[mine]
                    product.add(entries[mine], at, more)
                if y_before is not None:
                    y = product.sums(entries, at)
                    laid = (self._laid(before, group.keys), self._laid(after, group.keys))
                    sums = (y_before.float().cpu(), y.float().cpu())
                    self._parts.append(_Part(own, names, *laid, *sums))

    def _heads(self) -> Tensor:
        """Return the heads that are looked at: those that change, or all where rows are kept."""
        every = range(self.affinity.heads)
        return torch.tensor([h for h in every if self.keep or self._in(h)], dtype=torch.long)

    def _changed(
        self,
        before: Tensor,
        heads: Tensor,
        rows: Tensor,
        group: Group,
        found: Sequence[tuple[Tensor, Tensor]],
    ) -> tuple[Tensor, Tensor]:
        """Return rows after all changes, one after another, and which queries they are."""
        after, names = before, group.queries[rows].clone()
        for change, (own, asked) in zip(self.changes, found, strict=True):
            here = torch.isin(rows, own).nonzero()[:, 0]
            if not len(here):
                continue
            named = asked[torch.searchsorted(own, rows[here])]
            names[here] = named
            after = self._after(change, after, heads, here, named, group.keys)
        return after, names

    def _after(
        self,
        change: RowChange,
        rows: Tensor,
        heads: Tensor,
        here: Tensor,
        numbers: Tensor,
        keys: Tensor,
    ) -> Tensor:
        """Return rows with some of them changed, in the heads of the change."""
        own = (
            torch.arange(len(heads))
            if change.heads is None
            else torch.isin(heads, torch.tensor(change.heads)).nonzero()[:, 0]
        )
        if len(own) == len(heads) and len(here) == rows.shape[1]:
            return self._of_keys(change, Rows(rows, heads, numbers, keys, self.affinity))
        at = own[:, None].to(rows.device), here[None].to(rows.device)
        before = rows[at]
        after = self._of_keys(change, Rows(before, heads[own], numbers, keys, self.affinity))
        if after is before:
            return rows
        rows = rows.clone()
        rows[at] = after
        return rows

    def _of_keys(self, change: RowChange, rows: Rows) -> Tensor:
        """Return rows after a change; columns of one key change as the weight of that key does."""
        own, column = torch.unique(rows.keys, return_inverse=True)
        if isinstance(change, CUTS) or len(own[own >= 0]) == int((rows.keys >= 0).sum()):
            return change.changed(rows)
        weights = rows.weights
        column = column.to(weights.device)
        whole = weights.new_zeros(*weights.shape[:2], len(own)).index_add_(2, column, weights)
        after = change.changed(replace(rows, weights=whole, keys=own))[..., column]
        count = torch.bincount(column, minlength=len(own))[column]
        of_key = whole[..., column]
        return after * torch.where(of_key != 0, weights / of_key, 1 / count)

    def _edit_shared(
        self,
        parts: Sequence[RunningProduct],
        groups: Sequence[Group],
        rows: Sequence[Tensor],
        numbers: Tensor,
        wanted: Sequence[Tensor],
    ) -> None:
        heads = self._heads()
        keys = torch.cat([group.keys for group in groups])
        sizes = [len(group.keys) for group in groups]
        held = [
            torch.cat(  # heads may be among the rows, each beginning elsewhere
                [part.sums(group.entries[h : h + 1], own + group.first[h]) for h in heads.tolist()]
            )
            for part, group, own in zip(parts, groups, rows, strict=True)
        ]
        before = torch.cat(held, -1)
        before = before.to(torch.promote_types(before.dtype, torch.float32))
        after = before
        for change, asked in zip(self.changes, wanted, strict=True):
            here = torch.isin(numbers, asked).nonzero()[:, 0]
            if len(here):
                after = self._after(change, after, heads, here, numbers[here], keys)
        kept = None
        if self.keep:
            kept = _Part(heads, numbers, self._laid(before, keys), self._laid(after, keys))
            self._parts.append(kept)
        olds, news = (torch.split(x, sizes, -1) for x in (before, after))
        for part, group, own, old, new in zip(parts, groups, rows, olds, news, strict=True):
            self._waiting.append(_Waiting(part.number, group, own, heads, old, new, kept))

    def _summed_up(self, product: RunningProduct) -> None:
        """Add what rows that a shared softmax made gather in one of its products."""
        for item in [item for item in self._waiting if item.number == product.number]:
            self._waiting.remove(item)
            entries = item.group.entries[item.heads]
            values = product.values(entries).to(item.before)
            more = (item.after - item.before) @ values
            for i, (entry, head) in enumerate(zip(entries, item.heads.tolist(), strict=True)):
                if self._in(head):
                    at = item.rows + item.group.first[head]
                    product.add(entry[None], at, more[i : i + 1])
            if item.kept is not None:
                item.kept.y_before = (item.before @ values).cpu() + item.kept.y_before
                item.kept.y = (item.after @ values).cpu() + item.kept.y

    def _in(self, head: int) -> bool:
        """Check whether anything changes in a head."""
        return any(c.heads is None or head in c.heads for c in self.changes)

    def _laid(self, rows: Tensor, keys: Tensor) -> Tensor:
        """Return rows over columns as rows over all keys, those without a place first."""
        size = self.affinity.keys.size + self.affinity.keys.prefix
        if len(keys) == size and bool((keys == torch.arange(size)).all()):
            return rows.float().cpu()
        out = rows.new_zeros(*rows.shape[:-1], size + 1)
        at = keys.where(keys >= 0, size).to(rows.device).expand_as(rows)
        out.scatter_add_(-1, at, rows)
        return out[..., :size].float().cpu()


def _in_full(product: RunningProduct) -> AbstractContextManager[None]:
    """Return a context in which numbers are of the types that they have, also under autocast."""
    return torch.autocast(product.output.device.type, enabled=False)


def _rows_of(
    group: Group, numbers: Tensor | None, stand_in: Sequence[tuple[int, int]]
) -> tuple[Tensor, Tensor]:
    """Return the rows of a group that hold some queries, or any, and which queries these are.

    A query that a token stands for is in the row of that token, under its own number.
    """
    if numbers is None:
        rows = (group.queries >= 0).nonzero()[:, 0]
        return rows, group.queries[rows]
    wanted = dict.fromkeys(numbers.tolist())
    named = {token: number for number, token in stand_in if number in wanted}
    own = torch.tensor([*named, *wanted], dtype=torch.long)
    rows = torch.isin(group.queries, own).nonzero()[:, 0]
    queries = group.queries[rows]
    if named:
        queries = torch.tensor([q if q in wanted else named[q] for q in queries.tolist()])
    return rows, queries.long()


def _held(groups: Sequence[Group], grid: TokenGrid) -> tuple[Tensor, Tensor]:
    """Return which group holds each query, and in which row."""
    size = grid.size + grid.prefix
    found = torch.zeros(2, size, dtype=torch.long)
    for i, group in enumerate(groups):
        own = (group.queries >= 0).nonzero()[:, 0]
        found[0, group.queries[own]], found[1, group.queries[own]] = i, own
    return found[0], found[1]
