"""Numbers about every row of an affinity at once: no matrix of queries x keys is ever in memory.

Of the row p of one query, over the keys j:

number          definition
``entropy``     H = -sum_j p_j ln p_j; keys without a place count as one more key together
``effective``   exp(H), the effective number of keys
``pixels``      sum_j |p_j| d_j / sum_j |p_j| over the keys that have a place, d_j their distance
``per_frame``   sum of p_j over the keys of a frame
``own_frame``   share of the query's own frame in the magnitude of all frames
``peak``        the largest p_j of a key that has a place
``columns``     sum_i p_ij of each key over all queries i

They are what ``AttentionMap`` says of one row. Softmax rows take the short way of ``row_streams``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from nlviz.affinity.base import Affinity
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.split import can_split
from nlviz.analysis.key_places import KeyPlaces
from nlviz.analysis.row_streams import Gathered, softmax_statistics
from nlviz.errors import NlvizError
from nlviz.progress import Listener, Progress
from nlviz.sentences import counted

PAIRS = 1 << 19  # query-key pairs of all heads that are in memory at once


@dataclass(frozen=True, eq=False)
class AllQueries:
    """What the rows of all queries do, for each head.

    Queries are numbered as in theta: those without a place first. These have no distance and no
    frame of their own; where their rows cannot be asked for, all that is said of them is NaN.

    Attributes:
        name: of the block.
        prefix: number of queries without a place.
        entropy: (heads, all queries) nats; None where rows are no distributions.
        pixels: (heads, all queries) mean distance from query to key, in pixels of the clip; words
            on a line are 1 apart.
        per_frame: (heads, all queries, frames) mass of each frame that keys lie on.
        own_frame: (heads, all queries) share of a query's own frame, in [0, 1].
        peak: (heads, all queries) largest weight of a key that has a place.
        off_grid: (heads, all queries) mass on keys without a place.
        columns: (heads, all keys) sum of the weights that all queries give to a key, those without
            a place first.
        even: (all keys) what these sums are where every query gives the same to each key that it
            reaches.
        frames: (frames,) where the frames of the keys lie, in sampled frames.
    """

    name: str
    prefix: int
    entropy: Float[Tensor, "heads all_queries"] | None
    pixels: Float[Tensor, "heads all_queries"]
    per_frame: Float[Tensor, "heads all_queries frames"]
    own_frame: Float[Tensor, "heads all_queries"]
    peak: Float[Tensor, "heads all_queries"]
    off_grid: Float[Tensor, "heads all_queries"]
    columns: Float[Tensor, "heads all_keys"]
    even: Float[Tensor, " all_keys"]
    frames: Float[Tensor, " frames"]

    @property
    def heads(self) -> int:
        """Number of heads."""
        return int(self.peak.shape[0])

    @cached_property
    def effective(self) -> Float[Tensor, "heads all_queries"] | None:
        """Effective number of keys, exp(entropy), at least 1; None where entropy is."""
        return None if self.entropy is None else self.entropy.exp()

    @cached_property
    def mass(self) -> Float[Tensor, "heads all_keys"]:
        """Column sums as multiples of what they are where all rows are uniform: c_j, 1 = uniform.

        A key that no query reaches has 0.
        """
        return torch.where(self.even > 0, self.columns / self.even.clamp(min=1e-30), 0.0)

    def means(self) -> dict[str, Float[Tensor, " heads"]]:
        """Return the mean of each number over the queries that have a place, for each head.

        >>> import torch
        >>> from nlviz import EmbeddedAffinity, Pairwise, TokenGrid, query_statistics
        >>> grid = TokenGrid((2, 3, 4), (1, 8, 8))
        >>> theta, phi = torch.zeros(2, 1, 24, 5)
        >>> a = EmbeddedAffinity("block", Pairwise("gaussian"), theta, phi, grid, grid)
        >>> {k: round(float(v[0]), 2) for k, v in query_statistics(a).means().items()}
        {'effective': 24.0, 'pixels': 13.94, 'own_frame': 0.5, 'peak': 0.04, 'off_grid': 0.0}
        """
        found: dict[str, Tensor] = {} if self.effective is None else {"effective": self.effective}
        found |= {n: getattr(self, n) for n in ("pixels", "own_frame", "peak", "off_grid")}
        placed = {n: of[:, self.prefix :].double() for n, of in found.items()}
        return {name: of.nanmean(1).float() for name, of in placed.items()}

    def __repr__(self) -> str:
        queries = counted(self.peak.shape[1], "query", "queries")
        heads = f", {self.heads} heads" if self.heads > 1 else ""
        return f"AllQueries({self.name}, {queries}{heads})"


def query_statistics(affinity: Affinity, *, progress: Listener | None = None) -> AllQueries:
    """Describe the rows of all queries in one pass, a chunk of rows at a time.

    Args:
        affinity: any; of softmax rows the exponentials are summed where they are computed, which
            takes less than half the time of the matrix and a few MiB.
        progress: told how much is done.

    Raises:
        NlvizError: when rows hold no weights but differences from a mean row.

    >>> import torch
    >>> from nlviz import EmbeddedAffinity, Pairwise, TokenGrid
    >>> _ = torch.manual_seed(0)
    >>> grid = TokenGrid((2, 3, 4), (1, 8, 8))
    >>> theta, phi = torch.randn(2, 1, 24, 5)
    >>> a = EmbeddedAffinity("block", Pairwise("gaussian"), theta, phi, grid, grid)
    >>> found, row = query_statistics(a), a.map(**grid.centre(7)._asdict())
    >>> round(float(found.effective[0, 7] / row.effective()), 5)
    1.0
    >>> found.columns.sum().round().item(), found.mass.shape
    (24.0, torch.Size([1, 24]))
    """
    if affinity.row_values == "difference":
        raise NlvizError(
            f"statistics are of rows of weights, those of {affinity.name} are differences from "
            "their mean row; give the affinity itself"
        )
    told = Progress.of(progress)
    places = KeyPlaces.of(affinity)
    if isinstance(affinity, EmbeddedAffinity) and can_split(affinity):
        found = softmax_statistics(affinity, places, told.part(0, 0.95))
    else:
        found = _of_rows(affinity, places, told.part(0, 0.95))
    apart = _without_a_place(affinity, places)
    told("Reading rows", 1.0)
    joined = [
        torch.cat([a, b], 1).float().cpu() for a, b in zip(apart.each, found.each, strict=True)
    ]
    rows_entropy, pixels, per_frame, own_frame, peak, off_grid = joined
    return AllQueries(
        name=affinity.name,
        prefix=affinity.queries.prefix,
        entropy=rows_entropy if affinity.distributes else None,
        pixels=pixels,
        per_frame=per_frame,
        own_frame=own_frame,
        peak=peak,
        off_grid=off_grid,
        columns=(found.columns + apart.columns).float().cpu(),
        even=(found.even + apart.even).float().cpu(),
        frames=places.frames.float().cpu(),
    )


def _of_rows(affinity: Affinity, places: KeyPlaces, told: Progress) -> Gathered:
    """Return the numbers of rows as the affinity gives them."""
    keys = affinity.keys.size + affinity.keys.prefix
    chunk = max(PAIRS // (affinity.heads * keys), 4)
    found = Gathered.empty(affinity, places, affinity.queries.size)
    for first in range(0, affinity.queries.size, chunk):
        told("Reading rows", first / affinity.queries.size)
        index = torch.arange(
            first, min(first + chunk, affinity.queries.size), device=affinity.device
        )
        rows = affinity.rows(index)
        reached = affinity.support.mask_all(affinity.queries, affinity.keys, index)
        found.take(index, rows, places, distributes=affinity.distributes)
        found.add_even(len(index), reached)
    return found


def _without_a_place(affinity: Affinity, places: KeyPlaces) -> Gathered:
    """Return the numbers of the rows of queries without a place, NaN where they have none."""
    prefix = affinity.queries.prefix
    found = Gathered.empty(affinity, places, prefix)
    for of in found.each:
        of.fill_(torch.nan)
    keys = affinity.keys.size + affinity.keys.prefix
    mask = affinity.support.mask_apart(affinity.queries, affinity.keys)
    chunk = max(PAIRS // (affinity.heads * keys), 1)
    for first in range(0, prefix, chunk):
        index = torch.arange(first, min(first + chunk, prefix), device=affinity.device)
        try:
            rows = affinity.token_rows(index)
        except NlvizError:  # it has no such rows
            return found
        found.take(index, rows, places, distributes=affinity.distributes, placed=False)
        reached = None if mask is None else mask.to(affinity.device)[index]
        found.add_even(len(index), reached)
    return found
