"""What a row follows from: nothing, the keys alone, the query's position, or the content.

A network without chance computes a row from two things: what is seen, and where. So a row that
stays when everything seen is another follows from the position, and one that does not, from the
content. All shares are masses in common, sum_j min(p_j, q_j), of two rows p and q that sum to 1:
one minus their total variation, in [0, 1].

figure         definition
``uniform``    in common with the uniform row over the keys that the query reaches
``sink``       mass on the few keys (a hundredth of all, at least one) that the other queries of
               this input give most, where these give them as much; see ``RowOrigin``
``shared``     in common with the mean row of the other queries
``own``        mass on the key that is the query itself: content and position both point there, so
               that it speaks for neither and is left out of the figures below
``position``   in common with the mean row of the same query over other inputs
``base``       in common with the mean row of the other queries over other inputs; with the even
               row where there are no other queries
``beyond``     (position - base) / (1 - base): what the position adds to what any query would tell

Rows that are no distributions are taken by magnitude and divided by their sum. Mean rows by
position over a set of pictures: Cordonnier et al. 2020, "On the relationship between self-attention
and convolutional layers" (arXiv 1911.03584), section 4; what all queries share: Cao et al. 2019,
"GCNet" (arXiv 1904.11492); sinks: Xiao et al. 2024 (arXiv 2309.17453).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nlviz.affinity.asked import rows_at
from nlviz.affinity.attention_map import effective_number
from nlviz.affinity.base import Affinity
from nlviz.affinity.maps import Head
from nlviz.analysis.other_contents import CONTENTS, other_contents
from nlviz.captures.capture import Capture
from nlviz.captures.model import Model
from nlviz.clips.clip import Clip
from nlviz.errors import NlvizError
from nlviz.progress import Listener, Progress

QUERIES = 128  # other queries, evenly spread, over which a mean row is taken
FEW = 0.01  # share of the keys that sinks are at most, but one at least


@dataclass(frozen=True)
class RowOrigin:
    """What a row follows from; shares in [0, 1], defined above.

    Attributes:
        keys: number of keys that the query reaches.
        effective: effective number of keys, exp(entropy).
        uniform, shared: see above; ``shared`` is None where no other query reaches the same.
        sink: see above: the lesser of the row's own mass there and the mean row's, so that a row
            which alone looks at one key is none.
        sinks: numbers of those keys, those without a place first.
        own: see above; 0 where no key is the query itself.
        position, base: see above; None where there is no other input.
        contents: number of other inputs.
    """

    keys: int
    effective: float
    uniform: float
    shared: float | None
    sink: float
    sinks: tuple[int, ...]
    own: float
    position: float | None
    base: float | None
    contents: int

    @property
    def beyond(self) -> float | None:
        """What the position tells of the row beyond what any query would; None where unknown."""
        if self.position is None or self.base is None:
            return None
        return (self.position - self.base) / max(1 - self.base, 1e-6)


def row_origin(
    capture: Capture,
    block: str,
    number: int,
    *,
    head: Head = None,
    contents: int = CONTENTS,
    progress: Listener | None = None,
) -> RowOrigin:
    """Return what a row follows from; one forward pass for each other input.

    Args:
        capture: of the input.
        block: its name.
        number: of the query among all, see ``nlviz.affinity.asked``.
        head: one head, or the mean over heads.
        contents: number of other inputs.
        progress: told of the passes.

    Raises:
        UnknownBlock: when there is no such block.
        OutOfMemory: when the device's memory does not suffice.
    """
    affinity, model = capture.affinities[block], capture.model
    reach = reached(affinity, number)
    n = int(reach.sum())
    row = _shares(rows_at(affinity, [number]), head)[0]
    mean = mean_of_others(affinity, number, reach, head)
    sinks: tuple[int, ...] = ()
    sink = 0.0
    if mean is not None:
        few = mean.topk(max(1, int(FEW * n)))
        sinks = tuple(few.indices.tolist())
        sink = min(float(few.values.sum()), float(row[few.indices].sum()))
    itself = own_key(affinity, number)
    free = reach.clone()
    if itself is not None:
        free[itself] = False
    rest = _restricted(row[None], free)[0]
    positions, bases = [], []
    others = [] if model is None else other_contents(capture.clip, contents)
    tell = Progress.of(progress)
    for i, clip in enumerate(others):
        tell(f"Other content {i + 1} of {len(others)}", i / len(others))
        assert model is not None
        there = _elsewhere(model, clip, block, affinity, number)
        if there is None:
            continue
        positions.append(_restricted(_shares(rows_at(there, [number]), head), free)[0])
        base = mean_of_others(there, number, free, head)
        bases.append(free.to(rest) / max(int(free.sum()), 1) if base is None else base)
    return RowOrigin(
        keys=n,
        effective=float(effective_number(row)),
        uniform=in_common(row, reach.to(row) / max(n, 1)),
        shared=None if mean is None else in_common(row, mean),
        sink=sink,
        sinks=sinks,
        own=0.0 if itself is None else float(row[itself]),
        position=in_common(rest, torch.stack(positions).mean(0)) if positions else None,
        base=in_common(rest, torch.stack(bases).mean(0)) if bases else None,
        contents=len(positions),
    )


def in_common(p: Float[Tensor, " keys"], q: Float[Tensor, " keys"]) -> float:
    """Return the mass that two rows have in common, sum_j min(p_j, q_j).

    >>> round(in_common(torch.tensor([0.5, 0.5, 0.0]), torch.tensor([0.2, 0.5, 0.3])), 3)
    0.7
    """
    return float(torch.minimum(p, q).sum())


def own_key(affinity: Affinity, number: int) -> int | None:
    """Return the key that is the query itself, or lies nearest to it; None where there is none.

    Args:
        affinity: whose query.
        number: among all queries, as the key's is among all keys.
    """
    prefix = affinity.keys.prefix
    if number < affinity.queries.prefix:
        return number if number < prefix else None
    at = number - affinity.queries.prefix
    if affinity.keys.kind != "grid":
        # Of a decoder that looks at its source, a key of the same number is another token.
        same = tuple(affinity.keys.names) == tuple(affinity.queries.names)
        return at + prefix if same and affinity.keys.size == affinity.queries.size else None
    point = affinity.queries.centre(at)
    return affinity.keys.nearest(frame=point.frame, y=point.y, x=point.x) + prefix


def reached(affinity: Affinity, number: int) -> Bool[Tensor, " all_keys"]:
    """Return which keys a query reaches, those without a place first.

    Args:
        affinity: whose query.
        number: among all queries.
    """
    prefix, grids = affinity.queries.prefix, (affinity.queries, affinity.keys)
    if number < prefix:
        apart = affinity.support.mask_apart(*grids)
        mask = None if apart is None else apart[number]
    else:
        found = affinity.support.mask_all(*grids, torch.tensor([number - prefix]))
        mask = None if found is None else found[0]
    every = torch.ones(affinity.keys.prefix + affinity.keys.size, dtype=torch.bool)
    return every if mask is None else mask.cpu()


def mean_of_others(
    affinity: Affinity, number: int, reach: Bool[Tensor, " all_keys"], head: Head
) -> Float[Tensor, " all_keys"] | None:
    """Return the mean row of the other queries over what this one reaches; None without any.

    Args:
        affinity: whose rows.
        number: of the query that is left out.
        reach: what it reaches; the others' rows are cut to it and divided by what is left.
        head: one head, or the mean over heads.
    """
    prefix, size = affinity.queries.prefix, affinity.queries.size
    others = torch.arange(size)
    if number >= prefix:
        groups = affinity.query_groups.cpu()
        others = (groups == groups[number - prefix]).nonzero()[:, 0]
        others = others[others != number - prefix]
    if len(others) > QUERIES:
        spread = torch.linspace(0, len(others) - 1, QUERIES, dtype=torch.float64)
        others = others[spread.round().long()]
    if not len(others):
        return None
    kept = []
    for part in torch.split(others, 32):
        rows = _shares(rows_at(affinity, part + prefix), head)
        inside = (rows * reach.to(rows)).sum(-1)
        kept.append(_restricted(rows[inside > 0.05], reach))
    rows = torch.cat(kept)
    return rows.mean(0) if len(rows) else None


def _elsewhere(
    model: Model, clip: Clip, block: str, affinity: Affinity, number: int
) -> Affinity | None:
    """Return the block's affinity on another input; None where query or keys are others there."""
    try:
        found = model.capture(clip, blocks=[block]).affinities[block]
    except NlvizError:
        return None
    if found.keys.shape != affinity.keys.shape or found.keys.prefix != affinity.keys.prefix:
        return None
    if found.queries.prefix != affinity.queries.prefix:
        return None
    if found.queries.kind == "line":  # a decoder may write more of one text than of another
        return found if number < found.queries.size + found.queries.prefix else None
    return found if found.queries.shape == affinity.queries.shape else None


def _shares(rows: Float[Tensor, "heads n keys"], head: Head) -> Float[Tensor, "n keys"]:
    """Return rows of one head or their mean, by magnitude, each with a sum of 1."""
    rows = rows.detach().float().cpu()
    if isinstance(head, int):
        if not 0 <= head < len(rows):
            raise NlvizError(f"a head has a number from 0 to {len(rows) - 1}, got {head}")
        rows = rows[head : head + 1]
    mean = (rows.amax(0) if head == "max" else rows.mean(0)).abs()
    return mean / mean.sum(-1, keepdim=True).clamp(min=1e-30)


def _restricted(
    rows: Float[Tensor, "n keys"], reach: Bool[Tensor, " keys"]
) -> Float[Tensor, "n keys"]:
    rows = rows * reach.to(rows)
    return rows / rows.sum(-1, keepdim=True).clamp(min=1e-30)
