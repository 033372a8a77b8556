"""Small charts as HTML: every value is drawn, and said."""

from __future__ import annotations

import re

import pytest

from app.shared.bars import HIGH, LABELLED, columns_html, shares_html


@pytest.mark.parametrize("values", [[0.1, 0.4, 0.5], [0.02, -0.05, 0.03], [-0.1, -0.2], [0.0]])
def test_columns_are_as_high_as_their_values(values: list[float]) -> None:
    labels = [f"{n}.00 s" for n in range(len(values))]
    texts = [f"{100 * value:+.0f} %" for value in values]
    html = columns_html(values, labels, texts, own=0, about="Weight by frame.")
    highs = [float(high) for high in re.findall(r"top:-?[\d.]+px;height:([\d.]+)px", html)]
    span = max([0.0, *values]) - min([0.0, *values])
    for high, value in zip(highs, values, strict=True):
        assert high == pytest.approx(max(abs(value) / (span or 1) * HIGH, 1), abs=0.06)
    for label, text in zip(labels, texts, strict=True):
        assert f"{label} {text}" in html
    assert html.count("outline:") == 1  # the own frame


def test_many_columns_are_not_all_labelled() -> None:
    labels = [f"label{n}" for n in range(37)]
    html = columns_html([1 / 37] * 37, labels, ["3 %"] * 37, own=5, about="Weight by frame.")
    shown = [label for label in labels if f">{label}<" in html]
    assert "label5" in shown
    assert len(shown) <= LABELLED + 1


def test_names_are_shown_as_text() -> None:
    html = shares_html([("<b>cat</b> & dog", 0.625), ("fish", 0.1)], about="Answers")
    assert "&lt;b&gt;cat&lt;/b&gt; &amp; dog" in html
    assert "width:62.5%" in html
