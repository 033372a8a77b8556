"""A clip or a network is changed, the pass runs again, and both captures stand side by side."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from nlviz.affinity.asked import Query, query_number
from nlviz.affinity.attention_map import AttentionMap
from nlviz.affinity.base import Affinity
from nlviz.affinity.maps import Head
from nlviz.captures.capture import Affinities, Capture
from nlviz.captures.model import Model
from nlviz.clips.clip import Clip
from nlviz.clips.point import nearest_inside
from nlviz.errors import NlvizError
from nlviz.interventions.change import Change, ClipChange, PassChange, RowChange
from nlviz.interventions.changed_affinity import ChangedAffinity
from nlviz.interventions.editing import editing, editors_of
from nlviz.progress import Listener, Progress


class RowPair(NamedTuple):
    """The row of one query before and after a change.

    Attributes:
        before, after: its maps, to be drawn on one scale.
        difference: after minus before, (t, h, w) of the grid of keys, signed.
        off_grid: likewise of what lies on keys without a place, summed.
    """

    before: AttentionMap
    after: AttentionMap
    difference: Float[Tensor, "t h w"]
    off_grid: float


@dataclass(frozen=True, eq=False)
class Intervened:
    """What a clip and a network gave before and after changes.

    Attributes:
        before: the capture as it was.
        after: with the changes; of a block whose rows were changed, the changed rows.
        changes: what was changed.
    """

    before: Capture
    after: Capture
    changes: tuple[Change, ...]

    @property
    def said(self) -> str:
        """What was changed, as one sentence."""
        text = "; ".join(change.said for change in self.changes) or "nothing is changed"
        blocks = {change.block for change in self.changes if isinstance(change, PassChange)}
        if text.partition(" ")[0] not in blocks:  # a block's name stays as it is
            text = text[:1].upper() + text[1:]
        return f"{text}."

    @property
    def logits(self) -> Float[Tensor, " classes"] | None:
        """Logits after minus logits before; None where the network gives no class scores."""
        if self.before.logits is None or self.after.logits is None:
            return None
        return self.after.logits.float() - self.before.logits.float()

    def rows(self, block: str, query: Query, *, head: Head = None) -> RowPair:
        """Return the row of one query before and after, and their difference.

        Args:
            block: name of the block.
            query: a place of the clip, the name of a token, or a number on the grid.
            head: one head, ``max`` over heads, or their mean.

        Raises:
            UnknownBlock: when one of the captures has no such block.
            OutsideClip: when the query is not in the clip.
        """
        of, again = self.before.affinities[block], self.after.affinities[block]
        if of.keys.shape != again.keys.shape:
            raise NlvizError(
                f"rows must be over the same keys to be compared, {block} has "
                f"{of.keys.shape} before and {again.keys.shape} after"
            )
        before, after = (_map(one, query, head) for one in (of, again))
        difference = torch.from_numpy(after.weights - before.weights)
        return RowPair(before, after, difference, after.off_grid - before.off_grid)


def intervene(
    model: Model,
    clip: Clip,
    changes: Sequence[Change] | Change,
    *,
    before: Capture | None = None,
    blocks: Sequence[str] | None = None,
    progress: Listener | None = None,
) -> Intervened:
    """Change a clip, rows of blocks, or whole blocks, and capture again.

    Changes of the clip come first, in their order. The network is left as it was, also after an
    exception.

    Args:
        model: the network.
        clip: its input.
        changes: of ``nlviz.interventions``.
        before: a capture of the clip as it is, where there is one.
        blocks: names of the blocks that are kept; by default all.
        progress: as in ``Model.capture``.

    Raises:
        UnknownBlock: when there is no such block.
        NlvizError: when the clip has no such frame, or rows are not seen where they are used.
        OutOfMemory: when the device's memory does not suffice.

    >>> import nlviz
    >>> from nlviz.interventions import CutFrames
    >>> from nlviz.resources import asset
    >>> clip = nlviz.read_clip(asset("clips/composed-twins.mp4"), frames=2, size=96)
    >>> found = nlviz.intervene(nlviz.load_model("lite-nl"), clip, CutFrames("stage4"))
    >>> found.said
    'All cross-frame edges of stage4 are cut.'
    >>> pair = found.rows("stage4", (0, 40, 40))
    >>> bool(pair.before.per_frame()[1] > 0), bool(pair.after.per_frame()[1] == 0)
    (True, True)
    """
    changes = (changes,) if isinstance(changes, Change) else tuple(changes)
    tell = Progress.of(progress)
    if before is None:
        before = model.capture(clip, blocks=blocks, progress=tell.part(0, 0.5))
    source = before.source
    if source is None or source.model is not model:
        raise NlvizError("the capture before must be one that this model made of the clip")
    changed = source.clip
    for change in changes:
        if isinstance(change, ClipChange):
            changed = change.apply(changed)
    inside = [change for change in changes if isinstance(change, PassChange)]
    own: list[PassChange] = [change for change in inside if not change.around]
    editors = editors_of(before, model, inside, keep=False)
    assert before is not None
    known = before

    def during() -> AbstractContextManager[None]:
        return editing(known, model, own, editors=editors)

    with ExitStack() as stack:
        stack.enter_context(model.exclusive(changed))
        for change in inside:
            if change.around:
                stack.enter_context(change.acting(model))
        after = model.capture(
            changed,
            queries=source.queries,
            generate=source.generate,
            blocks=blocks,
            progress=tell.part(0.5, 1),
            during=during,
        )
    after = _named(inside, before, after)
    rows: dict[str, list[RowChange]] = {}
    for change in inside:
        if isinstance(change, RowChange):
            rows.setdefault(change.block, []).append(change)
    if rows:
        shown: dict[str, Affinity] = {
            name: ChangedAffinity.of(affinity, rows[name]) if name in rows else affinity
            for name, affinity in after.affinities.items()
        }
        receipts = {n: r for n, r in after.receipts.items() if n not in rows}
        after = replace(
            after,
            affinities=Affinities(shown, after.refused),
            receipts=MappingProxyType(receipts),
        )
    notes = tuple(f"Changed: {change.said}." for change in changes)
    return Intervened(before, replace(after, notes=(*after.notes, *notes)), changes)


def _named(changes: Sequence[PassChange], before: Capture, after: Capture) -> Capture:
    """Return a capture whose affinities call their tokens what the changes made of them."""
    found = dict(after.affinities)
    for change in changes:
        for name in [n for n in found if change.around and n in before.affinities]:
            found[name] = change.named(before.affinities[name], found[name])
    return replace(after, affinities=Affinities(found, after.refused))


def _map(affinity: Affinity, query: Query, head: Head) -> AttentionMap:
    if isinstance(query, str):
        return affinity.map(token=query, head=head)
    if isinstance(query, int):
        query_number(affinity, query)  # raises where there is none
        place = affinity.queries.centre(query)
        shape = affinity.clip_shape
        frame, y, x = place if shape is None else nearest_inside(place, shape)
        return affinity.map(frame=frame, y=y, x=x, head=head)
    frame, y, x = query
    return affinity.map(frame=frame, y=y, x=x, head=head)
