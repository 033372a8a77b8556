"""One query in every layer and head: its maps, and figures by which these can be told apart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeVar

from nlviz.affinity.asked import Query, query_number, query_said
from nlviz.affinity.attention_map import AttentionMap
from nlviz.affinity.base import Affinity
from nlviz.analysis.atlas_figures import FIGURES, OF_THE_ROW, AskedHead, figure_of
from nlviz.analysis.statistics import RowStatistics, row_statistics
from nlviz.captures.capture import Capture
from nlviz.clips.graph import Graph
from nlviz.clips.point import Point
from nlviz.clips.text import Text
from nlviz.errors import NlvizError, OutsideClip
from nlviz.progress import Listener, Progress

Values = tuple[float | None, ...]  # of a figure, for each head of a layer


@dataclass(frozen=True, eq=False)
class LayerMaps:
    """What one query reads in every head of a layer.

    Attributes:
        block: name of the layer.
        maps: the row of the query in each head.
        statistics: of each row.
        figures: by name, a number for each head; None where it cannot be told.
    """

    block: str
    maps: tuple[AttentionMap, ...]
    statistics: tuple[RowStatistics, ...]
    figures: Mapping[str, Values] = field(default_factory=dict)

    @property
    def heads(self) -> int:
        """Number of heads."""
        return len(self.maps)


class Place(NamedTuple):
    """One head of one layer, both as numbers from 0.

    Attributes:
        layer: number of the layer among those of the atlas.
        head: number of the head.
    """

    layer: int
    head: int


Self = TypeVar("Self", bound="HeadMaps")


@dataclass(frozen=True, eq=False)
class HeadMaps:
    """One query in every layer and head of a capture.

    Attributes:
        capture: that the rows are of.
        query: as it was asked for.
        said: the query in words.
        layers: in forward order.
        left_out: layers that have no such query, and why.
        untold: figures that some layer cannot tell, and why the first of these cannot.
    """

    capture: Capture
    query: Query
    said: str
    layers: tuple[LayerMaps, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)
    untold: Mapping[str, str] = field(default_factory=dict)

    @property
    def places(self) -> tuple[Place, ...]:
        """Every head of every layer, in forward order."""
        return tuple(Place(i, h) for i, layer in enumerate(self.layers) for h in range(layer.heads))

    @property
    def figures(self) -> tuple[str, ...]:
        """Names of the figures that are known, in the order of the registry."""
        known = {name for layer in self.layers for name in layer.figures}
        return tuple(name for name in FIGURES if name in known)

    def map(self, block: str, head: int) -> AttentionMap:
        """Return the row of the query in one head.

        Raises:
            OutsideClip: when there is no such head.
            NlvizError: when the atlas has no such layer.
        """
        layer = next((each for each in self.layers if each.block == block), None)
        if layer is None:
            why = self.left_out.get(block, f"its layers are {', '.join(self._blocks)}")
            raise NlvizError(f"the atlas has no layer {block!r}: {why}")
        if not 0 <= head < layer.heads:
            raise OutsideClip(f"head must be between 0 and {layer.heads - 1}, got {head}")
        return layer.maps[head]

    def value(self, place: Place, figure: str) -> float | None:
        """Return a figure of one head; None where it cannot be told.

        Raises:
            NlvizError: for a figure that was not asked for.
        """
        if figure not in self.figures:
            raise NlvizError(
                f"the atlas knows {', '.join(self.figures)}; {figure!r} takes "
                f"with_figure({figure!r})"
            )
        values = self.layers[place.layer].figures.get(figure)
        return None if values is None else values[place.head]

    def ordered(self, figure: str | None = None, *, smallest: bool = False) -> tuple[Place, ...]:
        """Return every head in forward order, or by a figure; those without it come last.

        Args:
            figure: its name, largest first; None for forward order.
            smallest: whether the smallest comes first.
        """
        if figure is None:
            return self.places
        sign = 1 if smallest else -1
        values = {place: self.value(place, figure) for place in self.places}

        def rank(place: Place) -> tuple[bool, float]:
            value = values[place]
            return value is None, 0.0 if value is None else sign * value

        return tuple(sorted(self.places, key=rank))

    def with_figure(self: Self, figure: str, *, progress: Listener | None = None) -> Self:
        """Return the atlas with one more figure; some take passes over all rows.

        Args:
            figure: a name in ``FIGURES``.
            progress: told how much is done.

        Raises:
            NlvizError: when there is no such figure.
        """
        if figure in self.figures:
            return self
        what, told = figure_of(figure), Progress.of(progress)
        columns: list[Values] = []
        why = ""
        for number, layer in enumerate(self.layers):
            share = 1 / len(self.layers)
            part = told.part(number * share, (number + 1) * share)
            part(f"{what.label} of {layer.block}", 0.0)
            asked = AskedHead(
                self.capture, layer.block, self.query, layer.maps, layer.statistics, part
            )
            try:
                columns.append(tuple(map(_finite, what.measure(asked))))
            except NlvizError as error:
                columns.append((None,) * layer.heads)
                why = why or str(error)
        return self.with_values(figure, columns, untold=why)

    def values(self, figure: str) -> tuple[Values, ...]:
        """Return a figure of every head, layer by layer; None where it cannot be told.

        Raises:
            NlvizError: for a figure that was not asked for.
        """
        return tuple(
            tuple(self.value(Place(number, head), figure) for head in range(layer.heads))
            for number, layer in enumerate(self.layers)
        )

    def with_values(self: Self, figure: str, values: Sequence[Values], *, untold: str = "") -> Self:
        """Return the atlas with a figure that was measured before, of this query.

        Args:
            figure: its name.
            values: of every head, layer by layer.
            untold: why a layer cannot tell it, where one cannot.
        """
        layers = tuple(
            replace(layer, figures={**layer.figures, figure: own})
            for layer, own in zip(self.layers, values, strict=True)
        )
        why = {**self.untold, **({figure: untold} if untold else {})}
        return replace(self, layers=layers, untold=why)

    def table(self) -> list[dict[str, Any]]:
        """Return a row for each head: its layer, its number and every figure that is known."""
        return [
            {
                "block": self.layers[place.layer].block,
                "head": place.head,
                **{name: self.value(place, name) for name in self.figures},
            }
            for place in self.places
        ]

    @property
    def _blocks(self) -> tuple[str, ...]:
        return tuple(layer.block for layer in self.layers)

    def __repr__(self) -> str:
        heads = len(self.places)
        return f"{type(self).__name__}({self.said}, {len(self.layers)} layers, {heads} heads)"


def head_maps(
    capture: Capture,
    query: Query,
    *,
    blocks: Sequence[str] | None = None,
    figures: Sequence[str] = OF_THE_ROW,
    progress: Listener | None = None,
) -> HeadMaps:
    """Return the rows of one query in every layer and head.

    Args:
        capture: of the clip.
        query: a place (frame, y, x), the name of a token or word, or a number on the grid, which
            then is that of all layers.
        blocks: names of the layers; all by default.
        figures: names of figures; by default those that follow from the row alone.
        progress: told how much is done.

    Raises:
        UnknownBlock: when there is no layer of such a name.
        NlvizError: when no layer has such a query, or there is no such figure.

    >>> import nlviz
    >>> from nlviz.resources import asset
    >>> clip = nlviz.read_clip(asset("photos/coffee.jpg"), size=64)
    >>> found = head_maps(nlviz.load_model("lite-nl").capture(clip), (0, 20, 30))
    >>> [layer.block for layer in found.layers], found.places
    (['stage3', 'stage4'], (Place(layer=0, head=0), Place(layer=1, head=0)))
    """
    names = tuple(capture.affinities) if blocks is None else tuple(blocks)
    affinities = {name: capture.affinities[name] for name in names}
    for figure in figures:
        figure_of(figure)
    asked: Query = Point(*query) if isinstance(query, tuple | list) and len(query) == 3 else query
    layers: list[LayerMaps] = []
    refused: dict[str, NlvizError] = {}
    said = ""
    first: Affinity | None = None
    for name, affinity in affinities.items():
        try:
            if isinstance(asked, int) and first is not None and first.queries != affinity.queries:
                raise NlvizError(
                    f"query {asked} of {first.name} is another place in {name}, whose grid is "
                    f"{'x'.join(map(str, affinity.queries.shape))}; ask by place"
                )
            _of_its_kind(capture, affinity, asked)
            maps = _rows_of(affinity, asked)
        except NlvizError as error:
            refused[name] = error
            continue
        first = first or affinity
        said = said or _said(affinity, asked)
        statistics = tuple(row_statistics(row, capture.clip.times) for row in maps)
        layers.append(LayerMaps(name, maps, statistics))
    if not layers:
        raise next(iter(refused.values()), NlvizError("the capture has no layer to show"))
    why = {name: str(error) for name, error in refused.items()}
    found = HeadMaps(capture, asked, said, tuple(layers), why)
    told = Progress.of(progress)
    for number, figure in enumerate(figures):
        found = found.with_figure(
            figure, progress=told.part(number / len(figures), (number + 1) / len(figures))
        )
    return found


def _of_its_kind(capture: Capture, affinity: Affinity, query: Query) -> None:
    """Refuse a place where the queries are words or nodes elsewhere: the nearest is another."""
    grid = affinity.queries
    if grid.kind not in ("line", "nodes") or isinstance(query, str | int):
        return
    if not isinstance(capture.clip, Text | Graph):
        raise NlvizError(
            f"queries of {affinity.name} are words, not places of the pictures; ask by word"
        )
    frame, y, x = query
    own = grid.centre(grid.nearest(frame=frame, y=y, x=x)).x
    if grid.kind == "line" and abs(own - x) > grid.stride[2] / 2:
        raise NlvizError(
            f"queries of {affinity.name} are {grid.size} other words, of which none stands at "
            f"place {x:g}; ask by place of one of them"
        )


def _rows_of(affinity: Affinity, query: Query) -> tuple[AttentionMap, ...]:
    """Return the row of a query in every head."""
    if isinstance(query, str):
        grid = affinity.queries
        if not (affinity.token_names or grid.names or grid.line):
            raise NlvizError(f"{affinity.name} has no query called {query!r}; ask by place")
        return affinity.head_maps(token=query)
    if isinstance(query, int):
        index = query_number(affinity, query) - affinity.queries.prefix
        if affinity.queries.kind == "boxes":
            return affinity.head_maps(box=index)
        frame, y, x = (max(at, 0.0) for at in affinity.queries.place_in(index))
        return affinity.head_maps(frame=frame, y=y, x=x)
    query_number(affinity, query)  # refuses what is no query
    frame, y, x = query
    return affinity.head_maps(frame=frame, y=y, x=x)


def _said(affinity: Affinity, query: Query) -> str:
    """Return a query in words, frames and pixels counted from 0."""
    if isinstance(query, str):
        return query
    number = query_number(affinity, query)
    if affinity.queries.names:
        return query_said(affinity, number)
    at = affinity.queries.centre(number - affinity.queries.prefix)
    frame, y, x = at if isinstance(query, int) else query
    return f"frame {frame:g}, y {y:.4g}, x {x:.4g}"


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
