"""The row of a knock-out as maps: as it was, without its links, and the difference."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from nlviz.affinity.attention_map import AttentionMap
from nlviz.affinity.base import Affinity, Head
from nlviz.analysis.knocked_out import KnockOut


class KnockOutMaps(NamedTuple):
    """A row before and after links were cut.

    Attributes:
        before, after: to be drawn on one scale, that of ``before``.
        difference: after minus before, signed.
    """

    before: AttentionMap
    after: AttentionMap
    difference: AttentionMap


def knock_out_maps(affinity: Affinity, found: KnockOut, *, head: Head = None) -> KnockOutMaps:
    """Return the row of a knock-out as maps.

    Args:
        affinity: of the block.
        found: the knock-out.
        head: index of a head, ``"max"`` over heads, or their mean.

    Raises:
        OutsideClip: when there is no such head.

    >>> import nlviz
    >>> from nlviz.resources import asset
    >>> clip = nlviz.read_clip(asset("photos/coffee.jpg"), size=64)
    >>> capture = nlviz.load_model("lite-nl").capture(clip)
    >>> found = nlviz.knock_out(capture, "stage4", (0, 20, 30), 5, logits=False)
    >>> maps = knock_out_maps(capture.affinities["stage4"], found)
    >>> maps.before.top(1)[0].index in found.cut.keys, maps.after.top(1)[0].index in found.cut.keys
    (True, False)
    """
    at = found.number - affinity.queries.prefix
    if at < 0:
        before = affinity.map(token=found.query, head=head)
    else:
        frame, y, x = affinity.queries.place_in(at)
        before = affinity.map(frame=frame, y=y, x=x, head=head)
    after = _laid(before, _one(found.row_after, head))
    moved = _one(found.row_after, head) - _one(found.row, head)
    difference = replace(
        _laid(before, moved),
        signed=True,
        normalised=False,
        balanced=before.normalised,
        values="difference",
        title=f"{before.title}, after minus before",
    )
    return KnockOutMaps(before, after, difference)


def _one(rows: Float[Tensor, "heads all_keys"], head: Head) -> Float[Tensor, " all_keys"]:
    if head is None or head == "mean":
        return rows.mean(0)
    return rows.amax(0) if head == "max" else rows[head]


def _laid(like: AttentionMap, row: Float[Tensor, " all_keys"]) -> AttentionMap:
    prefix = len(row) - like.keys.size
    apart = row[:prefix]
    return replace(
        like,
        weights=row[prefix:].reshape(like.keys.shape).numpy(),
        off_grid=float(apart.sum()),
        off_weights=apart.numpy() if prefix else None,
    )
