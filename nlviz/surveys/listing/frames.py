"""Pictures of one folder: the frames of a clip, of several, or pictures by themselves.

The rule, where nobody says it: pictures whose names differ in their last number alone are the
frames of one clip if there are two or more, nine of ten steps between their numbers are the same,
and up to eight of them, spread over all, are alike in size. Photos seldom are all of that.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from nlviz.clips.sequences import natural
from nlviz.surveys.listing.kinds import ending
from nlviz.surveys.listing.rules import PicturesAre

_NUMBERED = re.compile(r"(.*?)(\d+)(\D*)", re.DOTALL)
_EVEN, _LOOKED_AT = 0.9, 8
_SPECIAL = re.compile(r"[*?\[\]#%]")

SizeOf = Callable[[str], tuple[int, int] | None]


@dataclass(frozen=True)
class Run:
    """Pictures that belong together.

    Attributes:
        names: of the files, in order.
        pattern: that they fit, and no other of the pictures; empty where it is not known.
        are_frames: whether they are one clip; else each is.
    """

    names: tuple[str, ...]
    pattern: str
    are_frames: bool


def runs_of(names: Sequence[str], pictures: PicturesAre, size_of: SizeOf) -> list[Run]:
    """Return the pictures of a folder as clips.

    Args:
        names: of all pictures of the folder.
        pictures: what the user says they are.
        size_of: returns the size of a picture, None where it cannot be told.

    >>> same = lambda name: (30, 40)
    >>> [run.pattern for run in runs_of(["a_1.png", "a_2.png", "b_1.png", "b_2.png"], "auto", same)]
    ['a_#.png', 'b_#.png']
    >>> [len(run.names) for run in runs_of(["cat.jpg", "dog.jpg"], "auto", same)]
    [1, 1]
    """
    ordered = sorted(names, key=natural)
    if pictures == "each":
        return _each(ordered)
    if pictures == "frames":
        return [Run(tuple(ordered), "", True)] if ordered else []
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name in ordered:
        groups[_parts(name)].append(name)
    runs: list[Run] = []
    for (before, after), group in groups.items():
        if not _follow(group) or not _alike(group, size_of):
            runs += _each(group)
            continue
        digits = min(len(_number(name)) for name in group)
        pattern = _SPECIAL.sub("?", before) + "#" * digits + _SPECIAL.sub("?", after)
        runs.append(Run(tuple(group), pattern, True))
    return runs


def _each(names: Sequence[str]) -> list[Run]:
    return [Run((name,), "", False) for name in names]


def _parts(name: str) -> tuple[str, str]:
    """Return what stands before and after the last number of a name, or the name alone."""
    stem = name[: len(name) - len(ending(name)) - 1]  # the ending may hold a number: jp2
    found = _NUMBERED.fullmatch(stem)
    if not found:
        return name, ""
    before, number, _ = found.groups()
    return before, name[len(before) + len(number) :]


def _number(name: str) -> str:
    before, after = _parts(name)
    return name[len(before) : len(name) - len(after)]


def _follow(names: Sequence[str]) -> bool:
    """Return whether the numbers of pictures make even steps, all but a few."""
    if len(names) < 2 or not _number(names[0]).isdecimal():
        return False
    steps = Counter(b - a for a, b in pairwise(int(_number(name)) for name in names))
    return max(steps.values()) >= _EVEN * (len(names) - 1)


def _alike(names: Sequence[str], size_of: SizeOf) -> bool:
    """Return whether pictures are of one size; those that cannot be read say nothing."""
    step = max(1, (len(names) - 1) // (_LOOKED_AT - 1))
    found = {size_of(name) for name in (*names[::step], names[-1])} - {None}
    return len(found) <= 1
