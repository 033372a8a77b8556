"""What cutting links of a query changed, beside what cutting as many others did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from jaxtyping import Float
from torch import Tensor

from nlviz.analysis.control_edges import Kind
from nlviz.analysis.cut_rows import Greedy

Figure = Literal["output", "logits", "answer"]
FIGURES: tuple[Figure, ...] = ("output", "logits", "answer")
# Below these, a difference is rounding: float32 sums of the output, and of a whole pass.
ROUNDING: dict[Figure, float] = {"output": 1e-6, "logits": 1e-6, "answer": 1e-6}


@dataclass(frozen=True)
class Cut:
    """Some links of one query, and what changes without them.

    Attributes:
        keys: numbers of the keys, those without a place first.
        weight: share of the row's weight that they have, in the mean over heads; of signed rows,
            of its size.
        output: change of the block's output at the query; None where its values are not known.
        logits: change of the logits; None where the network did not run.
        answer: change of the probability of the answer, in [-1, 1].
        top1: whether another class becomes the most probable one.
    """

    keys: tuple[int, ...]
    weight: float
    output: float | None = None
    logits: float | None = None
    answer: float | None = None
    top1: bool | None = None

    def size(self, figure: Figure) -> float | None:
        """Return the size of a figure, whichever way it changes."""
        value: float | None = getattr(self, figure)
        return None if value is None else abs(value)


@dataclass(frozen=True)
class Control:
    """As many other links, cut in the place of those that are asked about.

    Attributes:
        kind: which others.
        cuts: one for each seed; one alone of the mean row.
        in_common: share of them that are among those asked about, in the mean over draws.
        missing: why there is no such control, as a clause; empty where there is.
    """

    kind: Kind
    cuts: tuple[Cut, ...]
    in_common: float = 0.0
    missing: str = ""

    def sizes(self, figure: Figure) -> list[float]:
        """Return the size of a figure for each draw; none where it was not measured."""
        found = [cut.size(figure) for cut in self.cuts]
        return [size for size in found if size is not None]

    def interval(self, figure: Figure) -> tuple[float, float] | None:
        """Return the least and the most that the draws change, their own extremes.

        A further draw lies above n of them once in n + 1.
        """
        sizes = self.sizes(figure)
        return (min(sizes), max(sizes)) if sizes else None


@dataclass(frozen=True)
class KnockOut:
    """What cutting some links of a query changes, beside cutting as many others.

    Attributes:
        block: name of the block.
        query: the query in words.
        number: its number among all queries, those without a place first.
        links: what is cut, in words: ``its 20 strongest links``.
        cut: what they change.
        controls: what others change.
        row: (heads, all_keys) the row as it was.
        row_after: the row without these links.
        shared: whether what is left of a row is scaled to its sum.
        heads: the heads in which links are cut; None for all.
        label: the answer, the most probable class; empty without logits.
        probability: of the answer, as it is; None without logits.
        single: what each of the links changes in the block's output if it alone is cut, in the
            order of ``cut.keys``; empty where that was not computed.
        greedy: links cut one by one instead, where that was asked for.
        notes: what a reader must know, in sentences.
    """

    block: str
    query: str
    number: int
    links: str
    cut: Cut
    controls: tuple[Control, ...]
    row: Float[Tensor, "heads all_keys"]
    row_after: Float[Tensor, "heads all_keys"]
    shared: bool
    heads: tuple[int, ...] | None
    label: str
    probability: float | None
    single: tuple[float, ...]
    greedy: Greedy | None
    notes: tuple[str, ...]

    def control(self, kind: Kind) -> Control | None:
        """Return the control of this kind, or None where it was not asked for or is not there."""
        return next((c for c in self.controls if c.kind == kind and c.cuts), None)

    def beyond(self, kind: Kind, figure: Figure) -> bool | None:
        """Return whether the cut changes a figure more than each of the draws of a control.

        None where one of them was not measured. A change that rounding makes is none.
        """
        control = self.control(kind)
        size, interval = self.cut.size(figure), control and control.interval(figure)
        if size is None or not interval:
            return None
        return size > interval[1] + ROUNDING[figure]

    def spans(self, figure: Figure) -> list[list[float]]:
        """Return the sizes of a figure: of the cut, then of the draws of each control there is."""
        own = self.cut.size(figure)
        others = [control.sizes(figure) for control in self.controls if control.cuts]
        return [[] if own is None else [own], *others]

    def table(self) -> list[dict[str, Any]]:
        """Return one row for the cut and one for each control, for a table or a file.

        Of a control, figures are means over draws, with the least and the most of them.
        """
        own = {"cut": self.links, "draws": 1, "weight": self.cut.weight, "in common": 1.0}
        rows = [own | {figure: getattr(self.cut, figure) for figure in FIGURES}]
        for control in self.controls:
            if not control.cuts:
                continue
            n = len(control.cuts)
            entry: dict[str, Any] = {
                "cut": control.kind,
                "draws": n,
                "weight": sum(cut.weight for cut in control.cuts) / n,
                "in common": control.in_common,
            }
            for figure in FIGURES:
                sizes = control.sizes(figure)
                entry[figure] = sum(sizes) / n if sizes else None
                entry[f"{figure} least"], entry[f"{figure} most"] = control.interval(figure) or (
                    None,
                    None,
                )
            rows.append(entry)
        return rows
