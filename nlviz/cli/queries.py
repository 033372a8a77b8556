"""What ``--query`` and ``--box`` name: a place, a word, a box or a token without a place."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nlviz.clips.point import Point

if TYPE_CHECKING:
    from nlviz.affinity.base import Affinity
    from nlviz.captures.capture import Capture
    from nlviz.views.display import Display

_NAME = re.compile(r"[A-Za-z_][\w.]*")
_PLACE = re.compile(r"[^,]*,[^,]*,[^,]*")


@dataclass(frozen=True)
class Asked:
    """What is asked for on the command line, before there is a capture.

    Attributes:
        point: a place of the clip, or None.
        name: a word, or a token without a place; empty for none.
        box: (frame, top, left, bottom, right), or None.
    """

    point: Point | None = None
    name: str = ""
    box: tuple[float, ...] | None = None

    @classmethod
    def parse(cls, query: str | None, box: str | None, *, words: bool) -> Asked:
        """Return what the two options say.

        Args:
            query: of ``--query``.
            box: of ``--box``.
            words: whether there is a text, whose words and numbers of words are queries.

        Raises:
            NlvizError: when both are given, or one cannot be read.

        >>> Asked.parse("7", None, words=True).name, Asked.parse("1,4,6", None, words=True).point
        ('7', Point(frame=1.0, y=4.0, x=6.0))
        """
        from nlviz.errors import NlvizError

        if box is not None:
            if query is not None:
                raise NlvizError("a query is a place or a word, or a box; leave one option out")
            return cls(box=_edges(box))
        if query is None:
            return cls()
        if _NAME.fullmatch(query) or (words and not _PLACE.fullmatch(query)):
            return cls(name=query)
        return cls(Point.parse(query))

    def last_block(self, capture: Capture, display: Display) -> str:
        """Return the last block that can be asked: the last attention whose line holds the word.

        The queries of a decoder are the target alone, those of its encoder the source.
        """
        from nlviz.errors import OutsideClip

        names = list(capture.affinities)
        kinds = {name: affinity.pairwise.name for name, affinity in capture.affinities.items()}
        attention = [name for name in names if kinds[name] != "effective_operator"]
        for name in (*reversed(attention), *reversed(names)) if self.name else ():
            try:
                self.placed(capture, capture.affinities[name], display)
            except OutsideClip:
                continue
            return name
        return names[-1]

    def placed(
        self, capture: Capture, affinity: Affinity, display: Display
    ) -> tuple[Point, Display]:
        """Return the query and the display of a view that shows what is asked for.

        Args:
            capture: of the input.
            affinity: what is asked.
            display: options besides.

        Raises:
            NlvizError: when there is no such word, token or box; the sentence lists some.
        """
        from nlviz.affinity.token_boxes import TokenBoxes
        from nlviz.affinity.token_line import TokenLine
        from nlviz.clips.text import Text, found_word
        from nlviz.errors import NlvizError

        grid = affinity.queries if display.direction == "from" else affinity.keys
        number = int(self.name) if self.name.isdecimal() else self.name
        if self.box is not None:
            if not isinstance(grid, TokenBoxes):
                raise NlvizError(
                    f"the queries of {affinity.name} are no boxes; give --query FRAME,Y,X"
                )
            return grid.place_in(grid.number(self.box)), display
        if not self.name:
            return self.point or _middle(capture, affinity), display
        if grid.names and self.name not in affinity.token_names:
            if isinstance(grid, TokenLine) and isinstance(capture.clip, Text):
                at = grid.number_in(capture.clip, number)
            else:
                at = found_word(grid.names, number, what=affinity.name)
            return grid.place_in(at), display
        if grid.line is not None and self.name not in affinity.token_names:
            at = found_word(grid.line.words, number, what=affinity.name)
            token = f"{at}:{grid.line.words[at]}"
        else:
            token = affinity.named_token(self.name)
        return _middle(capture, affinity), replace(display, token=token)


def _middle(capture: Capture, affinity: Affinity) -> Point:
    """Return the middle of the clip; where queries have names, the one that the app opens at."""
    from nlviz.analysis.opening_query import opening_query

    if affinity.queries.names:
        return opening_query(capture.clip, affinity)[0]
    t, height, width = capture.clip.shape
    return Point(t // 2, (height - 1) / 2, (width - 1) / 2)


def _edges(text: str) -> tuple[float, ...]:
    """Return the edges of a box.

    Raises:
        NlvizError: when the text is not five finite numbers.
    """
    import math

    from nlviz.errors import NlvizError

    try:
        found = tuple(float(part) for part in text.split(","))
        if len(found) != 5 or not all(map(math.isfinite, found)):
            raise ValueError(text)
    except ValueError:
        raise NlvizError(
            f"a box is FRAME,TOP,LEFT,BOTTOM,RIGHT, five numbers, got {text[:40]!r}; try "
            "0,10,20,90,60"
        ) from None
    return found
