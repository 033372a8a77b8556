"""Puts changes of rows into a running pass: at the place where each row multiplies the values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from nlviz.affinity.asked import rows_at
from nlviz.affinity.base import CHUNK, Affinity
from nlviz.captures.capture import Capture
from nlviz.captures.model import Model
from nlviz.captures.sites import Group, Site, tokens_site
from nlviz.errors import NlvizError
from nlviz.interventions.change import PassChange, RowChange
from nlviz.networks.attention.running import RunningProduct
from nlviz.networks.attention.watch import WatchAttention, watched
from nlviz.networks.calls import RUN, block_and_run, run_name
from nlviz.networks.resumed import Prefix

KEPT = 1 << 24  # numbers of rows, before and after, that are kept of a pass
CHECKED = 4  # queries whose rows are compared with those that are shown
OFF = {torch.float64: 1e-4, torch.float32: 1e-3}  # of the largest weight; 3e-2 in half precision
OFF_IN_HALF = 3e-2


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


@dataclass(eq=False)
class BlockEditor:
    """Changes rows of one block, whichever of its products passes by.

    Attributes:
        affinity: as it was read, whose grids numbers are of.
        changes: one after another.
        site: where the rows are computed; None where hooks of the family see the product.
        keep: whether rows and sums, before and after, are kept.
        began: called when the first product passes by.
        parts: what was changed, product by product.
        passed: how many products passed by.
        check: whether rows as they ran are compared with those that are shown.
        error: their largest distance, of the largest weight.
    """

    affinity: Affinity
    changes: Sequence[RowChange]
    site: Site | None
    keep: bool = True
    began: Callable[[], None] | None = None
    parts: list[tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]] = field(default_factory=list)
    passed: int = 0
    error: float = 0.0
    check: bool = False

    def edit(self, product: RunningProduct) -> None:
        """Change the rows of a product; it is the family's business that it is of this block."""
        if self.began is not None:
            self.began()
        site = self.site or self._site(product)
        self.passed += 1
        for group in site.of(product.number):
            for change in self.changes:
                self._change(product, group, site, change)

    def _site(self, product: RunningProduct) -> Site:
        entries, queries, keys = product.size
        heads = self.affinity.heads
        return tokens_site(heads, entries // heads, queries, keys, part=self.passed)

    def _change(self, product: RunningProduct, group: Group, site: Site, change: RowChange) -> None:
        numbers = change.numbers(self.affinity)
        rows = _rows_of(group, numbers, site.stand_in)
        if not len(rows):
            return
        heads = torch.arange(len(group.entries))
        if change.heads is not None:
            if not all(0 <= h < len(heads) for h in change.heads):
                raise NlvizError(
                    f"heads of {change.block} are 0 to {len(heads) - 1}, got "
                    f"{', '.join(map(str, change.heads))}"
                )
            heads = torch.tensor(change.heads)
        columns = len(group.keys)
        for first in torch.unique(group.first[heads]).tolist():
            own = heads[group.first[heads] == first]
            entries = group.entries[own]
            values = product.values(entries)
            step = max(CHUNK // max(columns * len(own), 1), 1)
            for part in torch.split(rows, step):
                at = part + first
                before = product.weights(entries, at)
                queries = group.queries[part]
                after = change.changed(before, queries, group.keys, self.affinity)
                if self.check:
                    self._compare(before, own, queries, group.keys)
                y_before = product.sums(entries, at) if self.keep else None
                if after is not before:  # else all stays as it is, also the sign of a zero
                    product.add(entries, at, (after - before) @ values.to(before))
                if self.keep and y_before is not None:
                    y = product.sums(entries, at)
                    self._keep(own, queries, group.keys, before, after, y_before, y)

    def _compare(self, rows: Tensor, heads: Tensor, queries: Tensor, keys: Tensor) -> None:
        """Compare rows as they ran with those that are shown."""
        few = slice(0, CHECKED)
        shown = rows_at(self.affinity, queries[few])[heads.to(self.affinity.device)].cpu().float()
        ran = self._laid(rows[:, few], keys).float()
        off = float((shown - ran).abs().max() / shown.abs().max().clamp(min=1e-30))
        self.error = max(self.error, off)

    def _laid(self, rows: Tensor, keys: Tensor) -> Tensor:
        """Return rows over columns as rows over all keys, those without a place first."""
        size = self.affinity.keys.size + self.affinity.keys.prefix
        out = rows.new_zeros(*rows.shape[:-1], size + 1)
        at = keys.where(keys >= 0, size).to(rows.device).expand_as(rows)
        out.scatter_add_(-1, at, rows)
        return out[..., :size].cpu()

    def _keep(
        self,
        heads: Tensor,
        queries: Tensor,
        keys: Tensor,
        before: Tensor,
        after: Tensor,
        y_before: Tensor,
        y: Tensor,
    ) -> None:
        size = self.affinity.keys.size + self.affinity.keys.prefix
        if sum(p[2].numel() for p in self.parts) + len(heads) * len(queries) * size > KEPT:
            self.keep = False  # rows of a whole block are too many to hold
            self.parts.clear()
            return
        laid = (self._laid(before, keys), self._laid(after, keys))
        self.parts.append((heads, queries, *laid, y_before.float().cpu(), y.float().cpu()))

    def edited(self) -> EditedRows | None:
        """Return what was changed; None where it was too much to keep, or nothing."""
        if not self.parts:
            return None
        numbers = torch.unique(torch.cat([p[1] for p in self.parts]))
        place = {int(n): i for i, n in enumerate(numbers)}
        heads, n = self.affinity.heads, len(numbers)
        size, dv = self.parts[0][2].shape[-1], self.parts[0][4].shape[-1]
        rows = [torch.zeros(heads, n, size) for _ in range(2)]
        sums = [torch.zeros(heads, n, dv) for _ in range(2)]
        known = torch.zeros(heads, n, dtype=torch.bool)
        for own, queries, before, after, y_before, y in self.parts:
            at = torch.tensor([place[int(q)] for q in queries])
            fresh = ~known[own[:, None], at[None]]
            for held, new in ((rows[0], before), (sums[0], y_before)):
                old = held[own[:, None], at[None]]
                held[own[:, None], at[None]] = torch.where(fresh[..., None], new.float(), old)
            rows[1][own[:, None], at[None]] = after.float()
            sums[1][own[:, None], at[None]] = y
            known[own[:, None], at[None]] = True
        return EditedRows(numbers, rows[0], rows[1], sums[0], sums[1])


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
        return torch.tensor(self.queries)

    def changed(
        self,
        weights: Float[Tensor, "heads n columns"],
        numbers: Tensor,
        keys: Tensor,
        affinity: Affinity,
    ) -> Float[Tensor, "heads n columns"]:
        """Return the rows themselves."""
        return weights


def _rows_of(group: Group, numbers: Tensor | None, stand_in: Sequence[tuple[int, int]]) -> Tensor:
    """Return the rows of a group that hold some queries; of all, those that hold one."""
    if numbers is None:
        return (group.queries >= 0).nonzero()[:, 0]
    aliases = dict(stand_in)
    wanted = torch.tensor([aliases.get(int(n), int(n)) for n in numbers])
    return torch.isin(group.queries, wanted).nonzero()[:, 0]


@contextmanager
def editing(
    capture: Capture,
    model: Model,
    changes: Sequence[PassChange],
    *,
    editors: Mapping[str, BlockEditor],
    prefix: Prefix | None = None,
) -> Iterator[None]:
    """Put changes into the pass that runs inside the ``with`` block, in this thread.

    Args:
        capture: of the blocks as they are.
        model: whose network runs.
        changes: those that leave whole blocks out; rows are changed by the editors.
        editors: of rows, by the name of the block.
        prefix: of a pass that is kept or resumed; it is told how products are numbered.

    Raises:
        NlvizError: when rows of a block are not seen where they multiply the values.
    """
    net, adapter = model.net, model.adapter
    with ExitStack() as stack:
        for change in changes:
            if not isinstance(change, RowChange):
                stack.enter_context(change.acting(model))
        if editors and adapter.watches:
            by_number = {n: e for e in editors.values() for n in (e.site.numbers if e.site else ())}

            def edit(product: RunningProduct) -> None:
                editor = by_number.get(product.number)
                if editor is not None:
                    editor.edit(product)

            sites = [e.site for e in editors.values() if e.site is not None]
            keep = {block_and_run(site.module)[0] for site in sites}
            began = prefix.end if prefix is not None else None
            watch = WatchAttention(keep=keep, edit=edit, began=began)
            stack.enter_context(watched(net, watch=watch))
            if prefix is not None:
                prefix.order, prefix.counts = watch.numbering
        elif editors:
            several = {*capture.affinities, *capture.refused}
            for name, editor in editors.items():
                one = f"{name}{RUN}1" if run_name(name, 2) in several else name
                stack.enter_context(adapter.running(net, one, editor.affinity, editor.edit))
        yield


def editors_of(
    capture: Capture, model: Model, changes: Sequence[PassChange], *, keep: bool = True
) -> dict[str, BlockEditor]:
    """Return an editor for each block whose rows change, in forward order.

    Raises:
        UnknownBlock: when there is no such block.
        NlvizError: when there is no such query, or rows are not seen where they are used.
    """
    found: dict[str, list[RowChange]] = {}
    for change in changes:
        if isinstance(change, RowChange):
            change.numbers(capture.affinities[change.block])  # raises what is wrong with it
            found.setdefault(change.block, []).append(change)
    assert capture.source is not None
    sites = capture.source.sites
    editors = {}
    for name in [n for n in capture.affinities if n in found]:
        if model.adapter.watches and name not in sites:
            raise NlvizError(
                f"rows must be seen where they multiply the values to be changed, those of {name} "
                "are not; bypass the block instead"
            )
        editors[name] = BlockEditor(
            capture.affinities[name], found[name], sites.get(name), keep=keep
        )
    return editors


def tolerance(affinity: Affinity) -> float:
    """Return how far rows as they ran may be from rows as they are shown, of their largest."""
    held = getattr(affinity, "theta", None)
    return OFF.get(held.dtype, OFF_IN_HALF) if isinstance(held, Tensor) else OFF_IN_HALF
