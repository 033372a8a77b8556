"""Attention rollout: what a query of one layer is made of, through all layers below it.

Abnar & Zuidema 2020 (arXiv 2005.00928): each layer passes on a share of the residual path and the
mean attention of its heads, A = r I + (1 - r) mean_h A_h, and layers multiply. A query's row of the
product is its row of the last layer, times the matrix of each layer below in turn; the matrices
are gone through a chunk of rows at a time and never held.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from nlviz.affinity.base import Affinity, Indices
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.reach import grid_text
from nlviz.affinity.several import same_places, times
from nlviz.affinity.support import ALL_KEYS, Support
from nlviz.captures.capture import Capture
from nlviz.clips.point import Shape
from nlviz.errors import NlvizError
from nlviz.progress import Listener

KEPT = 32  # rows of one question that are kept


@dataclass(frozen=True, eq=False, repr=False)
class RolloutAffinity(Affinity):
    """The composition of layers, as an affinity; it is none of the network's own maps.

    Attributes:
        layers: affinities in the order in which they ran, all on the same tokens.
        residual: share of the residual path.
        name: what it is called.
        pairwise: in name only: rows sum to 1.
        queries, keys: the tokens of the layers.
        support: every key; what no layer reaches has the weight 0.
        clip_shape: frames, height and width of the clip, where known; places outside are refused.
        note: a sentence on what it is.
        prefix_name: what the tokens without a place are, "the class token" for instance.
        token_names: names of the queries without a place.
        progress: called with a sentence and a share before each layer; what it raises ends the
            computation.
    """

    layers: tuple[Affinity, ...]
    residual: float
    name: str
    pairwise: Pairwise
    queries: TokenGrid
    keys: TokenGrid
    support: Support = ALL_KEYS
    clip_shape: Shape | None = None
    note: str = ""
    prefix_name: str = "tokens without a place"
    token_names: tuple[str, ...] = ()
    progress: Listener | None = None
    _rows: dict[int, Tensor] = field(default_factory=dict)  # by token, those asked for one by one
    _others: dict[float, RolloutAffinity] = field(default_factory=dict)  # by share

    def with_residual(self, residual: float) -> RolloutAffinity:
        """Return the rollout of the same layers with another share of the residual path.

        Raises:
            NlvizError: when it is not in [0, 1).
        """
        if residual == self.residual:
            return self
        if residual not in self._others:
            self._others[residual] = rollout(self.layers, residual=residual)
        return self._others[residual]

    def knows(self, index: int) -> bool:
        """Return whether the row of a query was computed before, and is kept."""
        return index + self.queries.prefix in self._rows

    def prepare(self, index: int, *, progress: Listener | None = None) -> None:
        """Compute the row of a query, and of the class token and registers, in one pass; keep them.

        Args:
            index: flat, on the grid of the queries.
            progress: called with a sentence and a share before each layer.

        Raises:
            OutsideClip: when the index is not on the grid.
        """
        (at,) = self._indices([index]).tolist()
        prefix = self.queries.prefix if self.queries.prefix < KEPT else 0
        tokens = torch.tensor([*range(prefix), at + self.queries.prefix])
        replace(self, progress=progress)._known(tokens)

    def rows(self, indices: Indices) -> Float[Tensor, "1 n all_keys"]:
        """Return the rows of these queries: one pass through all layers for all of them together.

        Raises:
            OutsideClip: when an index is not on the grid.
        """
        index = self._indices(indices)
        return self._known(index + self.queries.prefix)

    def token_rows(self, indices: Indices | None = None) -> Float[Tensor, "1 n all_keys"]:
        """Return the rows of queries without a place, class token and registers."""
        every = range(self.queries.prefix)
        return self._known(torch.as_tensor(every if indices is None else indices))

    def _known(self, tokens: Tensor) -> Tensor:
        """Return rows that were computed before, or compute them; few are kept."""
        asked = tokens.tolist()
        if len(asked) > KEPT or not asked:
            return self._through(tokens)
        if not all(token in self._rows for token in asked):
            if len(self._rows) + len(asked) > 4 * KEPT:
                self._rows.clear()
            self._rows.update(zip(asked, self._through(tokens)[0].unbind(), strict=True))
        return torch.stack([self._rows[token] for token in asked])[None]

    def _through(self, tokens: Tensor) -> Tensor:
        size = self.queries.size + self.queries.prefix
        weights = torch.zeros(len(tokens), size, dtype=torch.float64)
        weights[torch.arange(len(tokens)), tokens] = 1
        for done, layer in enumerate(reversed(self.layers)):
            if self.progress is not None:
                self.progress(f"Rollout through {layer.name}", done / len(self.layers))
            weights = self.residual * weights + (1 - self.residual) * _times(weights, layer)
        return weights.float()[None]


def rollout(
    layers: Capture | Sequence[Affinity], *, upto: str | None = None, residual: float = 0.5
) -> RolloutAffinity:
    """Return what the queries of the last layer are made of, through all layers.

    It is a composition of rows, and none of the network's own maps: values, projections and the
    layers between are left out.

    Args:
        layers: a capture, or affinities of layers in the order in which they ran; all on the same
            tokens.
        upto: name of the last layer; by default the last there is.
        residual: share of the residual path in [0, 1); 0.5 as in the paper.

    Raises:
        NlvizError: when layers have other tokens than each other, queries other than keys, rows
            that do not sum to 1, or the share is not in [0, 1).

    >>> from nlviz.affinity.embedded import EmbeddedAffinity
    >>> line, f = TokenGrid((1, 1, 3)), Pairwise("gaussian")
    >>> first, last = (EmbeddedAffinity("l", f, *torch.randn(2, 1, 3, 4), line, line) for _ in "ab")
    >>> found = rollout([first, last])
    >>> a, b = (0.5 * torch.eye(3) + 0.5 * layer.dense()[0] for layer in (first, last))
    >>> torch.allclose(found.dense()[0], b @ a, atol=1e-6)
    True
    """
    if not 0 <= residual < 1:
        raise NlvizError(f"residual is a share of the residual path in [0, 1), got {residual}")
    taken = tuple(layers.affinities.values() if isinstance(layers, Capture) else layers)
    if upto is not None:
        names = [layer.name for layer in taken]
        if upto not in names:
            raise NlvizError(f"the last layer is one of {', '.join(names)}; got {upto!r}")
        taken = taken[: names.index(upto) + 1]
    last = _checked(taken)
    return RolloutAffinity(
        layers=taken,
        residual=residual,
        name=f"rollout of {taken[0].name} to {last.name}",
        pairwise=Pairwise("embedded_gaussian"),
        queries=last.queries,
        keys=last.keys,
        clip_shape=last.clip_shape,
        note=(
            f"A composition of {len(taken)} layers, {100 * residual:.0f} % of each by its residual "
            "path; values and projections are left out."
        ),
        prefix_name=last.prefix_name,
        token_names=last.token_names,
    )


def can_roll(capture: Capture, block: str) -> bool:
    """Return whether blocks up to this one are several layers of a transformer.

    Non-local blocks are none: between them convolutions move what their rows speak of.
    """
    names = list(capture.affinities)
    upto = names[: names.index(block) + 1] if block in names else []
    attends = any(n not in capture.features or capture.affinities[n].heads > 1 for n in upto)
    return len(upto) > 1 and attends


def no_rollout(capture: Capture, block: str) -> str:
    """Return why the layers up to a block have no rollout, as a sentence; empty where they have."""
    if not can_roll(capture, block):
        return ""
    try:
        rollout(capture, upto=block)
    except NlvizError as error:
        return str(error)
    return ""


def _tokens(grid: TokenGrid) -> str:
    apart = f" and {grid.prefix} without a place" if grid.prefix else ""
    cells = " cells" if grid.kind == "grid" else ""
    return f"{grid_text(grid)}{cells}{apart}"


def _checked(layers: Sequence[Affinity]) -> Affinity:
    if not layers:
        raise NlvizError("a rollout goes through one layer at least, got none")
    last = layers[-1]
    for layer in layers:
        same = same_places(layer.queries, layer.keys) and same_places(layer.queries, last.queries)
        tokens = layer.queries.prefix == layer.keys.prefix == last.queries.prefix
        if not (same and tokens):
            on, keys = _tokens(layer.queries), _tokens(layer.keys)
            to = "" if on == keys else f" with keys on {keys}"
            raise NlvizError(
                f"a rollout multiplies layers on the same tokens, {layer.name} is on "
                f"{on}{to}, {last.name} on "
                f"{_tokens(last.queries)}; give layers of one grid"
            )
        if not layer.distributes:
            raise NlvizError(
                f"a rollout multiplies rows that sum to 1, those of {layer.name} do not"
            )
    return last


def _times(weights: Float[Tensor, "n tokens"], layer: Affinity) -> Float[Tensor, "n tokens"]:
    """Return weights times the mean attention of a layer's heads, rows of no weight left out."""
    prefix = layer.queries.prefix
    found = times(weights[:, prefix:], layer)
    if prefix and bool(weights[:, :prefix].any()):
        found += weights[:, :prefix] @ layer.token_rows().double().mean(0).cpu()
    return found
