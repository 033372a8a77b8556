"""What position does, in words."""

from __future__ import annotations

from nlviz.analysis.mean_position import PositionShare
from nlviz.sentences import counted
from nlviz.words.health import Line
from nlviz.words.nouns import POINTS, Nouns
from nlviz.words.numbers import fine_percent_text, percent_text

MUCH, SOME = 0.5, 0.1  # of a row's variance that its position accounts for, for the sentences
SAME = 0.8  # of that, with the mean row of all positions, from which no position is needed
EVEN = 0.9  # in common with a uniform row, from which there is nothing that could follow
OWN = 0.9  # of a row on its own cell, from which there is little left to speak of


def position_sentence(share: PositionShare, *, nouns: Nouns = POINTS) -> str:
    """Return in a sentence how much of a row follows from position alone.

    >>> share = PositionShare(0.4, 0.9, 0.8, 0.3, 0.1, 0.4, 0.6, 1, 16)
    >>> position_sentence(share)
    'Most of where this point looks follows from where it is, whatever the clip shows.'
    """
    one = share.queries == 1
    who = f"this {nouns.one} looks" if one else f"{nouns.many} look"
    where = "it is" if one else "they are"
    if share.own is not None and share.own > OWN:
        return (
            f"Nearly all of the weight lies on the {nouns.token} itself, which is content and "
            "position in one; what is left says little."
        )
    if share.common_uniform > EVEN:
        return (
            f"The weight is spread nearly evenly over all {nouns.tokens}: there is little that "
            "could follow from a place."
        )
    if share.explained < SOME:
        return f"Where {who} does not follow from where {where}: it differs from clip to clip."
    anywhere = share.explained_anywhere
    if anywhere is not None and anywhere > SAME * share.explained:
        part = "Much" if share.explained >= MUCH else "Some"
        return (
            f"{part} of where {who} is the same in every clip, and from every place: it takes no "
            "position to tell."
        )
    part = "Most" if share.explained >= MUCH else "Some"
    return f"{part} of where {who} follows from where {where}, whatever the clip shows."


def position_lines(share: PositionShare, *, nouns: Nouns = POINTS) -> list[Line]:
    """Return the numbers, each with its definition.

    >>> share = PositionShare(0.4, 0.9, 0.8, 0.3, 0.1, 0.4, 0.6, 1, 16)
    >>> for line in position_lines(share):
    ...     print(line.value, line.label)
    40 % of the weight lies on the cell itself, and is left out below
    80 % of how the rest varies is the mean row of this place
    10 % is the mean row of all places
    90 % of its weight has the mean row of this place in common with it
    30 % has that of all places, 40 % a uniform one
    60 % likeness to the part that all queries of this clip share
    """
    lines = []
    if share.own is not None:
        lines.append(
            Line(
                fine_percent_text(share.own),
                f"of the weight lies on the {nouns.token} itself, and is left out below",
                help="A block that looks for what is like the query finds it there first, in every "
                "clip: it speaks for content and for position alike",
            )
        )
    over = f"The mean row is over {counted(share.clips, 'clip')} of the same shape"
    lines.append(
        Line(
            fine_percent_text(share.explained),
            "of how the rest varies is the mean row of this place",
            help=f"r² of the row and the mean row of its position over the keys; 0 where they are "
            f"against each other. {over}",
        )
    )
    if share.explained_anywhere is not None:
        lines.append(
            Line(
                fine_percent_text(share.explained_anywhere),
                "is the mean row of all places",
                help="The same with the mean of the mean rows of all positions: what needs no "
                "position to be told",
            )
        )
    lines.append(
        Line(
            fine_percent_text(share.common),
            "of its weight has the mean row of this place in common with it",
            help="The sum over the keys of the smaller of both weights, rows scaled to 1 without "
            "the own cell",
        )
    )
    even = percent_text(share.common_uniform, space=" ")
    if share.common_anywhere is not None:
        lines.append(
            Line(
                fine_percent_text(share.common_anywhere),
                f"has that of all places, {even} a uniform one",
                help="The same with the mean row of all positions, and with a row that gives all "
                "keys the same",
            )
        )
    else:
        lines.append(
            Line(
                fine_percent_text(share.common_uniform),
                "has a uniform one",
                help="The same with a row that gives all keys the same",
            )
        )
    if share.unary is not None:
        lines.append(
            Line(
                fine_percent_text(share.unary),
                "likeness to the part that all queries of this clip share",
                help="1 - JSD(row, unary part of the exact split) / ln 2, without the own cell",
            )
        )
    return lines
