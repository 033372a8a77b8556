"""How much of a query's weight lies elsewhere after a change, in place and along with its frames.

    moved = sum_j |b_j - a_j| / sum_j (|a_j| + |b_j|)

a and b are the rows before and after; of rows that sum to 1 it is their total variation. Where
frames only changed places, the same is also taken with query and keys moved along with their
frames: 0 there means that the block does not know the order of frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nlviz.affinity.asked import Query, query_number, rows_at
from nlviz.affinity.base import Affinity
from nlviz.affinity.maps import Head
from nlviz.errors import NlvizError
from nlviz.interventions.change import Change, PassChange
from nlviz.interventions.run import Intervened
from nlviz.interventions.time import ReverseTime, ShuffleTime, SwapFrames


@dataclass(frozen=True)
class MovedRow:
    """How much of a row lies elsewhere.

    Attributes:
        in_place: share of the weight, each cell compared with itself, in [0, 1].
        along: share with query and keys moved along with their frames; None where the change did
            more than move frames, or keys are no cells of single frames.
    """

    in_place: float
    along: float | None = None


def moved_row(found: Intervened, block: str, query: Query, *, head: Head = None) -> MovedRow:
    """Return how much of a query's weight lies elsewhere after the changes.

    Args:
        found: before and after.
        block: name of the block.
        query: of the clip before.
        head: one head; None for the mean over heads.

    Raises:
        UnknownBlock: when one of the captures has no such block.
        NlvizError: when the two have other keys.

    >>> import nlviz
    >>> from nlviz.interventions import ReverseTime
    >>> from nlviz.resources import asset
    >>> clip = nlviz.read_clip(asset("clips/composed-twins.mp4"), frames=2, size=64)
    >>> found = nlviz.intervene(nlviz.load_model("lite-nl"), clip, ReverseTime())
    >>> moved = moved_row(found, "stage4", (0, 30, 40))
    >>> moved.in_place > 0.3, moved.along < 1e-3
    (True, True)
    """
    before, after = (c.affinities[block] for c in (found.before, found.after))
    if before.keys.shape != after.keys.shape:
        raise NlvizError(f"rows must be over the same keys to be compared, {block} has others now")
    number = query_number(before, query)
    own, other = _row(before, number, head), _row(after, query_number(after, query), head)
    if before.keys.prefix != after.keys.prefix:  # a token was added: such tokens count as one
        own, other = (
            torch.cat([row[:n].sum()[None], row[n:]])
            for row, n in ((own, before.keys.prefix), (other, after.keys.prefix))
        )
        return MovedRow(_share(own, other))
    in_place = _share(own, other)
    order = frame_order(found.changes, len(found.before.clip.frames))
    if order is None or not all(_by_frame(a, len(order)) for a in (before, after)):
        return MovedRow(in_place)
    there = [order.index(n) for n in range(len(order))]
    prefix, cells = before.queries.prefix, before.queries.size // len(order)
    at = number
    if number >= prefix:
        frame, cell = divmod(number - prefix, cells)
        at = prefix + there[frame] * cells + cell
    row = _row(after, at, head)
    apart, placed = row[: after.keys.prefix], row[after.keys.prefix :]
    back = placed.reshape(len(order), -1)[there].flatten()
    return MovedRow(in_place, _share(own, torch.cat([apart, back])))


def frame_order(changes: Sequence[Change], count: int) -> list[int] | None:
    """Return which frame of the clip before stands at each place after; None if frames changed.

    Args:
        changes: in their order.
        count: number of frames.

    >>> frame_order([ReverseTime(), SwapFrames(0, 1)], 3)
    [1, 2, 0]
    """
    order = list(range(count))
    for change in changes:
        if isinstance(change, PassChange):
            return None
        if isinstance(change, ShuffleTime):
            order = [order[n] for n in change.order(count)]
        elif isinstance(change, ReverseTime):
            order.reverse()
        elif isinstance(change, SwapFrames):
            one, other = change.one, change.other
            order[one], order[other] = order[other], order[one]
        else:
            return None
    return order


def _by_frame(affinity: Affinity, frames: int) -> bool:
    """Check whether each frame of the clip has its own queries and keys."""
    grids = affinity.queries, affinity.keys
    return all(
        grid.kind == "grid"
        and grid.shape[0] == frames
        and abs(grid.stride[0] - 1) < 1e-6
        and abs(grid.origin[0]) < 1e-6
        for grid in grids
    )


def _row(affinity: Affinity, number: int, head: Head) -> Tensor:
    rows = rows_at(affinity, [number])[:, 0].double().cpu()
    if isinstance(head, int):
        return rows[head]
    return rows.amax(0) if head == "max" else rows.mean(0)


def _share(one: Tensor, other: Tensor) -> float:
    size = float(one.abs().sum() + other.abs().sum())
    return float((other - one).abs().sum()) / size if size > 0 else 0.0
