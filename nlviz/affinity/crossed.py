"""Queries of one input, keys of another: the rows that a block would give if its keys were changed.

Equation (1) of Wang et al. 2018 (arXiv 1711.07971) takes both sides from one input. Here x_i is of
input A and x_j of input B: y_i = 1/C(x) sum_j f(x_i^A, x_j^B) g(x_j^B), for the same theta, phi, g
and C over the keys of B. No pass of the network computes these rows, so they have no receipt.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import torch

from nlviz.affinity.attention_map import AttentionMap
from nlviz.affinity.base import Affinity
from nlviz.affinity.bias import Bias, KeyBias
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.reach import grid_text
from nlviz.affinity.support import Everything
from nlviz.clips.point import Shape
from nlviz.errors import NlvizError
from nlviz.sentences import counted

NOTE = (
    "Queries of one input, keys of another: no pass of the network computes these rows, theta and "
    "phi of two passes do."
)


@dataclass(frozen=True, eq=False, repr=False)
class CrossedAffinity(EmbeddedAffinity):
    """Rows of queries of one input over the keys of another.

    ``clip_shape`` is that of the input with the queries. All else is as in an affinity that is held
    as its embeddings, but that no key is ever the query itself.

    Attributes:
        keys_shape: frames, height and width of the clip with the keys, where known.
    """

    keys_shape: Shape | None = None

    def map(self, **options: Any) -> AttentionMap:
        """Return the row of a query, or the column of a key, as ``Affinity.map`` does.

        A place is one of the input with the queries, or, where ``direction`` is ``"to"``, of the
        one with the keys.

        Raises:
            OutsideClip: when the place is not in its clip, or there is no such head.
        """
        asked = self._of_keys if options.get("direction") == "to" else self
        found = super(CrossedAffinity, asked).map(**options)
        return replace(found, apart=True, title=f"{found.title}, across inputs")

    @cached_property
    def _of_keys(self) -> CrossedAffinity:
        """The same rows, whose places are those of the clip with the keys."""
        return replace(self, clip_shape=self.keys_shape)


def crossed_affinity(one: Affinity, other: Affinity) -> CrossedAffinity:
    """Return rows of the queries of one affinity over the keys of another, of the same block.

    What is added by key comes from the keys. What a block adds for the places of a query and a key,
    and a support that holds some keys back, mean the same between two inputs only where both lie on
    the same grids.

    Args:
        one: of the input whose queries ask.
        other: of the input whose keys are asked; of the same block of the same network.

    Raises:
        NlvizError: when they are of different blocks, are not held as embeddings, or grids that
            differ have no meaning between them.

    >>> from nlviz.affinity.grid import TokenGrid
    >>> from nlviz.affinity.pairwise import Pairwise
    >>> _ = torch.manual_seed(0)
    >>> small, large = TokenGrid((1, 2, 3)), TokenGrid((2, 3, 4))
    >>> def make(grid):
    ...     theta, phi = torch.randn(2, 1, grid.size, 5)
    ...     return EmbeddedAffinity("block", Pairwise("embedded_gaussian"), theta, phi, grid, grid)
    >>> a, b = make(small), make(large)
    >>> both = crossed_affinity(a, b)
    >>> both.rows([4]).shape, torch.equal(crossed_affinity(a, a).rows([4]), a.rows([4]))
    (torch.Size([1, 1, 24]), True)
    """
    if not (isinstance(one, EmbeddedAffinity) and isinstance(other, EmbeddedAffinity)):
        odd = one if not isinstance(one, EmbeddedAffinity) else other
        raise NlvizError(
            "queries of one input meet keys of another through theta and phi, the affinity of "
            f"{odd.name} is not held as these ({type(odd).__name__}); choose a block that is"
        )
    _same_block(one, other)
    same = all(
        _on_same_places(a, b) for a, b in ((one.queries, other.queries), (one.keys, other.keys))
    )
    (_on_same_grids if same else _between_other_grids)(one, other)
    own = {f.name: getattr(one, f.name) for f in fields(EmbeddedAffinity)}
    changed = {
        "phi": other.phi.to(one.theta),
        "keys": other.keys,
        "values": other.values,
        "output": None,
        "support": one.support,
        "bias": _bias(one, other),
        "note": " ".join(filter(None, (NOTE, one.note))),
        "branches": None,
    }
    return CrossedAffinity(**own | changed, keys_shape=other.clip_shape)


def _same_block(one: EmbeddedAffinity, other: EmbeddedAffinity) -> None:
    """Refuse affinities whose theta and phi are not of one space.

    Raises:
        NlvizError: when they are not.
    """

    def told(a: EmbeddedAffinity) -> str:
        scale = a.pairwise.scale
        size = f"{counted(a.heads, 'head')} of {a.theta.shape[2]} numbers"
        return f"{a.name} ({a.pairwise.name}, scale {scale:.4g}, {size})"

    if told(one) != told(other):
        raise NlvizError(
            f"queries and keys of two inputs meet in one block, these are of {told(one)} and "
            f"{told(other)}; give two captures of one network and the name of one block"
        )


def _on_same_places(one: TokenGrid, other: TokenGrid) -> bool:
    """Return whether tokens lie at the same places, whatever words they are."""

    def where(grid: TokenGrid) -> tuple[object, ...]:
        return grid.kind, grid.shape, grid.stride, grid.origin, grid.prefix

    return where(one) == where(other)


def _between_other_grids(one: EmbeddedAffinity, other: EmbeddedAffinity) -> None:
    """Refuse what has no meaning between tokens of different grids.

    Raises:
        NlvizError: for a support or a bias that is about places.
    """
    between = f"{grid_text(one.queries)} queries and {grid_text(other.keys)} keys of two inputs"
    cure = "take two inputs of the same size and number of frames, or of words"
    for a in (one, other):
        if not isinstance(a.support, Everything):
            raise NlvizError(
                f"{a.name} holds some keys back from a query by where both lie, which means "
                f"nothing between {between}; {cure}"
            )
        if (a.bias is not None and not isinstance(a.bias, KeyBias)) or a.apart_bias is not None:
            raise NlvizError(
                f"{a.name} adds a number for the places of a query and a key, of which there is "
                f"none between {between}; {cure}"
            )


def _on_same_grids(one: EmbeddedAffinity, other: EmbeddedAffinity) -> None:
    """Refuse inputs of which the block treats the same places in two ways.

    Raises:
        NlvizError: when it reaches other keys, or adds other numbers for the same places.
    """
    cure = "take two inputs that it treats alike"
    if one.support != other.support:
        raise NlvizError(
            f"{one.name} lets queries reach other keys in one input than in the other, so that no "
            f"set of keys is that of both; {cure}"
        )
    fixed = ("offset", "pairs")  # numbers of places alone, in every family that we know
    numbers = [a.tensor if a and a.kind in fixed else None for a in (one.bias, other.bias)]
    if not (_equal(*numbers) and _equal(one.apart_bias, other.apart_bias)):
        raise NlvizError(
            f"{one.name} adds other numbers to its logits for the same places of the two inputs, "
            f"so that none is that of a query of one and a key of the other; {cure}"
        )


def _equal(one: torch.Tensor | None, other: torch.Tensor | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.shape == other.shape and torch.equal(one.cpu(), other.cpu())


def _bias(one: EmbeddedAffinity, other: EmbeddedAffinity) -> Bias | None:
    """Return what is added to the logits: by key that of the keys, by places that of the queries.

    Raises:
        NlvizError: when only one of the two adds something.
    """
    kinds = [None if a.bias is None else a.bias.kind for a in (one, other)]
    if kinds[0] != kinds[1]:
        raise NlvizError(
            f"{one.name} adds to its logits {kinds[0] or 'nothing'} for one input and "
            f"{kinds[1] or 'nothing'} for the other, so that their rows have nothing in common; "
            "take two inputs that it treats alike"
        )
    bias = other.bias if isinstance(other.bias, KeyBias) else one.bias
    return None if bias is None else bias.changed(lambda x: x.to(one.theta))
