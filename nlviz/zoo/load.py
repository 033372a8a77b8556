"""Models by name or from a file of weights."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from nlviz.captures.model import About, Model, half_precision
from nlviz.errors import (
    DownloadFailed,
    NlvizError,
    NoNonLocalBlocks,
    UnknownModel,
    WeightsMismatch,
    did_you_mean,
)
from nlviz.families.reading.report import LoadReport
from nlviz.files.downloads import cache_folder, fetch, remembered_digest, where
from nlviz.files.local import digest_of
from nlviz.progress import Listener, Progress
from nlviz.resources import asset
from nlviz.zoo.cards import CARDS, ModelCard
from nlviz.zoo.checkpoints import inspect_checkpoint, load_checkpoint
from nlviz.zoo.devices import (
    device_name,
    devices,
    pick_device,
)
from nlviz.zoo.labels import labels_named
from nlviz.zoo.timm import is_timm, timm_model

__all__ = [
    "CARDS",
    "ModelCard",
    "card_for",
    "device_name",
    "devices",
    "file_of",
    "inspect_weights",
    "is_here",
    "labels_named",
    "list_models",
    "load_model",
    "pick_device",
]


def list_models() -> list[str]:
    """Return the full names of all models that ``load_model`` knows.

    >>> "lite-nl" in list_models()
    True
    """
    return sorted(CARDS)


def load_model(
    name: str | Path,
    *,
    device: str | None = None,
    family: str | None = None,
    autocast: str | None = None,
    progress: Listener | None = None,
    **flags: object,
) -> Model:
    """Load a model by name, or from a file of weights in any layout that nlviz knows.

    Weights that are not bundled are downloaded when first asked for, and kept.

    Args:
        name: one of ``list_models()``, ``timm/`` and the name of a transformer of timm, or the path
            of a file.
        device: ``auto`` (default), ``cpu``, ``cuda`` or ``mps``.
        family: read the file in the layout of this family, rather than the first that knows it.
        autocast: ``bfloat16`` or ``float16`` computes products in half precision; None as they are.
        progress: called with a sentence and a share in [0, 1].
        **flags: what the keys of the file do not tell, ``pairwise="dot_product"`` for instance;
            ``nlviz inspect FILE`` lists them.

    Raises:
        UnknownModel: when there is no such name or file.
        DownloadFailed: when the weights cannot be had; the sentence says where to put them.
        UnreadableCheckpoint: when the file holds no weights that can be read.
        UnsafeCheckpoint: when it would run code.
        WeightsMismatch: when the weights do not fit, or their digest is wrong.
        NoNonLocalBlocks: when the network has no non-local block.

    >>> load_model("lite-nl")
    Model(lite-nl, stage3, stage4, on cpu)
    """
    tell = Progress.of(progress)
    to, half = pick_device(device), half_precision(autocast)
    if is_timm(str(name)):
        return _of_timm(str(name), to, half, progress, family=family, **flags)
    card = CARDS.get(str(name))
    if card is not None:
        path = file_of(card, progress=tell.part(0.0, 0.6))
        title = card.name
    else:
        path = _existing(name)
        card = card_for(path)
        title = ""
    said = {**(card.flags if card else {}), **{k: v for k, v in flags.items() if v is not None}}
    taken = card.family if card is not None and family is None and title else family
    net, report = load_checkpoint(
        path,
        family=taken,
        progress=tell.part(0.6, 0.9),
        **said,
    )
    report = _completed(report, path, card, flags)
    if not report.blocks:
        raise NoNonLocalBlocks(
            f"{path.name} is a {report.architecture}; there is nothing to look into. Put a block "
            "in with nlviz.insert(net, after=...), or take another file"
        )
    tell("Moving the network", 0.95)
    net.eval().requires_grad_(False).to(to)
    return Model(
        net,
        about=About(
            title or f"{report.family} ({path.name})",
            card.trained_for if card is not None and title else report.trained_for,
            report.digest,
        ),
        labels=labels_named(report.labels) if report.labels else (),
        input_spec=report.input_spec,
        report=report,
        autocast=half,
    )


def _of_timm(
    name: str, device: str, half: torch.dtype | None, progress: Listener | None, **said: object
) -> Model:
    given = [key for key, value in said.items() if value is not None]
    if given:
        raise NlvizError(
            f"{name} tells its own computation, the flag {given[0]} changes nothing; leave it out"
        )
    model = timm_model(name, progress=progress)
    model.net.to(device)
    model.autocast = half
    if getattr(model.net, "num_classes", None) == 1000:
        model.labels = labels_named("imagenet")
    return model


def inspect_weights(
    name: str | Path,
    *,
    family: str | None = None,
    progress: Listener | None = None,
    **flags: object,
) -> LoadReport:
    """Say what a file of weights holds and how its network is computed, also where it is not whole.

    Args:
        name: one of ``list_models()``, or the path of a file.
        family: read the file in the layout of this family.
        progress: called with a sentence and a share in [0, 1].
        **flags: as in ``load_model``.

    Raises:
        UnknownModel: when there is no such name or file.
        DownloadFailed: when the weights cannot be had.
        UnreadableCheckpoint: when the file holds no weights that can be read.
        UnsafeCheckpoint: when it would run code.

    >>> inspect_weights("lite-nl").complete
    True
    """
    card = CARDS.get(str(name))
    named = card is not None
    tell = Progress.of(progress)
    path = file_of(card, progress=tell.part(0.0, 0.6)) if card is not None else _existing(name)
    card = card or card_for(path)
    said = {**(card.flags if card else {}), **{k: v for k, v in flags.items() if v is not None}}
    taken = card.family if card is not None and named and family is None else family
    report = inspect_checkpoint(path, family=taken, progress=progress, **said)
    return _completed(report, path, card, flags)


def file_of(card: ModelCard, *, progress: Listener | None = None) -> Path:
    """Return the file of a card's weights, downloaded when it is not there; its digest is checked.

    Raises:
        DownloadFailed: when it cannot be had; the sentence says where to put it.
        WeightsMismatch: when it has another digest than the card says.

    >>> file_of(CARDS["lite-nl"]).name
    'lite-nl.safetensors'
    """
    if card.weights:
        path = asset(f"weights/{card.weights}")
        sha256 = json.loads(path.with_suffix(".json").read_text("utf-8"))["sha256"]
        if (found := digest_of(path)) != sha256:
            raise _another_digest(path, "sha256", sha256, found)
        return path
    kept, beside = _places(card)
    if not card.url:
        if not kept.is_file():
            raise DownloadFailed(
                f"{card.name} has no address to download it from: {card.note} Put "
                f"{card.file_name} at {kept}, or load it by its path"
            )
        return kept
    if beside.is_file() and not kept.is_file():  # torchvision put it there
        if not (found := remembered_digest(beside)).startswith(card.digest):
            raise _another_digest(beside, "sha256", card.digest, found)
        return beside
    if not kept.is_file():
        _tell_licence(card, Progress.of(progress))
    kind, _, sha1 = card.digest.rpartition(":")
    path = fetch(
        card.url,
        digest="" if kind else card.digest,
        file_name=card.file_name,
        progress=progress,
    )
    if kind == "sha1" and (found := _sha1(path)) != sha1:
        raise _another_digest(path, "sha1", sha1, found)
    return path


def is_here(card: ModelCard) -> bool:
    """Return whether a card's weights are on this machine, so that nothing is downloaded.

    >>> is_here(CARDS["lite-nl"])
    True
    """
    return bool(card.weights) or any(path.is_file() for path in _places(card))


def _places(card: ModelCard) -> tuple[Path, Path]:
    """Return where downloads are kept, and where torch.hub keeps its own."""
    kept = cache_folder() / "weights" / card.file_name
    if card.url:
        kept = where(card.url, file_name=card.file_name)
    return kept, Path(torch.hub.get_dir()) / "checkpoints" / card.file_name


def card_for(path: Path) -> ModelCard | None:
    """Return the card of a published file by its name, or None.

    >>> card_for(Path("I3D_NLN_8x8_R50.pkl")).name
    'i3d-nl-r50.k400-slowfast'
    """
    return next((c for c in CARDS.values() if c.file_name and c.file_name == path.name), None)


def _existing(name: str | Path) -> Path:
    path = Path(name)
    if is_timm(str(name)):
        raise UnknownModel(
            f"{name} is made and loaded by timm, which keeps no file that could be inspected; give "
            "the path of a file, or load it by its name"
        )
    if not path.is_file():
        raise UnknownModel(f"no model is called {str(name)!r}{did_you_mean(str(name), CARDS)}")
    return path


def _tell_licence(card: ModelCard, progress: Progress) -> None:
    """Say the licence before a download; a sentence nobody listens to goes to the log."""
    what = ", which forbids commercial use" if card.non_commercial else ""
    sentence = f"The weights of {card.name} have the licence {card.licence}{what} ({card.source})"
    if progress.heard:
        progress(sentence, 0.0)
    elif card.non_commercial:
        logging.getLogger("nlviz").warning(sentence)


def _completed(
    report: LoadReport, path: Path, card: ModelCard | None, flags: Mapping[str, object]
) -> LoadReport:
    """Return the report with the file's digest, and with what its card said marked as such."""
    digest, warnings = _digest(path), list(report.warnings)
    given = {} if card is None else {k: v for k, v in card.flags.items() if flags.get(k) is None}
    if card is not None and not card.weights and card.digest and digest:
        if ":" not in card.digest and not digest.startswith(card.digest):
            warnings.append(
                f"The file is called as {card.name}, whose sha256 begins with {card.digest}; this "
                f"one's is {digest[:8]}: it is another file, or was changed."
            )
    return replace(
        report,
        digest=digest,
        warnings=tuple(warnings),
        flags={
            name: replace(flag, origin="card") if name in given else flag
            for name, flag in report.flags.items()
        },
    )


def _digest(path: Path) -> str:
    try:
        return remembered_digest(path)
    except OSError:  # read a moment ago; gone since
        return ""


def _sha1(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha1").hexdigest()


def _another_digest(path: Path, kind: str, expected: str, found: str) -> WeightsMismatch:
    return WeightsMismatch(
        f"{path.name} must have the {kind} {expected[:12]}..., it has {found[:12]}...; it was "
        "changed or cut short, restore the original file or delete it to download it again"
    )
