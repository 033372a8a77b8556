"""Folders of this machine: the clips in them and below, in the natural order of names."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from PIL import Image

from nlviz.clips.sequences import fits_name, natural
from nlviz.surveys.item import Item, Kind
from nlviz.surveys.listing.frames import Run, runs_of
from nlviz.surveys.listing.kinds import ending, is_hidden, name_kind, says_a_class
from nlviz.surveys.listing.paths import absolute, shown, uri_of_path
from nlviz.surveys.listing.rules import LeftOut, Rules

_SYNC = b"G"  # each packet of an MPEG transport stream begins with it
TarMembers = Callable[[Path | str, str, str, LeftOut], Iterator[Item]]


def label_above(relative: str, rules: Rules) -> str:
    """Return the label that the folders above a clip give it.

    >>> label_above("train/ApplyEyeMakeup/v_1.avi", Rules(labels="folder"))
    'ApplyEyeMakeup'
    >>> label_above("480p/bear", Rules(labels="folder"))
    ''
    """
    if rules.labels == "none":
        return ""
    folders = relative.split("/")[:-1]
    return next((name for name in reversed(folders) if says_a_class(name)), "")


class Walk:
    """The clips in a folder and below.

    Args:
        base: the folder, or the part of a pattern before its first sign; names and labels are of
            what lies below.
        rules: how folders are read.
        left: where what is left out is counted.
        members: yields the clips of a tar.
    """

    def __init__(self, base: Path, rules: Rules, left: LeftOut, members: TarMembers) -> None:
        self._base, self._rules, self._left, self._members = base, rules, left, members
        self._flat = False  # whether clips lie in the base itself: then folders are no classes

    def items(self, folder: Path) -> Iterator[Item]:
        """Yield the clips of a folder, then those of its sub-folders."""
        yield from self._folder(folder, ())

    def files(
        self, folder: Path, names: Sequence[str], pattern: str | None = None
    ) -> Iterator[Item]:
        """Yield the clips among files of one folder.

        Args:
            folder: where they lie.
            names: of the files, in order.
            pattern: that they were found by; None for all files of the folder.
        """
        pictures: list[str] = []
        films: list[tuple[str, str]] = []
        for name in names:
            kind = self._kind(folder, name)
            if kind == "picture":
                pictures.append(name)
            elif kind in ("film", "tar"):
                films.append((name, kind))
        if pictures and films and self._rules.pictures == "auto":
            # Beside films lie their thumbnails and posters.
            self._left.counts["picture beside films"] += len(pictures)
            pictures = []
        if folder == self._base and (films or pictures):
            self._flat = True
        for name, kind in films:
            path = folder / name
            if kind == "tar":
                below = self._below(path)
                yield from self._members(path, below, self._label(below), self._left)
            else:
                yield self.item(path, "file")
        yield from self._pictures(folder, pictures, pattern)

    def _folder(self, folder: Path, above: tuple[tuple[int, int], ...]) -> Iterator[Item]:
        try:
            here = folder.stat()
            with os.scandir(folder) as found:
                entries = [(entry.name, is_folder(entry)) for entry in found]
        except OSError:
            # It fails when it is read, and says why.
            yield self.item(folder, "frames")
            return
        own = (here.st_dev, here.st_ino)
        if own in above:
            self._left.counts["link to a folder above it"] += 1
            return
        entries.sort(key=lambda entry: natural(entry[0]))
        yield from self.files(folder, [name for name, is_one in entries if not is_one])
        for name, is_one in entries:
            if is_one and is_hidden(name):
                self._left.counts["hidden folder"] += 1
            elif is_one:
                yield from self._folder(folder / name, (*above, own))

    def _kind(self, folder: Path, name: str) -> str:
        """Return what a file is, and count it where it is no clip."""
        kind = name_kind(name)
        if kind == "hidden":
            self._left.counts["hidden file"] += 1
            return kind
        last = ending(name)
        path = folder / name
        if kind == "film" and last == "ts" and not _is_transport_stream(path):
            kind = "other"  # a source file of TypeScript
        if kind not in ("film", "picture", "tar"):
            self._left.counts[f".{last} file" if last else "file without an ending"] += 1
        elif not _may_be_read(path):
            self._left.counts["pipe, socket or device"] += 1
            kind = "other"
        return kind

    def _pictures(self, folder: Path, names: list[str], pattern: str | None) -> Iterator[Item]:
        runs = runs_of(names, self._rules.pictures, lambda name: _size(folder / name))
        frames = [run for run in runs if run.are_frames]
        alone = len(runs) - len(frames)
        if self._rules.pictures == "auto" and frames:
            if alone:
                self._left.counts["picture beside frames"] += alone
                runs = frames
        for run in runs:
            where = self._spelled(folder, run, pattern, len(runs) == 1) if run.are_frames else None
            if where is not None:
                if self._rules.pictures == "auto":
                    self._left.found_frames(self._below(where))
                yield self.item(where, "frames")
                continue
            if run.are_frames:
                self._left.note(
                    f"No pattern names {run.names[0]} to {run.names[-1]} of {self._below(folder)} "
                    "alone, so that each is a clip; put a pattern in quotes for the frames of one."
                )
            for name in run.names:
                yield self.item(folder / name, "file")

    def _spelled(self, folder: Path, run: Run, pattern: str | None, alone: bool) -> Path | None:
        """Return the folder or the pattern that names these frames and no other picture."""
        if pattern is None and alone:
            return folder
        there = {p.name for p in folder.iterdir() if name_kind(p.name) == "picture"}
        if there == set(run.names):
            return folder
        spelled = [p for p in (run.pattern, pattern) if p]
        fits = (p for p in spelled if {n for n in there if fits_name(n, p)} == set(run.names))
        found = next(fits, None)
        return None if found is None else folder / found

    def item(self, path: Path, kind: Kind) -> Item:
        """Return the item of a file, a folder or a pattern."""
        below = self._below(path)
        return Item(uri_of_path(path), kind, below, self._label(below))

    def _below(self, path: Path) -> str:
        relative = path.relative_to(self._base)
        return shown(relative if relative.parts else Path(absolute(path)).name)

    def _label(self, below: str) -> str:
        if self._flat and self._rules.labels == "auto":
            return ""
        return label_above(below, self._rules)


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry of a folder is one, or a link to one."""
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _may_be_read(path: Path) -> bool:
    """Return whether opening a file does not wait for somebody: it is one, or is missing."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return True  # a clip that fails, with its reason, when it is read
    return stat.S_ISREG(mode)


def _is_transport_stream(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(1) in (_SYNC, b"")
    except OSError:
        return True


def _size(path: Path) -> tuple[int, int] | None:
    """Return width and height of a picture from its head."""
    try:
        with Image.open(path) as image:
            return image.size
    except Exception:  # plugins raise what they like; a broken picture says nothing of its size
        return None
