"""Figures for print: a film strip, a text, or a graph, whichever the keys are."""

from __future__ import annotations

from nlviz.render import film_strip, graph_figure, text_figure
from nlviz.render.sheet import Sheet, Vector
from nlviz.render.shown import Shown


def png(drawn: Shown, *, metadata: str | None = None) -> bytes:
    """Return the figure as a PNG file.

    Args:
        drawn: what to draw.
        metadata: JSON of the view, kept in the file as its text ``nlviz.view``.
    """
    return sheet_of(drawn).png(key="nlviz.view", metadata=metadata)


def vector(drawn: Shown, kind: Vector, *, metadata: str | None = None) -> bytes:
    """Return the figure as a ``pdf`` or ``svg`` file: pictures as pixels, the rest as vectors.

    Args:
        drawn: what to draw.
        kind: of the file.
        metadata: JSON of the view, kept in the file as its subject or description.
    """
    return sheet_of(drawn).vector(kind, title=drawn.title, metadata=metadata)


def sheet_of(drawn: Shown, *, below: Sheet | None = None) -> Sheet:
    """Lay out the figure.

    Args:
        drawn: what to draw.
        below: a page that the figure is added to, at its lower end.
    """
    kind = drawn.attention.keys.kind
    if kind == "line":
        return text_figure.sheet_of_text(drawn, below=below)
    if kind == "nodes":
        return graph_figure.sheet_of_graph(drawn, below=below)
    return film_strip.sheet_of(drawn, below=below)
