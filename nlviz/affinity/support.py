"""Which keys a query may reach: all, those of its group of frames, those of a window around it.

Each kind is a small frozen class. It says what it is as a mask for any queries, for one key, in
counts, as JSON and in a sentence; ``web/live_view/pure/support.js`` is the same in the browser, and
one test compares all of them cell by cell.
"""

from __future__ import annotations

from abc import ABCMeta
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, cast

import torch
from jaxtyping import Bool, Int
from msgspec import Meta
from torch import Tensor

from nlviz.affinity.grid import TokenGrid
from nlviz.errors import NlvizError
from nlviz.files.checked_json import HUGE, Count, checked

Counted = Annotated[int, Meta(ge=1, le=HUGE)]


class _OfKinds(ABCMeta):
    """Makes ``Support(...)`` return one of its kinds."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls is Support:
            return _kind_for(*args, **kwargs)
        return super().__call__(*args, **kwargs)


class Support(metaclass=_OfKinds):
    """Which keys a query may reach; the base of all kinds.

    ``Support(frames_per_group=None, own_prefix=False, window=None)`` is a factory: it returns
    ``Everything()``, ``FrameGroups(frames_per_group, own_prefix)`` or the ``window``. What this
    class says holds where nothing is out of reach; kinds override what they limit.

    Raises:
        NlvizError: for a window together with groups of frames.

    >>> Support(), Support(frames_per_group=2), Support(window=Window(rows=1, columns=2)).size
    (Everything(), FrameGroups(frames_per_group=2, own_prefix=False), (3, 5))
    """

    kind: ClassVar[str]
    frames_per_group: int | None
    own_prefix: bool
    _kinds: ClassVar[dict[str, type[Support]]] = {}

    def __init_subclass__(cls) -> None:
        if "kind" in cls.__dict__:
            Support._kinds[cls.kind] = cls

    if TYPE_CHECKING:  # what the factory takes

        def __init__(
            self,
            frames_per_group: int | None = None,
            own_prefix: bool = False,
            window: Window | None = None,
        ) -> None: ...

    @property
    def window(self) -> Window | None:
        """The window around each query, where this support is one."""
        return None

    def check(self, queries: TokenGrid, keys: TokenGrid) -> None:
        """Refuse grids that this support cannot stand between.

        Raises:
            NlvizError: when grids do not fit; the sentence says which rule they break.
        """

    def mask(
        self, queries: TokenGrid, keys: TokenGrid, indices: Tensor
    ) -> Bool[Tensor, "n keys"] | None:
        """Return which keys these queries reach, or None for all.

        Args:
            queries: where the queries lie.
            keys: where the keys lie; tokens without a place are not among the columns.
            indices: (n,) flat indices on the grid of the queries.
        """
        return None

    def mask_all(
        self, queries: TokenGrid, keys: TokenGrid, indices: Tensor
    ) -> Bool[Tensor, "n all_keys"] | None:
        """Return which keys these queries reach, tokens without a place first, or None for all.

        >>> grid = TokenGrid((2, 1, 3), prefix=2)
        >>> Support(1, own_prefix=True).mask_all(grid, grid, torch.tensor([4]))
        tensor([[False,  True, False, False, False,  True,  True,  True]])
        """
        mask = self.mask(queries, keys, indices)
        if mask is None:
            return None
        return torch.cat([self._prefix_mask(queries, keys, indices), mask], 1)

    def reaching(
        self, queries: TokenGrid, keys: TokenGrid, key: int
    ) -> Bool[Tensor, " queries"] | None:
        """Return which queries reach one key, or None for all."""
        return None

    def counts(self, queries: TokenGrid, keys: TokenGrid) -> Int[Tensor, " queries"]:
        """Return how many keys each query reaches, tokens without a place included.

        >>> Window(rows=1, columns=0).counts(TokenGrid((1, 3, 2)), TokenGrid((1, 3, 2))).tolist()
        [2, 2, 3, 3, 2, 2]
        """
        return torch.full((queries.size,), keys.size + keys.prefix)

    def groups(self, queries: TokenGrid) -> Int[Tensor, " queries"]:
        """Return the group that each query is compared within, from 0: one for all, or its own."""
        return torch.zeros(queries.size, dtype=torch.long)

    def with_own_prefix(self) -> Support:
        """Return the support whose groups, where it has such, have tokens without a place each."""
        return self

    def between_placed(self, queries: TokenGrid, keys: TokenGrid) -> Support:
        """Return the support between the tokens that have a place."""
        return self

    def mask_apart(
        self, queries: TokenGrid, keys: TokenGrid
    ) -> Bool[Tensor, "prefix all_keys"] | None:
        """Return which keys the queries without a place reach, such keys first; None for all."""
        return None

    def sentence(self, keys: TokenGrid) -> str:
        """Return in a sentence what a query reaches; empty where that is every key."""
        return ""

    def to_json(self) -> dict[str, Any]:
        """Return the support as JSON can hold it: its kind and its fields."""
        return {"kind": self.kind}

    @staticmethod
    def from_json(told: Mapping[str, Any]) -> Support:
        """Return the support that ``to_json`` wrote.

        Raises:
            NlvizError: for another kind, or a field that breaks its rule.

        >>> Support.from_json({"kind": "frame_groups", "frames_per_group": 0, "own_prefix": False})
        Traceback (most recent call last):
        nlviz.errors.NlvizError: a support's frames_per_group must be a whole number from 1, got 0
        """
        kind = Support._kinds.get(str(told.get("kind")))
        if kind is None:
            got = str(told.get("kind"))[:40]
            raise NlvizError(f"a support is one of {', '.join(Support._kinds)}, got {got!r}")
        given = {k: v for k, v in told.items() if k != "kind"}
        if unknown := given.keys() - {f.name for f in fields(cast(Any, kind))}:
            raise NlvizError(f"a support of kind {kind.kind} has no field {min(unknown)!r}")
        return checked(given, kind, of="a support's")

    def _prefix_mask(
        self, queries: TokenGrid, keys: TokenGrid, indices: Tensor
    ) -> Bool[Tensor, "n prefix"]:
        return torch.ones(len(indices), keys.prefix, dtype=torch.bool, device=indices.device)


class Ungrouped(Support):
    """What kinds without groups of frames have in the place of groups."""

    frames_per_group: int | None = None
    own_prefix: bool = False


@dataclass(frozen=True)
class Everything(Ungrouped):
    """Every query reaches every key.

    >>> Everything().mask(TokenGrid((1, 2, 3)), TokenGrid((1, 2, 3)), torch.tensor([0])) is None
    True
    """

    kind: ClassVar[str] = "all"


@dataclass(frozen=True)
class FrameGroups(Support):
    """Groups of frames that see only each other, as codes do that fold time into the batch.

    Keys may have fewer frames than the queries, where they are pooled in time: a frame of keys
    belongs to the group that the queries at its beginning belong to.

    Attributes:
        frames_per_group: frames of the queries in each group; the last may have fewer.
        own_prefix: whether tokens without a place belong to groups, too: every group has as many,
            in the groups' order, and its queries reach these alone (a transformer that sees a
            batch of frames has a class token for each). Otherwise every query reaches them all.

    >>> grid = TokenGrid((3, 1, 2))
    >>> FrameGroups(2).mask(grid, grid, torch.tensor([5]))
    tensor([[False, False, False, False,  True,  True]])
    """

    kind: ClassVar[str] = "frame_groups"
    frames_per_group: Counted
    own_prefix: bool = False

    def __post_init__(self) -> None:
        if self.frames_per_group < 1:
            raise NlvizError(
                f"a group has frames_per_group from 1, got {self.frames_per_group}; None or "
                "Everything() lets every query reach every key"
            )

    def check(self, queries: TokenGrid, keys: TokenGrid) -> None:
        """Refuse keys without a place that the groups cannot share evenly.

        Raises:
            NlvizError: when they cannot.
        """
        groups = -(-queries.shape[0] // self.frames_per_group)
        if self.own_prefix and keys.prefix % groups:
            raise NlvizError(
                f"{groups} groups of frames share tokens without a place evenly, "
                f"got {keys.prefix} of them"
            )

    def mask(self, queries: TokenGrid, keys: TokenGrid, indices: Tensor) -> Bool[Tensor, "n keys"]:
        """Return which keys these queries reach: those of their group."""
        of_keys = self._groups(keys, torch.arange(keys.size, device=indices.device), queries)
        return self._groups(queries, indices, queries)[:, None] == of_keys[None, :]

    def reaching(self, queries: TokenGrid, keys: TokenGrid, key: int) -> Bool[Tensor, " queries"]:
        """Return which queries reach one key: those of its group."""
        return self.groups(queries) == self._groups(keys, torch.tensor([key]), queries)

    def counts(self, queries: TokenGrid, keys: TokenGrid) -> Int[Tensor, " queries"]:
        """Return how many keys each query reaches, tokens without a place included."""
        of_queries = self.groups(queries)
        of_keys = self._groups(keys, torch.arange(keys.size), queries)
        most = int(of_queries[-1]) + 1
        apart = keys.prefix // most if self.own_prefix else keys.prefix
        return of_keys.bincount(minlength=most)[of_queries] + apart

    def groups(self, queries: TokenGrid) -> Int[Tensor, " queries"]:
        """Return the group of frames that each query belongs to, from 0."""
        return self._groups(queries, torch.arange(queries.size), queries)

    def with_own_prefix(self) -> FrameGroups:
        """Return the support whose groups have tokens without a place each."""
        return replace(self, own_prefix=True)

    def between_placed(self, queries: TokenGrid, keys: TokenGrid) -> FrameGroups:
        """Return the support between the tokens that have a place."""
        return replace(self, own_prefix=False)

    def mask_apart(
        self, queries: TokenGrid, keys: TokenGrid
    ) -> Bool[Tensor, "prefix all_keys"] | None:
        """Return which keys the queries without a place reach, such keys first; None for all.

        >>> grid = TokenGrid((2, 1, 2), prefix=2)
        >>> FrameGroups(1, own_prefix=True).mask_apart(grid, grid)
        tensor([[ True, False,  True,  True, False, False],
                [False,  True, False, False,  True,  True]])
        """
        if not self.own_prefix or not queries.prefix:
            return None
        groups = -(-queries.shape[0] // self.frames_per_group)
        group = torch.arange(queries.prefix) * groups // queries.prefix
        apart = torch.arange(keys.prefix) * groups // max(keys.prefix, 1)
        of_keys = torch.cat([apart, self._groups(keys, torch.arange(keys.size), queries)])
        return group[:, None] == of_keys[None, :]

    def sentence(self, keys: TokenGrid) -> str:
        """Return in a sentence what a query reaches."""
        if self.frames_per_group == 1:
            return "A query reaches the keys of its own frame alone."
        return f"Groups of {self.frames_per_group} frames see only each other."

    def to_json(self) -> dict[str, Any]:
        """Return the support as JSON can hold it: its kind and its fields."""
        return {"kind": self.kind, **asdict(self)}

    def _prefix_mask(
        self, queries: TokenGrid, keys: TokenGrid, indices: Tensor
    ) -> Bool[Tensor, "n prefix"]:
        if not self.own_prefix:
            return super()._prefix_mask(queries, keys, indices)
        each = keys.prefix // -(-queries.shape[0] // self.frames_per_group)
        group = torch.arange(keys.prefix, device=indices.device) // max(each, 1)
        return self._groups(queries, indices, queries)[:, None] == group[None, :]

    def _groups(self, grid: TokenGrid, indices: Tensor, queries: TokenGrid) -> Tensor:
        """Return the group of each token; frames are counted on the grid of the queries."""
        t, h, w = grid.shape
        return indices // (h * w) * queries.shape[0] // t // self.frames_per_group


@dataclass(frozen=True)
class Window(Ungrouped):
    """Keys around a query, or around the block of queries that it belongs to.

    Queries and keys are the same tokens.

    Attributes:
        rows, columns: cells that are reached above and below, left and right of the block.
        frames: frames that are reached before and after; None for all.
        block: side of the blocks in cells; queries of one block share their keys, 1 gives every
            query a window of its own.

    >>> Window(rows=1, columns=2).size
    (3, 5)
    """

    kind: ClassVar[str] = "window"
    rows: Count
    columns: Count
    frames: Count | None = None
    block: Counted = 1

    def __post_init__(self) -> None:
        sizes = (self.rows, self.columns, 0 if self.frames is None else self.frames)
        if min(sizes) < 0 or self.block < 1:
            raise NlvizError(
                "a window reaches 0 or more cells, around blocks of at least 1; got "
                f"rows={self.rows}, columns={self.columns}, frames={self.frames}, "
                f"block={self.block}"
            )

    @property
    def window(self) -> Window:
        """The window around each query: this support."""
        return self

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the keys of one query, away from the border."""
        return self.block + 2 * self.rows, self.block + 2 * self.columns

    def check(self, queries: TokenGrid, keys: TokenGrid) -> None:
        """Refuse keys that are other tokens than the queries.

        Raises:
            NlvizError: when they are.
        """
        if queries.shape != keys.shape:
            raise NlvizError(
                "a window lies around queries that are keys, too; got queries "
                f"{queries.shape} and keys {keys.shape}"
            )

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

    def mask(self, queries: TokenGrid, keys: TokenGrid, indices: Tensor) -> Bool[Tensor, "n keys"]:
        """Return which keys these queries reach: a box around each, cut off at the border."""
        self.check(queries, keys)
        reached = []
        for axis, (at, of) in enumerate(zip(_unravelled(keys, indices), keys.shape, strict=True)):
            low, high = self.spans(at, of=of, axis=axis)
            cells = torch.arange(of, device=indices.device)
            reached.append((low[:, None] <= cells) & (cells < high[:, None]))
        return _box(reached)

    def reaching(self, queries: TokenGrid, keys: TokenGrid, key: int) -> Bool[Tensor, " queries"]:
        """Return which queries reach one key."""
        self.check(queries, keys)
        axes = []
        for axis, (place, of) in enumerate(zip(keys.unravel(key), queries.shape, strict=True)):
            low, high = self.spans(torch.arange(of), of=of, axis=axis)
            axes.append(((low <= place) & (place < high))[None])
        return _box(axes)[0]

    def counts(self, queries: TokenGrid, keys: TokenGrid) -> Int[Tensor, " queries"]:
        """Return how many keys each query reaches, tokens without a place included."""
        self.check(queries, keys)
        spans = [self.spans(torch.arange(n), of=n, axis=axis) for axis, n in enumerate(keys.shape)]
        t, y, x = (high - low for low, high in spans)
        return (t[:, None, None] * y[:, None] * x).flatten() + keys.prefix

    def sentence(self, keys: TokenGrid) -> str:
        """Return in a sentence what a query reaches."""
        rows, columns = self.size
        around = "it" if self.block == 1 else "its block of queries"
        frames = keys.shape[0] if self.frames is None else min(2 * self.frames + 1, keys.shape[0])
        times = "" if keys.shape[0] == 1 else f" in {frames} frames"
        return f"A query reaches a window of {rows} x {columns} keys around {around}{times}."

    def to_json(self) -> dict[str, Any]:
        """Return the support as JSON can hold it: its kind and its fields."""
        return {"kind": self.kind, **asdict(self)}


KINDS: tuple[type[Support], ...] = (Everything, FrameGroups, Window)  # whose keys are a box
ALL_KEYS: Support = Everything()


def _kind_for(
    frames_per_group: int | None = None, own_prefix: bool = False, window: Window | None = None
) -> Support:
    if window is not None and frames_per_group is not None:
        raise NlvizError(
            "a support is a window or groups of frames, not both; got frames_per_group="
            f"{frames_per_group} and {window}"
        )
    if window is not None:
        return window
    return ALL_KEYS if frames_per_group is None else FrameGroups(frames_per_group, own_prefix)


def _unravelled(grid: TokenGrid, indices: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    _, h, w = grid.shape
    return indices // (h * w), indices // w % h, indices % w


def _box(axes: Sequence[Tensor]) -> Bool[Tensor, "n keys"]:
    """Return which cells of a grid are in all of three masks of its axes, (n, cells) each."""
    t, y, x = axes
    return (t[:, :, None, None] & y[:, None, :, None] & x[:, None, None, :]).flatten(1)
