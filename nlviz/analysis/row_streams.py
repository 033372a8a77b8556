"""Sums over softmax rows, taken where the exponentials are computed.

With logits l_ij, m_i = max_j l_ij, e_ij = exp(l_ij - m_i) and z_i = sum_j e_ij a row is e / z, and

    H_i = ln z_i - sum_j e_ij (l_ij - m_i) / z_i

so that entropy, masses, distances and peak follow from sums over e. Two buffers of a chunk of
queries are used again and again; they stay in the processor's cache, which makes this faster than
the matrix itself. Frames are summed before distances: these are the same in every frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nlviz.affinity.base import Affinity
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.key_sets import KeySets
from nlviz.affinity.support import FrameGroups
from nlviz.analysis.key_places import KeyPlaces
from nlviz.progress import Progress

PAIRS = 1 << 20  # query-key pairs of one head that are in memory at once: 4 MiB in each buffer
_NEVER = -1e4  # a logit below the largest whose exponential is 0 in single and double precision


@dataclass(frozen=True, eq=False)
class Gathered:
    """Numbers of rows as they come in, for each head and query; see ``AllQueries``.

    Attributes:
        entropy, pixels, own_frame, peak, off_grid: (heads, n).
        per_frame: (heads, n, frames).
        columns: (heads, all keys) sums over the queries so far.
        even: (all keys) what these are for uniform rows.
    """

    entropy: Float[Tensor, "heads n"]
    pixels: Float[Tensor, "heads n"]
    per_frame: Float[Tensor, "heads n frames"]
    own_frame: Float[Tensor, "heads n"]
    peak: Float[Tensor, "heads n"]
    off_grid: Float[Tensor, "heads n"]
    columns: Float[Tensor, "heads all_keys"]
    even: Float[Tensor, " all_keys"]

    @classmethod
    def empty(cls, affinity: Affinity, places: KeyPlaces, n: int) -> Gathered:
        """Return zeros for so many queries, on the affinity's device."""
        heads, keys = affinity.heads, affinity.keys.size + affinity.keys.prefix
        frames = len(places.frames)

        def zeros(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(*shape, dtype=dtype, device=affinity.device)

        return cls(
            zeros(heads, n),
            zeros(heads, n),
            zeros(heads, n, frames),
            zeros(heads, n),
            zeros(heads, n),
            zeros(heads, n),
            zeros(heads, keys, dtype=torch.float64),
            zeros(keys, dtype=torch.float64),
        )

    @property
    def each(self) -> tuple[Tensor, ...]:
        """The numbers that each query has, in the order of ``AllQueries``."""
        return (
            self.entropy,
            self.pixels,
            self.per_frame,
            self.own_frame,
            self.peak,
            self.off_grid,
        )

    def add_even(self, n: int, reached: Bool[Tensor, "n all_keys"] | None) -> None:
        """Add what n uniform rows give to the columns, over what they reach; None is all keys."""
        if reached is None:
            self.even.add_(n / max(len(self.even), 1))
            return
        share = reached.double() / reached.sum(1, keepdim=True).clamp(min=1)
        self.even.add_(share.sum(0))

    def take(
        self,
        at: Int[Tensor, " n"],
        rows: Float[Tensor, "heads n all_keys"],
        places: KeyPlaces,
        *,
        distributes: bool,
        placed: bool = True,
    ) -> None:
        """Take rows as they are: of any pairwise function, signed or not.

        Args:
            at: numbers of their queries here.
            rows: keys without a place first.
            places: where the keys lie.
            distributes: whether rows sum to 1, so that they have an entropy.
            placed: whether the queries have a place, and a distance and a frame with it.
        """
        rows = rows if rows.dtype == torch.float64 else rows.float()
        prefix = rows.shape[2] - len(places.frame_of)
        off, on = rows[..., :prefix].sum(-1), rows[..., prefix:]
        self.columns.add_(rows.sum(1, dtype=torch.float64))
        self.off_grid[:, at] = off.to(self.off_grid)
        self.peak[:, at] = on.amax(-1).to(self.peak)
        by_frame = _by_frame(on, places, None)
        self.per_frame[:, at] = by_frame.to(self.per_frame)
        if distributes:
            nats = torch.special.entr(on).sum(-1) + torch.special.entr(off)
            self.entropy[:, at] = nats.to(self.entropy)
        if not placed:
            return
        own = places.own[at].expand(len(rows), -1)[..., None]
        self.own_frame[:, at] = _share(by_frame.abs(), own).to(self.own_frame)
        size = on.abs()
        away = _folded(size, places, None) * places.distances(at).to(size)
        total = size.sum(-1).clamp(min=torch.finfo(size.dtype).tiny)
        self.pixels[:, at] = (away.sum(-1) / total).to(self.pixels)


@dataclass(frozen=True, eq=False)
class _Part:
    """Queries whose rows are computed together.

    Attributes:
        index: their numbers.
        keys: the keys that they reach, counted from the first without a place; None for all.
        mask: which of all keys each reaches; None where they reach all of ``keys``.
    """

    index: Int[Tensor, " n"]
    keys: Int[Tensor, " k"] | None
    mask: Bool[Tensor, "n all_keys"] | None


def softmax_statistics(affinity: EmbeddedAffinity, places: KeyPlaces, told: Progress) -> Gathered:
    """Return the numbers of all rows of a softmax of inner products.

    Args:
        affinity: of ``gaussian`` or ``embedded_gaussian``.
        places: where its queries and keys lie.
        told: told how much is done.
    """
    found = Gathered.empty(affinity, places, affinity.queries.size)
    wide = torch.float64 if affinity.theta.dtype == torch.float64 else torch.float32
    every = affinity.keys.size + affinity.keys.prefix
    phi = affinity.phi.to(wide)
    room = _Room(max(PAIRS // every, 4) * every, wide, affinity.device)
    done = 0
    for part in _parts(affinity, every):
        told("Reading rows", done / affinity.queries.size)
        done += len(part.index)
        _take_part(affinity, places, part, phi, room, found)
    return found


class _Room:
    """Two buffers that all chunks are computed in."""

    def __init__(self, size: int, dtype: torch.dtype, device: torch.device) -> None:
        self._flat = torch.empty(2, size, dtype=dtype, device=device)

    def taken(self, n: int, k: int) -> tuple[Tensor, Tensor]:
        if n * k > self._flat.shape[1]:  # a set of few keys and many queries never is
            self._flat = self._flat.new_empty(2, n * k)
        first, second = (flat[: n * k].view(n, k) for flat in self._flat)
        return first, second


def _parts(affinity: EmbeddedAffinity, every: int) -> Iterator[_Part]:
    """Yield the queries of an affinity in chunks, those with few keys of their own together."""
    queries, keys, support = affinity.queries, affinity.keys, affinity.support
    device = affinity.device
    if isinstance(support, KeySets):
        for some, reached in support.each(queries, keys):
            yield from _cut(some.to(device), reached.to(device))
        return
    if isinstance(support, FrameGroups):
        groups = support.groups(queries)
        for group in range(int(groups.max()) + 1):
            index = (groups == group).nonzero()[:, 0]
            mask = support.mask_all(queries, keys, index[:1])
            if mask is not None:
                yield from _cut(index.to(device), mask[0].nonzero()[:, 0].to(device))
        return
    chunks = torch.split(torch.arange(queries.size, device=device), max(PAIRS // every, 4))
    for index in chunks:
        yield _Part(index, None, support.mask_all(queries, keys, index))


def _cut(index: Tensor, reached: Tensor) -> Iterator[_Part]:
    for part in torch.split(index, max(PAIRS // max(len(reached), 1), 4)):
        yield _Part(part, reached, None)


def _take_part(
    affinity: EmbeddedAffinity,
    places: KeyPlaces,
    part: _Part,
    phi: Float[Tensor, "heads all_keys d"],
    room: _Room,
    found: Gathered,
) -> None:
    """Compute the exponentials of some queries, head by head, and what is summed over them."""
    index, reached, mask = part.index, part.keys, part.mask
    every, prefix = phi.shape[1], affinity.keys.prefix
    if reached is not None:
        prefix = int((reached < prefix).sum())
        every = len(reached)
    if not every:
        return
    kept = slice(None) if reached is None else reached
    placed = None if reached is None else reached[prefix:] - affinity.keys.prefix
    if reached is None:
        found.add_even(len(index), mask)
    else:
        found.even[kept] += len(index) / every
    added = None
    if affinity.bias is not None:
        grids = affinity.queries, affinity.keys
        added = (
            affinity.bias.at(*grids, index)
            if reached is None
            else affinity.bias.between(*grids, index, reached)
        ).to(phi.dtype)
    theta = affinity.theta[:, index + affinity.queries.prefix].to(phi.dtype)
    theta = theta if affinity.pairwise.scale == 1.0 else theta * affinity.pairwise.scale
    away = places.distances(index, placed).to(phi.dtype)
    own = places.own[index][:, None]
    for head in range(affinity.heads):
        logits, e = room.taken(len(index), every)
        torch.mm(theta[head], phi[head, kept].mT, out=logits)
        if added is not None:
            logits += added[head % len(added)]
        if mask is not None:
            logits.masked_fill_(~mask, -torch.inf)
        _exponentials(logits, e, guarded=mask is not None or added is not None)
        found.columns[head, kept] += _take_sums(
            _Exponentials(logits, e, prefix, placed), away, own, places, found, (head, index)
        )


def _exponentials(logits: Tensor, e: Tensor, *, guarded: bool) -> None:
    """Turn logits into their differences from the largest, and write the exponentials to ``e``."""
    top = logits.amax(1, keepdim=True)
    if guarded:  # a query may reach no key
        top = top.masked_fill(top.isneginf(), 0.0)
    logits -= top
    if guarded:
        logits.clamp_(min=_NEVER)  # 0 times -inf is no number
    torch.exp(logits, out=e)


@dataclass(frozen=True, eq=False)
class _Exponentials:
    """Rows before they are divided by their sums.

    Attributes:
        logits: differences from the largest; free to be written over.
        e: their exponentials.
        prefix: how many of the keys come first and have no place.
        keys: numbers of the others; None for all.
    """

    logits: Float[Tensor, "n k"]
    e: Float[Tensor, "n k"]
    prefix: int
    keys: Int[Tensor, " placed"] | None


def _take_sums(
    rows: _Exponentials,
    away: Float[Tensor, "n cells"],
    own: Int[Tensor, "n 1"],
    places: KeyPlaces,
    found: Gathered,
    at: tuple[int, Int[Tensor, " n"]],
) -> Float[Tensor, " k"]:
    """Write what is summed over rows of one head, and return their sum."""
    e, prefix, logits = rows.e, rows.prefix, rows.logits
    on = e[:, prefix:]
    z = e.sum(1)
    share = (1 / z).masked_fill(z == 0, 0.0)
    log_z = z.log().masked_fill(z == 0, 0.0)
    total = on.sum(1) if prefix else z
    off = e[:, :prefix].sum(1) * share
    nats = log_z * total * share - logits[:, prefix:].mul_(on).sum(1) * share
    by_frame = _by_frame(on, places, rows.keys)
    least = torch.finfo(z.dtype).tiny
    pixels = (_folded(on, places, rows.keys) * away).sum(1) / total.clamp(min=least)
    # The strongest key has e = 1, unless it is one without a place.
    peak = z.new_full((len(z),), float(on.shape[1] > 0))
    if prefix and on.shape[1]:
        peak = on.amax(1)
    for name, values in (
        ("entropy", nats + torch.special.entr(off)),
        ("pixels", pixels),
        ("per_frame", by_frame * share[:, None]),
        ("own_frame", _share(by_frame, own)),
        ("peak", peak * share),
        ("off_grid", off),
    ):
        kept: Tensor = getattr(found, name)
        kept[at] = values.to(kept)
    return (share @ e).double()


def _by_frame(
    weights: Float[Tensor, "*any keys"], places: KeyPlaces, keys: Int[Tensor, " keys"] | None
) -> Float[Tensor, "*any frames"]:
    """Return the sum of each frame."""
    frames = len(places.frames)
    if keys is None and places.cells:
        return weights.reshape(*weights.shape[:-1], frames, places.cells).sum(-1)
    frame_of = places.frame_of if keys is None else places.frame_of[keys]
    summed = weights.new_zeros(*weights.shape[:-1], frames)
    return summed.index_add_(-1, frame_of, weights)


def _folded(
    weights: Float[Tensor, "*any keys"], places: KeyPlaces, keys: Int[Tensor, " keys"] | None
) -> Float[Tensor, "*any cells"]:
    """Return the sum over frames of each cell, where all frames hold the same cells."""
    if keys is None and places.cells:
        frames = len(places.frames)
        return weights.reshape(*weights.shape[:-1], frames, places.cells).sum(-2)
    return weights


def _share(
    by_frame: Float[Tensor, "*any frames"], own: Int[Tensor, "*any 1"]
) -> Float[Tensor, "*any"]:
    """Return the share of one frame; 0 where there is nothing to share."""
    total = by_frame.sum(-1)
    mine = by_frame.gather(-1, own)[..., 0]
    return mine / total.clamp(min=torch.finfo(total.dtype).tiny)
