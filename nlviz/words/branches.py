"""What the branches of a layer add at a query, in a panel: of layers that run them side by side."""

from __future__ import annotations

from nlviz.affinity.attention_map import AttentionMap
from nlviz.affinity.base import Affinity
from nlviz.words.health import Line
from nlviz.words.numbers import number_text, percent_text

_HELP = (
    "The length of the vector that a branch adds at this query, and its share of the sum of these "
    "lengths. The branches of a layer of MUSE run side by side; their rows pass different matrices "
    "(W_1, W_2) and are not to be added."
)


def branch_lines(affinity: Affinity, attention: AttentionMap) -> list[Line]:
    """Return how much each branch of the layer adds at the query of a map; empty without branches.

    >>> import torch
    >>> from nlviz.affinity.branches import Branches
    >>> from nlviz.affinity.embedded import EmbeddedAffinity
    >>> from nlviz.affinity.pairwise import Pairwise
    >>> from nlviz.affinity.token_line import TokenLine
    >>> line, x = TokenLine.of(("a", "b")), torch.ones(1, 2, 3)
    >>> both = Branches(("W_1 attention", "feed-forward"), torch.ones(2, 2))
    >>> a = EmbeddedAffinity("a", Pairwise("gaussian"), x, x, line, line, branches=both)
    >>> [(line.value, line.label[:-2]) for line in branch_lines(a, a.map(token="a"))]
    [('1.00', 'added by W_1 attention here, 50'), ('1.00', 'added by feed-forward here, 50')]
    """
    branches = affinity.branches
    if branches is None or attention.direction == "to":
        return []
    frame, y, x = attention.query
    query = affinity.queries.nearest(frame=frame, y=y, x=x)
    shares = branches.shares(query)
    lines = [
        Line(number_text(norm), f"added by {name} here, {percent_text(shares[name])}", help=_HELP)
        for name, norm in branches.at(query).items()
    ]
    for name, share in branches.mixing.items():
        lines.append(
            Line(
                percent_text(share),
                f"of the mixed convolutions is {name}",
                help="softmax(alpha), the same at every query of the layer.",
            )
        )
    return lines
