"""Deletion, insertion and the ordering test as Plotly figures without colours of their own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from nlviz.analysis.compared_maps import BY_CHANCE, OWN
from nlviz.analysis.deletion import Deletion
from nlviz.analysis.ordering import Ordering
from nlviz.render.charts import SERIES
from nlviz.sentences import fixed
from nlviz.words.deletion import MAP_NAMES, measured

OWN_COLOUR, GREY = "#d9481c", "#7d8590"
COLOURS = {OWN: OWN_COLOUR, "random": GREY, "shifted": "#c99a1c"}
_MARGIN = {"l": 4, "r": 4, "t": 30, "b": 4}


def colour_of(name: str) -> str:
    """Return the colour of a map's curve, the same on the page and in files."""
    others = [n for n in MAP_NAMES if n not in COLOURS]
    left = [c for c in SERIES if c not in COLOURS.values()]
    return COLOURS.get(name) or left[others.index(name) % len(left)]


def removal_curves(found: Deletion, kind: str) -> go.Figure:
    """Return the curves of ``deletion`` or ``insertion``; those of drawn maps as a band.

    >>> from types import SimpleNamespace
    >>> from nlviz.analysis.compared_maps import ComparedMap
    >>> from nlviz.analysis.deletion import Curve
    >>> line, shares = np.array([0.9, 0.4, 0.1]), np.array([0, 0.5, 1])
    >>> curve = Curve(ComparedMap("map", np.zeros((1, 1, 4))), shares, line, line[::-1])
    >>> found = SimpleNamespace(names=("map",), of_map=lambda n: (curve,), of="output", label="")
    >>> removal_curves(found, "deletion").data[0].y
    array([0.9, 0.4, 0.1])
    """
    figure = go.Figure()
    for name in found.names:
        curves = found.of_map(name)
        lines = np.stack([getattr(curve, kind) for curve in curves])
        shares, colour = curves[0].shares, colour_of(name)
        if name in BY_CHANCE:
            figure.add_trace(_band(shares, lines, colour))
        figure.add_trace(
            go.Scatter(
                x=shares,
                y=lines.mean(0),
                name=MAP_NAMES[name] + (f", mean of {len(curves)}" if name in BY_CHANCE else ""),
                mode="lines+markers",
                line={"color": colour, "width": 3.5 if name == OWN else 1.8},
                marker={"size": 6 if name == OWN else 4},
                hovertemplate="%{x:.0%} of the cells: %{y:.3f}",
            )
        )
    out = "taken out" if kind == "deletion" else "put back"
    figure.update_layout(
        height=270 + 20 * len(found.names),
        margin={**_MARGIN, "t": 52},
        title={
            "text": f"{kind.capitalize()}: {measured(found.of, found.label)}"
            f"<br><sup>as cells are {out}</sup>",
            "font_size": 14,
        },
        xaxis={"tickformat": ".0%"},
        yaxis={"rangemode": "tozero"},
        legend={"orientation": "v", "y": -0.12, "yanchor": "top", "x": 0, "xanchor": "left"},
    )
    return figure


def _band(shares: np.ndarray, lines: np.ndarray, colour: str) -> go.Scatter:
    """Return the band between the lowest and the highest of drawn curves."""
    return go.Scatter(
        x=np.concatenate([shares, shares[::-1]]),
        y=np.concatenate([lines.max(0), lines.min(0)[::-1]]),
        fill="toself",
        fillcolor=colour,
        opacity=0.18,
        line={"width": 0},
        hoverinfo="skip",
        showlegend=False,
    )


def order_bars(found: Ordering) -> go.Figure:
    """Return F of each map as a bar, of drawn maps with the interval of 95 of 100 more."""
    rows = list(reversed(found.table))
    names = [MAP_NAMES[row["map"]] for row in rows]
    off: Sequence[float | None] = [
        None if row["high"] is None else row["high"] - row["coefficient"] for row in rows
    ]
    figure = go.Figure(
        go.Bar(
            x=[row["coefficient"] for row in rows],
            y=names,
            orientation="h",
            marker_color=[colour_of(row["map"]) for row in rows],
            error_x={"type": "data", "array": off, "thickness": 1.2},
            text=[fixed(row["coefficient"], 2) for row in rows],
            textposition="inside",
            hovertemplate="%{y}: %{x:.2f}<extra></extra>",
        )
    )
    figure.update_layout(
        height=70 + 28 * len(rows),
        margin={**_MARGIN, "t": 4},
        xaxis={"title": "F, from -1 to 1", "range": [-1.05, 1.05], "zeroline": True},
        showlegend=False,
    )
    return figure
