"""Check a model against what was published of it, and against its own computation."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.captures.model import Model
from nlviz.clips.clip import Clip, read_clip
from nlviz.clips.text import read_text
from nlviz.families.reading.adapter import Branch, InputSpec
from nlviz.families.reading.report import LoadReport
from nlviz.networks.running_statistics import watched
from nlviz.progress import Listener, Progress
from nlviz.resources import asset
from nlviz.zoo.cards import ModelCard
from nlviz.zoo.source import ModelSource

_CLIP = "clips/bunny.mp4"
_CLOSE = 1e-3  # of the largest value; rounding alone stays far below


@dataclass(frozen=True)
class Verification:
    """What was found when a file of weights was put to the test.

    Attributes:
        report: what is in the file.
        card: of the published file that this is by its name, or None.
        digest_fits: whether the digest is the published one; None if no digest was published.
        finite: whether logits and affinities of the clip are numbers; None where the file makes no
            network with blocks.
        rows_off: how far the rows that are shown, times their values, are from what the blocks
            computed, against its largest value; 0 where nothing was run.
        clip: name of the clip.
        prediction: the most probable labels of the clip with their probabilities.
        block_sizes: by name, the size of what a block adds against that of its input; 0 is a block
            that does nothing.
        complaints: whole sentences; empty where all is well.
        notes: whole sentences on what is no fault for certain.
    """

    report: LoadReport
    card: ModelCard | None
    digest_fits: bool | None
    finite: bool | None
    rows_off: float
    clip: str
    prediction: tuple[tuple[str, float], ...]
    block_sizes: dict[str, float]
    complaints: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether there is nothing to complain about."""
        return not self.complaints

    @property
    def hint(self) -> str:
        """Sentence on the published accuracy, with which a user can compare the prediction."""
        if self.card is None or not self.card.accuracy:
            return "No published accuracy is known for this file."
        return (
            f"Published: {self.card.accuracy} ({self.card.source}). One clip is not that protocol: "
            "over many validation videos others found 7 to 14 points less with one clip each."
        )


def verify(
    source: str | Path,
    *,
    device: str | None = None,
    family: str | None = None,
    clip: Clip | None = None,
    progress: Listener | None = None,
    allow_code: bool = False,
    **flags: Any,
) -> Verification:
    """Put a model to the test: digest, keys, finite outputs, a prediction, live blocks.

    One forward pass of one clip. Nothing is raised for what is found: it is in the result.

    Args:
        source: one of ``nlviz.list_models()``, a file, or another name that ``load_model`` takes.
        device: as in ``load_model``.
        family: as in ``load_model``.
        clip: to predict; by default the bundled one, as many frames as in training, or of a network
            of words the text that its card gives as an example.
        progress: called with a sentence and a share in [0, 1].
        allow_code: as in ``load_model``.
        **flags: as in ``load_model``.

    Raises:
        UnknownModel: when there is no such file or name, or it would run code without leave.
        DownloadFailed: when the weights cannot be had.
        UnreadableCheckpoint: when the file holds no weights that can be read.
        UnsafeCheckpoint: when it would run code.
        WeightsMismatch: when a bundled or downloaded file has another digest than its card.
        OutOfMemory: when the device has too little memory for the clip.

    >>> found = verify("lite-nl")
    >>> found.passed, found.digest_fits, sorted(found.block_sizes)
    (True, True, ['stage3', 'stage4'])
    """
    tell = Progress.of(progress)
    tell("Reading the keys", 0.0)
    origin = ModelSource.parse(source)
    report, model = origin.examine(
        device=device,
        family=family,
        progress=tell.part(0.0, 0.6),
        allow_code=allow_code,
        **flags,
    )
    card = origin.card
    complaints: list[str] = []
    fits = origin.digest_fits(report)
    if fits is False and card is not None:
        complaints.append(
            f"The digest is not that of {card.file_name}, which begins with {card.digest[:13]}; "
            f"download it again from {card.url}."
        )
    if not report.complete:
        complaints.append(f"The file makes no whole network: {report.faults or 'no key fits'}.")
    elif not report.blocks:
        complaints.append("The network has no non-local block.")
    finite: bool | None = None
    prediction: tuple[tuple[str, float], ...] = ()
    sizes: dict[str, float] = {}
    name, off = "", 0.0
    notes: list[str] = []
    if model is not None:
        sampled = clip or _clip(model, card)
        name = sampled.name
        tell("Running the network", 0.7)
        with watched(model.net) as statistics:
            finite, prediction, sizes, off = _run(model, sampled)
        if clip is not None and not statistics.believable:
            # A clip of one's own may be unlike any training; a natural one decides.
            with watched(model.net) as statistics:
                natural = _clip(model, card)
                model.capture(natural)
            name_of_clip = natural.name
        else:
            name_of_clip = name
        if fault := statistics.fault:
            complaints.append(fault)
        elif doubt := statistics.doubt(name_of_clip):
            # Networks of a known data set of photographs or videos have seen clips like this one.
            (complaints if report.labels else notes).append(doubt)
        if not finite:
            complaints.append("The network's outputs are not finite numbers.")
        if off > _CLOSE:
            complaints.append(
                f"The rows that are shown do not give what the blocks computed, by {off:.1%}."
            )
        dead = [block for block, size in sizes.items() if size == 0]
        if dead:
            complaints.append(f"What these blocks add is zero, they do nothing: {', '.join(dead)}.")
    return Verification(
        report,
        card,
        fits,
        finite,
        off,
        name,
        prediction,
        sizes,
        tuple(complaints),
        tuple(notes),
    )


def _clip(model: Model, card: ModelCard | None) -> Clip:
    """Return the bundled clip as the network was trained to see it; of a text's network, a text."""
    if "clip" not in model.inputs and card is not None and card.example:
        return read_text(card.example)
    sampling = (model.input_spec or InputSpec()).sampling()
    return read_clip(asset(_CLIP), frames=sampling.frames, size=256)


def _run(
    model: Model, clip: Clip
) -> tuple[bool, tuple[tuple[str, float], ...], dict[str, float], float]:
    """Return whether outputs are finite, the labels, what blocks add, and how far rows are off."""
    added: dict[str, float] = {}
    entered: dict[str, torch.Tensor] = {}

    def enter(name: str) -> Callable[..., None]:
        def hook(module: torch.nn.Module, args: tuple[torch.Tensor, ...]) -> None:
            entered[name] = args[0].clone()

        return hook

    def keep(name: str, *, with_input: bool) -> Callable[..., None]:
        def hook(module: torch.nn.Module, args: tuple[torch.Tensor, ...], z: torch.Tensor) -> None:
            x = entered[name]
            branch = z - x if with_input else z
            added[name] = float(branch.norm() / x.norm().clamp_min(1e-12))

        return hook

    handles = []
    for name, block in model.adapter.blocks(model.net).items():
        branch = model.adapter.branch(model.net, name)
        if branch is None:
            if not model.adapter.watches:
                continue  # no module shows what it adds
            branch = Branch(block, block, with_input=True)
        handles.append(branch.whole.register_forward_pre_hook(enter(name)))
        handles.append(branch.added.register_forward_hook(keep(name, with_input=branch.with_input)))
    try:
        capture = model.capture(clip)
    finally:
        for handle in handles:
            handle.remove()
    logits = capture.logits
    finite = all(math.isfinite(size) for size in added.values())
    if logits is not None:
        finite = finite and bool(torch.isfinite(logits).all())
    for affinity in capture.affinities.values():
        rows = affinity.rows([affinity.queries.size // 2])
        finite = finite and bool(torch.isfinite(rows).all())
    errors = [
        affinity.parity_error(sample=32) or 0.0
        for affinity in capture.affinities.values()
        if isinstance(affinity, EmbeddedAffinity)
    ]
    return finite, tuple(capture.prediction(5)), added, max(errors, default=0.0)
