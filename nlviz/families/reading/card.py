"""Model cards: what is published about a set of weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nlviz.families.reading.adapter import InputKind

# Words that many cards share.
KINETICS = "action recognition on Kinetics-400"
NON_LOCAL = "arXiv 1711.07971"
TEN_BY_THREE = "10 clips x 3 crops of 256"


@dataclass(frozen=True)
class ModelCard:
    """What is known of a set of weights.

    Attributes:
        name: ``architecture`` or ``architecture.tag``.
        family: name of the family that reads the file, see ``nlviz.families``.
        trained_for: one phrase for titles.
        licence: of the weights.
        paper: where the architecture is described.
        labels: name of the list of class names, or empty.
        source: page of the repository that published them.
        weights: bundled file under ``assets/weights``; its card, the .json next to it, holds the
            digest and what the weights saw in training. Empty where they are downloaded.
        url: where they are downloaded from; empty where no address is known.
        file_name: of the download.
        digest: the sha256 or how it begins; ``sha1:`` and a sha1 where the source gives that; empty
            where nothing was published.
        non_commercial: whether the licence forbids commercial use.
        accuracy: published, in percent, with the protocol; one clip alone gives less.
        input: frames, stride and normalisation in words.
        flags: overrides that the file needs, because neither its keys nor its name say.
        note: one sentence about a trap, or how the file is made.
        takes: what the network is given: a ``clip``, a ``text``, both, ``boxes`` beside a clip, or
            a ``graph``.
        example: a text that it can be shown with, where it takes one.
        has_blocks: False of a network without any affinity, which loads for its answers.
    """

    name: str
    family: str
    trained_for: str
    licence: str
    paper: str
    labels: str
    source: str = ""
    weights: str = ""
    url: str = ""
    file_name: str = ""
    digest: str = ""
    non_commercial: bool = False
    accuracy: str = ""
    input: str = ""
    flags: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    note: str = ""
    takes: tuple[InputKind, ...] = ("clip",)
    example: str = ""
    has_blocks: bool = True
