"""Files of published weights: where they lie, and whether they are what was published."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch

from nlviz.errors import DownloadFailed, WeightsMismatch
from nlviz.families.reading.report import LoadReport
from nlviz.files.cache import cache_folder, remembered_digest
from nlviz.files.downloads import fetch, where
from nlviz.files.local import digest_of
from nlviz.progress import Listener, Progress
from nlviz.resources import asset
from nlviz.zoo.cards import CARDS, ModelCard
from nlviz.zoo.files.folders import is_in_parts, parts_of


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
        return _checked(path, "sha256", sha256, digest_of(path))
    kept, of_torch_hub = _places(card)
    if not card.url:
        if not kept.is_file():
            raise DownloadFailed(
                f"{card.name} has no address to download it from: {card.note} Put "
                f"{card.file_name} at {kept}, or load it by its path"
            )
        return kept
    if of_torch_hub.is_file() and not kept.is_file():
        return _checked(of_torch_hub, "sha256", card.digest, remembered_digest(of_torch_hub))
    if not kept.is_file():
        _say_licence(card, Progress.of(progress))
    kind, digest = _published_digest(card)
    path = fetch(
        card.url,
        digest=digest if kind == "sha256" else "",
        file_name=card.file_name,
        progress=progress,
    )
    return _checked(path, kind, digest, digest_of(path, kind)) if kind == "sha1" else path


def is_here(card: ModelCard) -> bool:
    """Return whether a card's weights are on this machine, so that nothing is downloaded.

    >>> is_here(CARDS["lite-nl"])
    True
    """
    return bool(card.weights) or any(path.is_file() for path in _places(card))


def card_for(path: Path) -> ModelCard | None:
    """Return the card of a published file by its name, or None.

    >>> card_for(Path("I3D_NLN_8x8_R50.pkl")).name
    'i3d-nl-r50.k400-slowfast'
    """
    return next((c for c in CARDS.values() if c.file_name and c.file_name == path.name), None)


def digest_fits(card: ModelCard, path: Path, sha256: str) -> bool | None:
    """Return whether a file has its card's digest; None if no digest was published.

    Args:
        card: of the published file.
        path: the file.
        sha256: its digest, which is known already.
    """
    if card.weights:
        return True  # file_of has compared it
    kind, digest = _published_digest(card)
    if not digest:
        return None
    return (sha256 if kind == "sha256" else digest_of(path, kind)).startswith(digest)


def completed(
    report: LoadReport, path: Path, card: ModelCard | None, flags: Mapping[str, object]
) -> LoadReport:
    """Return the report with the file's digest, and with the card's flags marked as such.

    Args:
        report: of the file.
        path: the file.
        card: of the published file, or None.
        flags: those that the user gave; they go before the card's.
    """
    digest, warnings = _digest(path), list(report.warnings)
    of_card = {} if card is None else {k: v for k, v in card.flags.items() if k not in flags}
    if card is not None and not card.weights and digest:
        kind, expected = _published_digest(card)
        if kind == "sha256" and not digest.startswith(expected):
            warnings.append(
                f"The file is called as {card.name}, whose sha256 begins with {expected}; this "
                f"one's is {digest[:8]}: it is another file, or was changed."
            )
    return replace(
        report,
        digest=digest,
        warnings=tuple(warnings),
        flags={
            name: replace(flag, origin="card") if name in of_card else flag
            for name, flag in report.flags.items()
        },
    )


def _published_digest(card: ModelCard) -> tuple[Literal["sha256", "sha1"], str]:
    """Return the kind of a card's digest and its first digits, which are empty if unpublished."""
    kind, _, digits = card.digest.rpartition(":")
    return ("sha1" if kind == "sha1" else "sha256"), digits


def _places(card: ModelCard) -> tuple[Path, Path]:
    """Return where downloads are kept, and where torch.hub keeps its own."""
    kept = cache_folder() / "weights" / card.file_name
    if card.url:
        kept = where(card.url, file_name=card.file_name)
    return kept, Path(torch.hub.get_dir()) / "checkpoints" / card.file_name


def _say_licence(card: ModelCard, progress: Progress) -> None:
    """Say the licence before a download; without a listener a restrictive one is logged."""
    what = ", which forbids commercial use" if card.non_commercial else ""
    sentence = f"The weights of {card.name} have the licence {card.licence}{what} ({card.source})"
    if progress.heard:
        progress(sentence, 0.0)
    elif card.non_commercial:
        logging.getLogger("nlviz").warning(sentence)


def _digest(path: Path) -> str:
    try:
        if not is_in_parts(path):
            return remembered_digest(path)
        # Of several files: the digest of their digests, in the index's order.
        found = [remembered_digest(part) for part in parts_of(path)]
        return found[0] if len(found) == 1 else digest_of(" ".join(found).encode())
    except OSError:  # read a moment ago; gone since
        return ""


def _checked(path: Path, kind: str, expected: str, found: str) -> Path:
    """Return the path of a file whose digest is the expected one.

    Raises:
        WeightsMismatch: when it has another.
    """
    if not found.startswith(expected):
        raise WeightsMismatch(
            f"{path.name} must have the {kind} {expected[:12]}..., it has {found[:12]}...; it was "
            "changed or cut short, restore the original file or delete it to download it again"
        )
    return path
