"""Patterns of paths: ``videos/**/*.mp4``, ``walk/img_%04d.png``, ``shard-{000..012}.tar``.

A name matches whatever its case, and a matching folder is taken with all that is in it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

from nlviz.clips.sequences import fits_name, has_pattern, natural
from nlviz.errors import NlvizError
from nlviz.surveys.item import Item
from nlviz.surveys.listing.folders import Walk, is_folder
from nlviz.surveys.listing.kinds import is_hidden, name_kind

_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)(?:\.\.(\d+))?")
_MOST = 1_000_000

Table = Callable[[Path], Iterator[Item]]


def braces(text: str) -> list[str]:
    """Return what a text with braces stands for, as a shell does.

    Raises:
        NlvizError: when it is more than a million.

    >>> braces("shard-{008..010}.tar"), braces("{a,b}/x.mp4"), braces("plain{.mp4")
    (['shard-008.tar', 'shard-009.tar', 'shard-010.tar'], ['a/x.mp4', 'b/x.mp4'], ['plain{.mp4'])
    """
    parts = _BRACES.split(text)
    choices = [_choices(part) if i % 2 else [part] for i, part in enumerate(parts)]
    count = 1
    for choice in choices:
        count *= len(choice)
    if count > _MOST:
        raise NlvizError(
            f"the braces of {text!r} stand for {count:,} names, more than {_MOST:,}; give fewer"
        )
    return ["".join(each) for each in product(*choices)]


def _choices(inside: str) -> list[str]:
    found = _RANGE.fullmatch(inside)
    if found:
        first, last, step = int(found[1]), int(found[2]), int(found[3] or 1) or 1
        padded = max(len(found[1]), len(found[2])) if "0" in (found[1][0], found[2][0]) else 0
        if abs(last - first) // step >= _MOST:
            raise NlvizError(f"the range {{{inside}}} holds more than {_MOST:,} numbers")
        down = -1 if last < first else 1
        return [f"{n:0{padded}d}" for n in range(first, last + down, down * step)]
    return inside.split(",") if "," in inside else [f"{{{inside}}}"]


def base_and_pattern(text: str) -> tuple[Path, list[str]]:
    """Return the folder before the first sign of a pattern, and the parts from there on.

    A part that is there as it is written is a plain name, whatever signs it holds.
    """
    whole = Path(text)
    base, parts = Path(whole.anchor), [part for part in whole.parts if part != whole.anchor]
    while parts and ((parts[0] != "**" and not has_pattern(parts[0])) or _is_there(base, parts[0])):
        base /= parts.pop(0)
    return base, parts


def is_pattern(text: str) -> bool:
    """Return whether a path holds a sign that stands for others, and is not there as it is."""
    return bool(base_and_pattern(text)[1])


def matched(walk: Walk, folder: Path, parts: list[str], table: Table) -> Iterator[Item]:
    """Yield the clips that a pattern finds below a folder, folder by folder.

    Args:
        walk: yields the clips of folders and of files.
        folder: to look in.
        parts: of the pattern, one for each level; ``**`` is any number of levels.
        table: yields the clips of a list or a table, where the pattern asks for such.
    """
    if not parts:
        yield from walk.items(folder)
        return
    first, *rest = parts
    if first == "**" and not rest:
        yield from walk.items(folder)
        return
    if first == "**":
        yield from matched(walk, folder, rest, table)
        for name in _folders(folder):
            inner = folder / name
            if not _leads_back(inner):
                yield from matched(walk, inner, parts, table)
        return
    if rest:
        literal = not has_pattern(first) or _is_there(folder, first)
        for name in [first] if literal else _folders(folder, first):
            yield from matched(walk, folder / name, rest, table)
        return
    if name_kind(first) in ("list", "table"):
        for name in _files(folder, first):
            yield from table(folder / name)
        return
    yield from walk.files(folder, _files(folder, first), first)
    for name in _folders(folder, first):
        yield from walk.items(folder / name)


def _is_there(folder: Path, name: str) -> bool:
    return os.path.lexists(folder / name)


def _leads_back(folder: Path) -> bool:
    """Return whether a folder is a link to one above it."""
    return folder.is_symlink() and folder.parent.resolve().is_relative_to(folder.resolve())


def _folders(folder: Path, pattern: str = "*") -> list[str]:
    return _names(folder, pattern, True)


def _files(folder: Path, pattern: str) -> list[str]:
    return _names(folder, pattern, False)


def _names(folder: Path, pattern: str, folders: bool) -> list[str]:
    try:
        with os.scandir(folder) as found:
            names = [entry.name for entry in found if is_folder(entry) == folders]
    except OSError:
        return []
    fit = [n for n in names if fits_name(n, pattern)]
    return sorted((n for n in fit if not is_hidden(n) or pattern.startswith(".")), key=natural)
