"""What every figure has around its pictures: title, colour bar, caption."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nlviz.render.frame_maps import colour_ramp
from nlviz.render.sheet import GREY, INK, MARGIN, RULE, Sheet
from nlviz.render.shown import Shown
from nlviz.render.text_drawing import missing_note, shortened, wrapped
from nlviz.render.word_colours import Paper, steps_of, word_colours

Pixels = npt.NDArray[np.uint8]
BESIDE = 56  # between the colour bar and the caption
QUERY_INK = (0, 122, 158)  # of what belongs to the query, on paper


@dataclass(frozen=True)
class Foot:
    """The caption beside the colour bar.

    Attributes:
        lines: of the caption.
        height: of both, in pixels.
    """

    lines: list[str]
    height: int


def head_height(drawn: Shown) -> int:
    """Return the height of the title and what stands above and below it."""
    return MARGIN + 46 + (36 if drawn.about else 0) + 16


def draw_head(sheet: Sheet, drawn: Shown, content: int) -> None:
    """Write the title, and what the model was trained for."""
    title = shortened(drawn.title, 34, content, bold=True)
    sheet.text((MARGIN, MARGIN + 32), title, 34, INK, bold=True)
    if drawn.about:
        about = shortened(drawn.about, 23, content)
        sheet.text((MARGIN, MARGIN + 72), about, 23, GREY)


def foot_of(drawn: Shown, notes: Sequence[str], names: Sequence[str], content: int) -> Foot:
    """Return the caption of a figure of this width between its margins.

    Args:
        drawn: what is drawn.
        notes: its sentences.
        names: what else is written in the figure.
        content: width between the margins.
    """
    whole = [*notes, missing_note([drawn.title, drawn.about, *notes, *names])]
    room = content - bar_width(content) - BESIDE
    lines = wrapped(" ".join(filter(None, whole)), 21, room)
    return Foot(lines, max(108, 31 * len(lines) + 14))


def draw_foot(
    sheet: Sheet, drawn: Shown, foot: Foot, content: int, top: float, paper: Paper | None = None
) -> None:
    """Draw colour bar and caption: colours as they look over a grey frame, or behind words."""
    scale = drawn.look.scale
    long = bar_width(content)
    sheet.text((MARGIN, top + 22), scale.title, 21, INK)
    box = (MARGIN, top + 36, MARGIN + long, top + 60)
    sheet.picture(colour_ramp(drawn.look, long, 24) if paper is None else _ramp(drawn, paper), box)
    if paper is not None:
        sheet.box(box, edge=RULE, line=1.5)
    low, high = scale.ends
    y = top + 86
    sheet.text((MARGIN, y), low, 21, INK)
    sheet.text((MARGIN + long, y), high, 21, INK, align="r")
    sheet.text((MARGIN + long / 2, y), scale.middle, 21, INK, align="m")
    for number, line in enumerate(foot.lines):
        sheet.text((MARGIN + long + BESIDE, top + 22 + 31 * number), line, 21, GREY)


def bar_width(content: int) -> int:
    """Return the width of the colour bar."""
    return min(round(0.4 * content), 600)


def _ramp(drawn: Shown, paper: Paper) -> Pixels:
    signed = drawn.look.scale.diverging
    shares = np.linspace(-1.0 if signed else 0.0, 1.0, 256, dtype=np.float32)
    ground, _ = word_colours(paper, signed=signed, strength=drawn.look.strength)
    ramp: Pixels = ground[steps_of(shares, signed=signed)][None].repeat(4, 0)
    return ramp
