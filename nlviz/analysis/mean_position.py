"""Position: how much of a row follows from where the query is, whatever the clip shows.

The mean row of a position is taken over several clips of the same shape,

    m_i = 1/S sum_c a_i^(c)

for the query i at the same place of each clip c: what differs from clip to clip is averaged away,
what position alone decides stays. (That is the proxy of Yang et al. 2024, "Denoising Vision
Transformers", arXiv 2401.02957, for features, taken for rows.) Of a row a_i then

number        definition, per head, over the keys j that the query reaches but its own
``own``       a_ii, the weight of the query's own cell, which is left out of all that follows
``common``    sum_j min(a_ij, m_ij), the mass in common with the mean row of its position, in [0, 1]
``explained``  r^2 of a_ij and m_ij over j: the share of the row's variance over its keys that a
              multiple of the mean row, and a constant, account for; 0 where r is negative
``*_anywhere``  the same with the mean of m over all positions: what no position is needed for
``common_uniform``  the mass in common with the uniform row
``unary``     1 - JSD(row, unary row) / ln 2: likeness to the part of the exact split that all
              queries of this clip share (``nlviz.split``)

The own cell is left out, and both rows scaled to the rest, because it speaks for position and for
content alike: a block that looks for what is like the query finds it there first, in every clip.
A row is about its position where it has much in common with m_i and little with the others. Of rows
that are signed or do not sum to 1 the mass in common is that of |a_ij| / sum_j |a_ij| where both
have the same sign. Where something is added to logits for positions, ``position_share`` says what
that term does; this says what position does in all, learned embeddings of it included.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nlviz.affinity.asked import Query, query_number, rows_at
from nlviz.affinity.base import Affinity, spread_evenly
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.mean_of import MeanPosition, mean_of, same_tokens
from nlviz.affinity.split import can_split, split
from nlviz.analysis.health import divergence
from nlviz.analysis.shipped_positions import shipped_position
from nlviz.captures.capture import Capture
from nlviz.captures.model import Model
from nlviz.clips.clip import Clip
from nlviz.clips.others import other_clips
from nlviz.clips.point import Point
from nlviz.clips.text import Text, prompt_of
from nlviz.errors import NlvizError
from nlviz.progress import Listener, Progress

CLIPS = 16  # over which a mean row is taken
LEAST = 4  # of them that must have the same tokens
SAMPLE = 64  # queries, spread evenly, that stand for all positions, or for a block


@dataclass(frozen=True)
class PositionShare:
    """How much of one row, or of a block's rows, follows from position alone.

    All are means over heads, and over the queries that were looked at.

    Attributes:
        own: weight of the query's own cell, which is left out of the figures below; None where no
            key is the query itself.
        common: mass in common with the mean row of the position, in [0, 1].
        explained: share of the row's variance that the mean row accounts for, in [0, 1].
        common_anywhere, explained_anywhere: the same with the mean row of all positions; None
            where no other query reaches the same keys.
        common_uniform: mass in common with the uniform row.
        unary: likeness to the part that all queries of this clip share; None where rows are no
            softmax of inner products.
        queries: how many were looked at.
        clips: how many clips the mean row is over.
        of_heads: common, explained and common_anywhere of each head; nan where None.
        note: a sentence on what the mean rows are.
    """

    own: float | None
    common: float
    explained: float
    common_anywhere: float | None
    explained_anywhere: float | None
    common_uniform: float
    unary: float | None
    queries: int
    clips: int
    of_heads: tuple[tuple[float, float, float], ...] = ()
    note: str = ""


def mean_position(
    model: Model,
    capture: Capture,
    block: str,
    *,
    clips: Iterable[Clip] | None = None,
    count: int = CLIPS,
    progress: Listener | None = None,
) -> MeanPosition:
    """Take the mean row of each position over several clips; one forward pass for each of them.

    Rows are never stored: the embeddings of each clip are kept, and a mean row is computed when it
    is asked for, exactly.

    Args:
        model: the network.
        capture: of the clip whose positions these are.
        block: name of the block.
        clips: other clips of the same shape; by default parts of the bundled films and photos, of
            a text other texts of its words.
        count: how many of these.
        progress: called with a sentence and a share in [0, 1]; what it raises stops the work.

    Raises:
        UnknownBlock: when there is no such block.
        NlvizError: when its queries have no place that another clip has, too, or fewer than four
            clips give the same tokens.

    >>> import nlviz
    >>> from nlviz.resources import asset
    >>> model = nlviz.load_model("lite-nl")
    >>> capture = model.capture(nlviz.read_clip(asset("photos/coffee.jpg"), size=64))
    >>> mean = mean_position(model, capture, "stage4", count=4)
    >>> mean.rows.rows([7]).shape, mean.clips
    (torch.Size([1, 1, 294]), 4)
    """
    affinity = capture.affinities[block]
    why = no_position(capture, block)
    if why:
        raise NlvizError(why)
    tell = Progress.of(progress)
    of_text = isinstance(capture.clip, Text)
    found: list[Affinity] = []
    what = "clips" if not of_text else "texts"
    if clips is not None:
        others = list(clips)
        found = _of_clips(model, affinity, block, others, tell)
    else:
        others = list(other_clips(capture.clip, count))
        found = _of_clips(model, affinity, block, others, tell)
        what = "texts drawn from its words" if of_text else "parts of the bundled films and photos"
        if of_text and len(found) < LEAST:  # what is written may have another length
            others = list(other_clips(capture.clip, count, orders=True))
            found = _of_clips(model, affinity, block, others, tell)
            what = "other orders of its words, in which what a network writes may be the same"
    if len(found) < LEAST:
        raise NlvizError(
            f"a mean row is over {LEAST} clips at least whose tokens lie where those of "
            f"{capture.clip.name} do; of {len(others)} only {len(found)} are such, give others "
            "with clips="
        )
    note = f"Mean rows are over {len(found)} {what}."
    mean = MeanPosition(block, mean_of(found), len(found), note)
    if clips is None:
        _KNOWN[affinity] = mean
    return mean


_KNOWN: weakref.WeakKeyDictionary[Affinity, MeanPosition] = weakref.WeakKeyDictionary()


def known_position(capture: Capture, block: str) -> MeanPosition | None:
    """Return mean rows that no pass is needed for: bundled ones, or those taken before.

    Raises:
        UnknownBlock: when there is no such block.
    """
    return shipped_position(capture, block) or _KNOWN.get(capture.affinities[block])


def position_only(
    capture: Capture,
    block: str,
    query: Query | None = None,
    *,
    mean: MeanPosition | None = None,
    model: Model | None = None,
    head: int | None = None,
    progress: Listener | None = None,
) -> PositionShare:
    """Say how much of a row follows from the query's position alone, whatever the clip shows.

    Args:
        capture: of the clip.
        block: name of the block.
        query: a place, a word, or a number on the grid; by default queries spread evenly.
        mean: mean rows of its positions; by default the bundled ones where there are such, or those
            that were taken before, else they are taken now, see ``mean_position``.
        model: the network, for that; by default the one that made the capture.
        head: one head's row alone; by default the mean over heads.
        progress: called with a sentence and a share in [0, 1]; what it raises stops the work.

    Raises:
        NlvizError: as ``mean_position``, or when neither ``mean`` nor ``model`` is given.

    >>> import nlviz
    >>> from nlviz.resources import asset
    >>> model = nlviz.load_model("lite-nl")
    >>> capture = model.capture(nlviz.read_clip(asset("photos/coffee.jpg"), size=64))
    >>> mean = mean_position(model, capture, "stage4", count=4)
    >>> share = position_only(capture, "stage4", (0, 20, 40), mean=mean)
    >>> 0 < share.common < 1, share.queries
    (True, 1)
    """
    affinity = capture.affinities[block]
    numbers = _numbers(affinity, query)
    if mean is None:
        mean = known_position(capture, block)
    if mean is None:
        model = model or capture.model
        if model is None:
            raise NlvizError(
                f"what position does in {block} takes mean rows over several clips; give them with "
                "mean=, or the network with model=, which a capture that was read from a file lacks"
            )
        mean = mean_position(model, capture, block, progress=progress)
    if not same_tokens(affinity, mean.rows):
        raise NlvizError(
            f"mean rows must be of the same tokens as the row, got {mean.rows!r} for {affinity!r}"
        )
    if head is not None and not 0 <= head < affinity.heads:
        raise NlvizError(f"head must be between 0 and {affinity.heads - 1}, got {head}")
    heads = slice(None) if head is None else slice(head, head + 1)
    rows = rows_at(affinity, numbers)[heads].double().cpu()
    of_position = rows_at(mean.rows, numbers)[heads].double().cpu()
    reach = _reach(affinity, numbers)
    anywhere = _anywhere(affinity, mean, numbers, heads)
    shared = _unary_rows(affinity, numbers, heads)
    left_out = _own_keys(affinity, numbers)
    own = None
    if left_out is not None:
        at = torch.arange(len(numbers)), left_out
        own = float((rows[:, *at].abs() / rows.abs().sum(-1).clamp(min=1e-300)).mean())
        for x in (rows, of_position, anywhere, shared):
            if x is not None:
                x[:, *at] = 0.0
        reach[at] = False
    common, of_variance = in_common(rows, of_position), explained(rows, of_position, reach)
    others = None if anywhere is None else in_common(rows, anywhere)
    nothing = torch.full_like(common, math.nan)
    each = torch.stack([common, of_variance, nothing if others is None else others], -1).mean(1)
    uniform = reach.double().expand_as(rows)
    return PositionShare(
        own=own,
        common=float(common.mean()),
        explained=float(of_variance.mean()),
        common_anywhere=None if others is None else float(others.mean()),
        explained_anywhere=None
        if anywhere is None
        else float(explained(rows, anywhere, reach).mean()),
        common_uniform=float(in_common(rows, uniform).mean()),
        unary=None if shared is None else _likeness(rows, shared),
        queries=len(numbers),
        clips=mean.clips,
        of_heads=tuple((float(a), float(b), float(c)) for a, b, c in each),
        note=mean.note,
    )


def in_common(
    one: Float[Tensor, "heads n keys"], other: Float[Tensor, "heads n keys"]
) -> Float[Tensor, "heads n"]:
    """Return the mass that rows have in common, each as shares of its size, in [0, 1].

    >>> in_common(torch.tensor([[[0.5, 0.5, 0.0]]]), torch.tensor([[[0.25, 0.0, 0.75]]]))
    tensor([[0.2500]])
    """
    a, b = (x / x.abs().sum(-1, keepdim=True).clamp(min=1e-30) for x in (one, other))
    found: Tensor = (torch.minimum(a.abs(), b.abs()) * (a * b > 0)).sum(-1)
    return found


def explained(
    one: Float[Tensor, "heads n keys"],
    other: Float[Tensor, "heads n keys"],
    reach: Bool[Tensor, "n keys"],
) -> Float[Tensor, "heads n"]:
    """Return r^2 of rows over the keys that are reached; 0 where r is negative, or one is even.

    >>> one, every = torch.tensor([[[1.0, 2.0, 3.0]]]), torch.ones(1, 3, dtype=torch.bool)
    >>> explained(one, 5 * one + 1, every), explained(one, -one, every)
    (tensor([[1.]], dtype=torch.float64), tensor([[0.]], dtype=torch.float64))
    """
    one, other = one.double(), other.double()
    there = reach.to(one)
    count = there.sum(-1, keepdim=True).clamp(min=1)
    a, b = ((x - (x * there).sum(-1, keepdim=True) / count) * there for x in (one, other))
    size = (a.square().sum(-1) * b.square().sum(-1)).sqrt()
    r = (a * b).sum(-1) / size.clamp(min=1e-300)
    return (r * (size > 1e-24)).clamp(0, 1).square()


def _numbers(affinity: Affinity, query: Query | None) -> list[int]:
    if query is not None:
        return [query_number(affinity, query)]
    prefix = affinity.queries.prefix
    return [prefix + int(i) for i in spread_evenly(affinity.queries.size, SAMPLE)]


def _reach(affinity: Affinity, numbers: Sequence[int]) -> Bool[Tensor, "n all_keys"]:
    """Return which keys each query reaches."""
    queries, keys = affinity.queries, affinity.keys
    found = torch.ones(len(numbers), keys.size + keys.prefix, dtype=torch.bool)
    apart = affinity.support.mask_apart(queries, keys)
    for row, number in zip(found, numbers, strict=True):
        if number < queries.prefix:
            mask = None if apart is None else apart[number]
        else:
            of_one = torch.tensor([number - queries.prefix])
            reached = affinity.support.mask_all(queries, keys, of_one)
            mask = None if reached is None else reached[0]
        if mask is not None:
            row &= mask.cpu()
    return found


def _own_keys(affinity: Affinity, numbers: Sequence[int]) -> Int[Tensor, " n"] | None:
    """Return the number of the key that is each query itself; None where none is."""
    queries, keys = affinity.queries, affinity.keys
    if queries.kind != keys.kind or (queries.kind == "line" and queries != keys):
        return None
    if min(numbers) < queries.prefix:
        return torch.tensor(numbers) if queries.prefix == keys.prefix else None
    at = [keys.nearest(frame=c.frame, y=c.y, x=c.x) for c in _centres(queries, numbers)]
    return torch.tensor(at) + keys.prefix


def _centres(grid: TokenGrid, numbers: Sequence[int]) -> list[Point]:
    return [grid.centre(number - grid.prefix) for number in numbers]


def _anywhere(
    affinity: Affinity, mean: MeanPosition, numbers: Sequence[int], heads: slice
) -> Float[Tensor, "heads n all_keys"] | None:
    """Return for each query the mean of the mean rows of the queries that reach the same keys."""
    prefix = affinity.queries.prefix
    group = affinity.query_groups.cpu()
    if min(numbers) < prefix:  # a token without a place is compared with all places
        if affinity.support.mask_apart(affinity.queries, affinity.keys) is not None:
            return None
        of = dict.fromkeys(numbers, 0)
    else:
        of = {n: int(group[n - prefix]) for n in numbers}
    counts = affinity.support.counts(affinity.queries, affinity.keys)
    means: dict[int, Tensor] = {}
    for g in set(of.values()):
        own = (group == g).nonzero()[:, 0]
        if len(own) < LEAST or int(counts[own].min()) != int(counts[own].max()):
            return None
        taken = own[spread_evenly(len(own), SAMPLE)]
        means[g] = rows_at(mean.rows, taken + prefix)[heads].double().mean(1).cpu()
    return torch.stack([means[of[n]] for n in numbers], 1)


def _unary_rows(
    affinity: Affinity, numbers: Sequence[int], heads: slice
) -> Float[Tensor, "heads n all_keys"] | None:
    """Return the part of rows that all queries of this clip share; None where there is no split."""
    placed = [n - affinity.queries.prefix for n in numbers]
    if not can_split(affinity) or min(placed) < 0:
        return None
    return split(affinity).unary.rows(placed)[heads].double().cpu()


def _likeness(rows: Float[Tensor, "heads n keys"], shared: Float[Tensor, "heads n keys"]) -> float:
    """Return 1 - JSD / ln 2 of rows and of others, both scaled to 1."""
    p, q = (x / x.sum(-1, keepdim=True).clamp(min=1e-300) for x in (rows, shared))
    return float((1 - divergence(p, q) / math.log(2)).mean())


def no_position(capture: Capture, block: str) -> str:
    """Return why nothing can be said of what position does in a block, or an empty text.

    Raises:
        UnknownBlock: when there is no such block.
    """
    affinity = capture.affinities[block]
    kinds = {affinity.queries.kind, affinity.keys.kind}
    if kinds - {"grid", "line"} or capture.clip.boxes:
        return (
            "what position does needs queries and keys at the same places in every clip; those of "
            f"{affinity.name} are boxes or nodes, which lie elsewhere in each"
        )
    if prompt_of(capture.clip) is not None:
        return (
            f"what position does needs the same tokens in every clip; {affinity.name} sees words "
            "beside the clip, whose mean over clips says nothing"
        )
    return ""


def _thin(affinity: Affinity) -> Affinity:
    """Return an affinity without what rows are not made of."""
    if isinstance(affinity, EmbeddedAffinity):
        return replace(affinity, values=None, output=None)
    return affinity


def _of_clips(
    model: Model, affinity: Affinity, block: str, clips: Sequence[Clip], tell: Progress
) -> list[Affinity]:
    """Return a block's affinities on those of some clips that have the same tokens."""
    found = []
    for i, clip in enumerate(clips):
        step = tell.part(i / len(clips), (i + 1) / len(clips), prefix=f"{clip.name}: ")
        try:
            again = model.capture(clip, blocks=[block], progress=step).affinities[block]
        except NlvizError:
            if not isinstance(clip, Text):  # a drawn text may be none that the network takes
                raise
            continue
        if same_tokens(affinity, again):
            found.append(_thin(again))
    return found
