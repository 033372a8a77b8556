"""A row in a panel: what it is about, its strongest keys, and where its weight lies."""

from __future__ import annotations

from typing import Any

import numpy as np

from nlviz.affinity.attention_map import AttentionMap, Link
from nlviz.affinity.by_frame import shown_frame
from nlviz.affinity.token_line import TokenLine
from nlviz.affinity.token_nodes import TokenNodes
from nlviz.clips.clip import Clip
from nlviz.picture import data_url
from nlviz.sentences import times_text
from nlviz.words.health import Line
from nlviz.words.nouns import POINTS, nouns_of, quoted
from nlviz.words.numbers import multiple_text, percent_text
from nlviz.words.tokens import token_called


def row_heading(attention: AttentionMap) -> str:
    """Return what a panel about a row, or a column, is about.

    >>> import numpy as np
    >>> from nlviz.affinity.grid import TokenGrid
    >>> grid = TokenGrid((1, 1, 2), (1, 8, 8), (0, 3.5, 3.5))
    >>> row_heading(AttentionMap(np.ones((1, 1, 2), np.float32) / 2, (0, 0, 0), grid))
    'Where this point looks'
    """
    this = quoted(attention.word) if attention.word else "this point"
    if attention.token:
        this = token_called(attention.token)
    if attention.values == "difference":
        return f"What sets {this} apart"
    if attention.values == "similarity":
        return f"What is like {this}"
    return f"Who looks at {this}" if attention.direction == "to" else f"Where {this} looks"


def keys_heading(attention: AttentionMap) -> str:
    """Return what the list of the strongest cells of a row, or a column, is.

    >>> import numpy as np
    >>> from nlviz.affinity.grid import TokenGrid
    >>> grid = TokenGrid((1, 1, 2), (1, 8, 8), (0, 3.5, 3.5))
    >>> keys_heading(AttentionMap(np.ones((1, 1, 2), np.float32) / 2, (0, 0, 0), grid))
    'Its strongest other keys'
    """
    if attention.values == "difference":
        return "Keys with more weight than on average"
    nouns = nouns_of(attention.keys)
    if attention.values == "similarity":
        return f"The other {nouns.tokens} most like it"
    if attention.direction == "to":
        other = "other " if attention.has_own else ""
        return f"The {other}{nouns.many} that look at it most"
    return "Its strongest other keys" if attention.has_own else "Its strongest keys"


def unit_text(attention: AttentionMap) -> str:
    """Return in what a row's strongest keys are counted."""
    return {"logits": "logit", "similarity": "cosine"}.get(attention.values, "× uniform")


def own_line(attention: AttentionMap) -> Line | None:
    """Return what the query's own cell has, which lists of other keys leave out; None if nothing.

    >>> import numpy as np
    >>> from nlviz.affinity.grid import TokenGrid
    >>> grid = TokenGrid((1, 1, 2), (1, 8, 8), (0, 3.5, 3.5))
    >>> row = AttentionMap(np.array([[[0.75, 0.25]]], np.float32), (0, 0, 0), grid)
    >>> own_line(row).value
    '1.5×'
    """
    if attention.token or attention.values != "weights":
        return None
    if attention.left_out or not (attention.normalised and attention.has_own):
        return None
    nouns = nouns_of(attention.keys)
    weight = float(attention.weights.flat[attention.own])
    of = "the cell that the point lies in" if nouns is POINTS else f"the {nouns.token} itself"
    return Line(
        multiple_text(weight / attention.uniform),
        "uniform on its own cell" if nouns is POINTS else "uniform on itself",
        help=f"The weight of {of}, as a multiple of what every key would get if all got the same",
    )


def top_keys(
    clip: Clip, attention: AttentionMap, *, k: int = 12, own: bool = True
) -> list[dict[str, Any]]:
    """Return the strongest keys of a row, one dict each, with a thumbnail as a data URL.

    The thumbnail is the square of pixels around the key's centre, one and a half cells wide. Keys
    that have names, words for instance, have ``name`` and ``place``, their number in the text, in
    the stead of thumbnail, time and pixels; ``away`` is how many tokens a word is from the query's.

    Args:
        clip: the pictures.
        attention: the row.
        k: how many keys, at most.
        own: whether the query's own cell may be one of them.

    >>> import numpy as np
    >>> from nlviz.affinity.grid import TokenGrid
    >>> clip = Clip.from_frames(np.zeros((1, 20, 30, 3), np.uint8))
    >>> grid = TokenGrid((1, 2, 3), (1, 10, 10), (0, 4.5, 4.5))
    >>> weights = np.arange(6, dtype=np.float32).reshape(1, 2, 3) / 15
    >>> rows = top_keys(clip, AttentionMap(weights, (0, 0, 0), grid), k=2)
    >>> [(r["y"], r["x"], round(r["multiple"], 1)) for r in rows]
    [(14.5, 24.5, 2.0), (14.5, 14.5, 1.6)]
    """
    side = max(round(1.5 * max(attention.keys.stride[1:])), 16)
    rows: list[dict[str, Any]] = []
    labels = times_text([float(time) for time in clip.times])
    for link in attention.top(k, without=() if own else attention.own_keys):
        if isinstance(attention.keys, (TokenLine, TokenNodes)):
            rows.append(_named_key(attention, link))
            continue
        frame = shown_frame(link.frame, len(clip.times))
        patch = clip.thumbnail(frame=frame, y=link.y, x=link.x, side=side)
        rows.append(
            {
                "key": data_url(patch),
                "time": float(clip.times[frame]),
                "when": labels[frame],
                "y": link.y,
                "x": link.x,
                "multiple": link.multiple,
                "weight": link.weight,
            }
            | ({"name": link.name} if link.name else {})
        )
    return rows


def _named_key(attention: AttentionMap, link: Link) -> dict[str, Any]:
    away, place = {}, link.index
    if isinstance(attention.keys, TokenLine):
        place = attention.keys.text_number(link.index)
        if not attention.token:
            away = {"away": round(link.x - attention.query[2])}
    return {
        "name": link.name,
        "place": place,
        **away,
        "multiple": link.multiple,
        "weight": link.weight,
    }


def top_words(attention: AttentionMap, *, k: int = 12) -> list[dict[str, Any]]:
    """Return the strongest words beside a picture, of those that a query over both looks at.

    Each is a dict with ``name``, ``place`` (its number among the words), ``multiple`` and
    ``weight``; empty where there are no words beside the keys.

    >>> from nlviz.affinity.grid import Line as Words
    >>> from nlviz.affinity.grid import TokenGrid
    >>> grid = TokenGrid((1, 1, 2), prefix=2, line=Words(("a", "dog")))
    >>> row = AttentionMap(
    ...     np.array([[[0.25, 0.25]]], np.float32), (0, 0, 0), grid, off_grid=0.5,
    ...     off_weights=np.array([0.1, 0.4], np.float32),
    ... )
    >>> [(word["name"], round(word["weight"], 1)) for word in top_words(row)]
    [('dog', 0.4), ('a', 0.1)]
    """
    line, weights = attention.keys.line, attention.off_weights
    if line is None or weights is None:
        return []
    order = np.argsort(-weights.astype(np.float64), kind="stable")[:k]
    return [
        {
            "name": line.words[i],
            "place": int(i),
            "multiple": float(weights[i] / attention.uniform),
            "weight": float(weights[i]),
        }
        for i in order
        if weights[i] != 0
    ]


def share_lines(attention: AttentionMap) -> list[Line]:
    r"""Return how a row is shared out between picture, text and special tokens; empty for others.

    >>> from nlviz.affinity.token_line import TokenLine
    >>> keys = TokenLine.of(("<s>", "a", "dog"), special=[0])
    >>> row = AttentionMap(np.array([[[0.5, 0.1, 0.4]]], np.float32), (0, 0, 1), keys)
    >>> [f"{line.value} {line.label}" for line in share_lines(row)]
    ['50 % on special tokens (<s>)', '50 % on the words']
    """
    if not attention.normalised:
        return []
    keys, weights = attention.keys, attention.weights.ravel()
    if isinstance(keys, TokenLine):
        words, special, apart, placed = keys.words, sorted(keys.special), weights, ""
    elif keys.line is not None and attention.off_weights is not None:
        words, special = keys.line.words, sorted(keys.line.special)
        apart, placed = attention.off_weights, "on the picture"
    else:
        return []
    of_special = float(apart[special].sum(dtype=np.float64))
    of_words = float(apart.sum(dtype=np.float64)) - of_special
    parts = [] if not placed else [(float(weights.sum(dtype=np.float64)), placed)]
    if special:
        names = ", ".join(dict.fromkeys(words[n] for n in special[:8]))
        parts.append((of_special, f"on special tokens ({names})"))
    parts.append((of_words, "on the words"))
    if len(parts) == 1:
        return []
    help = "Share of the row's weight; special tokens are those that nobody wrote"
    return [Line(percent_text(share), label, help=help) for share, label in parts]
