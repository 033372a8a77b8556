"""Whether the answer depends on where a query looks, against cutting as many links by chance.

figure      what is done in the block before the rest of the network runs again
``strong``  the query's strong links are cut: those at least a tenth as strong as its strongest, and
            at least ``top``; more than half of the row are never cut
``random``  as many others are cut, drawn by chance; one number for each draw
``even``    the row is put even over the keys that the query reaches
``none``    the query gets nothing from the block: its output is zero

What each changes is told as the change of the answer's log-odds, log p / (1 - p): a probability
near 1 hides what its odds show. Cutting attention to see what an answer needs: Geva et al. 2023,
"Dissecting recall of factual associations" (arXiv 2304.14767), section 5. That an effect must beat
chance to mean anything: Adebayo et al. 2018, "Sanity checks for saliency maps" (arXiv 1810.03292).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nlviz.affinity.asked import rows_at
from nlviz.affinity.base import Affinity
from nlviz.affinity.maps import Head
from nlviz.analysis.row_origin import reached
from nlviz.captures.capture import Capture
from nlviz.errors import NlvizError
from nlviz.interventions.rerun import Rerun
from nlviz.interventions.rows import CutEdges, GivenRows
from nlviz.progress import Listener, Progress

TOP = 20  # links that are cut at least
SEEDS = 8  # draws of others
STRONG = 0.1  # of the strongest link, from which one is strong


@dataclass(frozen=True)
class RowEffect:
    """Changes of the answer's log-odds; of an answer with a probability of its own, of its logit.

    Attributes:
        answer: the class that is most probable as it is.
        probability: of it.
        links: how many links were cut.
        weight: how much of the row they hold, in [0, 1].
        strong: change by cutting the strong links.
        random: change by each draw of as many others; empty where there are not as many.
        even: change where the row is even.
        none: change where the block gives this query nothing.
    """

    answer: int
    probability: float
    links: int
    weight: float
    strong: float
    random: tuple[float, ...]
    even: float
    none: float

    @property
    def largest(self) -> float:
        """The largest of all changes of this query's own row, random cuts aside."""
        return max(abs(self.strong), abs(self.even), abs(self.none))

    @property
    def chance(self) -> float:
        """The largest change by chance."""
        return max((abs(r) for r in self.random), default=0.0)


def row_effect(
    capture: Capture,
    block: str,
    number: int,
    *,
    head: Head = None,
    top: int = TOP,
    seeds: int = SEEDS,
    progress: Listener | None = None,
) -> RowEffect | None:
    """Return what the answer owes to where a query looks; None where there are no class scores.

    The network runs from the block on, once for each number.

    Args:
        capture: of the input.
        block: its name.
        number: of the query among all, see ``nlviz.affinity.asked``.
        head: the head whose row is changed; all otherwise.
        top: links that are cut at least.
        seeds: draws of as many others.
        progress: told of the passes.

    Raises:
        NlvizError: when the block's rows cannot be changed.
        OutOfMemory: when the device's memory does not suffice.
    """
    if capture.logits is None:
        return None
    affinity = capture.affinities[block]
    heads = (head,) if isinstance(head, int) else None
    reach = reached(affinity, number)
    rows = rows_at(affinity, [number])[:, 0].detach().float().cpu()
    line = (rows[head] if isinstance(head, int) else rows.mean(0)).abs()
    strong = strong_links(line, reach, top)
    share = float(line[strong].sum() / line.sum().clamp(min=1e-30))
    cuts = [strong, *_draws(reach, strong, seeds)]
    shape = rows.shape if heads is None else (1, rows.shape[1])
    flat = torch.zeros(shape)
    even = flat + reach.float() * _sums(rows, heads, affinity) / max(int(reach.sum()), 1)
    independent = capture.about.independent
    answer = int(capture.logits.argmax())
    tell = Progress.of(progress)
    total = len(cuts) + 2
    with Rerun(capture) as rerun:
        before = log_odds(_logits(rerun.run().logits), answer, independent=independent)

        def changed(change: CutEdges | GivenRows, step: int) -> float:
            tell(f"Pass {step + 1} of {total} from the block on", step / total)
            after = _logits(rerun.run(change).logits)
            return log_odds(after, answer, independent=independent) - before

        effects = []
        for step, cut in enumerate(cuts):
            mask = torch.zeros(len(line), dtype=torch.bool)
            mask[cut] = True
            effects.append(changed(CutEdges(block, (number,), mask, heads=heads), step))
        evened = changed(GivenRows(block, (number,), even[:, None], heads=heads), total - 2)
        nothing = changed(GivenRows(block, (number,), flat[:, None], heads=heads), total - 1)
    logits = capture.logits.double()
    shares = logits.sigmoid() if independent else logits.softmax(-1)
    return RowEffect(
        answer=answer,
        probability=float(shares[answer]),
        links=len(strong),
        weight=share,
        strong=effects[0],
        random=tuple(effects[1:]),
        even=evened,
        none=nothing,
    )


def strong_links(
    line: Float[Tensor, " keys"], reach: Bool[Tensor, " keys"], top: int
) -> Int[Tensor, " links"]:
    """Return the keys that are at least a tenth as strong as the strongest, and at least ``top``.

    Never more than half of those that are reached, so that as many others are left, but one.

    >>> line = torch.tensor([0.5, 0.1, 0.3, 0.04, 0.06, 0.0])
    >>> strong_links(line, torch.ones(6, dtype=torch.bool), 1).tolist()
    [0, 2, 1]
    """
    order = line.masked_fill(~reach, -1).argsort(descending=True, stable=True)
    many = int((line[reach] >= STRONG * line.max()).sum()) if float(line.max()) > 0 else 0
    most = max(int(reach.sum()) // 2, 1)
    return order[: min(max(many, top), most)]


def log_odds(logits: Float[Tensor, " classes"], answer: int, *, independent: bool) -> float:
    """Return log p / (1 - p) of a class; of an independent one that is its logit.

    >>> round(log_odds(torch.tensor([2.0, 1.0]), 0, independent=False), 6)
    1.0
    """
    wide = logits.double()
    if independent or len(wide) < 2:
        return float(wide[answer])
    others = torch.cat([wide[:answer], wide[answer + 1 :]])
    return float(wide[answer] - others.logsumexp(0))


def _draws(
    reach: Bool[Tensor, " keys"], strong: Int[Tensor, " links"], seeds: int
) -> list[Int[Tensor, " links"]]:
    """Return as many other keys, drawn by chance, once for each seed; none if there are fewer."""
    left = reach.clone()
    left[strong] = False
    others = left.nonzero()[:, 0]
    if len(others) < len(strong):
        return []
    out = []
    for seed in range(seeds):
        generator = torch.Generator().manual_seed(seed)
        out.append(others[torch.randperm(len(others), generator=generator)[: len(strong)]])
    return out


def _sums(
    rows: Float[Tensor, "heads keys"], heads: tuple[int, ...] | None, affinity: Affinity
) -> Float[Tensor, "changed 1"]:
    """Return what rows sum to; of signed ones the sum of sizes: an even row weighs as much."""
    own = rows if heads is None else rows[list(heads)]
    total = own.sum(-1, keepdim=True)
    return total if affinity.distributes else own.abs().sum(-1, keepdim=True)


def _logits(logits: Tensor | None) -> Tensor:
    if logits is None:
        raise NlvizError("a pass that was run again gave no class scores, and the first did")
    return logits.detach().cpu()
