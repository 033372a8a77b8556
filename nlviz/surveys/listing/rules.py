"""How arguments are read: the choices of a user, and what is counted on the way."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from nlviz.errors import NlvizError
from nlviz.sentences import counted, listed

Labels = Literal["auto", "folder", "none"]
PicturesAre = Literal["auto", "frames", "each"]

_TOLD = 12  # different notes that are kept; the rest is counted


@dataclass(frozen=True)
class Rules:
    """How arguments are read.

    Attributes:
        labels: of clips in folders. ``folder``: the nearest folder above the clip, below the one
            that was given, that does not say how clips are stored, such as ``train`` or ``480p``.
            ``auto``: the same, of a folder that holds no clip beside its sub-folders. ``none``.
        pictures: whether pictures of one folder are the ``frames`` of one clip, or ``each`` is a
            clip. ``auto``: frames where they are numbered evenly and are alike in size.
        root: folder that paths in lists and tables are relative to; by default that of the list.
        path_column: name of the column with paths; by default found by its usual names.
        label_column: of the column with labels; ``none`` for no labels.
    """

    labels: Labels = "auto"
    pictures: PicturesAre = "auto"
    root: Path | str | None = None
    path_column: str | None = None
    label_column: str | None = None

    def __post_init__(self) -> None:
        for name, known in (("labels", get_args(Labels)), ("pictures", get_args(PicturesAre))):
            if getattr(self, name) not in known:
                raise NlvizError(f"{name} is {listed(known)}, got {getattr(self, name)!r}")


@dataclass
class LeftOut:
    """What was met and is no clip, and what a user must know of how arguments were read.

    Attributes:
        counts: how many by what they are.
        notes: sentences, each once.
        more: how many sentences were not kept.
        frames: clips of numbered pictures that nobody said to be frames.
        first_frames: where the first of them is.
    """

    counts: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    more: int = 0
    frames: int = 0
    first_frames: str = ""

    def found_frames(self, where: str) -> None:
        """Count a place whose pictures were taken as the frames of a clip, unasked."""
        self.frames += 1
        self.first_frames = self.first_frames or where

    def note(self, sentence: str) -> None:
        """Keep a sentence, unless it is there or there are many."""
        if sentence in self.notes:
            return
        if len(self.notes) < _TOLD:
            self.notes.append(sentence)
        else:
            self.more += 1

    def add(self, other: LeftOut) -> None:
        """Add what was left out elsewhere."""
        self.counts.update(other.counts)
        self.more += other.more
        self.frames += other.frames
        self.first_frames = self.first_frames or other.first_frames
        for sentence in other.notes:
            self.note(sentence)

    def sentences(self) -> list[str]:
        """Return the notes, and one sentence on what was left out.

        >>> left = LeftOut(Counter({"hidden file": 1, ".json file": 20}))
        >>> left.sentences()
        ['Left out: 20 .json files and 1 hidden file.']
        """
        told = list(self.notes)
        if self.frames:
            told.append(
                f"Numbered pictures are taken as the frames of {counted(self.frames, 'clip')}, as "
                f"in {self.first_frames}; say pictures='each' for a clip of each picture."
            )
        if self.more:
            told.append(f"There are {counted(self.more, 'further note')} of the same kind.")
        if +self.counts:
            parts = [counted(n, what) for what, n in (+self.counts).most_common()]
            told.append(f"Left out: {listed(parts, 'and')}.")
        return told
