"""A text under its map, as one figure for a page of print: words, colours behind, arcs above."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nlviz.affinity.token_line import TokenLine
from nlviz.clips.text import Text
from nlviz.render.captions import notes_of
from nlviz.render.figure_frame import draw_foot, draw_head, foot_of, head_height
from nlviz.render.sheet import CONTENT, MARGIN, RULE, Sheet
from nlviz.render.shown import Shown
from nlviz.render.text_layout import Laid, labels_of, laid_out
from nlviz.render.word_colours import LIGHT, steps_of
from nlviz.render.word_marks import box_of, draw_arcs, draw_words, rise
from nlviz.sentences import listed
from nlviz.words.numbers import percent_text

SIZES = range(40, 12, -1)
TALL = 1400  # of all lines in pixels, where letters can be made small enough
MOST = 6000  # tokens that are shown; of more those around the query
INSET = 14


@dataclass(frozen=True)
class Page:
    """The tokens of a text that fit on a page, and how they look.

    Attributes:
        first: number of the first one shown.
        laid: all that are shown.
        steps: the step of the colour scale of each.
        hidden: numbers of those out of the query's reach.
        query: number of the query, or None where it is none of them.
        links: numbers of the strongest, and the weight of each as a share of the largest.
        note: what is not shown, or empty.
    """

    first: int
    laid: Laid
    steps: list[int]
    hidden: frozenset[int]
    query: int | None
    links: list[tuple[int, float]]
    note: str


def page_of(drawn: Shown, room: float, *, sizes: range = SIZES, tall: float = TALL) -> Page:
    """Lay the tokens of a map's keys out in lines of this width.

    Args:
        drawn: what is drawn; its keys are a line of tokens.
        room: width of the lines in pixels.
        sizes: of the letters, to be tried in this order.
        tall: height of all lines in pixels at most, unless the last size takes more.
    """
    attention, look = drawn.attention, drawn.look
    keys = attention.keys
    assert isinstance(keys, TokenLine)
    weights = attention.weights.ravel()
    n = len(weights)
    query = attention.own if attention.has_own and look.marked else None
    middle = int(np.argmax(weights)) if query is None else query
    first = min(max(middle - MOST // 2, 0), max(n - MOST, 0))
    end = min(first + MOST, n)
    labels = labels_of(keys, drawn.clip if isinstance(drawn.clip, Text) else None)[first:end]
    laid = laid_out(labels, room, sizes=sizes, tall=tall)
    shares = look.scale.shares(weights[first:end], 0)
    shares = shares if look.show_map else np.zeros_like(shares)
    steps = steps_of(shares, signed=look.scale.diverging).tolist()
    reach = attention.reachable
    hidden = frozenset(() if reach is None else np.flatnonzero(~reach.ravel()).tolist())
    own = () if query is None or attention.left_out else (query,)
    top = [k for k in attention.top(look.links, without=own) if k.weight > 0] if look.links else []
    links = [(k.index, k.weight / top[0].weight) for k in top if first <= k.index < end]
    note = ""
    if end - first < n:
        here = float(np.abs(weights[first:end]).sum() / max(np.abs(weights).sum(), 1e-30))
        note = (
            f"{end - first:,} of {n:,} tokens are shown, those around the query; "
            f"{percent_text(here)} of the weight lies on them."
        )
    return Page(first, laid, steps, hidden, query, links, note)


def sheet_of_text(drawn: Shown, *, below: Sheet | None = None) -> Sheet:
    """Lay out the figure: words with their colours, arcs to the strongest, bar and caption."""
    page = page_of(drawn, CONTENT - 2 * INSET)
    laid, size = page.laid, page.laid.size
    head = head_height(drawn)
    place = {word.index + page.first: word for word in laid.words}
    asked = None if page.query is None else place.get(page.query)
    left = MARGIN + INSET
    # Arcs over the query's line have room above it.
    flat = [n * laid.pitch for n in range(laid.lines)]
    room = 0.0
    if asked is not None:
        source = box_of(asked, laid, left, flat)
        inline = [place[i] for i, _ in page.links if place[i].line == asked.line]
        room = max((rise(source, box_of(w, laid, left, flat), size) for w in inline), default=0.0)
    lifted = laid.lines if asked is None else asked.line
    tops = [head + INSET + y + (room + 10 if n >= lifted else 0) for n, y in enumerate(flat)]
    bottom = tops[-1] + laid.pitch + INSET
    notes = [*drawn.notes, *notes_of(drawn, shown=1), page.note, _arcs_note(page)]
    foot = foot_of(drawn, notes, [word.label.text for word in laid.words], CONTENT)
    sheet = Sheet(CONTENT + 2 * MARGIN, round(bottom + 20 + foot.height + MARGIN // 2), below=below)
    draw_head(sheet, drawn, CONTENT)
    sheet.box((MARGIN, bottom + 4, MARGIN + CONTENT, bottom + 5.5), fill=RULE)
    if asked is not None and drawn.look.links:
        targets = [(box_of(place[i], laid, left, tops), share) for i, share in page.links]
        draw_arcs(sheet, box_of(asked, laid, left, tops), targets, size=size)
    draw_words(
        sheet,
        drawn.look,
        laid,
        (left, tops),
        page.steps,
        LIGHT,
        query=page.query,
        hidden=page.hidden,
        first=page.first,
    )
    draw_foot(sheet, drawn, foot, CONTENT, bottom + 22, LIGHT)
    return sheet


def _arcs_note(page: Page) -> str:
    if page.query is None or not page.links:
        return ""
    names = {word.index + page.first: word.label.text for word in page.laid.words}
    told = listed([f"“{names[i]}”" for i, _ in page.links[:3]], "and")
    if len(page.links) == 1:
        return f"Arc: to the strongest other, {told}."
    return f"Arcs: to the {len(page.links)} strongest others, first {told}."
