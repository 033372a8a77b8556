"""An affinity of chosen queries, whose heads share keys in groups: memory in the number of keys.

Grouped queries (Ainslie et al. 2023, arXiv 2305.13245): head h of H looks at the keys of head
h // (H / K) of K. Keys are held once for each group.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from nlviz.affinity.base import Affinity, Indices
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.support import ALL_KEYS, Support
from nlviz.clips.point import Shape


@dataclass(frozen=True, eq=False, repr=False)
class GroupedAffinity(Affinity):
    """Rows of some words of a softmax attention, over keys that groups of heads share.

    The words have no place in the clip, so the grid of queries is one cell that stands for all of
    it, wherever one points, and the words are the tokens before it.

    Attributes:
        name: the block's name.
        pairwise: f and C.
        theta: (heads, prefix + 1, d) of the chosen words, and of the cell that stands for one.
        phi: (groups, prefix + keys, d); as many groups as there are sets of keys.
        queries: the words, in their order, on ``line``, and the cell.
        keys: where the keys lie.
        support: which keys a query may reach.
        clip_shape: frames, height and width of the clip, where known.
        note: a sentence on what a reader must know of this affinity, or empty.
        prefix_name: what the keys without a place are.

    >>> from nlviz.affinity.grid import Line
    >>> _ = torch.manual_seed(0)
    >>> theta, phi = torch.randn(4, 3, 5), torch.randn(2, 6, 5)
    >>> asked = TokenGrid((1, 1, 1), prefix=2, line=Line(("dog", "runs")))
    >>> keys = TokenGrid((1, 2, 3))
    >>> a = GroupedAffinity("layer", Pairwise("embedded_gaussian"), theta, phi, asked, keys)
    >>> torch.allclose(a.token_rows(), a.embedded().token_rows())
    True
    >>> a.map(token="runs").weights.shape
    (1, 2, 3)
    """

    name: str
    pairwise: Pairwise
    theta: Float[Tensor, "heads all_queries d"]
    phi: Float[Tensor, "groups all_keys d"]
    queries: TokenGrid
    keys: TokenGrid
    support: Support = ALL_KEYS
    clip_shape: Shape | None = None
    note: str = ""
    prefix_name: str = "tokens without a place"
    token_names: tuple[str, ...] = ()

    @property
    def heads(self) -> int:
        """Number of heads."""
        return int(self.theta.shape[0])

    @property
    def device(self) -> torch.device:
        """Where rows are computed: the device of theta."""
        return self.theta.device

    def rows(self, indices: Indices) -> Float[Tensor, "heads n all_keys"]:
        """Return the rows of these queries: O(keys x d) each.

        Raises:
            OutsideClip: when an index is not one of the chosen queries.
        """
        return self.pairwise.normalise(self.logits(indices))

    def logits(self, indices: Indices) -> Float[Tensor, "heads n all_keys"]:
        """Return what the rows are before C; -inf where the query may not reach."""
        index = self._indices(indices)
        logits = self._products(index + self.queries.prefix)
        mask = self.support.mask_all(self.queries, self.keys, index)
        return logits if mask is None else logits.masked_fill(~mask, -torch.inf)

    def token_rows(self, indices: Indices | None = None) -> Float[Tensor, "heads n all_keys"]:
        """Return the rows of the chosen words, all by default."""
        every = range(self.queries.prefix) if indices is None else indices
        index = torch.as_tensor(every, dtype=torch.long, device=self.device)
        logits = self._products(index)
        mask = self.support.mask_apart(self.queries, self.keys)
        if mask is not None:
            logits = logits.masked_fill(~mask.to(self.device)[index], -torch.inf)
        return self.pairwise.normalise(logits)

    def _products(self, at: Tensor) -> Tensor:
        """Return logits of some entries of theta, (heads, n, all keys), in single precision."""
        groups = self.phi.shape[0]
        kind = torch.float64 if self.theta.dtype == torch.float64 else torch.float32
        theta = self.theta[:, at].to(kind).reshape(groups, -1, self.theta.shape[2])
        return self.pairwise.logits(theta, self.phi.to(kind)).reshape(self.heads, len(at), -1)

    def embedded(self) -> EmbeddedAffinity:
        """Return the same affinity with the keys of every head, as files and browsers take it."""
        shared = self.heads // self.phi.shape[0]
        return EmbeddedAffinity(
            name=self.name,
            pairwise=self.pairwise,
            theta=self.theta,
            phi=self.phi.repeat_interleave(shared, 0),
            queries=self.queries,
            keys=self.keys,
            support=self.support,
            clip_shape=self.clip_shape,
            note=self.note,
            prefix_name=self.prefix_name,
        ).in_full()
