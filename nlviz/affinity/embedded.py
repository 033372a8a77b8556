"""An affinity that is held as its embeddings: theta of the queries, phi of the keys."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nlviz.affinity.attention_map import Direction
from nlviz.affinity.base import Affinity, Indices, MeanRows
from nlviz.affinity.bias import Bias
from nlviz.affinity.branches import Branches
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.key_sets import KeySets
from nlviz.affinity.maps import Head
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.parity import coarsest, relative_error
from nlviz.affinity.position_terms import PairBias
from nlviz.affinity.support import ALL_KEYS, Support
from nlviz.clips.point import Shape


@dataclass(frozen=True, eq=False, repr=False)
class EmbeddedAffinity(Affinity):
    """An affinity that is held as its embeddings.

    Attributes:
        name: the block's name.
        pairwise: f and C.
        theta: (heads, prefix + queries, d); a transformer's q.
        phi: (heads, prefix + keys, d); a transformer's k.
        queries, keys: where the tokens lie.
        support: which keys a query may reach.
        bias: added to the logits, by key or by offset, or None; a tensor of one of the shapes that
            ``Bias.of`` takes is taken, too, (heads or 1, 1, keys) for instance.
        values: g, (heads, keys, dv), where kept.
        output: y as the network computed it, (heads, queries, dv), where kept.
        clip_shape: frames, height and width of the clip, where known; places outside are refused.
        note: a sentence on what a reader must know of this affinity, or empty.
        prefix_name: what the tokens without a place are, "the class token" for instance.
        token_names: names of the queries without a place, ``cls`` for instance; empty for none.
        apart_bias: added to the logits of the queries without a place, (heads or 1, prefix, keys),
            or None.
        branches: how much the branches of its layer add, where several run side by side.

    >>> torch.manual_seed(0) and None
    >>> theta, phi = torch.randn(1, 12, 5), torch.randn(1, 6, 5)
    >>> queries = TokenGrid((1, 3, 4), (1, 8, 8))
    >>> keys = TokenGrid((1, 2, 3), (1, 16, 16))
    >>> a = EmbeddedAffinity("block", Pairwise("embedded_gaussian"), theta, phi, queries, keys)
    >>> a
    Affinity(block, embedded_gaussian, 12 queries (1x3x4) x 6 keys (1x2x3))
    >>> a.map(frame=0, y=8, x=8).weights.shape, round(float(a.rows([5]).sum()), 5)
    ((1, 2, 3), 1.0)
    """

    name: str
    pairwise: Pairwise
    theta: Float[Tensor, "heads all_queries d"]
    phi: Float[Tensor, "heads all_keys d"]
    queries: TokenGrid
    keys: TokenGrid
    support: Support = ALL_KEYS
    bias: Bias | None = None
    values: Float[Tensor, "heads all_keys dv"] | None = None
    output: Float[Tensor, "heads all_queries dv"] | None = None
    clip_shape: Shape | None = None
    note: str = ""
    prefix_name: str = "tokens without a place"
    token_names: tuple[str, ...] = ()
    apart_bias: Float[Tensor, "heads_or_1 prefix all_keys"] | None = None
    branches: Branches | None = None

    def __post_init__(self) -> None:
        if isinstance(self.bias, Tensor):
            object.__setattr__(self, "bias", Bias.of(self.bias))
        if self.bias is not None:
            self.bias.check(self.queries, self.keys)

    @property
    def heads(self) -> int:
        """Number of heads."""
        return int(self.theta.shape[0])

    @property
    def device(self) -> torch.device:
        """Where rows are computed: the device of theta."""
        return self.theta.device

    def rows(self, indices: Indices) -> Float[Tensor, "heads n all_keys"]:
        """Return the rows of these queries: O(keys x d) each, on the device of theta.

        Args:
            indices: flat indices on the query grid.

        Raises:
            OutsideClip: when an index is not on the grid.
        """
        return self.pairwise.normalise(self.logits(indices))

    def logits(self, indices: Indices) -> Float[Tensor, "heads n all_keys"]:
        """Return what the rows are before C; -inf where the query may not reach."""
        index = self._indices(indices)
        logits = self.pairwise.logits(self.theta[:, index + self.queries.prefix], self.phi)
        if self.bias is not None:
            logits = logits + self.bias.at(self.queries, self.keys, index)
        mask = self.support.mask_all(self.queries, self.keys, index)
        if mask is not None:
            logits = logits.masked_fill(~mask, -torch.inf)
        return logits

    def _reached(
        self, index: int, direction: Direction, head: Head = None
    ) -> Bool[Tensor, " tokens"] | None:
        """Return what a query reaches, a key that is hidden from every shown head aside."""
        reached = super()._reached(index, direction, head)
        if not isinstance(self.bias, PairBias):  # others hide nothing from single heads
            return reached
        if direction == "from":
            at = torch.tensor([index], device=self.device)
            added = self.bias.at(self.queries, self.keys, at)[:, 0, self.keys.prefix :]
        else:
            added = self.bias.column(self.queries, self.keys, index)
        shown = added if not isinstance(head, int) or len(added) == 1 else added[head : head + 1]
        hidden = shown.isneginf().all(0).cpu()
        if not bool(hidden.any()):
            return reached
        return ~hidden if reached is None else reached & ~hidden

    def token_rows(self, indices: Indices | None = None) -> Float[Tensor, "heads n all_keys"]:
        """Return the rows of queries without a place: class token, registers, words."""
        prefix = self.queries.prefix
        own = torch.arange(prefix) if indices is None else torch.as_tensor(indices)
        logits = self.pairwise.logits(self.theta[:, own.to(self.device)], self.phi)
        if self.apart_bias is not None:
            logits = logits + self.apart_bias[:, own.to(self.device)]
        mask = self.support.mask_apart(self.queries, self.keys)
        if mask is not None:
            logits = logits.masked_fill(~mask[own.to(mask.device)].to(logits.device), -torch.inf)
        return self.pairwise.normalise(logits)

    def column(self, key: int) -> Float[Tensor, "heads queries"]:
        """Return the weight that every query gives to the key with this flat index.

        O(queries x d): where a row is a softmax, C comes from ``log_normaliser``, which takes one
        pass over all rows the first time.

        Raises:
            OutsideClip: when the index is not on the key grid.
        """
        self._check(key, self.keys, "key")
        at, prefix = key + self.keys.prefix, self.queries.prefix
        logits = self.pairwise.logits(self.theta[:, prefix:], self.phi[:, at : at + 1])[..., 0]
        if self.bias is not None:
            logits = logits + self.bias.column(self.queries, self.keys, key)
        if self.log_normaliser is not None:
            column = (logits - self.log_normaliser).exp()
            # Of a query that reaches no key, both are -inf.
            column = column.where(~self.log_normaliser.isneginf(), 0.0)
        elif self.pairwise.similarity:
            column = self.pairwise.numerator(logits)
        else:
            counts = self.support.counts(self.queries, self.keys)
            column = self.pairwise.numerator(logits) / counts.clamp(min=1).to(logits)
        mask = self.support.reaching(self.queries, self.keys, key)
        return column if mask is None else column.where(mask.to(column.device), 0.0)

    @cached_property
    def log_normaliser(self) -> Float[Tensor, "heads queries"] | None:
        """Log C of every query for softmax rows (one pass over all rows, kept), else None."""
        if not self.pairwise.softmax:
            return None
        n = self.queries.size
        if isinstance(self.support, KeySets):
            whole = self.theta.new_empty(self.heads, n)
            for index, _, logits in self._logits_of_sets():
                whole[:, index] = logits.logsumexp(-1)
            return whole
        chunk = 256
        parts = [self.logits(range(i, min(i + chunk, n))).logsumexp(-1) for i in range(0, n, chunk)]
        return torch.cat(parts, dim=1)

    @cached_property
    def mean_rows(self) -> MeanRows:
        """The mean row of each group of queries; computed once, kept."""
        if not (isinstance(self.support, KeySets) and self.pairwise.softmax):
            return super().mean_rows
        groups = int(self.query_groups.max()) + 1
        size = self.keys.size + self.keys.prefix
        means = torch.zeros(self.heads, groups, size, device=self.device)
        for index, every_key, logits in self._logits_of_sets():
            mean = self.pairwise.normalise(logits).mean(1, dtype=torch.float64)
            means[:, int(self.query_groups[index[0]]), every_key] = mean.to(means.dtype)
        return MeanRows(means, self.queries.size)

    def _logits_of_sets(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield queries, keys and logits between them of each set: O(its queries x its keys)."""
        assert isinstance(self.support, KeySets)
        for some, reached in self.support.each(self.queries, self.keys):
            index, every_key = some.to(self.device), reached.to(self.device)
            theta = self.theta[:, index + self.queries.prefix]
            logits = self.pairwise.logits(theta, self.phi[:, every_key])
            if self.bias is not None:
                logits = logits + self.bias.between(self.queries, self.keys, index, every_key)
            yield index, every_key, logits

    def parity_error(self, *, sample: int = 256) -> float | None:
        """Return how far the block's own output is from rows times values.

        The error of ``nlviz.affinity.receipt`` over a sample of queries spread evenly; None where
        values or output were not kept.
        """
        if self.values is None or self.output is None:
            return None
        of = coarsest(self.theta, self.phi, self.values, self.output)
        full = self.in_full()
        index = full.evenly(sample).to(full.device)
        values, output = cast(Tensor, full.values), cast(Tensor, full.output)
        output = output[:, index + full.queries.prefix]
        softmax = self.pairwise.softmax
        return relative_error(full.rows(index), values, output, softmax=softmax, of=of)

    def in_full(self) -> EmbeddedAffinity:
        """Return the affinity with tensors all of one type: float64 if one is, else float32.

        Rows are computed from them, and a softmax needs the digits.
        """
        kept = [self.theta, self.phi]
        kept += [x for x in (self.values, self.output) if x is not None]
        dtype = torch.float64 if any(x.dtype == torch.float64 for x in kept) else torch.float32
        if all(x.dtype == dtype for x in kept):
            return self
        bias, values, output = self.bias, self.values, self.output
        return replace(
            self,
            theta=self.theta.to(dtype),
            phi=self.phi.to(dtype),
            bias=None if bias is None else bias.changed(lambda x: x.to(dtype)),
            values=None if values is None else values.to(dtype),
            output=None if output is None else output.to(dtype),
            apart_bias=None if self.apart_bias is None else self.apart_bias.to(dtype),
        )
