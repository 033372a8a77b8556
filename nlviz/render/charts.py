"""Charts of one row and one prediction, as Plotly figures without colours of their own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from nlviz.denoise.comparison.curves import EffectiveCurve, QualityCurve
from nlviz.denoise.comparison.results import Comparison
from nlviz.sentences import fixed, times_text

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
    labels = times_text([float(time) for time in times])
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
            text=[f"{fixed(100 * share, 0)} %" for share in shares],
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


BEST, OTHER, NOISY = "#d9481c", "#3f7fd0", "#7d8590"
# Told apart by people who see few colours too, on light and dark ground.
SERIES = (
    "#7d8590",
    "#c99a1c",
    "#2f9e78",
    "#3f7fd0",
    "#9b6fd0",
    "#d9481c",
    "#c7549b",
    "#0aa3c2",
    "#8a6a4a",
    "#5f8f1f",
)


def decibels(comparison: Comparison) -> go.Figure:
    """Return a bar chart of PSNR, best on top, with the noisy picture below.

    >>> import numpy as np
    >>> from nlviz.denoise import compare
    >>> ramp = np.tile(np.arange(0, 240, 8, dtype=np.uint8), (24, 1))
    >>> decibels(compare(ramp, denoisers=["mean"])).data[0].y
    ('Noisy', 'Mean filter')
    """
    best = comparison.best("psnr")
    rows = [
        (result.psnr, result.label, BEST if name == best else OTHER)
        for name, result in comparison.results.items()
        if result.psnr is not None and math.isfinite(result.psnr)
    ]
    if comparison.psnr is not None and math.isfinite(comparison.psnr):
        rows.append((comparison.psnr, "Noisy", NOISY))
    rows.sort()
    # What denoisers differ by is small against the whole: the axis begins below the least of them.
    values = [row[0] for row in rows] or [0.0]
    begin = max(0.0, math.floor(min(values) - 0.15 * (max(values) - min(values)) - 0.5))
    figure = go.Figure(
        go.Bar(
            x=[row[0] for row in rows],
            y=[row[1] for row in rows],
            orientation="h",
            marker_color=[row[2] for row in rows],
            text=[f"{row[0]:.2f} dB" for row in rows],
            textposition="auto",
            hovertemplate="%{y}: %{x:.2f} dB<extra></extra>",
        )
    )
    figure.update_layout(
        height=56 + 30 * len(rows),
        margin={"l": 4, "r": 4, "t": 4, "b": 4},
        xaxis={
            "title": f"PSNR (dB), higher is better; the axis begins at {begin:.0f} dB",
            "range": [begin, max(values) + 0.08 * (max(values) - begin)],
        },
        showlegend=False,
    )
    return figure


def grids(comparison: Comparison) -> go.Figure:
    """Return PSNR over the strength of each denoiser, as a multiple of its oracle's.

    >>> import numpy as np
    >>> from nlviz.denoise import compare
    >>> ramp = np.tile(np.arange(0, 240, 8, dtype=np.uint8), (24, 1))
    >>> len(grids(compare(ramp, denoisers=["gaussian"], fair=True)).data)
    1
    """
    figure = go.Figure()
    reached: list[float] = []
    for index, result in enumerate(comparison.results.values()):
        found = result.tuned
        if found is None or not found.value > 0:
            continue
        points = [(v, db) for v, db in found.grid if v > 0 and math.isfinite(db)]
        figure.add_scatter(
            x=(multiples := [v / found.value for v, _ in points]),
            y=[db for _, db in points],
            customdata=[v for v, _ in points],
            name=result.label,
            mode="lines+markers",
            line_color=SERIES[index % len(SERIES)],
            hovertemplate=f"{result.label}, {found.parameter} = %{{customdata:.4g}}: "
            "%{y:.2f} dB<extra></extra>",
        )
        reached += multiples
    return _finished(figure, "strength, in multiples of the best", "PSNR (dB)", log=reached)


def quality(curve: QualityCurve, labels: dict[str, str]) -> go.Figure:
    """Return PSNR over sigma, a line for each denoiser and one for the noisy picture.

    >>> import numpy as np
    >>> from nlviz.denoise.comparison.curves import psnr_over_sigma
    >>> ramp = np.tile(np.arange(0, 240, 8, dtype=np.uint8), (24, 1))
    >>> len(quality(psnr_over_sigma(ramp, sigmas=[5], denoisers=["mean"]), {}).data)
    2
    """
    figure = go.Figure()
    for index, (name, values) in enumerate(curve.psnr.items()):
        label = labels.get(name, name)
        figure.add_scatter(
            x=curve.sigmas.tolist(),
            y=values.tolist(),
            name=label,
            mode="lines+markers",
            line_color=SERIES[index % len(SERIES)],
            hovertemplate=f"{label}, sigma %{{x:g}}: %{{y:.2f}} dB<extra></extra>",
        )
    figure.add_scatter(
        x=curve.sigmas.tolist(),
        y=curve.noisy.tolist(),
        name="Noisy",
        mode="lines",
        line={"color": NOISY, "dash": "dot"},
        hovertemplate="Noisy, sigma %{x:g}: %{y:.2f} dB<extra></extra>",
    )
    return _finished(figure, "sigma of the noise (grey levels)", "PSNR (dB)")


def averaged(curve: EffectiveCurve, *, h: float | None = None) -> go.Figure:
    """Return the effective number of averaged pixels over h: the median and the middle 80 %.

    Args:
        curve: what was counted.
        h: the strength in use, which is marked.

    >>> import numpy as np
    >>> from nlviz.denoise.comparison.curves import effective_number_over_h
    >>> noisy = np.random.default_rng(0).normal(100, 10, (24, 32))
    >>> len(averaged(effective_number_over_h(noisy, sigma=10, window=5, queries=3)).data)
    3
    """
    x = curve.h.tolist()
    plain: dict[str, Any] = {"mode": "lines", "line_width": 0, "hoverinfo": "skip"}
    figure = go.Figure()
    figure.add_scatter(x=x, y=curve.quantile(0.1).tolist(), showlegend=False, **plain)
    figure.add_scatter(
        x=x,
        y=curve.quantile(0.9).tolist(),
        fill="tonexty",
        fillcolor="rgba(63,127,208,.25)",
        name="middle 80 % of pixels",
        **plain,
    )
    figure.add_scatter(
        x=x,
        y=curve.median.tolist(),
        name="median",
        mode="lines+markers",
        line_color=OTHER,
        hovertemplate="h = %{x:.3g}: %{y:.1f} pixels<extra></extra>",
    )
    if h is not None and h > 0:
        figure.add_vline(x=h, line_dash="dot", line_color=BEST)
        # An annotation on an axis of logarithms takes the logarithm.
        figure.add_annotation(
            x=math.log10(h), y=1, yref="paper", text=f"h = {h:.3g}", showarrow=False, xanchor="left"
        )
    figure.add_hline(y=curve.pixels, line_dash="dot", line_color=NOISY)
    return _finished(figure, "h (grey levels)", "pixels that share the weight", log=[*x, h or x[0]])


def _finished(figure: go.Figure, x: str, y: str, *, log: Sequence[float] = ()) -> go.Figure:
    """Return a figure with its axes; ``log`` are the values along a logarithmic one."""
    figure.update_layout(
        height=340,
        margin={"l": 4, "r": 4, "t": 8, "b": 4},
        xaxis={"title": x, "type": "log" if log else "linear"},
        yaxis={"title": y},
        legend={"orientation": "h", "yanchor": "top", "y": -0.22},
    )
    if log:
        # Ticks of Plotly's own are digits alone between powers of ten: 5 for 0.5.
        ticks = _round_steps(min(log), max(log))
        figure.update_xaxes(tickvals=ticks, ticktext=[f"{tick:g}" for tick in ticks])
    return figure


def _round_steps(least: float, most: float) -> list[float]:
    """Return 1, 2 and 5 times powers of ten from below the least to above the most value.

    >>> _round_steps(0.3, 4)
    [0.2, 0.5, 1.0, 2.0, 5.0]
    """
    powers = range(math.floor(math.log10(least)) - 1, math.ceil(math.log10(most)) + 2)
    steps = [float(f"{digit}e{power}") for power in powers for digit in (1, 2, 5)]
    first = max(i for i, step in enumerate(steps) if step <= least)
    last = min(i for i, step in enumerate(steps) if step >= most)
    return steps[first : last + 1]
