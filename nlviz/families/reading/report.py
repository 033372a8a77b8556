"""What was found in a checkpoint, and what became of each of its keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nlviz.families.reading.adapter import InputSpec
from nlviz.families.reading.layout import Block, Flag

UNKNOWN = "unknown network"
IN_MEMORY = "a network in memory"  # in place of a container: nothing was read from a file


@dataclass(frozen=True)
class LoadReport:
    """What was found in a checkpoint.

    Attributes:
        file: name of the file.
        container: see ``Checkpoint``; ``IN_MEMORY`` where there is no file.
        size: bytes.
        digest: sha256, or empty where it was not asked for.
        family: of the layout, or ``unknown network``.
        recognised_by: the end of a sentence.
        architecture: in words.
        blocks: the non-local blocks, in forward order.
        flags: properties of the computation with their origins.
        input_spec, input_note: preprocessing.
        labels: name of the list of class names, or empty.
        trained_for: one phrase for titles.
        matched: number of keys of the file that became a tensor of the network.
        missing: keys of the network that nothing filled.
        unexpected: keys of the file without an explanation.
        misshapen: sentences, one for each tensor of another shape.
        dropped: key -> why it is not used.
        filled: key -> why it was filled and with what.
        warnings: whole sentences.
        part: entries of the file and beginning of the keys under which the weights lie.
        taken_off: what was taken off the keys, in words; empty where nothing was.
        beside: what else stands in the file, by its name, each in a few words.
    """

    file: str
    container: str
    size: int
    digest: str
    family: str
    recognised_by: str
    architecture: str
    blocks: tuple[Block, ...] = ()
    flags: Mapping[str, Flag] = field(default_factory=dict)
    input_spec: InputSpec | None = None
    input_note: str = ""
    labels: str = ""
    trained_for: str = "training unknown"
    matched: int = 0
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    misshapen: tuple[str, ...] = ()
    dropped: Mapping[str, str] = field(default_factory=dict)
    filled: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    part: str = ""
    taken_off: str = ""
    beside: Mapping[str, str] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether every tensor of the network is there and every key of the file explained."""
        return bool(self.matched) and not (self.missing or self.unexpected or self.misshapen)

    @property
    def faults(self) -> str:
        """What does not fit, with the first five of each kind; empty where all is well.

        >>> LoadReport("a.pth", "torch zip", 9, "", "caffe2", "", "", unexpected=("x",)).faults
        '1 unexpected (x)'
        """
        kinds = {
            "missing": self.missing,
            "unexpected": self.unexpected,
            "of another shape": self.misshapen,
        }
        return ", ".join(
            f"{len(keys)} {what} ({', '.join(keys[:5])}{', ...' if len(keys) > 5 else ''})"
            for what, keys in kinds.items()
            if keys
        )
