"""Two views of one query side by side: rows on one scale, their difference, how far they agree.

The two may be of two blocks, heads, layers, networks, inputs or changes of one. Both rows are laid
on the grid that is along each axis the coarser of theirs (``analysis.common_grid``); there

    difference_j = b_j - a_j

of weights that each cell holds in all. What correlation and overlap are worth stands beside them:
what distance alone and shifted maps reach (``analysis.common_ground``).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from nlviz.affinity.asked import Query
from nlviz.affinity.attention_map import AttentionMap, Direction
from nlviz.affinity.base import Affinity, Head
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.variants import LEARNED, variant_of
from nlviz.analysis.common_grid import common_grid, in_frame_of, laid_on, point_in
from nlviz.analysis.common_ground import CommonGround, ground_of_maps
from nlviz.analysis.controls import variant_affinity
from nlviz.analysis.opening_query import opening_query
from nlviz.analysis.statistics import RowStatistics, row_statistics
from nlviz.captures.capture import Capture
from nlviz.clips.clip import Clip
from nlviz.clips.point import nearest_inside
from nlviz.errors import InvalidView, NlvizError
from nlviz.interventions.crossed import crossed

FIGURES = ("effective", "cells", "own_frame", "pixels", "seconds")  # of ``RowStatistics``
SHARES = (
    "Rows of the two are no weights of one kind: each was divided by the sum of its magnitudes "
    "before they were subtracted."
)
BY_NUMBER = "The two inputs have other words: they are compared by number."


@dataclass(frozen=True, eq=False)
class Side:
    """One side of a comparison: what is shown of which capture, and how it is asked.

    Attributes:
        capture: of the input in which the query lies.
        block: name of the block; the last one by default.
        head: one head's index, ``"max"`` over heads, or their mean (None or ``"mean"``).
        source: key of what is shown: the block's own affinity or a variant of it.
        direction: ``"from"`` the query to its keys; ``"to"`` one key from all queries.
        query: of this side alone; None for that of the comparison.
        affinity: what is shown in the place of what ``source`` names, of this capture.
        keys_of: the capture in which the keys lie, where that is another one: queries of one input
            over keys of another, see ``nlviz.crossed``.
        label: what the side is called, beside its letter; made from the rest where it is empty.

    Raises:
        UnknownBlock: when the capture has no such block.
        NlvizError: when its rows have no meaning.
    """

    capture: Capture
    block: str = ""
    head: Head = None
    source: str = LEARNED.key
    direction: Direction = "from"
    query: Query | None = None
    affinity: Affinity | None = None
    keys_of: Capture | None = None
    label: str = ""

    def __post_init__(self) -> None:
        names = list(self.capture.affinities)
        if not self.block and not names:
            raise NlvizError("a side of a comparison is a block's affinity, this capture has none")
        object.__setattr__(self, "block", self.block or names[-1])
        if self.affinity is None:
            self.capture.affinities[self.block]  # refuses an unknown name
            if self.keys_of is not None and self.source != LEARNED.key:
                raise InvalidView(
                    "keys of another input are asked by the block's own queries, got the source "
                    f"{self.source!r}; leave one of the two out"
                )
        if not self.label:
            object.__setattr__(self, "label", self._named())

    @cached_property
    def shown(self) -> Affinity:
        """The affinity that is shown."""
        if self.affinity is not None:
            return self.affinity
        if self.keys_of is not None:
            return crossed(self.capture, self.keys_of, self.block)
        variant = variant_of(self.source)
        if variant is None:
            raise InvalidView(f"no source is called {self.source!r}")
        return variant_affinity(variant, self.capture, self.block)

    @property
    def clip(self) -> Clip:
        """The input on which the map is drawn: that of the keys, or of the queries of a column."""
        if self.keys_of is None or self.direction == "to":
            return self.capture.clip
        return self.keys_of.clip

    @property
    def asked_clip(self) -> Clip:
        """The input in which the query lies, or the key of a column."""
        if self.keys_of is None or self.direction == "from":
            return self.capture.clip
        return self.keys_of.clip

    @property
    def changes(self) -> tuple[str, ...]:
        """What was changed of the input or inside the pass, a clause each; see interventions."""
        captures = [self.capture] + ([] if self.keys_of is None else [self.keys_of])
        return tuple(dict.fromkeys(told for each in captures for told in each.changes))

    def map(self, query: Query) -> AttentionMap:
        """Return the map of a query: a place, the name of a token, or a number on the grid.

        Raises:
            OutsideClip: when the place is not in the clip, or there is no such number or head.
            NlvizError: when there is no such token.
        """
        affinity = self.shown
        head = None if affinity.heads == 1 and isinstance(self.head, int) else self.head
        if isinstance(query, str):
            return affinity.map(token=query, head=head, direction=self.direction)
        if isinstance(query, int):
            asked = affinity.queries if self.direction == "from" else affinity.keys
            query = nearest_inside(asked.centre(query), self.asked_clip.shape)
        frame, y, x = query
        return affinity.map(frame=frame, y=y, x=x, head=head, direction=self.direction)

    def _named(self) -> str:
        variant = variant_of(self.source)
        head = self.head
        heads = self.affinity.heads if self.affinity else self.capture.affinities[self.block].heads
        which = f"head {head + 1}" if isinstance(head, int) and heads > 1 else ""
        parts = [
            self.capture.clip.name,
            self.capture.about.name,
            self.block,
            "largest of any head" if head == "max" else which,
            "" if variant is None or variant is LEARNED else variant.label,
            "" if self.keys_of is None else f"keys of {self.keys_of.clip.name}",
            *self.changes,
        ]
        return " · ".join(part for part in parts if part)


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two maps of one query, their difference, and how far they agree.

    Attributes:
        a, b: the two sides.
        query: what was asked of ``a``.
        query_b: what was asked of ``b``: the same place, unless it has a query of its own.
        one, other: the map of each side, on its own grid.
        difference: what ``b`` gives more than ``a``, on the common grid in the place of ``a``'s
            clip; None where their values have no difference, which ``notes`` say.
        ground: correlation, overlap and mass in common beside distance and chance; None where too
            few cells are in common.
        top: end of the one colour scale of both maps, in multiples of uniform attention; None
            where they have no unit in common.
        notes: one sentence for each thing that a reader must know of the comparison.
    """

    a: Side
    b: Side
    query: Query
    query_b: Query
    one: AttentionMap
    other: AttentionMap
    difference: AttentionMap | None
    ground: CommonGround | None
    top: float | None
    notes: tuple[str, ...] = ()

    @property
    def sides(self) -> tuple[tuple[Side, AttentionMap], tuple[Side, AttentionMap]]:
        """Both sides with their maps."""
        return (self.a, self.one), (self.b, self.other)

    @property
    def statistics(self) -> tuple[RowStatistics, RowStatistics]:
        """What the row of each side does."""
        one, other = (row_statistics(found, side.clip.times) for side, found in self.sides)
        return one, other

    @property
    def correlation(self) -> float | None:
        """Spearman's rank correlation on the common grid, in [-1, 1]; None where it has too few."""
        return None if self.ground is None else self.ground.correlation.value

    @property
    def table(self) -> list[dict[str, Any]]:
        """One dictionary for each measure: its name, its value, and what distance and chance give.

        Then one for each figure of the two rows, with the value of ``a``, of ``b`` and their
        difference.
        """
        measures = [] if self.ground is None else self.ground.table
        s, t = (asdict(each) for each in self.statistics)
        pairs = {name: (s[name], t[name]) for name in FIGURES}
        pairs["off_grid"] = (self.one.off_grid, self.other.off_grid)
        rows = [
            {"figure": name, "a": a, "b": b, "difference": b - a}
            for name, (a, b) in pairs.items()
            if a is not None and b is not None
        ]
        return [*measures, *rows]

    def __repr__(self) -> str:
        told = "" if self.correlation is None else f", correlation {self.correlation:.2f}"
        return f"Comparison({self.a.label} | {self.b.label}{told})"


def compare_views(
    a: Side | tuple[Capture, str] | Capture,
    b: Side | tuple[Capture, str] | Capture,
    *,
    query: Query | None = None,
) -> Comparison:
    """Return the maps of one query on two sides, their difference, and how far they agree.

    Args:
        a: a capture, with the name of a block, or a ``Side``.
        b: the other side.
        query: a place of ``a``'s input (frame, y, x), the name of a token, or a number on its
            grid; by a stated rule when None. In an input of another size it is the place that lies
            there when ``b`` is stretched over ``a``.

    Raises:
        UnknownBlock: when a capture has no such block.
        OutsideClip: when the query is not in the input, or there is no such head.
        NlvizError: when the two lie on tokens that cannot be compared.

    >>> import nlviz
    >>> from nlviz.resources import asset
    >>> clip = nlviz.read_clip(asset("photos/coffee.jpg"), size=128)
    >>> capture = nlviz.load_model("lite-nl").capture(clip)
    >>> found = compare_views((capture, "stage3"), (capture, "stage4"), query=(0, 64, 90))
    >>> found.difference.keys.shape, found.correlation > found.ground.correlation.high
    ((1, 14, 21), True)
    """
    a, b = _side(a), _side(b)
    if a.query is not None:
        query = a.query
    if query is None:
        query, _ = opening_query(a.capture.clip, a.shown)
    one = a.map(query)
    query_b = b.query if b.query is not None else _asked_of(b, a, query, one)
    other = b.map(query_b)
    notes = []
    shapes = [side.clip.shape for side in (a, b)]
    if shapes[0] != shapes[1] and one.keys.kind == "grid":
        sizes = [f"{t} × {h} × {w}" for t, h, w in shapes]
        notes.append(
            f"The two clips differ in frames × rows × columns, {sizes[0]} and {sizes[1]}: B is "
            "stretched over A."
        )
    there, grid = grids_of(a, b, one.keys, other.keys)
    if one.keys.names != there.names:
        notes.append(BY_NUMBER)
    at = point_in(other.query, b.asked_clip.shape, a.asked_clip.shape)
    ours, theirs = _on(one, one.keys, grid), replace(_on(other, there, grid), query=at)
    if (ours.reachable is None) != (theirs.reachable is None) or (
        ours.reachable is not None and (ours.reachable != theirs.reachable).any()
    ):
        notes.append("The two reach other keys: where one reaches none, it counts as 0.")
    difference, said = _difference(ours, theirs)
    ground = None
    try:
        ground = ground_of_maps(ours, theirs)
    except NlvizError as error:
        said.append(f"{str(error)[0].upper()}{str(error)[1:]}.")
    return Comparison(
        a, b, query, query_b, one, other, difference, ground, _top(one, other), (*notes, *said)
    )


def grids_of(a: Side, b: Side, one: TokenGrid, other: TokenGrid) -> tuple[TokenGrid, TokenGrid]:
    """Return where the second of two grids lies in ``a``'s clip, and the common grid.

    Args:
        a: the first side.
        b: the second side.
        one: grid of the first map.
        other: grid of the second one, in ``b``'s clip.

    Raises:
        NlvizError: when the two hold tokens that cannot be compared.
    """
    there = in_frame_of(other, b.clip.shape, a.clip.shape)
    return there, common_grid(one, there)


def _side(given: Side | tuple[Capture, str] | Capture) -> Side:
    if isinstance(given, Side):
        return given
    return Side(given) if isinstance(given, Capture) else Side(*given)


def _asked_of(b: Side, a: Side, query: Query, one: AttentionMap) -> Query:
    """Return the query of ``b`` that is the same as that of ``a``: its name, or its place."""
    if isinstance(query, str):
        return query
    own, other = a.asked_clip.shape, b.asked_clip.shape
    place = query if isinstance(query, tuple) else nearest_inside(one.query, own)
    return point_in(place, own, other)


def _on(found: AttentionMap, grid: TokenGrid, onto: TokenGrid) -> AttentionMap:
    """Return a map on the common grid: sums of weights, means of similarities."""
    reach = np.ones(grid.shape) if found.reachable is None else found.reachable.astype(np.float64)
    values = np.where(reach > 0, found.weights.astype(np.float64), 0.0)
    sums, count = laid_on(values, grid, onto), laid_on(reach, grid, onto)
    if found.values == "similarity":
        sums = sums / np.maximum(count, 1e-12)
    reached = None if (count > 1e-9).all() else count > 1e-9
    return replace(
        found,
        weights=sums.astype(np.float32),
        keys=replace(onto, prefix=grid.prefix, line=grid.line),
        reachable=reached,
        choices=1 if found.values == "similarity" else None,
    )


def _difference(one: AttentionMap, other: AttentionMap) -> tuple[AttentionMap | None, list[str]]:
    """Return what the second of two maps on one grid gives more, and what must be said of it."""
    notes = []
    if one.values != other.values:
        words = {"weights": "weights", "difference": "weights minus their mean row"}
        kinds = [words.get(each.values, "similarities") for each in (one, other)]
        return None, [f"A shows {kinds[0]} and B {kinds[1]}, which have no difference."]
    weights = [each.weights.astype(np.float64) for each in (one, other)]
    off = [each.off_grid for each in (one, other)]
    whole = one.normalised and other.normalised
    if one.values == "weights" and one.normalised != other.normalised:
        sizes = [_size(each) for each in (one, other)]
        weights = [w / size for w, size in zip(weights, sizes, strict=True)]
        off = [o / size for o, size in zip(off, sizes, strict=True)]
        notes.append(SHARES)
    words_apart = None
    if one.off_weights is not None and other.off_weights is not None:
        if one.off_weights.shape == other.off_weights.shape and not notes:
            words_apart = other.off_weights - one.off_weights
    reach = None
    if one.reachable is not None and other.reachable is not None:
        reach = one.reachable | other.reachable
    made = AttentionMap(
        weights=(weights[1] - weights[0]).astype(np.float32),
        query=one.query,
        keys=one.keys if words_apart is not None else replace(one.keys, line=None),
        off_grid=off[1] - off[0],
        off_weights=words_apart,
        reachable=reach,
        signed=True,
        normalised=False,
        choices=one.choices,
        balanced=whole or (one.balanced and other.balanced),
        title="B minus A",
        name="B minus A",
        values="difference",
        direction=one.direction,
        token=one.token,
        word=one.word,
        apart=one.apart or other.apart,
        cell=one.cell,
    )
    return made, notes


def _size(found: AttentionMap) -> float:
    total = float(np.abs(found.weights).sum(dtype=np.float64)) + abs(found.off_grid)
    return total if total > 0 else 1.0


def _top(one: AttentionMap, other: AttentionMap) -> float | None:
    """Return the end of one colour scale for both, in multiples of uniform attention, or None."""
    if "similarity" in (one.values, other.values) or one.values != other.values:
        return None
    return max(found.top_of_scale() / found.uniform for found in (one, other))
