"""Affinities made of several products of one layer: their rows at once, or one after another.

Divided attention (TimeSformer, Bertasius et al. 2021, arXiv 2102.05095; axial attention, Ho et al.
2019, arXiv 1912.12180) looks along some axes first and along the others then, each time with a
softmax of its own. Two things can be shown of both together:

    cross     the rows of one query side by side, on one scale: two distributions, not one
    compose   what the last row is made of through those before it, y = A_2 A_1 x

Neither is computed by the network: between the two stand a residual path and a projection.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nlviz.affinity.attention_map import AttentionMap
from nlviz.affinity.base import CHUNK, Affinity, Head, Indices
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.support import ALL_KEYS, Support, Ungrouped
from nlviz.clips.point import Shape
from nlviz.errors import NlvizError

BETWEEN = "without residual path, projections and layers between"


@dataclass(frozen=True)
class AnyOf(Ungrouped):
    """What any of several affinities on the same tokens reaches.

    Attributes:
        of: support, queries and keys of each.
    """

    kind: ClassVar[str]
    of: tuple[tuple[Support, TokenGrid, TokenGrid], ...]

    def mask(
        self, queries: TokenGrid, keys: TokenGrid, indices: Tensor
    ) -> Bool[Tensor, "n keys"] | None:
        """Return which keys these queries reach, or None for all."""
        found: Tensor | None = None
        for support, q, k in self.of:
            mask = support.mask(q, k, indices)
            if mask is None:
                return None
            found = mask if found is None else found | mask
        return found

    def reaching(
        self, queries: TokenGrid, keys: TokenGrid, key: int
    ) -> Bool[Tensor, " queries"] | None:
        """Return which queries reach one key, or None for all."""
        found: Tensor | None = None
        for support, q, k in self.of:
            mask = support.reaching(q, k, key)
            if mask is None:
                return None
            found = mask if found is None else found | mask
        return found

    def counts(self, queries: TokenGrid, keys: TokenGrid) -> Int[Tensor, " queries"]:
        """Return how many keys each query reaches, tokens without a place included."""
        counts = torch.full((queries.size,), keys.size + keys.prefix)
        for index in torch.split(torch.arange(queries.size), max(CHUNK // keys.size, 1)):
            mask = self.mask(queries, keys, index)
            if mask is not None:
                counts[index] = mask.sum(1) + keys.prefix
        return counts

    def sentence(self, keys: TokenGrid) -> str:
        """Return in sentences what a query reaches."""
        return " ".join(support.sentence(k) for support, _, k in self.of)

    def to_json(self) -> dict[str, Any]:
        """Return the support as JSON can hold it: its kind; the parts say what they reach."""
        return {"kind": self.kind}


AnyOf.kind = "any_of"  # set here: no file holds it, so it is none of the kinds that files know


class PartMass(NamedTuple):
    """What one of the rows of a cross gives.

    Attributes:
        name: what it runs along: ``temporal``, ``spatial``, ``row``, ``column``, ``window``, ``far
            cells``, or the block's name.
        on_grid: mass on keys that have a place.
        off_grid: mass on tokens without one; both sum to 1.
        own: of it the mass on the query's own cell, which shows that of all rows together.
    """

    name: str
    on_grid: float
    off_grid: float
    own: float


@dataclass(frozen=True, eq=False, repr=False)
class CrossAffinity(Affinity):
    """The rows of several affinities of one query in one picture, on one scale.

    Attributes:
        parts: the affinities, in the order in which they ran.
        name: what it is called.
        pairwise: in name only.
        queries, keys: the tokens; those without a place are of all parts, one after the other.
        support: what any part reaches.
        clip_shape: frames, height and width of the clip, where known; places outside are refused.
        note: a sentence on what it is.
        prefix_name: what the tokens without a place are, "the class token" for instance.
    """

    parts: tuple[Affinity, ...]
    name: str
    pairwise: Pairwise
    queries: TokenGrid
    keys: TokenGrid
    support: Support
    clip_shape: Shape | None = None
    note: str = ""
    prefix_name: str = "tokens without a place"

    @property
    def heads(self) -> int:
        """Number of heads; 1, their mean, where the parts have unequal numbers."""
        heads = {part.heads for part in self.parts}
        return heads.pop() if len(heads) == 1 else 1

    @property
    def distributes(self) -> bool:
        """False: a row holds as many distributions as there are parts."""
        return False

    def rows(self, indices: Indices) -> Float[Tensor, "heads n all_keys"]:
        """Return the rows of these queries: the sum of the parts' on cells that several reach.

        Raises:
            OutsideClip: when an index is not on the grid.
        """
        index = self._indices(indices)
        apart, placed = [], torch.zeros(())
        for part in self.parts:
            rows = part.rows(index.to(part.device)).float().cpu()
            rows = rows if part.heads == self.heads else rows.mean(0, keepdim=True)
            apart.append(rows[..., : part.keys.prefix])
            placed = placed + rows[..., part.keys.prefix :]
        return torch.cat([*apart, placed], -1)

    def masses(self, index: int, head: Head = None) -> tuple[PartMass, ...]:
        """Return what each part's row of a query gives.

        Args:
            index: flat index on the grid of the queries.
            head: one head's index, or their mean.
        """
        found = []
        for part in self.parts:
            row = part._one_head(
                part.rows([index])[:, 0], head if part.heads == self.heads else None
            )
            apart, placed = row[: part.keys.prefix], row[part.keys.prefix :]
            own = float(placed[part.keys.nearest(**_place(part.queries, index))])
            found.append(PartMass(along(part), float(placed.sum()), float(apart.sum()), own))
        return tuple(found)

    def masses_text(self, index: int, head: Head = None) -> str:
        """Return what each part's row of a query gives, as a sentence; see ``masses``."""
        said = []
        for mass in self.masses(index, head):
            apart = (
                f" and {mass.off_grid:.2f} on {self.prefix_name}" if mass.off_grid >= 5e-3 else ""
            )
            said.append(f"{mass.name} {mass.on_grid:.2f}{apart}")
        return f"Mass: {', '.join(said)}."

    def map(self, **options: Any) -> AttentionMap:
        """Return the rows of the query at a place, as ``Affinity.map``; the title says masses."""
        found = super().map(**options)
        head = options.get("head")
        if found.direction != "from" or found.values != "weights" or head == "max":
            return found  # the largest of any head is of no one row
        frame, y, x = found.query
        masses = self.masses(self.queries.nearest(frame=frame, y=y, x=x), head)
        said = " + ".join(f"{mass.on_grid:.2f}" for mass in masses)
        return replace(found, title=f"{self.name} ({said})")

    def head_maps(self, **options: Any) -> tuple[AttentionMap, ...]:
        """Return the rows of one query in every head, as ``Affinity.head_maps``."""
        return tuple(self.map(head=head, **options) for head in range(self.heads))


@dataclass(frozen=True, eq=False, repr=False)
class ComposedAffinity(Affinity):
    """Rows of the last of several affinities through those that ran before it, heads averaged.

    Attributes:
        parts: the affinities, in the order in which they ran.
        name: what it is called.
        pairwise: in name only: rows sum to 1.
        queries: those of the last.
        keys: those of the first; tokens without a place are of all parts, one after the other.
        support: every key; what is not reached has the weight 0.
        clip_shape: frames, height and width of the clip, where known; places outside are refused.
        note: a sentence on what it is.
        prefix_name: what the tokens without a place are, "the class token" for instance.
        token_names: names of the last part's queries without a place.
    """

    parts: tuple[Affinity, ...]
    name: str
    pairwise: Pairwise
    queries: TokenGrid
    keys: TokenGrid
    support: Support = ALL_KEYS
    clip_shape: Shape | None = None
    note: str = ""
    prefix_name: str = "tokens without a place"
    token_names: tuple[str, ...] = ()

    def rows(self, indices: Indices) -> Float[Tensor, "1 n all_keys"]:
        """Return the rows of these queries: times the rows that they need of each part before.

        Raises:
            OutsideClip: when an index is not on the grid.
        """
        last = self.parts[-1]
        return self._through(last.rows(self._indices(indices).to(last.device)))

    def token_rows(self, indices: Indices | None = None) -> Float[Tensor, "1 n all_keys"]:
        """Return the rows of queries without a place, those of the last part."""
        return self._through(self.parts[-1].token_rows(indices))

    def _through(self, rows: Tensor) -> Tensor:
        """Return rows of the last part through those before it."""
        *before, last = self.parts
        rows = rows.double().mean(0).cpu()
        apart = [rows[:, : last.keys.prefix]]
        placed = rows[:, last.keys.prefix :]
        for part in reversed(before):
            through = times(placed, part)
            if part.queries.prefix and part.queries.prefix == apart[-1].shape[1]:
                # The same tokens take part in both.
                through = through + apart.pop() @ part.token_rows().double().mean(0).cpu()
            apart.append(through[:, : part.keys.prefix])
            placed = through[:, part.keys.prefix :]
        return torch.cat([*reversed(apart), placed], 1).float()[None]


def times(weights: Float[Tensor, "n queries"], affinity: Affinity) -> Float[Tensor, "n all_keys"]:
    """Return weights of queries times their rows, heads averaged; rows of no weight are left out.

    >>> from nlviz.affinity.embedded import EmbeddedAffinity
    >>> line = TokenGrid((1, 1, 3))
    >>> a = EmbeddedAffinity("a", Pairwise("gaussian"), *torch.randn(2, 2, 3, 4), line, line)
    >>> weights = torch.rand(5, 3, dtype=torch.float64)
    >>> torch.allclose(times(weights, a), weights @ a.dense().double().mean(0))
    True
    """
    size = affinity.keys.size + affinity.keys.prefix
    found = weights.new_zeros(len(weights), size)
    used = weights.any(0).nonzero()[:, 0]
    for some in torch.split(used, max(CHUNK // (affinity.heads * size), 16)):
        rows = affinity.rows(some.to(affinity.device)).double().mean(0).cpu()
        found += weights[:, some] @ rows
    return found


def cross(parts: Sequence[Affinity]) -> CrossAffinity:
    """Return the rows of several affinities of each query in one picture.

    They stay the distributions that they are, each of which sums to 1: the picture holds as much
    weight as there are parts, on one scale, and a cell that several reach shows the sum.

    Args:
        parts: two or more on the same tokens, in the order in which they ran.

    Raises:
        NlvizError: when there are fewer, they are on other tokens, or rows do not sum to 1.

    >>> from nlviz.affinity.embedded import EmbeddedAffinity
    >>> from nlviz.affinity.lines import Lines
    >>> grid, f = TokenGrid((1, 2, 3)), Pairwise("gaussian")
    >>> def make(axis):
    ...     return EmbeddedAffinity(axis, f, *torch.randn(2, 1, 6, 4), grid, grid, Lines((axis,)))
    >>> both = cross([make("x"), make("y")])
    >>> shown = both.map(frame=0, y=0, x=1)
    >>> int(shown.reachable.sum()), round(float(shown.weights.sum()), 5), shown.title
    (4, 2.0, 'x and y (1.00 + 1.00)')
    """
    taken = _on_the_same_tokens(parts, "a cross shows", last_to_first=False)
    first, last = taken[0], taken[-1]
    kinds = " and ".join(map(along, taken))
    return CrossAffinity(
        parts=taken,
        name=_named(taken, " and "),
        pairwise=Pairwise("embedded_gaussian"),
        queries=replace(last.queries, prefix=0),
        keys=replace(first.keys, prefix=sum(part.keys.prefix for part in taken)),
        support=AnyOf(tuple((part.support, part.queries, part.keys) for part in taken)),
        clip_shape=last.clip_shape,
        note=(
            f"{_COUNTS.get(len(taken), len(taken))} rows of one query on one scale, {kinds}: each "
            "sums to 1, and the cell that they share shows their sum."
        ),
        prefix_name=_prefix_name(taken),
    )


def compose(parts: Sequence[Affinity]) -> ComposedAffinity:
    """Return the rows of the last of several affinities through those that ran before it.

    A composition of attention alone: what stands between the parts in the network, residual path
    and projection, is left out, and heads are averaged. Of each part the rows that a query needs
    are computed, never a matrix.

    Args:
        parts: two or more in the order in which they ran, each on the tokens of the one before.

    Raises:
        NlvizError: when there are fewer, they are on other tokens, or rows do not sum to 1.

    >>> from nlviz.affinity.embedded import EmbeddedAffinity
    >>> line, f = TokenGrid((1, 1, 3)), Pairwise("gaussian")
    >>> one, two = (EmbeddedAffinity(n, f, *torch.randn(2, 1, 3, 4), line, line) for n in "ab")
    >>> both = compose([one, two])
    >>> both.name, torch.allclose(both.dense(), two.dense() @ one.dense(), atol=1e-6)
    ('b after a', True)
    """
    taken = _on_the_same_tokens(parts, "a composition multiplies", last_to_first=True)
    first, last = taken[0], taken[-1]
    kinds = " after ".join(along(part) for part in reversed(taken))
    prefixes = [last.keys.prefix]
    for part in reversed(taken[:-1]):
        if part.queries.prefix and part.queries.prefix == prefixes[-1]:
            prefixes.pop()
        prefixes.append(part.keys.prefix)
    stays = ""
    if sum(prefixes) > first.keys.prefix:
        stays = f" What goes to {_prefix_name(taken)} stays there."
    return ComposedAffinity(
        parts=taken,
        name=_named(taken, " after "),
        pairwise=Pairwise("embedded_gaussian"),
        queries=last.queries,
        keys=replace(first.keys, prefix=sum(prefixes)),
        clip_shape=last.clip_shape,
        note=f"A composition: {kinds}, {BETWEEN}, heads averaged.{stays}",
        prefix_name=_prefix_name(taken),
        token_names=last.token_names,
    )


_COUNTS = {2: "Two", 3: "Three"}
_ALONG = {"t": "temporal", "yx": "spatial", "x": "row", "y": "column"}


def _named(parts: Sequence[Affinity], between: str) -> str:
    """Return a name: of the layer, where parts are of one, and what they run along; or of both."""
    ordered = list(parts) if between == " and " else list(reversed(parts))
    names = [part.name.partition("/")[0].split(".") for part in ordered]
    same = [len(set(level)) == 1 for level in zip(*names, strict=False)]
    layer = names[0][: same.index(False) if False in same else len(same)]
    if not layer:
        return between.join(part.name for part in ordered)
    return f"{'.'.join(layer)}: {between.join(map(along, ordered))}"


def _prefix_name(parts: Sequence[Affinity]) -> str:
    return next((part.prefix_name for part in parts if part.keys.prefix), parts[-1].prefix_name)


def _on_the_same_tokens(
    parts: Sequence[Affinity], does: str, *, last_to_first: bool
) -> tuple[Affinity, ...]:
    """Return parts whose grids fit: keys of one those of the next, or queries those of queries.

    Raises:
        NlvizError: when they do not.
    """
    taken = tuple(parts)
    if len(taken) < 2:
        raise NlvizError(f"{does} two affinities or more, got {len(taken)}")
    for before, part in pairwise(taken):
        pairs = [(before.queries, part.keys)]
        if not last_to_first:
            pairs = [(before.queries, part.queries), (before.keys, part.keys)]
        if not all(same_places(a, b) for a, b in pairs):
            raise NlvizError(
                f"{does} affinities on the same tokens, {before.name} is on "
                f"{before.queries.shape} and {part.name} on {part.keys.shape}"
            )
    for part in taken:
        if not part.distributes:
            raise NlvizError(f"{does} rows that sum to 1, those of {part.name} do not")
    return taken


def same_places(a: TokenGrid, b: TokenGrid) -> bool:
    """Check whether the tokens of two grids lie at the same places; those without one aside."""
    if (a.kind, a.shape) != (b.kind, b.shape):
        return False
    return all(
        np.allclose(one, other, atol=1e-3)
        for one, other in zip(a.centres(), b.centres(), strict=True)
    )


def along(affinity: Affinity) -> str:
    """Return along what rows run, in a word or two; where no word fits, the name.

    >>> from nlviz.affinity.embedded import EmbeddedAffinity
    >>> from nlviz.affinity.support import FrameGroups
    >>> grid, f = TokenGrid((2, 4, 3)), Pairwise("gaussian")
    >>> theta, phi = torch.randn(2, 1, 24, 5)
    >>> along(EmbeddedAffinity("a", f, theta, phi, grid, grid, FrameGroups(1)))
    'spatial'
    """
    index = affinity.queries.size // 2
    mask = affinity.support.mask(affinity.queries, affinity.keys, torch.tensor([index]))
    if mask is None:
        return affinity.name
    at = mask.reshape(affinity.keys.shape).nonzero()
    axes = "".join(a for a, of in zip("tyx", at.T, strict=True) if bool((of != of[0]).any()))
    if axes == "yx" and len(at) < affinity.keys.size // affinity.keys.shape[0]:
        gaps = [int(torch.sort(of).values.diff().max()) for of in at.T[1:]]
        return "window" if max(gaps) == 1 else "far cells"
    return _ALONG.get(axes, affinity.name)


def _place(grid: TokenGrid, index: int) -> dict[str, float]:
    return dict(zip(("frame", "y", "x"), grid.centre(index), strict=True))
