"""Values of figures in words."""

from __future__ import annotations

import math

from nlviz.sentences import fixed
from nlviz.surveys.figures import FIGURES


def value_text(name: str, value: float | None) -> str:
    """Return a value of a figure in its unit.

    >>> value_text("own_frame", 0.254), value_text("effective", 3.14159), value_text("seconds", 0.5)
    ('25 %', '3.1', '0.50 s')
    >>> value_text("features", -0.034), value_text("receipt", 2e-7), value_text("sink", None)
    ('-0.03', '0.0000002', 'not told')
    """
    if value is None or not math.isfinite(value):
        return "not told"
    unit = FIGURES[name].unit
    if unit == "share":
        percent = 100 * value
        return f"{fixed(percent, 0 if abs(percent) >= 9.95 or percent == 0 else 1)} %"
    if unit == "correlation":
        return fixed(value, 2)
    size = abs(value)
    if size == 0 and unit in ("change", "ratio"):
        return "0"
    if unit in ("change", "ratio") and 0 < size < 0.01:
        return f"{value:.{-math.floor(math.log10(size))}f}"
    number = fixed(value, 0 if size >= 99.5 else 1 if size >= 2 and unit != "seconds" else 2)
    return number + {"pixels": " px", "seconds": " s", "multiple": "×"}.get(unit, "")


def figure_text(name: str, value: float | None) -> str:
    """Return a figure's label and value.

    >>> figure_text("spread", 0.031)
    'spread 3.1 %'
    """
    label = FIGURES[name].label
    return f"{label[0].lower()}{label[1:]} {value_text(name, value)}"
