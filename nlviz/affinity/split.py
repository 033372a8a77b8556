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
by key belongs to the unary term, one by offset, which is about the query, to the pairwise term.
Tokens without a place (a class token) are keys like others; mu_q is over the queries with a place.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nlviz.affinity.attention_map import Values
from nlviz.affinity.base import Affinity, Indices
from nlviz.affinity.bias import KeyBias
from nlviz.affinity.causal import Causal
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.key_sets import KeySets
from nlviz.affinity.lines import Lines
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.support import Support
from nlviz.clips.point import Shape
from nlviz.errors import NlvizError

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
    prefix, group = affinity.queries.prefix, affinity.query_groups
    wide = centre.theta.dtype
    own = affinity.theta[:, prefix:].to(wide) - centre.theta[:, group]
    before = affinity.theta[:, :prefix].to(wide) - centre.theta.mean(1, keepdim=True)
    theta = torch.cat([before, own], 1)
    by_key = affinity.bias if isinstance(affinity.bias, KeyBias) else None
    pairwise = replace(
        affinity,
        theta=theta,
        phi=affinity.phi.to(wide) - centre.phi,
        bias=None if by_key is not None else affinity.bias,
        values=None,
        output=None,
        token_names=(),
        apart_bias=None,
    )
    # One logit for each key and group of queries; theta picks the group.
    logits = affinity.pairwise.scale * centre.theta @ affinity.phi.to(wide).mT
    logits = logits if by_key is None else logits + by_key.tensor
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
        token_names=(),
        apart_bias=None,
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
    if isinstance(unary.support, (Causal, KeySets, Lines)):
        whole = unary.log_normaliser
        assert whole is not None  # a softmax has one
        return whole
    group = unary.query_groups
    order = group.argsort(stable=True)
    every = torch.arange(int(group.max()) + 1, device=group.device)
    first = order[torch.searchsorted(group[order], every)]
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
    group = affinity.query_groups
    return Centres(_group_means(theta, group, int(group.max()) + 1), phi.mean(1, keepdim=True))


def _group_means(
    values: Float[Tensor, "heads queries d"], group: Int[Tensor, " queries"], groups: int
) -> Float[Tensor, "heads groups d"]:
    return torch.stack([values[:, group == g].mean(1) for g in range(groups)], 1)


@dataclass(frozen=True)
class Deviation(Pairwise):
    """The pairwise function f and its C of rows minus the mean row: signed, not summing to 1.

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
class MinusMean(Affinity):
    """Rows of an affinity minus its mean row: what is this query's own.

    A positive weight is more than the mean query gives to that key, a negative one less. Where the
    affinity's rows sum to 1 these sum to 0; rows of a dot product or a concatenation have sums of
    their own, and so have these.

    Attributes:
        of: the affinity.
        name, pairwise, queries, keys, support, clip_shape: as of every affinity.
    """

    of: Affinity
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
    def device(self) -> torch.device:
        """Where rows are computed."""
        return self.of.device

    @property
    def row_values(self) -> Values:
        """What rows hold: differences from the mean row."""
        return "difference"

    @property
    def balanced(self) -> bool:
        """Whether rows sum to 0."""
        return self.of.distributes

    @property
    def mean(self) -> Float[Tensor, "heads groups all_keys"]:
        """Mean row of each group of queries, which is subtracted."""
        return self.of.mean_rows.rows

    @property
    def counted(self) -> int:
        """Number of queries that the mean row was taken over."""
        return self.of.mean_rows.counted

    def rows(self, indices: Indices) -> Float[Tensor, "heads n all_keys"]:
        """Return the rows of these queries.

        Raises:
            OutsideClip: when an index is not on the grid.
        """
        rows = self.of.rows(indices)
        index = torch.as_tensor(indices, dtype=torch.long)
        return rows - self.mean[:, self.query_groups.to(index.device)[index].to(rows.device)]

    def column(self, key: int) -> Float[Tensor, "heads queries"]:
        """Return how much more than the mean query every query gives to one key.

        Raises:
            OutsideClip: when the index is not on the key grid.
        """
        column = self.of.column(key)
        return column - self.mean[:, self.query_groups.to(column.device), key + self.keys.prefix]


def minus_mean(affinity: Affinity) -> MinusMean:
    """Return an affinity's rows minus its mean row.

    The mean is over all queries of a group of frames (there is one group unless queries see only
    their own), computed once; see ``Affinity.mean_rows`` for the bound on memory and time.

    >>> _ = torch.manual_seed(0)
    >>> theta, phi = torch.randn(1, 12, 5), torch.randn(1, 6, 5)
    >>> grids = TokenGrid((1, 3, 4)), TokenGrid((1, 2, 3))
    >>> rest = minus_mean(EmbeddedAffinity("block", Pairwise("gaussian"), theta, phi, *grids))
    >>> rest.pairwise.signed, bool(rest.dense().mean(1).abs().max() < 1e-6)
    (True, True)
    """
    _ = affinity.mean_rows  # the one pass over all rows is here, not in the first row
    return MinusMean(
        of=affinity,
        name=affinity.name,
        pairwise=Deviation(affinity.pairwise.name, affinity.pairwise.scale),
        queries=affinity.queries,
        keys=affinity.keys,
        support=affinity.support,
        clip_shape=affinity.clip_shape,
    )
