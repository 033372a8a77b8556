"""What a network answers without some links of one query: one pass for each cut."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from jaxtyping import Bool
from torch import Tensor

from nlviz.captures.capture import Capture
from nlviz.errors import NlvizError, OutOfMemory
from nlviz.interventions.rerun import Rerun
from nlviz.interventions.rows import CutEdges
from nlviz.interventions.values import values_of
from nlviz.progress import Progress

NO_NETWORK = (
    "A saved capture holds no network, so that the answer without these links is not known; load "
    "the network and capture the clip to see it."
)
NO_SCORES = "This network gives no class scores, so that there is no answer to change."


@dataclass(frozen=True)
class Passes:
    """What passes told.

    Attributes:
        answers: figures of each cut; empty where there are none.
        label: the most probable class.
        probability: of it.
        notes: what a reader must know of them.
    """

    answers: tuple[dict[str, Any], ...] = ()
    label: str = ""
    probability: float | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, capture: Capture) -> Passes:
        """Return the answer as it is, of a capture that has class scores."""
        ((label, probability),) = capture.prediction(1)
        return cls(label=label, probability=probability)

    def figures(self, n: int) -> dict[str, Any]:
        """Return the figures of a cut; none where the network did not run."""
        return self.answers[n] if self.answers else {}


def answers_of(
    capture: Capture,
    block: str,
    number: int,
    masks: Bool[Tensor, "n all_keys"],
    heads: tuple[int, ...] | None,
    tell: Progress,
) -> Passes:
    """Run the network once for each cut, from the block on.

    Args:
        capture: of the clip.
        block: name of the block.
        number: of the query whose links are cut, among all queries.
        masks: which keys each cut takes away.
        heads: in which heads; None for all.
        tell: is told of each pass.
    """
    if capture.model is None:
        return Passes(notes=(NO_NETWORK,))
    if capture.logits is None:
        return Passes(notes=(NO_SCORES,))
    before = capture.logits.double()
    asis = Passes.of(capture)
    found = []
    try:
        with Rerun(capture) as rerun:
            for n, mask in enumerate(masks):
                tell(f"Running the network, cut {n + 1} of {len(masks)}", n / len(masks))
                change = CutEdges(block, (number,), mask, heads)
                after = rerun.run(change, keep=False).logits
                assert after is not None
                found.append(figures_of(before, after.double(), capture.about.independent))
    except OutOfMemory:
        raise
    except NlvizError as error:
        return replace(asis, notes=(f"The answer is not known: {error}.",))
    return replace(asis, answers=tuple(found))


def figures_of(before: Tensor, after: Tensor, independent: bool) -> dict[str, Any]:
    """Return what changed from some logits to others: the fields of a ``Cut``.

    >>> import torch
    >>> figures_of(torch.tensor([0.0, 0.0]), torch.tensor([0.0, 1.0]), False)["top1"]
    True
    """
    answer = int(before.argmax())
    probability, now = (_probabilities(x, independent)[answer] for x in (before, after))
    return {
        "logits": float((after - before).norm() / before.norm().clamp(min=1e-30)),
        "answer": float(now - probability),
        "top1": int(after.argmax()) != answer,
    }


def values_where_seen(capture: Capture, block: str) -> tuple[Tensor | None, tuple[str, ...]]:
    """Return the values of a block, (heads, all_keys, dv), or None and why."""
    try:
        return values_of(capture, block)[block], ()
    except OutOfMemory:
        raise
    except NlvizError as error:
        return None, (f"The change of the block's output is not known: {error}.",)


def _probabilities(logits: Tensor, independent: bool) -> Tensor:
    return logits.sigmoid() if independent else logits.softmax(-1)
