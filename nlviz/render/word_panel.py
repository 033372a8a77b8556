"""The words beside a clip, below its film strip: how much of the row lies on each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nlviz.clips.text import prompt_of
from nlviz.render.sheet import Corner, Sheet
from nlviz.render.shown import Shown
from nlviz.render.text_layout import Laid, labels_of, laid_out
from nlviz.render.word_colours import film_paper, steps_of
from nlviz.render.word_marks import draw_words, query_number

INSET = 22  # between the edge of the panel and its words
SIZES = range(26, 12, -1)
TALL = 330  # of all lines, in pixels


@dataclass(frozen=True)
class Panel:
    """Words laid out below a film strip.

    Attributes:
        laid: the words.
        steps: the step of the colour scale of each.
        query: number of the word that is the query, or None.
        wide, height: of the panel in pixels.
    """

    laid: Laid
    steps: list[int]
    query: int | None
    wide: int
    height: int


def panel_of(drawn: Shown, wide: int) -> Panel | None:
    """Return the words beside the clip, laid out in this width; None where there are none."""
    attention = drawn.attention
    line, weights = attention.keys.line, attention.off_weights
    if line is None or weights is None or not line.words:
        return None
    labels = labels_of(line, prompt_of(drawn.clip))
    query = query_number(attention.token)
    laid = laid_out(labels, wide - 2 * INSET, sizes=SIZES, tall=TALL)
    scale = drawn.look.scale
    shares = scale.shares(np.asarray(weights, np.float32), 0)
    steps = steps_of(shares, signed=scale.diverging).tolist()
    height = round(laid.lines * laid.pitch + 2 * INSET - 0.4 * laid.size)
    return Panel(laid, steps, query, wide, height)


def draw_panel(sheet: Sheet, drawn: Shown, panel: Panel, corner: Corner) -> None:
    """Draw the words with their colours behind them, the query outlined."""
    paper = film_paper()
    left, top = corner
    sheet.box((left, top, left + panel.wide, top + panel.height), fill=paper.rgb, radius=6)
    tops = [top + INSET + n * panel.laid.pitch for n in range(panel.laid.lines)]
    at = (left + INSET, tops)
    draw_words(sheet, drawn.look, panel.laid, at, panel.steps, paper, query=panel.query)
