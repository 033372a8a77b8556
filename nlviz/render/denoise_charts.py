"""Charts of denoisers, as Plotly figures that take their ground and their ink from the page."""

from __future__ import annotations

import math
from typing import Any

import plotly.graph_objects as go

from nlviz.denoise.compared import Comparison
from nlviz.denoise.curves import EffectiveCurve, QualityCurve

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
        xaxis={"title": "PSNR (dB), longer is better", "rangemode": "tozero"},
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
    for index, result in enumerate(comparison.results.values()):
        found = result.tuned
        if found is None or not found.value > 0:
            continue
        points = [(v, db) for v, db in found.grid if v > 0 and math.isfinite(db)]
        figure.add_scatter(
            x=[v / found.value for v, _ in points],
            y=[db for _, db in points],
            customdata=[v for v, _ in points],
            name=result.label,
            mode="lines+markers",
            line_color=SERIES[index % len(SERIES)],
            hovertemplate=f"{result.label}, {found.parameter} = %{{customdata:.4g}}: "
            "%{y:.2f} dB<extra></extra>",
        )
    return _finished(figure, "strength, in multiples of the best", "PSNR (dB)", log=True)


def quality(curve: QualityCurve, labels: dict[str, str]) -> go.Figure:
    """Return PSNR over sigma, a line for each denoiser and one for the noisy picture.

    >>> import numpy as np
    >>> from nlviz.denoise.curves import psnr_over_sigma
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
    """Return the effective number of averaged pixels over h: the middle query and most of them.

    Args:
        curve: what was counted.
        h: the strength in use, which is marked.

    >>> import numpy as np
    >>> from nlviz.denoise.curves import effective_number_over_h
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
        name="four of five pixels",
        **plain,
    )
    figure.add_scatter(
        x=x,
        y=curve.median.tolist(),
        name="the middle one",
        mode="lines+markers",
        line_color=OTHER,
        hovertemplate="h = %{x:.3g}: %{y:.1f} pixels<extra></extra>",
    )
    if h is not None and h > 0:
        figure.add_vline(x=h, line_dash="dot", line_color=BEST, annotation_text=f"h = {h:.3g}")
    figure.add_hline(y=curve.pixels, line_dash="dot", line_color=NOISY)
    return _finished(figure, "h (grey levels)", "effective number of pixels", log=True)


def _finished(figure: go.Figure, x: str, y: str, *, log: bool = False) -> go.Figure:
    figure.update_layout(
        height=340,
        margin={"l": 4, "r": 4, "t": 8, "b": 4},
        xaxis={"title": x, "type": "log" if log else "linear"},
        yaxis={"title": y},
        legend={"orientation": "h", "yanchor": "top", "y": -0.22},
    )
    if log:
        figure.update_xaxes(dtick="D2")
    return figure
