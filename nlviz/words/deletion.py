"""Deletion, insertion and the ordering test in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nlviz.affinity.variants import FEATURES, PIXELS, POSITION
from nlviz.analysis.compared_maps import OWN, RANDOM, SHIFTED
from nlviz.interventions.regions import Fill
from nlviz.sentences import counted, fixed, listed
from nlviz.words.attribution import METHOD_NAMES
from nlviz.words.numbers import percent_text

if TYPE_CHECKING:
    from nlviz.analysis.deletion import Deletion
    from nlviz.analysis.ordering import Ordering
    from nlviz.analysis.removal import Of
    from nlviz.analysis.spread import Spread

MAP_NAMES: dict[str, str] = {
    OWN: "This query's map",
    SHIFTED: "The map moved elsewhere",
    RANDOM: "Random cells",
    **{variant.key: variant.label for variant in (POSITION, FEATURES, PIXELS)},
    **{str(method): name for method, name in METHOD_NAMES.items()},
}
FILL_NAMES: dict[Fill, str] = {
    "inpaint": "In-painted from the rim",
    "neighbours": "Taken from the frames beside it",
    "blur": "Blurred",
    "mean": "Mean colour of the frame",
}
AREA_MEANS = (
    "Mean of a curve over the share of cells. Taking cells out, less is better: the measure falls "
    "sooner. Putting them back, more is better (Petsiuk et al. 2018, “RISE”)."
)
ORDER_MEANS = (
    "F = sum of (s_i - s_j) · sign(d_i - d_j) over all pairs of groups of cells, divided by the "
    "sum of |s_i - s_j|; s is what the map gives a group, d by how much the measure falls without "
    "it. 1: every group that is pointed at more changes more. After SaCo (Wu et al. 2024)."
)
LITTLE = 0.01  # change of the measure by taking everything out below which no order can matter


def measured(of: Of, label: str) -> str:
    """Return what was measured, in words.

    >>> measured("answer", "cup")
    'the probability of cup'
    """
    return f"the probability of {label}" if of == "answer" else "the block's output at this query"


def deletion_sentence(found: Deletion) -> str:
    """Return what follows from the curves: whether the map points at what matters.

    A map does where taking its cells out lowers the measure faster than 95 of 100 random orders
    would, going by the ones that were tried.
    """
    what = measured(found.of, found.label)
    curve = found.own.deletion
    if abs(float(curve[0] - curve[-1])) < LITTLE:
        return (
            f"Even without any cell {what} is "
            f"{percent_text(float(curve[-1]))} after {percent_text(float(curve[0]))}: no order of "
            "cells can matter much, so this says nothing about the map."
        )
    return _against(
        *_spreads(found, 0),
        found.own.deletion_area,
        f"Taking out what this map points at lowers {what}",
        better=-1,
    )


def insertion_sentence(found: Deletion) -> str:
    """Return what follows from putting cells back."""
    lead = f"Putting it back first restores {measured(found.of, found.label)}"
    return _against(*_spreads(found, 1), found.own.insertion_area, lead, better=1)


def _spreads(found: Deletion, at: int) -> tuple[Spread | None, Spread | None]:
    """Return the areas of random and of shifted maps, of deletion (0) or insertion (1)."""
    random, shifted = (found.chance(name) for name in (RANDOM, SHIFTED))
    return None if random is None else random[at], None if shifted is None else shifted[at]


def ordering_sentence(found: Ordering) -> str:
    """Return what follows from the ordering test."""
    what = measured(found.of, found.label)
    f = fixed(found.coefficient, 2)
    spread = found.chance(RANDOM)
    if spread is None:
        return f"Groups that the map points at more change {what} more to the degree F = {f}."
    low, high = spread.interval
    there = f"F = {f}, random maps {fixed(low, 2)} to {fixed(high, 2)}"
    if spread.place(found.coefficient) > 0:
        return f"The more this map points at cells, the more {what} depends on them ({there})."
    if spread.place(found.coefficient) < 0:
        return (
            f"The more this map points at cells, the less {what} depends on them ({there}): its "
            "order is the wrong way round."
        )
    return f"The order of this map is no better than a random one for {what} ({there})."


def _against(
    random: Spread | None, shifted: Spread | None, value: float, lead: str, *, better: int
) -> str:
    """Return a sentence that holds a value against what chance gives."""
    parts, numbers = [], []
    for spread, of in ((random, "random cells"), (shifted, "the same map moved elsewhere")):
        if spread is None:
            continue
        place = spread.place(value) * better
        parts.append((place, of))
        low, high = (fixed(v, 3) for v in spread.interval)
        numbers.append(f"{low} to {high} with {of}")
    if not parts:
        return f"{lead} with an area of {fixed(value, 3)}; no random order was tried beside it."
    words = {1: "more than", 0: "no more than", -1: "less than"}
    by_place: dict[int, list[str]] = {}
    for place, of in parts:
        by_place.setdefault(place, []).append(of)
    clauses = [
        f"{words[place]} {listed(names, 'or' if place == 0 else 'and')}"
        for place, names in sorted(by_place.items(), reverse=True)
    ]
    said = " but ".join(clauses)
    return f"{lead} {said} would (area {fixed(value, 3)}; {', '.join(numbers)})."


def deletion_rows(found: Deletion) -> list[dict[str, Any]]:
    """Return the areas of all maps in words; of drawn ones where 95 of 100 more would lie."""
    rows = []
    for row in found.table:
        told: dict[str, Any] = {"map": MAP_NAMES[row["map"]], "tries": row["tries"]}
        for kind in ("deletion", "insertion"):
            low, high = row[f"{kind}_low"], row[f"{kind}_high"]
            told[kind] = row[kind]
            told[f"{kind}_chance"] = "" if low is None else f"{fixed(low, 3)} to {fixed(high, 3)}"
        rows.append(told)
    return rows


def deletion_cost(found: Deletion | Ordering) -> str:
    """Return what a test took.

    >>> from types import SimpleNamespace
    >>> deletion_cost(SimpleNamespace(passes=31, seconds=12.34))
    '31 passes through the network, 12.3 s'
    """
    return f"{counted(found.passes, 'pass', 'passes')} through the network, {found.seconds:.1f} s"
