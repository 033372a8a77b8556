"""Changes of rows: edges that are cut, heads left out, another temperature, given rows.

A row that a softmax made is shared out anew among what is left, to the sum that it had, which is
what masking its logits with -inf before the softmax gives; where a softmax has a sink of its own
beside the keys, that keeps its share. A row of another f loses the terms.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nlviz.affinity.base import Affinity
from nlviz.captures.model import Model
from nlviz.errors import NlvizError
from nlviz.interventions.change import PassChange, RowChange, Rows
from nlviz.interventions.sharp_rows import at_temperature, shared_out

Numbers = tuple[int, ...] | None


@dataclass(frozen=True, eq=False)
class CutEdges(RowChange):
    """Edges between queries and keys are cut.

    Attributes:
        block: name of the block.
        queries: numbers of the queries, those without a place first; None for all.
        keys: which keys are cut, those without a place first: (all_keys,) for every query alike,
            (n, all_keys) for each of the queries, or (heads, n, all_keys).
        heads: the heads in which they are; None for all.
        what: what is cut, as a noun with its verb; empty to count the edges.

    >>> import nlviz
    >>> from nlviz.interventions import CutEdges
    >>> CutEdges("stage4", (5,), torch.tensor([True, False, True])).said
    '2 edges of 1 query of stage4 are cut'
    """

    block: str
    queries: Numbers
    keys: Bool[Tensor, "*any all_keys"]
    heads: tuple[int, ...] | None = None
    what: str = ""

    @property
    def said(self) -> str:
        """What is changed, as a clause."""
        if self.what:
            return f"{self.what} of {self.block} {_in_heads(self.heads)}are cut".replace("  ", " ")
        most = int(self.keys.reshape(-1, self.keys.shape[-1]).sum(-1).max())
        who = (
            "every query" if self.queries is None else _many(len(self.queries), "query", "queries")
        )
        return f"{_many(most, 'edge', 'edges')} of {who} of {self.block} are cut"

    def numbers(self, affinity: Affinity) -> Int[Tensor, " n"] | None:
        """Return the queries; None for all.

        Raises:
            NlvizError: when the keys are not those of the affinity.
        """
        every = affinity.keys.size + affinity.keys.prefix
        if self.keys.shape[-1] != every:
            raise NlvizError(
                f"keys to cut are marked for each of the {every} keys of {self.block}, those "
                f"without a place first; got {self.keys.shape[-1]}"
            )
        return _numbers(self.queries, affinity)

    def changed(self, rows: Rows) -> Float[Tensor, "heads n columns"]:
        """Return the rows without these edges."""
        marked = self.keys if self.keys.dim() == 1 else _given(self.keys, self, rows)
        cut = marked[..., rows.keys.clamp(min=0).to(marked.device)]
        return shared_out(rows, cut & (rows.keys >= 0).to(cut.device))


@dataclass(frozen=True)
class CutFrames(RowChange):
    """All edges into some frames are cut, or all that lead to another frame.

    Attributes:
        block: name of the block.
        frames: frames of the grid of keys, from 0; ``"other"`` for all but the query's own.
        queries: numbers of the queries, those without a place first; None for all.
        heads: the heads in which they are; None for all.

    >>> from nlviz.interventions import CutFrames
    >>> CutFrames("stage4").said
    'all cross-frame edges of stage4 are cut'
    """

    block: str
    frames: Literal["other"] | tuple[int, ...] = "other"
    queries: Numbers = None
    heads: tuple[int, ...] | None = None

    @property
    def said(self) -> str:
        """What is changed, as a clause."""
        if self.frames == "other":
            what = "all cross-frame edges"
        else:
            what = f"all edges into frame{'s' if len(self.frames) > 1 else ''} " + ", ".join(
                map(str, self.frames)
            )
        who = "" if self.queries is None else f" of {_many(len(self.queries), 'query', 'queries')}"
        return f"{what}{who} of {self.block} {_in_heads(self.heads)}are cut".replace("  ", " ")

    def numbers(self, affinity: Affinity) -> Int[Tensor, " n"] | None:
        """Return the queries; None for all.

        Raises:
            NlvizError: when keys lie on no frames, or there is no such frame.
        """
        grid = affinity.keys
        if grid.kind != "grid":
            raise NlvizError(
                f"frames are those of a clip, the keys of {self.block} are {grid.kind}; cut edges "
                "by their keys instead"
            )
        if self.frames != "other" and not all(0 <= f < grid.shape[0] for f in self.frames):
            raise NlvizError(
                f"frames of the keys of {self.block} are 0 to {grid.shape[0] - 1}, got "
                f"{', '.join(map(str, self.frames))}"
            )
        return _numbers(self.queries, affinity)

    def changed(self, rows: Rows) -> Float[Tensor, "heads n columns"]:
        """Return the rows without these edges; those to keys without a place stay."""
        grid, keys = rows.affinity.keys, rows.keys.cpu()
        at = keys - grid.prefix
        frame = (at // (grid.shape[1] * grid.shape[2])).where((keys >= 0) & (at >= 0), -1)
        if self.frames != "other":
            return shared_out(rows, torch.isin(frame, torch.tensor(self.frames, dtype=torch.long)))
        own = _own_frames(rows.affinity, rows.numbers.cpu())
        after = rows.weights
        for f in torch.unique(own).tolist():  # a mask for a frame, not one for each of its queries
            here = (own == f).nonzero()[:, 0]
            cut = (frame != f) & (frame >= 0) & (f >= 0)
            if len(here) == len(own):
                return shared_out(rows, cut)
            after = after.clone() if after is rows.weights else after
            after[:, here.to(after.device)] = shared_out(rows.some(here), cut)
        return after

    def mask(self, affinity: Affinity, numbers: Int[Tensor, " n"]) -> Bool[Tensor, "n all_keys"]:
        """Return which edges of some queries are cut; a query without a place has no frame."""
        grid = affinity.keys
        _, h, w = grid.shape
        frame = torch.arange(grid.size) // (h * w)
        if self.frames == "other":
            own = _own_frames(affinity, numbers)
            cut = (frame[None] != own[:, None]) & (own[:, None] >= 0)
        else:
            cut = torch.isin(frame, torch.tensor(self.frames, dtype=torch.long))[None].expand(
                len(numbers), -1
            )
        return torch.cat([torch.zeros(len(numbers), grid.prefix, dtype=torch.bool), cut], 1)


@dataclass(frozen=True)
class Temperature(RowChange):
    """The logits of a softmax are divided by a number, so that rows are sharper or flatter.

    Attributes:
        block: name of the block.
        factor: the logits are divided by it; above 1 rows become flatter, below 1 sharper.
        queries: numbers of the queries, those without a place first; None for all.
        heads: the heads in which they are; None for all.
    """

    block: str
    factor: float
    queries: Numbers = None
    heads: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not self.factor > 0:
            raise NlvizError(f"a temperature is above 0, got {self.factor:g}; 1 changes nothing")

    @property
    def said(self) -> str:
        """What is changed, as a clause."""
        return f"the softmax of {self.block} {_in_heads(self.heads)}has temperature {self.factor:g}"

    def numbers(self, affinity: Affinity) -> Int[Tensor, " n"] | None:
        """Return the queries; None for all.

        Raises:
            NlvizError: when rows are no softmax.
        """
        if not affinity.distributes:
            raise NlvizError(
                f"a temperature is that of a softmax, the rows of {self.block} are "
                f"{affinity.pairwise.name} and sum to something else; cut edges instead"
            )
        return _numbers(self.queries, affinity)

    def changed(self, rows: Rows) -> Float[Tensor, "heads n columns"]:
        """Return p^(1/T) / sum p^(1/T), which is the softmax of the logits over T."""
        return at_temperature(rows, self.factor)


@dataclass(frozen=True, eq=False)
class GivenRows(RowChange):
    """Rows are put in the place of those that the block computes.

    Attributes:
        block: name of the block.
        queries: numbers of the queries, those without a place first; None for all.
        rows: (n, all_keys) or (heads, n, all_keys), of the queries in their order.
        heads: the heads in which they are; None for all.
        what: what they are, ``uniform rows`` for instance.
    """

    block: str
    queries: Numbers
    rows: Float[Tensor, "*heads n all_keys"]
    heads: tuple[int, ...] | None = None
    what: str = "given rows"

    @property
    def said(self) -> str:
        """What is changed, as a clause."""
        return f"{self.block} {_in_heads(self.heads)}sums with {self.what}"

    def numbers(self, affinity: Affinity) -> Int[Tensor, " n"] | None:
        """Return the queries; None for all.

        Raises:
            NlvizError: when there is not a row for each, over all keys.
        """
        found = _numbers(self.queries, affinity)
        count = affinity.queries.size + affinity.queries.prefix if found is None else len(found)
        wanted = (count, affinity.keys.size + affinity.keys.prefix)
        if tuple(self.rows.shape[-2:]) != wanted:
            raise NlvizError(
                f"rows of {self.block} are {wanted[0]} x {wanted[1]} here, queries by keys, those "
                f"without a place first; got {' x '.join(map(str, self.rows.shape))}"
            )
        return found

    def changed(self, rows: Rows) -> Float[Tensor, "heads n columns"]:
        """Return the rows that were given, in the order of the columns."""
        weights = rows.weights
        keys = rows.keys.to(weights.device)
        found = _given(self.rows, self, rows).to(weights)[..., keys.clamp(min=0)]
        return found.masked_fill(keys < 0, 0.0).expand_as(weights)


@dataclass(frozen=True)
class BypassHeads(RowChange):
    """Some heads gather nothing: their y is 0.

    Attributes:
        block: name of the block.
        heads: which.
    """

    block: str
    heads: tuple[int, ...] | None

    @property
    def said(self) -> str:
        """What is changed, as a clause."""
        which = _in_heads(self.heads).removeprefix("in ") or "all heads "
        one = self.heads is not None and len(self.heads) == 1
        return f"{which}of {self.block} gather{'s' if one else ''} nothing"

    def numbers(self, affinity: Affinity) -> Int[Tensor, " n"] | None:
        """Return None: of all queries."""
        return None

    def changed(self, rows: Rows) -> Float[Tensor, "heads n columns"]:
        """Return rows of zeros."""
        return torch.zeros_like(rows.weights)


@dataclass(frozen=True)
class Bypass(PassChange):
    """A whole block changes nothing, as in ``Model.logits(bypass=)``.

    Attributes:
        block: name of the block or of a run of it.
    """

    block: str

    @property
    def said(self) -> str:
        """What is changed, as a clause."""
        return f"{self.block} is bypassed"

    def acting(self, model: Model) -> AbstractContextManager[None]:
        """Return a context in which the block changes nothing."""
        return model.adapter.bypass(model.net, model.known(self.block))


def _numbers(queries: Numbers, affinity: Affinity) -> Tensor | None:
    if queries is None:
        return None
    size = affinity.queries.size + affinity.queries.prefix
    if not queries or not all(0 <= q < size for q in queries):
        raise NlvizError(
            f"queries of {affinity.name} have numbers from 0 to {size - 1}, got "
            f"{', '.join(map(str, queries[:4])) or 'none'}"
        )
    return torch.tensor(queries)


def _given(x: Tensor, change: CutEdges | GivenRows, rows: Rows) -> Tensor:
    """Return what was given of some rows, (n, all_keys) or (heads, n, all_keys).

    Args:
        x: what was given for each query of the change, and each of its heads or all alike.
        change: what it was given for.
        rows: those that are asked for.
    """
    at = rows.numbers if change.queries is None else _positions(rows.numbers, change.queries)
    found = x[..., at.to(x.device), :]
    if x.dim() < 3:
        return found
    own = rows.heads if change.heads is None else _positions(rows.heads, change.heads)
    return found if len(found) == 1 else found[own.to(x.device)]


def _positions(numbers: Tensor, queries: Sequence[int]) -> Tensor:
    place = {q: i for i, q in enumerate(queries)}
    return torch.tensor([place[int(n)] for n in numbers])


def _own_frames(affinity: Affinity, numbers: Tensor) -> Tensor:
    """Return the frame of keys that each query is nearest to; -1 for one without a place."""
    queries, keys = affinity.queries, affinity.keys
    at = numbers - queries.prefix
    if queries.kind != "grid":
        frames = torch.tensor([queries.centre(int(i)).frame if i >= 0 else -1.0 for i in at])
    else:
        _, h, w = queries.shape
        of_queries = torch.from_numpy(queries.centres()[0][:, 0, 0].copy()).float()
        frames = of_queries[at.clamp(min=0) // (h * w)]
    of_keys = torch.from_numpy(keys.centres()[0][:, 0, 0].copy()).float()
    own = (frames[:, None] - of_keys[None]).abs().argmin(1)
    return own.where(at >= 0, -1)


def _many(count: int, one: str, more: str) -> str:
    return f"{count} {one if count == 1 else more}"


def _in_heads(heads: tuple[int, ...] | None) -> str:
    if heads is None:
        return ""
    return f"in head{'s' if len(heads) > 1 else ''} {', '.join(map(str, heads))} "
