"""Intervals over clips: how often the truth lies inside, against SciPy, and odd columns."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from scipy import special, stats

from nlviz.surveys.report import bootstrap
from nlviz.surveys.report.bootstrap import FEW, MANY, difference_of, intervals
from nlviz.surveys.report.student import quantile, two_sided

Draw = Callable[[np.random.Generator, tuple[int, int]], npt.NDArray[np.float64]]
SKEWED: dict[str, tuple[Draw, float]] = {
    "few have much": (lambda r, s: r.beta(0.5, 3, s), 0.5 / 3.5),
    "most have little": (lambda r, s: r.beta(1, 9, s), 0.1),
    "most have nearly all": (lambda r, s: r.beta(6, 1, s), 6 / 7),
    "one in five has any": (lambda r, s: r.beta(5, 2, s) * (r.random(s) < 0.2), 1 / 7),
    "in the middle": (lambda r, s: r.beta(4, 5, s), 4 / 9),
}


def covered(draw: Draw, truth: float, clips: int, columns: int = 100, seeds: int = 20) -> float:
    inside = []
    for seed in range(seeds):
        rng = np.random.default_rng([clips, seed])
        found = intervals(draw(rng, (clips, columns)), seed)
        inside.append((found.low <= truth) & (truth <= found.high))
    return float(np.mean(inside))


@pytest.mark.slow
@pytest.mark.parametrize("clips", [30, 200])
@pytest.mark.parametrize("kind", SKEWED)
def test_the_truth_lies_in_95_of_100_intervals(kind: str, clips: int) -> None:
    assert 0.93 <= covered(*SKEWED[kind], clips) <= 0.97


def test_plain_percentiles_would_miss_the_truth_more_often() -> None:
    """Why intervals are no plain percentiles: of 30 skewed shares these hold it too seldom."""
    draw, truth = SKEWED["few have much"]
    plain, mine = [], []
    for seed in range(20):
        shares = draw(np.random.default_rng([30, seed]), (30, 100))
        away = bootstrap.resampled(shares - shares.mean(0), np.ones(shares.shape, bool), seed)
        low, high = np.quantile(away + shares.mean(0), [0.025, 0.975], 0)
        plain.append((low <= truth) & (truth <= high))
        found = intervals(shares, seed)
        mine.append((found.low <= truth) & (truth <= found.high))
    assert np.mean(plain) < 0.93 < 0.935 < np.mean(mine)


def test_the_difference_of_two_surveys_is_covered() -> None:
    rng = np.random.default_rng(2)
    first, second = rng.beta(0.5, 3, (40, 900)), rng.beta(1, 9, (70, 900))
    found = difference_of(first, second, 1)
    inside = (found.low <= 0.1 - 0.5 / 3.5) & (0.1 - 0.5 / 3.5 <= found.high)
    assert 0.93 <= float(inside.mean()) <= 0.97


def test_bca_is_that_of_scipy() -> None:
    """SciPy does not widen intervals of few clips; 200 need little of it."""
    values = np.random.default_rng(0).gamma(0.7, 1, (200, 1))
    mine = intervals(values, 0, draws=9000)
    theirs = stats.bootstrap(
        (values[:, 0],), np.mean, n_resamples=9000, method="BCa", rng=np.random.default_rng(1)
    ).confidence_interval
    width = theirs.high - theirs.low
    assert abs(mine.low[0] - theirs.low) < 0.04 * width
    assert abs(mine.high[0] - theirs.high) < 0.04 * width


def test_many_clips_need_no_draws_and_say_the_same() -> None:
    values = np.random.default_rng(0).beta(1, 9, (MANY + 3, 7))
    plain, drawn = intervals(values, 0), intervals(values[:MANY], 0)
    width = plain.high - plain.low
    assert np.abs(drawn.high - drawn.low - width).max() < 0.12 * width.max()
    two, again = (
        difference_of(values, values[:900], 0),
        difference_of(values[:MANY], values[:900], 0),
    )
    assert np.allclose(two.high - two.low, again.high - again.low, rtol=0.12)


def test_odd_columns() -> None:
    rng = np.random.default_rng(0)
    values = rng.random((41, 6)).astype(np.float32)
    values[:, 0] = 0.7  # all alike
    values[:, 1] = np.nan
    values[FEW - 1 :, 2] = np.nan  # too few
    values[FEW:, 3] = np.nan  # just enough
    values[::2, 4] = np.nan
    found = intervals(values, 3)
    assert found.clips.tolist() == [41, 0, FEW - 1, FEW, 20, 41]
    assert found.low[0] == found.mean[0] == found.high[0] == pytest.approx(0.7)
    assert np.isnan(found.mean[1]) and np.isnan(found.low[1])
    assert np.isfinite(found.mean[2]) and np.isnan(found.low[2]) and np.isnan(found.high[2])
    assert found.low[3] < found.mean[3] < found.high[3]
    alone = intervals(values[1::2, 4:5], 3)
    assert found.mean[4] == pytest.approx(alone.mean[0])
    assert found.high[4] - found.low[4] == pytest.approx(alone.high[0] - alone.low[0], rel=0.15)


def test_it_is_the_same_again_and_other_seeds_differ_little() -> None:
    values = np.random.default_rng(0).random((60, 3))
    one, two, other = intervals(values, 1), intervals(values, 1), intervals(values, 2)
    assert np.array_equal(one.low, two.low) and not np.array_equal(one.low, other.low)
    assert np.allclose(one.low, other.low, atol=0.02)


def test_students_t_is_that_of_scipy() -> None:
    rng = np.random.default_rng(0)
    t, df = (
        rng.standard_normal(500) * 10.0 ** rng.uniform(-3, 2, 500),
        10.0 ** rng.uniform(0, 5, 500),
    )
    expected = 2 * special.stdtr(df, -np.abs(t))
    assert np.allclose(two_sided(t, df), expected, rtol=1e-6, atol=1e-290)
    assert two_sided([np.inf, np.nan], 5)[0] == 0 and np.isnan(two_sided([np.inf, np.nan], 5)[1])
    ends = np.array([1, 2, 9, 28, 199, 40_000])
    assert np.allclose(quantile(0.975, ends), special.stdtrit(ends, 0.975), rtol=1e-7)
