"""What the tokens of a grid are called: points and cells of a clip, words, boxes, nodes."""

from __future__ import annotations

from dataclasses import dataclass

from nlviz.affinity.grid import TokenGrid


@dataclass(frozen=True)
class Nouns:
    """What the tokens of one kind of grid are called.

    Attributes:
        one: a query, ``point`` for instance.
        token: what a row is spread over, ``cell`` for instance.
        whole: all of them together, ``the picture`` for instance.
    """

    one: str
    token: str
    whole: str

    @property
    def many(self) -> str:
        """Several queries."""
        return _plural(self.one)

    @property
    def tokens(self) -> str:
        """Several of what a row is spread over."""
        return _plural(self.token)


POINTS = Nouns("point", "cell", "the picture")
_OF_KIND = {
    "line": Nouns("word", "token", "the text"),
    "boxes": Nouns("box", "box", "this pass"),
    "nodes": Nouns("node", "node", "the graph"),
}


def nouns_of(grid: TokenGrid) -> Nouns:
    """Return what the tokens of a grid are called.

    >>> nouns_of(TokenGrid((1, 2, 3))).tokens
    'cells'
    """
    return _OF_KIND.get(grid.kind, POINTS)


def quoted(name: str) -> str:
    """Return the name of a word, a box or a node as it stands in a sentence.

    >>> quoted("dog"), quoted(" the")
    ('“dog”', '“the”')
    """
    return f"“{name.strip() or name}”"


def _plural(noun: str) -> str:
    return f"{noun}es" if noun.endswith("x") else f"{noun}s"
