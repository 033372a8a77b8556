"""What a row does, in sentences: captions of figures and the command line's answer."""

from __future__ import annotations

import numpy as np

from nlviz.affinity.attention_map import AttentionMap
from nlviz.affinity.by_frame import masses, shown_frame
from nlviz.affinity.token_line import TokenLine
from nlviz.affinity.token_nodes import TokenNodes
from nlviz.analysis.statistics import moved
from nlviz.clips.clip import Clip
from nlviz.clips.graph import Graph
from nlviz.clips.text import Text
from nlviz.sentences import fixed, times_text
from nlviz.words.keys import share_lines
from nlviz.words.nouns import nouns_of, quoted
from nlviz.words.numbers import change_text, multiple_text, number_text, percent_text


def share_text(attention: AttentionMap, share: float) -> str:
    """Return a share of a row in percent; of a row minus the mean row, as a gain or a loss."""
    return change_text(share) if attention.balanced else percent_text(share)


def place_text(clip: Clip, attention: AttentionMap, *, bare: bool = False) -> str:
    """Return where the query is, in seconds and pixels or by its name; bare: the place alone."""
    frame, y, x = attention.query
    what = "key" if attention.direction == "to" else "query"
    if isinstance(clip, Graph) and attention.word:
        return f"Node {quoted(attention.word)}" if bare else f"the {what} {quoted(attention.word)}"
    if isinstance(clip, Text) and attention.word:
        place = f"token {fixed(x, 0)} of {len(clip.tokens)}"
        if bare:
            return f"At {place}, counted from 0"
        return f"the {what} {quoted(attention.word)}, {place}"
    at = ""
    if len(clip.frames) > 1:
        labels = times_text([float(time) for time in clip.times], space="\u00a0")
        at = " " + labels[shown_frame(frame, len(clip.times))] + ","
    if attention.cell is not None and not bare:  # a box, a node
        return f"the {what} {quoted(attention.word)}" + (f" at{at[:-1]}" if at else "")
    if bare:
        return f"At{at} y\u00a0{fixed(y, 0)}\u00a0px, x\u00a0{fixed(x, 0)}\u00a0px"
    return f"the {what} at{at} y\u00a0{fixed(y, 0)}\u00a0px, x\u00a0{fixed(x, 0)}\u00a0px"


def left_out(attention: AttentionMap) -> tuple[str, float]:
    """Return what was left out of a map, ``cell`` or ``frame``, and its share of the weight."""
    own, _, _ = attention.keys.unravel(attention.own)
    whole = attention.reachable is not None and not attention.reachable[own].any()
    share = attention.left_out
    if not attention.normalised:
        rest = float(np.abs(attention.weights).sum(dtype=np.float64))
        share = abs(share) / max(abs(share) + rest, 1e-300)
    return "frame" if whole else "cell", share


def row_sentence(clip: Clip, attention: AttentionMap) -> str:
    """Return one sentence about what a row does.

    >>> from nlviz.affinity.grid import TokenGrid
    >>> clip = Clip.from_frames(np.zeros((1, 16, 24, 3), np.uint8))
    >>> weights = np.array([[[0.25, 0, 0], [0, 0, 0.75]]], np.float32)
    >>> grid = TokenGrid((1, 2, 3), (1, 8, 8), (0, 3.5, 3.5))
    >>> row_sentence(clip, AttentionMap(weights, (0, 3.5, 3.5), grid))
    'spread over about 2 of 6 cells; strongest other key 4.5× uniform at y 12, x 20'
    """
    parts = []
    if attention.balanced:
        parts.append(
            f"{percent_text(moved(attention))} of its weight lies elsewhere than the average "
            "query's"
        )
    if attention.normalised:
        cells = round(1 / attention.uniform)
        spread = max(round(attention.effective()), 1)
        parts.append(f"spread over about {spread:,} of {cells:,} {nouns_of(attention.keys).tokens}")
    alike = attention.values == "similarity"
    parts += [f"{line.value} {line.label}" for line in share_lines(attention)]
    if len(clip.frames) > 1 and not alike and not attention.token:
        own = masses(attention, len(clip.frames))[shown_frame(attention.query[0], len(clip.frames))]
        if attention.left_out:
            what, share = left_out(attention)
            parts.append(f"its own {what} ({percent_text(share)}) is hidden")
        if not attention.left_out or own != 0:
            parts.append(f"{share_text(attention, own)} of its weight in its own frame")
    other = "other " if attention.has_own else ""
    what = "largest gain" if attention.values == "difference" else f"strongest {other}key"
    what = f"most alike other {nouns_of(attention.keys).token}" if alike else what
    own_key = () if attention.left_out else attention.own_keys
    best = attention.top(1, without=own_key)
    if best:
        link = best[0]
        size = multiple_text(link.multiple) + " uniform"
        if attention.values == "logits" or alike:
            size = number_text(link.weight)
        if isinstance(attention.keys, (TokenLine, TokenNodes)):
            line = attention.keys if isinstance(attention.keys, TokenLine) else None
            place = link.index if line is None else line.text_number(link.index)
            return "; ".join([*parts, f"{what} {size} at {quoted(link.name)} ({place})"])
        labels = times_text([float(time) for time in clip.times])
        at = labels[shown_frame(link.frame, len(clip.times))]
        when = f"{at}, " if len(clip.frames) > 1 else ""
        if link.name:  # a box
            return "; ".join([*parts, f"{what} {size} at {when}{quoted(link.name)}"])
        parts.append(f"{what} {size} at {when}y {fixed(link.y, 0)}, x {fixed(link.x, 0)}")
    return "; ".join(parts)
