"""Words in lines: where each token of a text stands on a page, in the direction of its script.

Lines break between tokens. A text whose first letter is Hebrew or Arabic runs from the right;
passages of the other direction within a line keep their own (Unicode's rules, UAX 9, by words).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace

from nlviz.affinity.grid import Line
from nlviz.affinity.token_line import TokenLine
from nlviz.clips.text import Text
from nlviz.render.text_drawing import shortened, width

MEASURED = 40  # size at which widths are measured
PITCH = 1.7  # height of a line, in sizes of its letters
PADDING = 0.16  # of a word's ground to the left and the right of it, in sizes
GAP = 0.34  # between words where the text has a space, in sizes

_LEFTWARDS = ("R", "AL")
_NUMBERS = ("EN", "AN")
_MIRRORED = str.maketrans("()[]{}<>«»‹›", ")(][}{><»«›‹")


@dataclass(frozen=True)
class Label:
    """What is drawn of one token.

    Attributes:
        text: its letters, or what it is called where it stands for none.
        chip: whether it stands for no character of the text, as ``<s>``, or for a line break.
        space: whether a space goes before it.
        breaks: whether a new line begins behind it.
    """

    text: str
    chip: bool = False
    space: bool = True
    breaks: bool = False


@dataclass(frozen=True)
class Word:
    """A token on the page.

    Attributes:
        index: its number.
        label: what is drawn.
        left, wide: of its ground, in pixels.
        line: the line that it stands in, from 0.
        letters: left end of its letters.
    """

    index: int
    label: Label
    left: float
    wide: float
    line: int
    letters: float


@dataclass(frozen=True)
class Laid:
    """Words laid out in lines.

    Attributes:
        words: all of them, in their order.
        size: of the letters, in pixels.
        lines: how many.
    """

    words: tuple[Word, ...]
    size: int
    lines: int

    @property
    def pitch(self) -> float:
        """Height of a line in pixels."""
        return PITCH * self.size


def labels_of(line: Line | TokenLine, text: Text | None = None) -> list[Label]:
    """Return what is drawn of each token of a line.

    Args:
        line: the tokens.
        text: the text that their spans count characters of; None where it is not known.

    >>> from nlviz.clips.text import read_text
    >>> text = read_text("a dog.")
    >>> [(label.text, label.space) for label in labels_of(TokenLine.part_of(text), text)]
    [('a', True), ('dog', True), ('.', False)]
    """
    if text is None or len(line.spans) != len(line.words):
        return [Label(_plain(word) or "·", i in line.special) for i, word in enumerate(line.words)]
    written = text.text
    found: list[Label] = []
    before = 0
    for i, (word, (start, end)) in enumerate(zip(line.words, line.spans, strict=True)):
        own = written[start:end]
        space = not found or found[-1].chip or i in line.special
        space = space or start > before or own[:1].isspace() or written[start - 1 : start].isspace()
        if not own.strip():
            breaks = "\n" in own
            found.append(Label("↵" if breaks else _plain(word) or "·", True, True, breaks))
        else:
            if found and "\n" in written[before:start]:
                found[-1] = Label(found[-1].text, found[-1].chip, found[-1].space, True)
            found.append(Label(_plain(own), i in line.special, space, own.endswith("\n")))
        before = max(end, before)
    return found


def laid_out(labels: Sequence[Label], room: float, *, sizes: range, tall: float) -> Laid:
    """Lay tokens out in lines, as large as they fit.

    Args:
        labels: what is drawn of each token.
        room: width of the lines in pixels.
        sizes: of the letters, to be tried in this order.
        tall: height of all lines in pixels at most, unless the last size takes more.

    >>> laid = laid_out([Label("one"), Label("two"), Label("three")], 90, sizes=range(20, 9, -1),
    ...                 tall=70)
    >>> [(word.label.text, word.line) for word in laid.words], laid.size
    ([('one', 0), ('two', 0), ('three', 1)], 20)
    """
    # A token that would make all letters small, a long address for instance, loses its middle.
    most = (room / max(min(sizes), 0.6 * max(sizes)) - 2 * PADDING) * MEASURED
    labels = [_shortened(label, most) for label in labels]
    widths = [width(label.text, MEASURED) / MEASURED for label in labels]
    for size in sizes:
        lines = _broken(labels, widths, size, room)
        fits = max(widths, default=0.0) * size + 2 * PADDING * size <= room
        if fits and len(lines) * PITCH * size <= tall:
            break
    leftwards = runs_leftwards("".join(label.text for label in labels))
    words: list[Word] = []
    for number, members in enumerate(lines):
        ordered, turned, begins = _in_order(labels, members, leftwards)
        gaps = {i: _gap(labels, i, members[0], size) for i in members}
        total = sum(_wide(widths[i], size) + gaps[i] for i in members)
        x = room - total if leftwards else 0.0
        for at, i in enumerate(ordered):
            lead = 0.0
            if at:  # the gap before a token lies on the side of what is before it in the text
                other = ordered[at - 1]
                apart = begins[i], begins[other]
                lead = gaps[max(i, other) if apart[0] == apart[1] else max(apart)]
            x += lead
            wide = _wide(widths[i], size)
            label = replace(labels[i], text=_mirrored(labels[i].text)) if i in turned else labels[i]
            word = Word(i, label, x, wide, number, x + PADDING * size)
            if lead < 0:  # grounds of one word's tokens meet halfway
                words[-1] = replace(words[-1], wide=words[-1].wide + lead / 2)
                word = replace(word, left=x - lead / 2, wide=wide + lead / 2)
            words.append(word)
            x += wide
    words.sort(key=lambda word: word.index)
    return Laid(tuple(words), size, len(lines))


def runs_leftwards(text: str) -> bool:
    """Return whether the first letter of a text is of a script that runs to the left.

    >>> runs_leftwards("12 שלום a"), runs_leftwards("a שלום")
    (True, False)
    """
    for sign in text:
        kind = unicodedata.bidirectional(sign)
        if kind in _LEFTWARDS or kind == "L":
            return kind in _LEFTWARDS
    return False


def _shortened(label: Label, room: float) -> Label:
    if len(label.text) * MEASURED < room:  # no letter is wider than it is high
        return label
    return replace(label, text=shortened(label.text, MEASURED, room))


def _plain(word: str) -> str:
    return " ".join(word.split())


def _wide(share: float, size: int) -> float:
    return (share + 2 * PADDING) * size


def _gap(labels: Sequence[Label], index: int, first: int, size: int) -> float:
    if index == first:
        return 0.0
    # Without a space the grounds of two tokens of one word touch.
    return (GAP - 2 * PADDING if labels[index].space else -2 * PADDING) * size + 2


def _broken(
    labels: Sequence[Label], widths: Sequence[float], size: int, room: float
) -> list[list[int]]:
    """Return the tokens of each line; a word of several tokens stays whole where it fits."""
    lines: list[list[int]] = [[]]
    used = 0.0
    for group in _groups(labels):
        wide = sum(_wide(widths[i], size) + _gap(labels, i, group[0], size) for i in group)
        gap = _gap(labels, group[0], -1, size) if lines[-1] else 0.0
        if lines[-1] and used + gap + wide > room:
            lines.append([])
            used = gap = 0.0
        if wide > room:  # longer than a line: token by token
            for i in group:
                own = _wide(widths[i], size)
                if lines[-1] and used + own > room:
                    lines.append([])
                    used = 0.0
                lines[-1].append(i)
                used += own + 2
        else:
            lines[-1] += group
            used += gap + wide
        if labels[group[-1]].breaks:
            lines.append([])
            used = 0.0
    return [line for line in lines if line] or [[]]


def _groups(labels: Sequence[Label]) -> list[list[int]]:
    """Return runs of tokens without a space between them."""
    groups: list[list[int]] = []
    for i, label in enumerate(labels):
        if groups and not label.space and not labels[i - 1].breaks:
            groups[-1].append(i)
        else:
            groups.append([i])
    return groups


def _mirrored(text: str) -> str:
    """Return signs as they are written from the right; letters are turned where they are drawn."""
    own = any(unicodedata.bidirectional(sign) in _LEFTWARDS for sign in text)
    return text if own else text.translate(_MIRRORED)


def _in_order(
    labels: Sequence[Label], members: Sequence[int], leftwards: bool
) -> tuple[list[int], set[int], dict[int, int]]:
    """Return the tokens of a line from left to right, and those that run to the left.

    Last, of each token, the first one of its passage in one direction.
    """
    left: list[bool | None] = []
    for i in members:
        kinds = {unicodedata.bidirectional(sign) for sign in labels[i].text}
        # Digits run to the right everywhere.
        rightwards = kinds & {"L", *_NUMBERS}
        strong = True if kinds & set(_LEFTWARDS) else False if rightwards else None
        left.append(strong)
    if not any(left) and not leftwards:
        return list(members), set(), dict.fromkeys(members, members[0] if members else 0)
    settled: list[bool] = []
    for n, own in enumerate(left):
        before = next((v for v in left[:n][::-1] if v is not None), leftwards)
        after = next((v for v in left[n + 1 :] if v is not None), leftwards)
        settled.append(own if own is not None else before if before == after else leftwards)
    runs: list[list[int]] = []
    for n, i in enumerate(members):
        if n and settled[n] == settled[n - 1]:
            runs[-1].append(i)
        else:
            runs.append([i])
    of_run = [settled[members.index(run[0])] for run in runs]
    turned = [run[::-1] if is_left else run for run, is_left in zip(runs, of_run, strict=True)]
    whole = [i for run in (turned[::-1] if leftwards else turned) for i in run]
    lefts = {i for i, is_left in zip(members, settled, strict=True) if is_left}
    return whole, lefts, {i: run[0] for run in runs for i in run}
