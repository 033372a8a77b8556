"""The verdict: what a map follows from, and whether it matters for the answer. The rules are here.

What it follows from is the first that holds, of figures defined in ``row_origin``:

    near uniform     uniform >= NEAR_UNIFORM
    sink             sink >= SINK
    same             shared >= SAME: the same for all queries
    cannot be told   own >= ITSELF: the query looks at itself, where content and position both
                     point; or there is no other input to look at
    position         beyond >= POSITION
    content          otherwise; for what a network computes without chance follows from what is
                     seen and where alone

Whether it matters, of figures defined in ``row_effect``, all in log-odds:

    does not matter  cutting the strong links, evening the row and taking the block's output away
                     each change the answer by less than LEAST
    matters          cutting the strong links changes it by LEAST or more, and by more than each of
                     the draws of as many other links
    cannot be told   otherwise, or without class scores or without the network

The numbers were chosen on one half of the cases of ``nlviz.recipes.verdict_cases``; how often the
verdict is right is measured on the other half, see docs/verdict.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from nlviz.affinity.asked import Query, query_number, query_said
from nlviz.affinity.attention_map import AttentionMap
from nlviz.affinity.base import Affinity
from nlviz.affinity.maps import Head
from nlviz.analysis.health import BlockHealth, block_health
from nlviz.analysis.other_contents import CONTENTS
from nlviz.analysis.row_effect import SEEDS, TOP, RowEffect, row_effect
from nlviz.analysis.row_origin import RowOrigin, row_origin
from nlviz.captures.capture import About, Capture
from nlviz.clips.clip import Clip
from nlviz.clips.point import Point, Shape
from nlviz.errors import NlvizError
from nlviz.progress import Listener, Progress

NEAR_UNIFORM = 0.93  # mass in common with the uniform row
SINK = 0.6  # mass on the keys that all queries look at
SAME = 0.8  # mass in common with the mean row of the other queries
ITSELF = 0.9  # mass on the query's own key
POSITION = 0.5  # of what other queries do not tell, how much the position tells
LEAST = 0.05  # change of the log-odds: the odds of the answer change by 5 %

Source = Literal["near uniform", "sink", "same", "position", "content", "cannot be told"]
Matters = Literal["matters", "does not matter", "cannot be told"]


@dataclass(frozen=True, eq=False)
class Verdict:
    """What a map follows from and whether it matters, with all figures that it rests on.

    Attributes:
        source: what the row follows from.
        matters: whether the answer depends on it.
        block: name of the block.
        query: what the query is called.
        number: of the query among all of the block, those without a place first.
        head: one head, or the mean over heads.
        origin: figures of the row.
        effect: figures of what cutting changes; None where that could not be tried.
        health: of the whole block: dead, looks untrained, or alive.
        answer: name of the most probable class, or empty.
        attention: the row that was judged, laid out.
        clip: the input, as the network saw it.
        about: what is known of the network.
        notes: a sentence for everything that could not be tried.

    >>> import nlviz
    >>> from nlviz.resources import asset
    >>> clip = nlviz.read_clip(asset("photos/coffee.jpg"), size=64)
    >>> model = nlviz.load_model("lite-nl", device="cpu")
    >>> found = nlviz.verdict(model.capture(clip), "stage4", (0, 30, 40), contents=2)
    >>> found.source, found.health.state
    ('content', 'alive')
    """

    source: Source
    matters: Matters
    block: str
    query: str
    number: int
    head: Head
    origin: RowOrigin
    effect: RowEffect | None
    health: BlockHealth
    answer: str
    attention: AttentionMap
    clip: Clip
    about: About
    notes: tuple[str, ...] = ()


def verdict(
    capture: Capture,
    block: str,
    query: Query,
    *,
    head: Head = None,
    top: int = TOP,
    seeds: int = SEEDS,
    contents: int = CONTENTS,
    progress: Listener | None = None,
) -> Verdict:
    """Say what a map follows from, content, position, a sink or neither, and whether it matters.

    Args:
        capture: of the clip or text. Of one out of a file, which holds no network, less can be
            told; ``notes`` say what.
        block: its name.
        query: a place (frame, y, x), the name of a word or token, or a number on the grid.
        head: one head; by default the mean over heads, as in ``Affinity.map``.
        top: links that are cut at least.
        seeds: draws of as many other links.
        contents: other inputs, a forward pass each.
        progress: told how far it is.

    Raises:
        UnknownBlock: when there is no such block.
        OutsideClip: when the query is not in the clip.
        OutOfMemory: when the device's memory does not suffice.
    """
    affinity, model = capture.affinities[block], capture.model
    number = query_number(affinity, query)
    tell = Progress.of(progress)
    notes: list[str] = []
    if model is None:
        notes.append(
            "A saved capture holds no network: nothing can run again, so neither the position's "
            "part nor the effect is known. Load the network and the clip to know them."
        )
    origin = row_origin(
        capture, block, number, head=head, contents=contents,
        progress=tell.part(0.0, 0.4),
    )  # fmt: skip
    if model is not None and not origin.contents:
        notes.append(
            "There is no other input in which only the content differs, so content and position "
            "are not told apart."
        )
    effect = None
    if model is not None:
        try:
            effect = row_effect(
                capture, block, number, head=head, top=top, seeds=seeds,
                progress=tell.part(0.4, 0.9),
            )  # fmt: skip
        except NlvizError as error:
            notes.append(str(error))
        else:
            if effect is None:
                notes.append("The network gives no class scores, so there is no answer to change.")
    tell("Whether the block is alive", 0.9)
    return Verdict(
        source=source_of(origin),
        matters=matters_of(effect),
        block=block,
        query=query_said(affinity, number),
        number=number,
        head=head,
        origin=origin,
        effect=effect,
        health=block_health(model, capture, block),
        answer=capture.prediction(1)[0][0] if effect is not None else "",
        attention=_map(affinity, number, head),
        clip=capture.clip,
        about=capture.about,
        notes=tuple(notes),
    )


def _map(affinity: Affinity, number: int, head: Head) -> AttentionMap:
    at = number - affinity.queries.prefix
    if at >= 0:
        point = affinity.queries.centre(at)
        if affinity.queries.names and affinity.queries.kind == "line":
            return affinity.map(token=at, head=head)
        inside = point if affinity.clip_shape is None else _within(point, affinity.clip_shape)
        return affinity.map(frame=inside.frame, y=inside.y, x=inside.x, head=head)
    names = affinity.token_names
    name = names[number] if number < len(names) else ""
    line = affinity.queries.line
    if not name and line is not None and number < len(line.words):
        name = f"{number}:{line.words[number]}"
    return affinity.map(token=name or number, head=head)


def _within(point: Point, shape: Shape) -> Point:
    """Return the place of the clip next to a cell's middle, which may lie beyond its edge."""
    return Point(*(min(max(v, 0.0), n - 1.0) for v, n in zip(point, shape, strict=True)))


def source_of(origin: RowOrigin) -> Source:
    """Return what a row follows from, by the rules above.

    >>> source_of(RowOrigin(60, 3.0, 0.1, 0.2, 0.0, (), 0.1, 0.9, 0.2, 6))
    'position'
    """
    if origin.uniform >= NEAR_UNIFORM:
        return "near uniform"
    if origin.sink >= SINK:
        return "sink"
    if origin.shared is not None and origin.shared >= SAME:
        return "same"
    beyond = origin.beyond
    if beyond is None or math.isnan(beyond) or origin.own >= ITSELF:
        return "cannot be told"
    return "position" if beyond >= POSITION else "content"


def matters_of(effect: RowEffect | None) -> Matters:
    """Return whether the answer depends on where the query looks, by the rules above.

    >>> matters_of(RowEffect(3, 0.9, 20, 0.8, -2.0, (0.1, -0.02), -1.5, -1.0))
    'matters'
    >>> matters_of(None)
    'cannot be told'
    """
    if effect is None:
        return "cannot be told"
    if effect.largest < LEAST:
        return "does not matter"
    beats_chance = len(effect.random) > 0 and abs(effect.strong) > effect.chance
    return "matters" if abs(effect.strong) >= LEAST and beats_chance else "cannot be told"
