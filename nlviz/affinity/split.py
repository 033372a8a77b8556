"""What of an affinity is about the query: the exact split of softmax rows, and the mean row.

Split (Yin et al. 2020, "Disentangled Non-Local Neural Networks", arXiv 2006.06668). With mu_q the
mean of theta over the queries and mu_k that of phi over the keys,

    s theta_i . phi_j = s (theta_i - mu_q) . (phi_j - mu_k)  pairwise: about the query and the key
                      + s mu_q . phi_j                       unary: the same for every query
                      + s (theta_i - mu_q) . mu_k            does not depend on j

A softmax over j takes no notice of a term that does not depend on j, so softmax(pairwise + unary)
is the row, exactly, for any trained block. For the same reason mu_k changes no row at all, only the
numbers that raw pairwise logits show.

Where queries see only their own group of frames, mu_q is the mean over that group, whose unary row
is the same for every query of it; a query beyond all groups does not exist. Heads are apart. A bias
of the keys belongs to the unary term; of a bias of query and key its mean over the queries does.
Tokens without a place (a class token) are keys like others; mu_q is over the queries with a place.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nlviz.affinity.attention_map import AttentionMap
from nlviz.affinity.base import Affinity, Head, Indices, RowsMixin
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.support import Support
from nlviz.clips.point import Shape
from nlviz.errors import NlvizError

PAIRS = 1 << 27  # query-key pairs over which a mean row is taken; beyond it a sample of queries
LEAST = 256  # queries of such a sample, however many keys there are
CHUNK = 1 << 22  # query-key pairs that are in memory at once
SAME_RANKING = (
    "Concatenation ranks the keys alike for every query: f = ReLU(a of the query + b of the key), "
    "so hovering changes how many keys count and how much, never their order."
)


class Split(NamedTuple):
    """The two parts of a softmax affinity.

    Attributes:
        pairwise: softmax of the whitened products; a query's own part.
        unary: softmax of the mean query's products; the same row for every query of a group.
    """

    pairwise: EmbeddedAffinity
    unary: EmbeddedAffinity


def can_split(affinity: Affinity) -> bool:
    """Return whether rows are a softmax of inner products, so that ``split`` is exact."""
    return isinstance(affinity, EmbeddedAffinity) and affinity.pairwise.name in (
        "gaussian",
        "embedded_gaussian",
    )


def split(affinity: Affinity) -> Split:
    """Split a softmax affinity into its pairwise and its unary part, exactly.

    The softmax of the sum of both parts' logits is the affinity's row; see the formula above.

    Raises:
        NlvizError: when rows are no softmax of inner products (dot product, concatenation).

    >>> _ = torch.manual_seed(0)
    >>> theta, phi = torch.randn(1, 12, 5) + 1, torch.randn(1, 6, 5)
    >>> grids = TokenGrid((1, 3, 4)), TokenGrid((1, 2, 3))
    >>> whole = EmbeddedAffinity("block", Pairwise("embedded_gaussian"), theta, phi, *grids)
    >>> pairwise, unary = split(whole)
    >>> rows = (pairwise.logits([0, 7]) + unary.logits([0, 7])).softmax(-1)
    >>> torch.allclose(rows, whole.rows([0, 7]), atol=1e-6)
    True
    >>> torch.equal(unary.rows([0]), unary.rows([7]))
    True
    """
    if not (isinstance(affinity, EmbeddedAffinity) and can_split(affinity)):
        raise NlvizError(
            "only softmax rows of inner products split into pairwise and unary parts, "
            f"{affinity.name} is {affinity.pairwise.name}; look at the rows minus the mean row "
            "instead"
        )
    centre = centres(affinity)
    prefix, group = affinity.queries.prefix, query_groups(affinity)
    wide = centre.theta.dtype
    own = affinity.theta[:, prefix:].to(wide) - centre.theta[:, group]
    before = affinity.theta[:, :prefix].to(wide) - centre.theta.mean(1, keepdim=True)
    theta = torch.cat([before, own], 1)
    bias, shared = affinity.bias, None
    if bias is not None:
        by_query = bias.shape[1] > 1
        shared = _group_means(bias, group, centre.theta.shape[1]) if by_query else bias
        bias = bias - shared[:, group] if by_query else None
    pairwise = replace(
        affinity,
        theta=theta,
        phi=affinity.phi.to(wide) - centre.phi,
        bias=bias,
        values=None,
        output=None,
    )
    # One logit for each key and group of queries; theta picks the group.
    logits = affinity.pairwise.scale * centre.theta @ affinity.phi.to(wide).mT
    logits = logits if shared is None else logits + shared
    heads, groups, _ = logits.shape
    pick = torch.eye(groups, dtype=wide, device=logits.device)[group]
    pick = torch.cat([pick.mean(0).expand(prefix, groups), pick]).expand(heads, -1, groups)
    unary = replace(
        affinity,
        pairwise=replace(affinity.pairwise, scale=1.0),
        theta=pick,
        phi=logits.mT.contiguous(),
        bias=None,
        values=None,
        output=None,
    )
    return Split(pairwise, unary)


def unary_normaliser(unary: EmbeddedAffinity) -> Float[Tensor, "heads queries"]:
    """Return log C of every query of a unary part, from one row for each group of queries.

    >>> _ = torch.manual_seed(0)
    >>> theta, phi = torch.randn(1, 12, 5) + 1, torch.randn(1, 6, 5)
    >>> grids = TokenGrid((1, 3, 4)), TokenGrid((1, 2, 3))
    >>> unary = split(EmbeddedAffinity("block", Pairwise("gaussian"), theta, phi, *grids)).unary
    >>> torch.allclose(unary_normaliser(unary), unary.log_normaliser)
    True
    """
    group = query_groups(unary)
    first = torch.searchsorted(group, torch.arange(_groups(unary), device=group.device))
    return unary.logits(first).logsumexp(-1)[:, group]


class Centres(NamedTuple):
    """What the split subtracts.

    Attributes:
        theta: mean query of each group, (heads, groups, d).
        phi: mean of all keys, (heads, 1, d).
    """

    theta: Float[Tensor, "heads groups d"]
    phi: Float[Tensor, "heads 1 d"]


def centres(affinity: EmbeddedAffinity) -> Centres:
    """Return the means that the split subtracts, in float32 or better."""
    theta, phi = affinity.theta[:, affinity.queries.prefix :], affinity.phi
    if theta.dtype not in (torch.float32, torch.float64):
        theta, phi = theta.float(), phi.float()
    group = query_groups(affinity)
    return Centres(_group_means(theta, group, _groups(affinity)), phi.mean(1, keepdim=True))


def query_groups(affinity: Affinity) -> Int[Tensor, " queries"]:
    """Return the group of frames that each query belongs to, from 0.

    >>> from nlviz.affinity.patches import patch_affinity
    >>> import numpy as np
    >>> a = patch_affinity(np.zeros((2, 9, 9, 3), np.uint8), clip_shape=(2, 9, 9), h=1)
    >>> query_groups(a).tolist()
    [0, 0, 0, 0, 0, 0, 0, 0]
    """
    frames, h, w = affinity.queries.shape
    size = affinity.support.frames_per_group
    device = affinity.theta.device if isinstance(affinity, EmbeddedAffinity) else None
    frame = torch.arange(frames, device=device).repeat_interleave(h * w)
    return torch.zeros_like(frame) if size is None else frame // size


def _groups(affinity: Affinity) -> int:
    size = affinity.support.frames_per_group
    return 1 if size is None else -(-affinity.queries.shape[0] // size)


def _group_means(
    values: Float[Tensor, "heads queries d"], group: Int[Tensor, " queries"], groups: int
) -> Float[Tensor, "heads groups d"]:
    return torch.stack([values[:, group == g].mean(1) for g in range(groups)], 1)


@dataclass(frozen=True)
class Deviation(Pairwise):
    """F and C of rows minus the mean row: signed, and no distributions.

    >>> Deviation("gaussian").signed, Deviation("gaussian").softmax
    (True, False)
    """

    @property
    def signed(self) -> bool:
        """Whether rows may be negative: they are wherever a query gives less than the mean."""
        return True

    @property
    def softmax(self) -> bool:
        """Whether a row sums to 1: it does not."""
        return False


@dataclass(frozen=True, eq=False, repr=False)
class MinusMean(RowsMixin):
    """Rows of an affinity minus its mean row: what is this query's own.

    A positive weight is more than the mean query gives to that key, a negative one less. Where the
    affinity's rows sum to 1 these sum to 0; rows of a dot product or a concatenation have sums of
    their own, and so have these.

    Attributes:
        of: the affinity.
        mean: mean row of each group of queries, (heads, groups, all_keys).
        counted: number of queries that it was taken over.
        name, pairwise, queries, keys, support, clip_shape: as of every affinity.
    """

    of: Affinity
    mean: Float[Tensor, "heads groups all_keys"]
    counted: int
    name: str
    pairwise: Pairwise
    queries: TokenGrid
    keys: TokenGrid
    support: Support
    clip_shape: Shape | None

    @property
    def heads(self) -> int:
        """Number of heads."""
        return self.of.heads

    @property
    def balanced(self) -> bool:
        """Whether rows sum to 0."""
        return self.of.pairwise.softmax

    def rows(self, indices: Indices) -> Float[Tensor, "heads n all_keys"]:
        """Return the rows of these queries.

        Raises:
            OutsideClip: when an index is not on the grid.
        """
        rows = self.of.rows(indices)
        index = torch.as_tensor(indices, dtype=torch.long)
        return rows - self.mean[:, query_groups(self.of).to(index.device)[index].to(rows.device)]

    def column(self, key: int) -> Float[Tensor, "heads queries"]:
        """Return how much more than the mean query every query gives to one key."""
        column = self.of.column(key)
        mean = self.mean[..., key + self.keys.prefix]
        return column - mean[:, query_groups(self.of).to(column.device)]

    def map(self, *, frame: float, y: float, x: float, head: Head = None) -> AttentionMap:
        """Return the row of the query at a place, laid on the key grid; see ``RowsMixin.map``."""
        found = super().map(frame=frame, y=y, x=x, head=head)
        return self._told(found, balanced=self.balanced and head != "max")

    def map_to(self, *, frame: float, y: float, x: float, head: Head = None) -> AttentionMap:
        """Return the column of the key at a place; see ``RowsMixin.map_to``."""
        return self._told(super().map_to(frame=frame, y=y, x=x, head=head), balanced=False)

    def _told(self, attention: AttentionMap, *, balanced: bool) -> AttentionMap:
        title = f"{attention.title}, minus the mean row"
        return replace(attention, balanced=balanced, title=title)


def minus_mean(affinity: Affinity) -> MinusMean:
    """Return an affinity's rows minus its mean row.

    The mean is over all queries of a group of frames (there is one group unless queries see only
    their own), computed once, a chunk of rows at a time; above 2^27 pairs of query and key it is
    over queries spread evenly, as many as make that number.

    >>> _ = torch.manual_seed(0)
    >>> theta, phi = torch.randn(1, 12, 5), torch.randn(1, 6, 5)
    >>> grids = TokenGrid((1, 3, 4)), TokenGrid((1, 2, 3))
    >>> rest = minus_mean(EmbeddedAffinity("block", Pairwise("gaussian"), theta, phi, *grids))
    >>> rest.pairwise.signed, bool(rest.dense().mean(1).abs().max() < 1e-6)
    (True, True)
    """
    mean, counted = mean_rows(affinity)
    return MinusMean(
        of=affinity,
        mean=mean,
        counted=counted,
        name=affinity.name,
        pairwise=Deviation(affinity.pairwise.name, affinity.pairwise.scale),
        queries=affinity.queries,
        keys=affinity.keys,
        support=affinity.support,
        clip_shape=getattr(affinity, "clip_shape", None),
    )


def mean_rows(affinity: Affinity) -> tuple[Float[Tensor, "heads groups all_keys"], int]:
    """Return the mean row of each group of queries, and over how many queries it was taken.

    O(queries x keys x d) once, in bounded memory; see ``minus_mean`` for the bound on the time.
    """
    keys = affinity.heads * (affinity.keys.size + affinity.keys.prefix)
    group, groups = query_groups(affinity), _groups(affinity)
    most = max(PAIRS // keys // groups, LEAST)
    chunk = max(CHUNK // keys, 16)
    means, counted = [], 0
    for g in range(groups):
        index = (group == g).nonzero()[:, 0]
        if len(index) > most:
            spread = torch.linspace(0, len(index) - 1, most, dtype=torch.float64)
            index = index[spread.round().long().to(index.device)]
        total = sum(
            (affinity.rows(part).sum(1, dtype=torch.float64) for part in torch.split(index, chunk)),
            start=torch.zeros((), dtype=torch.float64, device=index.device),
        )
        means.append((total / len(index)).to(torch.float32))
        counted += len(index)
    return torch.stack(means, 1), counted
