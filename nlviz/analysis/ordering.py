"""An ordering test of maps: do cells that a map points at more change the answer more?

The cells are cut into K groups of equal number, in the order of the map. With s_k the sum of the
map over group k and d_k what the measure falls by when this group alone is taken out,

    F = sum_{i<j} (s_i - s_j) sign(d_i - d_j) / sum_{i<j} |s_i - s_j|

F is in [-1, 1]; 1: every group that is pointed at more changes more. This is the salience-guided
faithfulness coefficient (SaCo) of Wu et al. 2024, "On the Faithfulness of Vision Transformer
Explanations", arXiv 2404.01415, written from its definition, with three differences: cells are
filled in, not set to the mean; groups that change alike count 0, not as agreement (else F is 1
where nothing changes anything); and F stands beside that of random maps, 0 in the mean.
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
from nlviz.analysis.deletion import MOST_SEEDS, model_of
from nlviz.analysis.removal import Of, Removals
from nlviz.analysis.spread import Spread, spread_of
from nlviz.captures.capture import Capture
from nlviz.captures.model import Model
from nlviz.clips.clip import Clip
from nlviz.errors import NlvizError
from nlviz.interventions.regions import Fill
from nlviz.progress import Listener, Progress

Numbers = npt.NDArray[np.float64]
MOST_GROUPS = 64


@dataclass(frozen=True, eq=False)
class Ordered:
    """The groups of one map.

    Attributes:
        map: the map.
        salience: (groups,) sum of the map over each, largest first; the map sums to 1.
        fall: (groups,) by how much the measure falls without each.
        coefficient: F, in [-1, 1]; 0 where no group is pointed at more than another.
    """

    map: ComparedMap
    salience: Numbers
    fall: Numbers
    coefficient: float


@dataclass(frozen=True, eq=False)
class Ordering:
    """The ordering test of one query's map beside others.

    Attributes:
        clip: the input.
        block: whose key cells were taken out.
        query: of the map, in words.
        of: what was measured: the ``answer``'s probability, or the block's ``output`` at the query.
        label: name of the class; empty where there is none.
        fill: what stood in the place of cells.
        maps: of each map its groups, the query's own first; random ones once for each seed.
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
    maps: tuple[Ordered, ...]
    missing: dict[str, str]
    passes: int
    seconds: float

    @property
    def own(self) -> Ordered:
        """The groups of the query's own map."""
        return self.maps[0]

    @property
    def coefficient(self) -> float:
        """F of the query's own map."""
        return self.own.coefficient

    def chance(self, name: str = RANDOM) -> Spread | None:
        """Return F of ``random`` or ``shifted`` maps; None where fewer than two were tried."""
        found = [one.coefficient for one in self.maps if one.map.name == name]
        return spread_of(found, within=(-1.0, 1.0))

    @property
    def table(self) -> list[dict[str, Any]]:
        """One dictionary for each map: F, and of drawn ones the interval of 95 of 100 more."""
        rows: list[dict[str, Any]] = []
        for name in dict.fromkeys(one.map.name for one in self.maps):
            found = [one.coefficient for one in self.maps if one.map.name == name]
            spread = self.chance(name) if name in BY_CHANCE else None
            low, high = (None, None) if spread is None else spread.interval
            mean = float(np.mean(found))
            rows.append(
                {"map": name, "tries": len(found), "coefficient": mean, "low": low, "high": high}
            )
        return rows

    def __repr__(self) -> str:
        return (
            f"Ordering({self.block}, {self.query}, of the {self.of}: F = {self.coefficient:.2f}, "
            f"{self.passes} passes)"
        )


def ordering(
    capture: Capture,
    block: str,
    query: Query,
    *,
    model: Model | None = None,
    of: Of = "answer",
    maps: Sequence[str] | None = None,
    groups: int = 8,
    seeds: int = 5,
    fill: Fill = "inpaint",
    target: int | str | None = None,
    head: int | None = None,
    progress: Listener | None = None,
) -> Ordering:
    """Test whether cells that a query's map points at more change the answer more.

    Args:
        capture: of the clip.
        block: name of the block whose map it is.
        query: a place of the clip, the name of a token, or a number on the grid.
        model: the network; by default the one that made the capture.
        of: what is measured, as in ``deletion``.
        maps: what is tried beside the query's own map, as in ``deletion``.
        groups: K, how many groups the cells are cut into.
        seeds: how many random, and how many shifted, maps.
        fill: what stands in the place of cells.
        target: index or name of the class; by default the most probable one.
        head: one head of the block; None for the mean over heads.
        progress: as in ``deletion``.

    Raises:
        UnknownBlock: when there is no such block.
        NlvizError: as in ``deletion``, or when there are fewer cells than groups.

    >>> import nlviz
    >>> from nlviz.resources import asset
    >>> clip = nlviz.read_clip(asset("photos/coffee.jpg"), size=64)
    >>> model = nlviz.load_model("lite-nl")
    >>> found = ordering(model.capture(clip), "stage4", (0, 32, 40), model=model, maps=[], groups=3)
    >>> found.passes, -1 <= found.coefficient <= 1
    (3, True)
    """
    if not 2 <= groups <= MOST_GROUPS:
        raise NlvizError(f"groups must be between 2 and {MOST_GROUPS}, got {groups}")
    if not 2 <= seeds <= MOST_SEEDS:
        raise NlvizError(f"seeds must be between 2 and {MOST_SEEDS}, got {seeds}")
    began = time.perf_counter()
    model = model_of(capture, model)
    removals = Removals(model, capture, block, query, of=of, target=target, fill=fill)
    cells = removals.affinity.keys.size
    if cells < groups:
        raise NlvizError(f"each group needs a cell, {block} has {cells} for {groups} groups")
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
    removals.expected = len(tried) * groups
    removals.report = tell.part(0.1, 1.0)
    shape = removals.affinity.keys.shape
    whole = removals.value(np.zeros(shape, bool))
    found = []
    for one in tried:
        size = float(np.abs(one.values).sum()) or 1.0
        salience, fall = [], []
        for part in np.array_split(one.order, groups):
            salience.append(float(one.values.ravel()[part].sum()) / size)
            fall.append(whole - removals.value(removals.without(part, len(part))))
        s, d = np.array(salience), np.array(fall)
        found.append(Ordered(one, s, d, faithfulness(s, d)))
    return Ordering(
        capture.clip,
        block,
        removals.said,
        of,
        removals.label,
        fill,
        tuple(found),
        missing,
        removals.passes,
        time.perf_counter() - began,
    )


def faithfulness(salience: Numbers, fall: Numbers) -> float:
    """Return F of groups, most salient first; 0 where all are as salient.

    Args:
        salience: (groups,) how much the map points at each, none larger than the one before.
        fall: (groups,) by how much the measure falls without each.

    >>> s = np.array([3.0, 2.0, 0.0])
    >>> faithfulness(s, s), faithfulness(s, -s), round(faithfulness(s, np.array([1, 5, 0])), 3)
    (1.0, -1.0, 0.667)
    """
    i, j = np.triu_indices(len(salience), 1)
    size = salience[i] - salience[j]
    total = float(np.abs(size).sum())
    if total == 0:
        return 0.0
    return float((size * np.sign(fall[i] - fall[j])).sum()) / total
