"""Which query is meant: a place, a word, a token without a place, or a number."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from nlviz.affinity.base import Affinity
from nlviz.clips.point import Point
from nlviz.clips.text import found_word
from nlviz.errors import NlvizError, OutsideClip

Query = Point | tuple[float, float, float] | str | int
"""A place of the clip (frame, y, x); a word or a token by its name; or a number on the grid."""


def query_number(affinity: Affinity, query: Query) -> int:
    """Return the number of a query among all queries, those without a place first.

    Args:
        affinity: whose query it is.
        query: a place of the clip, 0-based frame and pixels; the name of a token, a word or a
            node; or a flat index on the grid of queries, as ``Affinity.rows`` takes it.

    Raises:
        OutsideClip: when the place is not in the clip, or the number not on the grid.
        NlvizError: when there is no such token, or each frame has one of that name.

    >>> import torch
    >>> from nlviz.affinity.embedded import EmbeddedAffinity
    >>> from nlviz.affinity.grid import TokenGrid
    >>> from nlviz.affinity.pairwise import Pairwise
    >>> grid, x = TokenGrid((1, 2, 3), (1, 8, 8), prefix=1), torch.zeros(1, 7, 5)
    >>> a = EmbeddedAffinity("b", Pairwise("gaussian"), x, x, grid, grid, token_names=("cls",))
    >>> query_number(a, (0, 8, 16)), query_number(a, 5), query_number(a, "cls")
    (6, 6, 0)
    """
    grid, prefix = affinity.queries, affinity.queries.prefix
    if isinstance(query, bool) or not isinstance(query, (str, int, tuple, list)):
        raise NlvizError(
            "a query is a place (frame, y, x), the name of a token, or a number on the grid; got "
            f"{query!r}"
        )
    if isinstance(query, int):
        if not 0 <= query < grid.size:
            raise OutsideClip(
                f"a query must be between 0 and {grid.size - 1} on this grid, got {query}"
            )
        return query + prefix
    if isinstance(query, str):
        return _of_name(affinity, query)
    if len(query) != 3:
        raise OutsideClip(f"a place has three numbers, frame, y and x; got {query!r}")
    point = Point(*(float(v) for v in query))
    if affinity.clip_shape is not None:
        point.inside(affinity.clip_shape)
    return grid.nearest(frame=point.frame, y=point.y, x=point.x) + prefix


def _of_name(affinity: Affinity, name: str) -> int:
    grid = affinity.queries
    if name in grid.names:
        return list(grid.names).index(name) + grid.prefix
    if grid.line is not None and name not in affinity.token_names:
        return found_word(grid.line.words, name, what=affinity.name)
    if grid.names and name not in affinity.token_names:
        return affinity._asked(grid, name, None) or 0  # raises with the close names
    own = [i for i, n in enumerate(affinity.token_names) if n == affinity.named_token(name)]
    if len(own) > 1:
        raise NlvizError(
            f"a query must be one, {name} of {affinity.name} stands in each of {len(own)} frames; "
            "give the place of one that has one"
        )
    return own[0]


def rows_at(
    affinity: Affinity, numbers: Sequence[int] | Tensor
) -> Float[Tensor, "heads n all_keys"]:
    """Return rows of queries by their numbers among all, those without a place first.

    Args:
        affinity: whose rows.
        numbers: (n,) as ``query_number`` gives them.

    Raises:
        OutsideClip: when a number is that of no query.
    """
    prefix = affinity.queries.prefix
    index = torch.as_tensor(numbers, dtype=torch.long).cpu()
    size = prefix + affinity.queries.size
    if index.numel() and not (0 <= int(index.min()) and int(index.max()) < size):
        raise OutsideClip(f"a query has a number from 0 to {size - 1}, got {index.tolist()[:4]}")
    apart = index < prefix
    if not bool(apart.any()):
        return affinity.rows(index - prefix)
    parts = affinity.token_rows(index[apart])
    found = parts.new_empty(parts.shape[0], len(index), parts.shape[2])
    found[:, apart.to(found.device)] = parts
    if not bool(apart.all()):
        found[:, ~apart.to(found.device)] = affinity.rows(index[~apart] - prefix).to(found)
    return found


def place_of(affinity: Affinity, number: int) -> Point | None:
    """Return where a query by its number lies in the clip; None for one without a place."""
    at = number - affinity.queries.prefix
    return None if at < 0 else affinity.queries.centre(at)


def query_said(affinity: Affinity, number: int) -> str:
    """Return a query by its number in words: its name, or frame, y and x, all from 0."""
    at = number - affinity.queries.prefix
    if at < 0:
        names = affinity.token_names
        if number < len(names) and names[number]:
            return names[number]
        line = affinity.queries.line
        if line is not None and number < len(line.words):
            return f"{number}:{line.words[number]}"
        return f"token {number} without a place"
    if affinity.queries.names:
        return affinity.queries.names[at]
    return affinity.queries.centre(at).text
