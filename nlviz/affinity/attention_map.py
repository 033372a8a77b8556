"""One query's row of an affinity, laid out on the grid of the keys."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from nlviz.affinity.grid import TokenGrid
from nlviz.clips.point import Point, Triple
from nlviz.errors import NlvizError
from nlviz.sentences import fixed

Weights = npt.NDArray[np.float32]
Values = Literal["weights", "logits", "difference", "attribution", "similarity"]
Direction = Literal["from", "to"]

_STEPS = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
_RANK_SHARE = 0.004
_MOST_CLIPPED = 16
_BARELY = 1.6  # a scale that would be exceeded by no more than this factor reaches the strongest


@dataclass(frozen=True)
class Link:
    """One key of a map and its weight.

    Attributes:
        index: flat index on the key grid.
        frame, y, x: centre of the key, in sampled frames and clip pixels.
        weight: the map's weight there.
        multiple: the weight as a multiple of uniform attention over the reachable keys.
        name: what the key is called, where keys have names: words, objects, nodes.
    """

    index: int
    frame: float
    y: float
    x: float
    weight: float
    multiple: float
    name: str = ""


@dataclass(frozen=True, eq=False)
class AttentionMap:
    """One query's row (or one key's column) laid on its grid.

    Attributes:
        weights: (t, h, w) float32, zero where the query may not reach.
        query: (frame, y, x) of the query's token, in sampled frames and clip pixels.
        keys: where the weights lie.
        off_grid: mass on tokens without a place (class token, registers).
        reachable: (t, h, w) bool, False for keys outside the query's support.
        signed: whether weights may be negative.
        values: what the weights are: ``weights`` f / C, ``logits`` before C, a ``difference`` from
            the mean row, an ``attribution`` of a class score to cells, or a ``similarity``, f with
            C = 1.
        direction: ``from`` the query to its keys, or ``to`` one key from all queries.
        normalised: whether weights and ``off_grid`` sum to 1.
        left_out: mass that ``without`` removed before renormalising, 0 otherwise.
        choices: number of keys that a row is spread over, where that is not the number of
            reachable cells (in a column, whose cells are queries).
        balanced: whether weights and ``off_grid`` sum to 0: a row that sums to 1 minus the mean
            row.
        name: what the map is of, the block's name for instance.
        title: name, direction and values in words; made from these where it is not given.
        token: name of the query where it is a token without a place; else empty.
        off_weights: (prefix,) the weights of the tokens without a place, in their order; None
            where there are none. Where they are words, ``keys.line`` says which.
        word: what the query is called where it has a place and a name: a word, an object, a node.
        apart: whether the query is of another kind than the keys: a box over the cells of a clip,
            a word of another text.
        cell: height and width of the query's own cell or box, in pixels; None where it is that of
            the keys.

    >>> keys = TokenGrid((1, 2, 3), (1, 8, 8))
    >>> weights = np.array([[[0.5, 0.25, 0.0], [0.25, 0.0, 0.0]]], np.float32)
    >>> a = AttentionMap(weights, (0, 0, 0), keys)
    >>> [link.index for link in a.top(2)], float(a.per_frame()[0]), round(a.effective(), 2)
    ([0, 1], 1.0, 2.83)
    """

    weights: Weights
    query: Point | Triple
    keys: TokenGrid
    off_grid: float = 0.0
    reachable: npt.NDArray[np.bool_] | None = None
    signed: bool = False
    normalised: bool = True
    left_out: float = 0.0
    choices: int | None = None
    balanced: bool = False
    title: str = ""
    name: str = "map"
    values: Values = "weights"
    direction: Direction = "from"
    token: str = ""
    off_weights: Weights | None = None
    word: str = ""
    apart: bool = False
    cell: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if not self.title:
            said = caption(self.name, self.direction, self.values, asked=self.word)
            object.__setattr__(self, "title", said)

    @property
    def own(self) -> int:
        """Flat index of the key nearest to the query."""
        frame, y, x = self.query
        if self.keys.kind == "boxes":
            # A smaller box may lie around the middle of the query's.
            every = range(self.keys.size)
            same = [i for i in every if tuple(self.keys.centre(i)) == (frame, y, x)]
            if same:
                return same[0]
        return self.keys.nearest(frame=frame, y=y, x=x)

    @property
    def has_own(self) -> bool:
        """Whether one of the keys is the query itself."""
        return not (self.token or self.apart)

    @property
    def own_keys(self) -> tuple[int, ...]:
        """The key that is the query itself, where one is: what lists of other keys leave out."""
        return (self.own,) if self.has_own else ()

    @property
    def uniform(self) -> float:
        """Weight that every key of a row would have if all had the same."""
        if self.choices is not None:
            return 1.0 / self.choices
        return 1.0 / max(self.keys.size if self.reachable is None else int(self.reachable.sum()), 1)

    def top(self, k: int = 20, *, without: Iterable[int] = ()) -> list[Link]:
        """Return the k keys of largest weight, strongest first (ties: lower index first).

        Args:
            k: how many; fewer where the grid has fewer reachable keys.
            without: flat indices to leave out, the query's own for instance.
        """
        flat = self.weights.ravel().astype(np.float64)
        if self.reachable is not None:
            flat = np.where(self.reachable.ravel(), flat, -np.inf)
        flat[list(without)] = -np.inf
        order = np.argsort(-flat, kind="stable")[:k]
        names = self.keys.names
        return [
            Link(
                int(i),
                *self.keys.centre(int(i)),
                float(flat[i]),
                float(flat[i] / self.uniform),
                names[i] if names else "",
            )
            for i in order
            if np.isfinite(flat[i])
        ]

    def per_frame(self) -> npt.NDArray[np.float64]:
        """Return the (t,) mass of each frame of the key grid."""
        mass: npt.NDArray[np.float64] = self.weights.sum((1, 2), dtype=np.float64)
        return mass

    def entropy(self) -> float:
        """Return the entropy of the row in nats, off-grid mass counted as one more cell.

        Raises:
            NlvizError: for rows that are not distributions (dot product, concatenation).
        """
        if not self.normalised:
            raise NlvizError(
                "only rows that sum to 1 have an entropy, these do not (dot product and "
                "concatenation are divided by the number of keys); look at per_frame or top instead"
            )
        return float(entropy(self._with_off_grid()))

    def effective(self) -> float:
        """Return the effective number of cells, exp(entropy): 1 for one cell, all if uniform.

        Raises:
            NlvizError: for rows that are not distributions (dot product, concatenation).
        """
        return math.exp(self.entropy())

    def _with_off_grid(self) -> Float[Tensor, " cells"]:
        """Return all weights in double precision, the off-grid mass as one more cell."""
        return torch.from_numpy(np.append(self.weights.ravel().astype(np.float64), self.off_grid))

    def mean_distance(self) -> tuple[float, float]:
        """Return the mean distance from query to key: (pixels, sampled frames).

        The mean is weighted by the magnitude of the weights.
        """
        frame, y, x = self.query
        at, down, across = self.keys.centres()
        p = np.abs(self.weights.astype(np.float64))
        total = max(float(p.sum()), 1e-300)
        return (
            float((p * np.hypot(down - y, across - x)).sum() / total),
            float((p * np.abs(at - frame)).sum() / total),
        )

    def without(self, what: Literal["cell", "frame"]) -> AttentionMap:
        """Return the map without the query's own cell or frame, the rest renormalised.

        Rows that are not distributions are not rescaled. ``left_out`` is the mass removed. Where no
        key is the query itself, there is no own cell to remove.
        """
        if what == "cell" and not self.has_own:
            return self
        out = np.zeros(self.keys.shape, bool)
        a, b, c = self.keys.unravel(self.own)
        out[(a, b, c) if what == "cell" else a] = True
        reachable = ~out if self.reachable is None else self.reachable & ~out
        removed = float(self.weights[out].sum(dtype=np.float64))
        weights = np.where(out, np.float32(0), self.weights)
        off_grid = self.off_grid
        if self.normalised:
            rest = float(weights.sum(dtype=np.float64)) + off_grid
            # In double precision: the rest may be so little that its inverse is no float32.
            if rest > 0:
                weights = (weights.astype(np.float64) / rest).astype(np.float32)
                off_grid /= rest
        return replace(
            self, weights=weights, off_grid=off_grid, reachable=reachable, left_out=removed
        )

    def top_of_scale(self) -> float:
        """Return the weight at which the colour scale ends; the live view has the same rule.

        It is a round multiple of uniform attention near the 0.4 % strongest keys, the query's own
        cell aside, but not below a sixteenth of the strongest, nor, for rows that sum to 1, below
        uniform attention: next to nothing shall look like next to nothing. Words, boxes and nodes
        are few, so that it ends at the strongest of them, or next to it; words beside a picture
        count like its cells.
        """
        keep = (
            np.ones(self.weights.shape, bool) if self.reachable is None else self.reachable.copy()
        )
        count = int(keep.sum())
        if self.has_own:
            keep[self.keys.unravel(self.own)] = False
        others = self.weights[keep].astype(np.float64)
        if self.keys.line is not None and self.off_weights is not None:
            others = np.append(others, self.off_weights)
        diverging = self.signed and others.size > 0 and others.min() < 0
        sizes = np.sort(np.abs(others) if diverging else others)[::-1]
        size = float(sizes[0]) if sizes.size else 0.0
        rank = min(24, max(4, round(_RANK_SHARE * count)))
        if self.keys.kind != "grid":
            rank = min(24, round(count / 16))
        ranked = float(sizes[min(rank, sizes.size - 1)]) if sizes.size else size
        asked = max(ranked, size / _MOST_CLIPPED)
        wanted = size if size <= _BARELY * asked else asked
        floor = 1.0 if self.normalised else 0.0
        return self.uniform * max(floor, round_up(wanted / self.uniform))

    def __repr__(self) -> str:
        frame, y, x = self.query
        best = self.top(1)
        strongest = f", strongest {best[0].multiple:.0f}x uniform" if best else ""
        if self.values == "similarity" and best:
            strongest = f", up to {best[0].weight:.2f}"
        shape = "x".join(map(str, self.keys.shape))
        return f"AttentionMap({self.title}, query ({frame:g}, {y:g}, {x:g}), {shape}{strongest})"

    def _repr_html_(self) -> str:
        from nlviz.picture import overlay_frame, strip_html

        if self.keys.names:
            return self._named_html()
        scale = self.top_of_scale()
        zoom = max(1, 160 // self.keys.shape[2])
        frames = []
        for index, layer in enumerate(self.weights / scale):
            if self.reachable is not None:
                layer = np.where(self.reachable[index], layer, np.nan)
            big = np.kron(layer, np.ones((zoom, zoom), np.float32)).astype(np.float32)
            ground = np.zeros((*big.shape, 3), np.uint8)
            frames.append(overlay_frame(ground, big, strength=1.0, signed=self.signed))
        captions = [
            f"frame {self.keys.centre(i * self.keys.size // len(frames)).frame:g}: "
            f"{fixed(100 * m, 0)} %"
            for i, m in enumerate(self.per_frame())
        ]
        title = f"{self!r}, scale ends at {scale / self.uniform:.0f}x uniform"
        if self.values == "similarity":
            title, captions = repr(self), [text.partition(":")[0] for text in captions]
        return strip_html(frames, captions=captions, title=title) + self._beside_html(scale)

    def _named_html(self) -> str:
        """Return the names of the keys, words for instance, with their weights behind them."""
        from nlviz.picture import words_html

        scale, flat = self.top_of_scale(), self.weights.ravel()
        shares = flat / scale
        if self.reachable is not None:
            shares = np.where(self.reachable.ravel(), shares, np.nan)
        named = bool(self.word) and self.word == self.keys.names[self.own]
        return words_html(
            self.keys.names,
            shares.tolist(),
            title=f"{self!r}, scale ends at {scale / self.uniform:.0f}x uniform",
            told=[f"{i}: {weight:.4f}" for i, weight in enumerate(flat)],
            own=self.own if named else None,
            faint=getattr(self.keys, "special", ()),
            signed=self.signed,
        )

    def _beside_html(self, scale: float) -> str:
        """Return the words beside a picture with their weights behind them, in its scale."""
        from nlviz.picture import words_html

        line, off = self.keys.line, self.off_weights
        if line is None or off is None:
            return ""
        return words_html(
            line.words,
            (off / scale).tolist(),
            title=f"words, {fixed(100 * self.off_grid, 0)} %",
            told=[f"{i}: {weight:.4f}" for i, weight in enumerate(off)],
            faint=line.special,
            signed=self.signed,
        )


def entropy(rows: Float[Tensor, "*any cells"]) -> Float[Tensor, "*any"]:
    """Return the entropy of rows that sum to 1, in nats.

    >>> entropy(torch.tensor([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]]))
    tensor([0.6931, 0.0000])
    """
    nats: Tensor = torch.special.entr(rows).sum(-1)
    return nats


def effective_number(rows: Float[Tensor, "*any cells"]) -> Float[Tensor, "*any"]:
    """Return the effective number of cells of rows that sum to 1, exp(entropy), at least 1.

    >>> effective_number(torch.tensor([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]]))
    tensor([2., 1.])
    """
    return entropy(rows).exp()


def caption(name: str, direction: Direction, values: Values, *, asked: str = "") -> str:
    """Return what a map shows in words: the block, which way, and which values.

    Args:
        name: of the block.
        direction: which way.
        values: which.
        asked: what the query, or the key, is called, where it has a name.

    >>> caption("stage4", "to", "difference")
    'stage4, to this key, minus the mean row'
    """
    which_way = {"from": "from this query", "to": "to this key"}[direction]
    if asked.strip():
        which_way = f"{direction} “{asked.strip()}”"
    of_values = {
        "logits": "raw logits",
        "difference": "minus the mean row",
        "similarity": "cosine similarity",
    }
    parts = [name, which_way, *([of_values[values]] if values in of_values else [])]
    return ", ".join(parts)


def round_up(value: float) -> float:
    """Return the smallest round number that is not below a positive value.

    >>> round_up(51.3), round_up(0.011)
    (60.0, 0.012)
    """
    if not 0 < value < math.inf:
        return 1.0
    unit = 10.0 ** math.floor(math.log10(value))
    step = next(s for s in _STEPS if s * unit >= value * (1 - 1e-9))
    return float(f"{step * unit:.2g}")
