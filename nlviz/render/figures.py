"""Charts of one row and one prediction, as Plotly figures without colours of their own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

Numbers = npt.NDArray[np.float64]


def mass_over_time(per_frame: Numbers, times: Numbers, *, own: int) -> go.Figure:
    """Return a bar chart of the mass in each frame, the query's own frame marked.

    Args:
        per_frame: (t,) mass of the row in each frame of the key grid; of a row minus the mean row
            what each frame gains or loses.
        times: (t,) seconds of those frames.
        own: index of the query's own frame.

    >>> figure = mass_over_time(np.array([0.25, 0.75]), np.array([0.0, 0.5]), own=1)
    >>> len(figure.data[0].x)
    2
    """
    labels = [f"{time:.2f} s" for time in times]
    line = [0.0 if i != own else 2.0 for i in range(len(labels))]
    figure = go.Figure(
        go.Bar(
            x=labels,
            y=per_frame,
            marker_line_width=line,
            marker_line_color="#0aa3c2",
            marker_color=["#d9481c" if mass >= 0 else "#3f7fd0" for mass in per_frame],
            hovertemplate="%{x}: %{y:.1%}<extra></extra>",
        )
    )
    figure.update_layout(
        height=230,
        margin={"l": 4, "r": 4, "t": 8, "b": 4},
        yaxis={"tickformat": "~%", "rangemode": "tozero"},
        xaxis={"type": "category"},
        bargap=0.25,
        showlegend=False,
    )
    return figure


def prediction(labels: Sequence[tuple[str, float]]) -> go.Figure:
    """Return a bar chart of labels with their probabilities, the most probable on top.

    >>> prediction([("cat", 0.8), ("dog", 0.1)]).data[0].y
    ('dog', 'cat')
    """
    names = tuple(name for name, _ in reversed(labels))
    shares = tuple(share for _, share in reversed(labels))
    figure = go.Figure(
        go.Bar(
            x=shares,
            y=names,
            orientation="h",
            marker_color="#7d8590",
            text=[f"{share:.0%}" for share in shares],
            textposition="auto",
            hovertemplate="%{y}: %{x:.1%}<extra></extra>",
        )
    )
    figure.update_layout(
        height=60 + 30 * len(names),
        margin={"l": 4, "r": 4, "t": 4, "b": 4},
        xaxis={"tickformat": ".0%", "range": [0, 1]},
        showlegend=False,
    )
    return figure
