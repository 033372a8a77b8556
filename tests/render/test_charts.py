"""Axes that can be read: round steps on logarithms, and a beginning that shows differences."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nlviz.denoise import compare
from nlviz.denoise.comparison.curves import EffectiveCurve, effective_number_over_h
from nlviz.render.charts import averaged, decibels, grids


@pytest.fixture(scope="module")
def curve() -> EffectiveCurve:
    noisy = np.random.default_rng(3).normal(100, 12, (22, 34))
    return effective_number_over_h(noisy, sigma=12, window=5, queries=3)


@pytest.mark.parametrize("h", [0.4, 15.0, 130.0])
def test_the_strength_in_use_is_marked_where_it_is(curve: EffectiveCurve, h: float) -> None:
    figure = averaged(curve, h=h)
    (note,) = figure.layout.annotations
    assert note.text == f"h = {h:.3g}"
    assert note.x == pytest.approx(math.log10(h))  # so takes an axis of logarithms its places
    ticks = figure.layout.xaxis.tickvals
    assert ticks[0] <= min(*curve.h, h) and max(*curve.h, h) <= ticks[-1]
    assert max(ticks) < 10 * max(*curve.h, h)


def test_steps_below_one_are_labelled_with_their_value() -> None:
    ramp = np.tile(np.arange(0, 240, 8, dtype=np.uint8), (24, 1))
    axis = grids(compare(ramp, denoisers=["gaussian"], fair=True)).layout.xaxis
    assert [float(text) for text in axis.ticktext] == pytest.approx(list(axis.tickvals))
    assert any("." in text for text in axis.ticktext)


def test_bars_of_decibels_begin_near_the_least() -> None:
    picture = np.tile(np.arange(0, 240, 8, dtype=np.uint8), (24, 1))
    figure = decibels(compare(picture, denoisers=["mean", "gaussian"]))
    values = list(figure.data[0].x)
    begin, end = figure.layout.xaxis.range
    assert 0 < begin < min(values) < max(values) < end
    assert min(values) - begin < 2 + 0.5 * (max(values) - min(values))
    assert f"begins at {begin:.0f} dB" in figure.layout.xaxis.title.text
