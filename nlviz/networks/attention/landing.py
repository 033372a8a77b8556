"""Where what an attention computes goes: to the places that it is added to.

An attention's output has no place of its own where its queries have none: a layer made its weights,
or its queries were handed to every window. But the network adds it to something that has places.
On positions each number that an attention computes (a *slot*) is followed through whatever moves
it, as a mark that no mean of other marks can be, until it meets positions. ``fold`` sums several
slots into one cell; which, is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils._pytree import tree_leaves, tree_map

from nlviz.networks.attention.beside import Beside
from nlviz.networks.attention.contraction import PRODUCTS
from nlviz.networks.attention.tags import MOVED, SAME
from nlviz.networks.followed import NotFollowed, Placed
from nlviz.networks.followed_axes import one_row, thin

Array = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

_MEETS = frozenset(
    """add iadd radd sub isub rsub subtract mul imul rmul multiply div truediv lerp addcmul where
    maximum minimum""".split()
)
_STRUCTURE = MOVED | SAME | frozenset("getitem chunk split narrow select unbind roll flip".split())
_FOLD = ("input", "output_size", "kernel_size", "dilation", "padding", "stride")
_NEAR = 1e-12  # between a mark and what rounding makes of it


@dataclass(frozen=True, eq=False)
class Landed:
    """Where the slots of an attention go.

    Attributes:
        group: (entries,) entries of one group have the same slots: they are its heads.
        slots: (n,) slots, group times queries plus query.
        at: (n, 3) frame, row and column that each goes to; a slot may go to several places, and
            several to one, where they are summed. NaN where they met no positions.
        cells: (n,) the cell that each is summed in, or None where none are summed.
        between: what else was done to the slots before they were summed, or empty.
    """

    group: Whole
    slots: Whole
    at: Array
    cells: Whole | None = None
    between: str = ""


@dataclass(frozen=True, eq=False)
class Way:
    """How far an attention's slots were followed.

    Attributes:
        number: of the attention.
        marks: as the tensor that is followed, of marks.
        table: mark of each slot, or of each cell that they are summed in.
        sources: slots and the cells that they are summed in; None before that.
        between: what was done to the slots before that, or empty.
    """

    number: int
    marks: Tensor
    table: Array
    sources: tuple[Whole, Whole] | None = None
    between: str = ""


Seen = tuple[Way, Array, Array]


class Landings:
    """What is followed in one pass on positions.

    Attributes:
        groups: of each attention, by its number, the group of each entry; found where every pixel
            has a number of its own, and told to the other passes.
        shared: numbers of those whose queries several groups share.
        everywhere: numbers of those whose weights, of a layer, lie with the keys.
        same: of each attention the axes along which what met is the same in every pass.
        found: of each attention marks and positions that met first.
        summed: of those whose slots were summed, how.
        handed: numbers of those whose output another product hands on, with other weights.
    """

    def __init__(self, before: Landings | None = None) -> None:
        """Begin a pass.

        Args:
            before: another pass, in which every pixel had a number of its own; None for such a one.
        """
        self.first = before is None
        self.groups: dict[int, Whole] = {} if before is None else before.groups
        self.shared: set[int] = set() if before is None else before.shared
        self.everywhere: set[int] = set() if before is None else before.everywhere
        self.same: dict[int, list[int]] = {} if before is None else before.same
        self.found: dict[int, Seen] = {}
        self.summed: dict[int, Way] = {}
        self.handed: set[int] = set()
        self._ways: Beside[tuple[Way, ...]] = Beside()

    def __bool__(self) -> bool:
        return bool(self._ways)

    def begun(self, y: Any) -> bool:
        """Check whether a tensor is being followed already."""
        return self._ways.of(y) is not None

    def attended(
        self,
        number: int,
        q: Tensor,
        v: Tensor,
        laid: Callable[[Tensor], Tensor],
        output: Tensor,
        *,
        own: bool = False,
        spread: Tensor | None = None,
    ) -> Tensor:
        """Return where what an attention computed lies: where its queries lie, if that is known.

        Args:
            number: of the attention.
            q: (entries, queries) positions of its queries, or of its weights.
            v: (entries, keys, dv) positions of its values.
            laid: lays (entries, queries) out in the axes of the output.
            output: positions that it has without them.
            own: whether its weights come from no product of queries and keys.
            spread: (entries, queries, keys) positions of such weights: where they lie with the keys
                they are no query's, and what is summed with them is a mean over everywhere.
        """
        if not isinstance(v, Placed) or not isinstance(q, Placed):
            return output if own or not isinstance(output, Placed) else laid(q)
        self.group(number, q, v)
        if spread is not None and self.first and _differ(spread):
            self.everywhere.add(number)
        y = output if own or number in self.shared else laid(q)
        if number in self.everywhere:
            y = _nowhere(output)
        self.begin(number, q.shape[1], laid, y)
        return y

    def group(self, number: int, q: Tensor | None, v: Tensor) -> None:
        """Find which entries of an attention are heads of one group.

        Args:
            number: of the attention.
            q: (entries, queries) positions of its queries or its weights, or None.
            v: (entries, keys, dv) positions of its values.
        """
        if number in self.groups:
            return
        values = _rows(v)
        queries = _rows(q[..., None]) if q is not None else values[:, :0]
        both = np.concatenate([queries, values], 1)
        self.groups[number] = _numbers(both)
        several = int(self.groups[number].max(initial=0)) + 1
        if q is not None and int(_numbers(queries).max(initial=0)) + 1 < several:
            self.shared.add(number)

    def begin(self, number: int, queries: int, laid: Callable[[Tensor], Tensor], y: Tensor) -> None:
        """Follow what an attention computed.

        Args:
            number: of the attention.
            queries: how many each entry has.
            laid: lays (entries, queries) out in the axes of y.
            y: what it computed.
        """
        group = self.groups.get(number)
        if (
            group is None or y.as_subclass(Tensor).dtype != torch.float64
        ):  # of fewer digits, marks are not told apart
            return
        table = _table(number, (int(group.max(initial=0)) + 1) * queries)
        slots = group[:, None] * queries + np.arange(queries)
        marks = laid(torch.from_numpy(table[slots]).to(y.device)).as_subclass(Placed)
        self._ways.set(y, (Way(number, marks, table),))

    def follow(
        self,
        func: Callable[..., Any],
        name: str,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        output: Any,
    ) -> None:
        """Give what an operation returned the ways of what went in, or let them end there."""
        leaves = [x for x in tree_leaves((args, dict(kwargs))) if isinstance(x, Placed)]
        own = [ways for x in leaves if (ways := self._ways.of(x)) is not None]
        if not own:
            return
        others = [x for x in leaves if self._ways.of(x) is None and not x.of_pairs]
        if others and name in PRODUCTS:
            self.handed |= {way.number for ways in own for way in ways}
            return
        found: dict[int, list[Way]] = {}
        outputs = output if isinstance(output, (tuple, list)) else (output,)
        for way in (way for ways in own for way in ways):
            if others and name in _MEETS and isinstance(output, Tensor):
                if way.number in self.found:
                    continue
                met = self._met(way, leaves, others, output)
                if met is not None:
                    self.found[way.number] = met
                continue
            if name == "fold":
                moved: Any = _folded(way, args, kwargs)
                if moved is not None:
                    self.summed[way.number] = moved
            else:
                moved = self._moved(way, func, name, args, kwargs)
            several = moved if isinstance(moved, (tuple, list)) else (moved,)
            for i, (one, x) in enumerate(zip(several, outputs, strict=False)):
                if isinstance(one, Way) and isinstance(x, Tensor) and one.marks.shape == x.shape:
                    found.setdefault(i, []).append(one)
        for i, moving in found.items():
            self._ways.set(outputs[i], tuple(moving))

    def _marks(self, number: int, x: Any) -> Any:
        """Return the marks of an argument; nothing for positions that have none."""
        if not isinstance(x, Placed):
            return x
        for way in self._ways.of(x) or ():
            if way.number == number:
                return way.marks
        return (
            torch.zeros((), dtype=x.as_subclass(Tensor).dtype, device=x.device)
            .expand(x.shape)
            .as_subclass(Placed)
        )

    def _moved(
        self,
        way: Way,
        func: Callable[..., Any],
        name: str,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> Any:
        def own(x: Any) -> Any:
            return self._marks(way.number, x)

        try:
            moved = func(*tree_map(own, args), **tree_map(own, dict(kwargs)))
        except (NotFollowed, RuntimeError, TypeError, IndexError, ValueError):
            return None
        between = way.between
        if way.sources is None and name not in _STRUCTURE:
            between = between or name

        def on(x: Any) -> Any:
            return replace(way, marks=x, between=between) if isinstance(x, Tensor) else None

        return [on(x) for x in moved] if isinstance(moved, (tuple, list)) else on(moved)

    def _met(
        self, way: Way, leaves: list[Placed], others: list[Placed], output: Tensor
    ) -> Seen | None:
        whole = [x for x in others if x.numel() == output.numel()]
        if not whole:
            return None
        marks = next(
            w.marks for x in leaves for w in self._ways.of(x) or () if w.number == way.number
        )
        try:
            marks = marks.as_subclass(Tensor).expand(output.shape)
            places = whole[0].as_subclass(Tensor).expand(output.shape)
        except RuntimeError:
            return None
        same = self.same.setdefault(
            way.number,
            [d for d in range(marks.dim()) if one_row(marks, d) and one_row(places, d)],
        )
        own, met = (thin(x, same).reshape(-1).double().cpu().numpy() for x in (marks, places))
        return way, own, met


def _folded(way: Way, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Way | None:
    """Return the way behind ``F.fold``, which sums patches that overlap."""
    given: dict[str, Any] = {**dict(zip(_FOLD, args, strict=False)), **kwargs}
    size, kernel, dilation, padding, stride = (
        (given.get(n, d),) * 2 if isinstance(given.get(n, d), int) else tuple(given[n])
        for n, d in zip(_FOLD[1:], (0, 0, 1, 0, 1), strict=True)
    )
    marks = way.marks.as_subclass(Tensor)
    if way.sources is not None or marks.dim() != 3:
        return None
    items, _, patches = marks.shape
    pixels = kernel[0] * kernel[1]
    marks = marks.reshape(items, -1, pixels, patches)
    channels = marks.shape[1]
    if channels > 1 and not one_row(marks, 1):
        return None
    slots = _decoded(marks[:, 0].double().cpu().numpy(), way.table)
    cells = size[0] * size[1]
    picture = torch.arange(1.0, cells + 1, dtype=torch.float64).reshape(1, 1, *size)
    at = F.unfold(picture, kernel, dilation, padding, stride).long().numpy() - 1
    at = np.broadcast_to(at + cells * np.arange(items)[:, None, None], slots.shape)
    inside = np.broadcast_to(F.unfold(picture, kernel, dilation, padding, stride) > 0, slots.shape)
    kept = inside & (slots >= 0)
    table = _table(way.number + 1, items * cells)
    laid = torch.from_numpy(table).to(marks.device).reshape(items, 1, *size)
    return replace(
        way,
        marks=laid.expand(items, channels, *size).as_subclass(Placed),
        table=table,
        sources=(slots[kept], at[kept]),
    )


def landed(found: Mapping[str, Seen], group: Whole, summed: Way | None) -> Landed | None:
    """Return where the slots of an attention went, as the passes on positions say together.

    Args:
        found: by the name of a pass, what met in it; empty where nothing did.
        group: of each entry.
        summed: how slots were summed, or None.
    """
    if not found:
        if summed is None or summed.sources is None:
            return None
        slots, cells = summed.sources
        return Landed(group, slots, np.full((len(slots), 3), np.nan), cells, summed.between)
    way, marks, mass = found["mass"]
    cells = _decoded(marks, way.table)
    with np.errstate(divide="ignore", invalid="ignore"):
        there = np.where(np.abs(mass) > 1e-9, 1.0, np.nan) / mass
        at = np.stack([found[axis][2] * there for axis in "tyx"], -1)
    kept = (cells >= 0) & ~np.isnan(at).any(-1)
    if not kept.any():
        return None
    lines = np.unique(np.concatenate([cells[kept, None], at[kept].round(3) + 0.0], 1), axis=0)
    cells, at = lines[:, 0].astype(np.int64), lines[:, 1:]
    if way.sources is None:
        return Landed(group, cells, at)
    slots, summed_in = way.sources
    order = np.argsort(cells, kind="stable")
    first = np.searchsorted(cells[order], summed_in, "left")
    count = np.searchsorted(cells[order], summed_in, "right") - first
    each = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
    picked = order[np.repeat(first, count) + each]
    return Landed(
        group, np.repeat(slots, count), at[picked], np.repeat(summed_in, count), way.between
    )


def _table(number: int, count: int) -> Array:
    """Return marks: numbers of which no mean is another."""
    found: Array = np.random.default_rng(number + 1).uniform(1.0, 2.0, count)
    return found


def _decoded(marks: Array, table: Array) -> Whole:
    """Return whose mark each number is; -1 for none."""
    order = np.argsort(table)
    ranked = table[order]
    place = np.searchsorted(ranked, marks - _NEAR).clip(0, len(table) - 1)
    return np.where(np.abs(ranked[place] - marks) <= _NEAR, order[place], -1)


def _rows(x: Tensor) -> Array:
    """Return the mean over channels of (entries, tokens, channels), rounded."""
    x = x.as_subclass(Tensor)
    x = thin(x, [2]) if x.shape[-1] == 1 or x.stride(-1) == 0 else x.mean(-1, keepdim=True)
    found: Array = x[..., 0].double().cpu().numpy().round(6) + 0.0
    return found


def _nowhere(x: Tensor) -> Placed:
    """Return what has no place, of the shape of a tensor, as a mean over everywhere."""
    nothing = torch.zeros((), dtype=x.as_subclass(Tensor).dtype, device=x.device)
    found = nothing.expand(x.shape).as_subclass(Placed)
    found.of_pairs = True
    return found


def _differ(x: Tensor) -> bool:
    """Check whether positions differ along the last axis."""
    x = x.as_subclass(Tensor)
    return bool((x.amax(-1) - x.amin(-1)).max() > 1e-6)


def _numbers(rows: Array) -> Whole:
    """Return a number for each row, the same for equal ones, in the order in which they come."""
    known: dict[bytes, int] = {}
    return np.array([known.setdefault(row.tobytes(), len(known)) for row in rows], np.int64)
