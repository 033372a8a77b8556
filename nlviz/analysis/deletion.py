"""Deletion and insertion: does what a map points at matter more than any other cells?

Cells are taken out of the clip in the order of a map, most pointed at first, and the measure is
followed (deletion); or put back in that order into a clip without any (insertion). The area under a
curve is its mean over the share of cells; of deletion less is better, of insertion more. Cells are
filled in so that the clip stays one (``interventions.regions``), and every map stands beside random
ones: with a single order nothing can be said.

Sources: Petsiuk et al. 2018, "RISE", arXiv 1806.07421 (both curves); Hooker et al. 2019, "ROAR",
arXiv 1806.10758, and Zheng et al. 2025, "F-Fidelity", arXiv 2410.02970 (patches that no network
saw); Wu et al. 2024, arXiv 2404.01415 (random maps).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nlviz.affinity.asked import Query
from nlviz.analysis.compared_maps import BY_CHANCE, RANDOM, ComparedMap, compared_maps
from nlviz.analysis.removal import Of, Removals
from nlviz.analysis.spread import Spread, spread_of
from nlviz.captures.capture import Capture
from nlviz.captures.model import Model
from nlviz.clips.clip import Clip
from nlviz.errors import NlvizError
from nlviz.interventions.regions import Fill
from nlviz.progress import Listener, Progress

Numbers = npt.NDArray[np.float64]
MOST_STEPS = 64
MOST_SEEDS = 64


@dataclass(frozen=True, eq=False)
class Curve:
    """What is left of the measure as cells are taken out, or put back, in the order of one map.

    Attributes:
        map: the map.
        shares: (steps + 1,) of the cells that are out, or back in, from 0 to 1.
        deletion: (steps + 1,) from the whole clip to one without any cell.
        insertion: (steps + 1,) from a clip without any cell to the whole one.
    """

    map: ComparedMap
    shares: Numbers
    deletion: Numbers
    insertion: Numbers

    @property
    def deletion_area(self) -> float:
        """Mean of the deletion curve over the share of cells; less is better."""
        return float(np.trapezoid(self.deletion, self.shares))

    @property
    def insertion_area(self) -> float:
        """Mean of the insertion curve over the share of cells; more is better."""
        return float(np.trapezoid(self.insertion, self.shares))


@dataclass(frozen=True, eq=False)
class Deletion:
    """Deletion and insertion of one query's map beside others.

    Attributes:
        clip: the input.
        block: whose key cells were taken out.
        query: of the map, in words.
        of: what was measured: the ``answer``'s probability, or the block's ``output`` at the query.
        label: name of the class; empty where there is none.
        fill: what stood in the place of cells.
        shares: (steps + 1,) of the cells, from 0 to 1.
        curves: of each map, the query's own first; random ones once for each seed.
        cells: how many there are.
        missing: of maps that are not there, why.
        passes: how often the network ran.
        seconds: how long all took.
    """

    clip: Clip
    block: str
    query: str
    of: Of
    label: str
    fill: Fill
    shares: Numbers
    curves: tuple[Curve, ...]
    cells: int
    missing: dict[str, str]
    passes: int
    seconds: float

    @property
    def own(self) -> Curve:
        """The curve of the query's own map."""
        return self.curves[0]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the maps, each once."""
        return tuple(dict.fromkeys(curve.map.name for curve in self.curves))

    def of_map(self, name: str) -> tuple[Curve, ...]:
        """Return the curves of one kind of map."""
        return tuple(curve for curve in self.curves if curve.map.name == name)

    def chance(self, name: str = RANDOM) -> tuple[Spread, Spread] | None:
        """Return the areas of deletion and insertion of ``random`` or ``shifted`` maps.

        None where fewer than two of them were tried.
        """
        curves = self.of_map(name)
        deleted = spread_of([c.deletion_area for c in curves], within=(0.0, 1.0))
        inserted = spread_of([c.insertion_area for c in curves], within=(0.0, 1.0))
        return None if deleted is None or inserted is None else (deleted, inserted)

    @property
    def table(self) -> list[dict[str, Any]]:
        """One dictionary for each map: its areas, and of drawn ones their interval.

        ``deletion_low`` and so on are those of 95 of 100 further ones, None for maps not drawn.
        """
        rows: list[dict[str, Any]] = []
        for name in self.names:
            curves = self.of_map(name)
            spreads = self.chance(name) if name in BY_CHANCE else None
            row: dict[str, Any] = {"map": name, "tries": len(curves)}
            for at, kind in enumerate(("deletion", "insertion")):
                areas = [getattr(c, f"{kind}_area") for c in curves]
                low, high = (None, None) if spreads is None else spreads[at].interval
                row |= {kind: float(np.mean(areas)), f"{kind}_low": low, f"{kind}_high": high}
            rows.append(row)
        return rows

    def to_json(self) -> dict[str, Any]:
        """Return everything but the clip as JSON can hold it."""
        return {
            "clip": {"name": self.clip.name, "digest": self.clip.digest},
            "block": self.block,
            "query": self.query,
            "of": self.of,
            "label": self.label,
            "fill": self.fill,
            "cells": self.cells,
            "shares": self.shares.tolist(),
            "curves": [
                {
                    "map": curve.map.name,
                    "seed": curve.map.seed,
                    "deletion": curve.deletion.tolist(),
                    "insertion": curve.insertion.tolist(),
                }
                for curve in self.curves
            ],
            "table": self.table,
            "missing": self.missing,
            "passes": self.passes,
            "seconds": self.seconds,
        }

    def __repr__(self) -> str:
        own = self.own
        return (
            f"Deletion({self.block}, {self.query}, of the {self.of}: deletion "
            f"{own.deletion_area:.3g}, insertion {own.insertion_area:.3g}, {self.passes} passes)"
        )


def deletion(
    capture: Capture,
    block: str,
    query: Query,
    *,
    model: Model | None = None,
    of: Of = "answer",
    maps: Sequence[str] | None = None,
    steps: int = 8,
    seeds: int = 5,
    fill: Fill = "inpaint",
    target: int | str | None = None,
    head: int | None = None,
    progress: Listener | None = None,
) -> Deletion:
    """Take cells out in the order of a query's map, and of others, and follow what is left.

    Args:
        capture: of the clip.
        block: name of the block whose map it is.
        query: a place of the clip, the name of a token, or a number on the grid.
        model: the network; by default the one that made the capture.
        of: ``answer``: the probability of the class; ``output``: how far the block's output at the
            query is still what it was, 1 - |y' - y| / (|y'| + |y|).
        maps: what is tried beside the query's own map, names of ``nlviz.analysis.compared_maps``;
            by default random and shifted maps, position, features, non-local means and Grad-CAM,
            those of them that there are.
        steps: how many times a share of the cells is taken out.
        seeds: how many random, and how many shifted, maps.
        fill: what stands in the place of cells: ``inpaint``, ``neighbours`` (in time), ``blur`` or
            ``mean``.
        target: index or name of the class; by default the most probable one.
        head: one head of the block; None for the mean over heads.
        progress: called with a sentence and a share in [0, 1] before each pass; an exception it
            raises stops the work.

    Raises:
        UnknownBlock: when there is no such block.
        NlvizError: when there is no network to run, keys are no cells of a clip, or the network
            gives no class scores to measure.

    >>> import nlviz
    >>> from nlviz.resources import asset
    >>> clip = nlviz.read_clip(asset("photos/coffee.jpg"), size=64)
    >>> model = nlviz.load_model("lite-nl")
    >>> capture = model.capture(clip)
    >>> found = deletion(
    ...     capture, "stage4", (0, 32, 40), model=model, maps=["random"], steps=2, seeds=2)
    >>> found.names, found.shares.tolist(), found.passes
    (('map', 'random'), [0.0, 0.5, 1.0], 7)
    """
    if not 2 <= steps <= MOST_STEPS:
        raise NlvizError(f"steps must be between 2 and {MOST_STEPS}, got {steps}")
    if not 2 <= seeds <= MOST_SEEDS:
        raise NlvizError(f"seeds must be between 2 and {MOST_SEEDS}, got {seeds}")
    began = time.perf_counter()
    model = model_of(capture, model)
    removals = Removals(model, capture, block, query, of=of, target=target, fill=fill)
    tell = Progress.of(progress)
    tried, missing = compared_maps(
        model,
        capture,
        block,
        removals.number,
        names=maps,
        seeds=seeds,
        head=head,
        target=removals.target,
        progress=tell.part(0.0, 0.1),
    )
    cells = removals.affinity.keys.size
    counts = np.unique(np.rint(np.linspace(0, 1, steps + 1) * cells).astype(int))
    removals.expected = 1 + len(tried) * 2 * (len(counts) - 2)
    removals.report = tell.part(0.1, 1.0)
    curves = []
    for one in tried:
        order = one.order
        taken = [removals.value(removals.without(order, n)) for n in counts]
        # To put the first n back is to take the last ones out.
        put = [removals.value(removals.without(order[::-1], cells - n)) for n in counts]
        curves.append(Curve(one, counts / cells, np.array(taken), np.array(put)))
    return Deletion(
        capture.clip,
        block,
        removals.said,
        of,
        removals.label,
        fill,
        counts / cells,
        tuple(curves),
        cells,
        missing,
        removals.passes,
        time.perf_counter() - began,
    )


def model_of(capture: Capture, model: Model | None) -> Model:
    """Return the network that a capture was made with.

    Raises:
        NlvizError: when the capture was read from a file.
    """
    found = model or capture.model
    if found is None:
        raise NlvizError(
            "a capture that was read from a file holds no network, so nothing can run again; load "
            "the network and give it as model="
        )
    return found
