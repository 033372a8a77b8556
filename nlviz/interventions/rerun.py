"""One pass again and again, each time with other changes inside; what runs before them is kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils._pytree import tree_leaves

from nlviz.affinity.asked import rows_at
from nlviz.captures.capture import Capture
from nlviz.captures.model import Model
from nlviz.captures.outputs import ClassScores
from nlviz.errors import NlvizError
from nlviz.families.reading.adapter import Detector
from nlviz.families.reading.attention_adapter import AttentionAdapter
from nlviz.interventions.change import ClipChange, PassChange
from nlviz.interventions.editing import editing, editors_of, tolerance
from nlviz.interventions.editor import CHECKED, BlockEditor, EditedRows, Look
from nlviz.networks.calls import block_and_run
from nlviz.networks.resumed import Prefix, keeping, resumed

NO_MODEL = (
    "a network must be there to run again, this capture was read from a file; load the network and "
    "capture the clip with it"
)


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a pass with changes gave.

    Attributes:
        logits: (classes,) of the network; None where it gives no class scores.
        independent: whether each class has a probability of its own.
        edited: rows and sums of each block whose rows were changed, before and after; blocks of
            which that is too much to keep are left out.
    """

    logits: Float[Tensor, " classes"] | None
    independent: bool
    edited: Mapping[str, EditedRows]

    @property
    def probabilities(self) -> Float[Tensor, " classes"] | None:
        """Probability of each class: shares of 1, or each by itself."""
        if self.logits is None:
            return None
        logits = self.logits.float()
        return logits.sigmoid() if self.independent else logits.softmax(-1)


class Rerun:
    """The pass of a capture, again and again, with changes inside.

    The first run of a block keeps what ran before it, as long as the block stays the first that is
    changed; later ones compute the rest of the network alone. Nothing is left in the network.

    Args:
        capture: of the clip; its network is held only while a pass runs.
        whole: run the whole network each time, and keep nothing.

    Raises:
        NlvizError: when the capture was read from a file.

    >>> import nlviz
    >>> from nlviz.interventions import CutFrames, Rerun
    >>> from nlviz.resources import asset
    >>> clip = nlviz.read_clip(asset("clips/composed-twins.mp4"), frames=2, size=96)
    >>> capture = nlviz.load_model("lite-nl").capture(clip)
    >>> with Rerun(capture) as rerun:
    ...     same = rerun.run()
    ...     cut = rerun.run(CutFrames("stage4", queries=(5,)))
    >>> torch.equal(same.logits, capture.logits), cut.edited["stage4"].rows.shape[:2]
    (True, torch.Size([1, 1]))
    """

    def __init__(self, capture: Capture, *, whole: bool = False) -> None:
        self.capture, self.whole = capture, whole
        self.model = model_of(capture)
        assert capture.source is not None
        source = capture.source
        self._prepared: Any = self.model.prepared(source.clip).asking(
            source.queries, source.generate
        )
        self._settled = False
        self._prefixes: dict[str, Prefix | None] = {}
        self._checked: set[str] = set()

    def run(self, *changes: PassChange, keep: bool = True) -> Outcome:
        """Return what the network gives with these changes inside.

        Args:
            changes: of rows, or blocks that are left out; none for the pass as it was.
            keep: whether rows and sums of changed blocks are kept.

        Raises:
            UnknownBlock: when there is no such block.
            NlvizError: when rows of a block are not seen where they multiply the values, or those
                that ran are not those that are shown.
            OutOfMemory: when the device's memory does not suffice.
        """
        for change in changes:
            if not isinstance(change, PassChange):
                raise NlvizError(
                    "changes inside a pass are of rows or blocks; a change of the clip, "
                    f"{change.said!r}, goes to nlviz.intervene"
                    if isinstance(change, ClipChange)
                    else f"a change is one of nlviz.interventions, got {change!r}"
                )
        editors = editors_of(self.capture, self.model, changes, keep=keep)
        known = len(editors) == _rows(changes) and self._countable(editors)
        prefix = self._prefix(next(iter(editors), None) if known else None)
        self._check(editors)
        scores = self._pass(changes, editors, prefix)[0]
        found = {name: editor.edited() for name, editor in editors.items()}
        missed = [name for name, editor in editors.items() if not editor.passed]
        if missed:
            raise NlvizError(
                f"{missed[0]} must run to be changed, it did not in this pass; bypass less"
            )
        return Outcome(
            None if scores.logits is None else scores.logits.detach().cpu(),
            scores.independent,
            MappingProxyType({n: e for n, e in found.items() if e is not None}),
        )

    def watch(self, changes: Sequence[PassChange], editors: Mapping[str, BlockEditor]) -> None:
        """Run the whole network once with editors that look on."""
        self._pass(changes, editors, None)

    def close(self) -> None:
        """Free what is kept."""
        self._prefixes.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def _check(self, names: Iterable[str]) -> None:
        """Compare rows as they run with rows as they are shown, once for each block.

        Raises:
            NlvizError: when they differ by more than rounding.
        """
        looks = [Look(n, self._few(n)) for n in names if n not in self._checked]
        if looks:
            looking = editors_of(self.capture, self.model, looks)
            self._compare(looking, self._pass(looks, looking, None)[0])

    def _compare(self, looking: Mapping[str, BlockEditor], scores: ClassScores) -> None:
        """Compare what a pass without changes showed with what is in the capture.

        Raises:
            NlvizError: when they differ by more than rounding.
        """
        held = self.capture.logits
        for name, editor in looking.items():
            limit, ran = tolerance(editor.affinity), editor.edited()
            if ran is not None:
                shown = rows_at(editor.affinity, ran.numbers).cpu().float()
                off = relative(shown, ran.rows_before)
                if not off <= limit:
                    raise NlvizError(
                        f"rows of {name} that multiply the values must be those that are shown, "
                        f"they are off by {off:.1g} of the largest weight; bypass the block instead"
                    )
            if held is not None and scores.logits is not None:
                off = relative(held.float(), scores.logits.detach().cpu().float())
                if not off <= limit:
                    raise NlvizError(
                        "the same pass must give the logits of the capture again, they are off by "
                        f"{off:.1g} of the largest: the network has changed since, or was changed "
                        "in that pass; capture the clip again"
                    )
            self._checked.add(name)

    def _few(self, name: str) -> tuple[int, ...]:
        affinity = self.capture.affinities[name]
        placed = affinity.evenly(CHECKED).tolist()
        return tuple(int(i) + affinity.queries.prefix for i in placed)

    def _countable(self, names: Iterable[str]) -> bool:
        """Check whether runs of these blocks keep their numbers where what lies before is kept.

        Hooks of a family count the runs of a block, and do not see those that are left out.
        """
        return self.model.adapter.watches or all(block_and_run(n)[1] in (None, 1) for n in names)

    def _prefix(self, first: str | None) -> Prefix | None:
        """Return what runs before a block, found now or before; None to run the whole network."""
        if first is None or self.whole:
            return None
        if (block_and_run(first)[1] or 1) > 1:
            return None  # its runs are counted from the beginning of a pass
        if first not in self._prefixes:
            self._prefixes = {first: self._kept(first)}
        return self._prefixes[first]

    def _kept(self, first: str) -> Prefix | None:
        """Return what runs before a block; None where the network is not the same without it."""
        prefix = Prefix()
        look = [Look(first, self._few(first))]
        outputs, passed = [], []
        for resume in (False, True):
            if resume and not prefix.calls:
                return None
            editors = editors_of(self.capture, self.model, look)
            editors[first].began = prefix.end
            with ExitStack() as around:
                if not resume:
                    around.enter_context(keeping(self.model.net, prefix))
                scores, output = self._pass(look, editors, prefix, resume=resume)
            if not resume:
                self._compare(editors, scores)
            passed.append(editors[first].passed)
            outputs.append([x for x in tree_leaves(output) if isinstance(x, Tensor)])
        same = len(outputs[0]) == len(outputs[1]) > 0 and all(map(torch.equal, *outputs))
        return prefix if same and passed[0] == passed[1] else None

    def _pass(
        self,
        changes: Sequence[PassChange],
        editors: Mapping[str, BlockEditor],
        prefix: Prefix | None,
        *,
        resume: bool = True,
    ) -> tuple[ClassScores, object]:
        model, clip = self.model, self.capture.clip
        with ExitStack() as stack:
            stack.enter_context(model.exclusive(clip))
            stack.enter_context(torch.no_grad())
            if not self._settled and isinstance(model.adapter, AttentionAdapter):
                self._prepared = model.adapter.settled(model.net, self._prepared)
            self._settled = True
            if prefix is not None and resume:
                stack.enter_context(resumed(model.net, prefix))
            stack.enter_context(
                editing(self.capture, model, changes, editors=editors, prefix=prefix)
            )
            output = model.run(self._prepared)
        if isinstance(model.adapter, Detector):
            return ClassScores(None), output
        return model.class_scores(output, self._prepared), output


def relative(a: Tensor, b: Tensor) -> float:
    """Return how far numbers lie apart at most, of the largest of the first ones."""
    return float((a - b).abs().max() / a.abs().max().clamp(min=1e-30))


def _rows(changes: Sequence[PassChange]) -> int:
    """Return how many blocks are changed, in rows or as a whole."""
    return len({change.block for change in changes})


def model_of(capture: Capture) -> Model:
    """Return the model that made a capture.

    Raises:
        NlvizError: when it was read from a file.
    """
    if not isinstance(capture.model, Model):
        raise NlvizError(NO_MODEL)
    return capture.model
