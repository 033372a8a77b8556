"""Agreement is whole with itself, chance for what is unrelated, and compares the same cells."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.stats import spearmanr

from nlviz.affinity.attention_map import AttentionMap
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import Pairwise
from nlviz.analysis.agreement import agreement
from nlviz.analysis.attribution import Attribution
from nlviz.clips.clip import Clip
from nlviz.errors import NlvizError
from nlviz.render.attribution import attribution_overlay
from nlviz.render.film_strip import film_strip
from nlviz.words.attribution import agreement_lines, cost_text

CLIP = Clip.from_frames(np.full((3, 56, 88, 3), 128, np.uint8))
GRID = TokenGrid((3, 7, 11), (1, 8, 8), (0, 3.5, 3.5))


def smooth(seed: int, shape: tuple[int, int, int] = GRID.shape) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(shape)
    return gaussian_filter(noise, (1, 1.5, 1.5), mode="wrap").astype(np.float32)


def attributed(values: np.ndarray, grid: TokenGrid = GRID) -> Attribution:
    values = values.astype(np.float32)
    return Attribution("grad-cam", CLIP, "b", 1, "dog", 2.0, values, grid, 1, 0.1)


def mapped(values: np.ndarray, grid: TokenGrid = GRID, **options: object) -> AttentionMap:
    return AttentionMap(values.astype(np.float32), (0, 3.5, 3.5), grid, **options)


def test_a_map_agrees_wholly_with_itself_and_with_what_keeps_its_order() -> None:
    values = np.exp(smooth(0))
    for other in (attributed(values), mapped(values / values.sum()), mapped(values**3)):
        found = agreement(attributed(values), other)
        assert found.correlation == pytest.approx(1)
        assert found.overlap == 1
        assert found.reached == pytest.approx(1 / (found.shifts + 1))
        assert found.correlation > found.chance[1]
    assert (found.cells, found.shifts) == (231, 230)
    # An attribution that is low where the map is high.
    against = agreement(attributed(-values), mapped(values))
    assert against.correlation == pytest.approx(-1)
    assert against.overlap == 0


@pytest.mark.slow
def test_unrelated_smooth_maps_stay_within_chance() -> None:
    """Of 60 unrelated pairs about 5 % leave the middle 95 %; shuffling would reject far more."""
    outside = shuffled = 0
    rng = np.random.default_rng(7)
    for seed in range(60):
        a, b = smooth(seed), np.exp(smooth(1000 + seed))
        found = agreement(attributed(a), mapped(b))
        outside += not found.chance[0] <= found.correlation <= found.chance[1]
        null = [spearmanr(rng.permutation(a.ravel()), b.ravel()).statistic for _ in range(40)]
        shuffled += abs(found.correlation) > np.quantile(np.abs(null), 0.95)
    assert outside <= 8
    assert shuffled >= 20
    assert abs(found.overlap_chance - 0.1) < 0.03


def test_the_correlation_is_spearmans_ties_included() -> None:
    a, b = smooth(1).round(1), np.exp(smooth(2)).round(1)
    found = agreement(attributed(a), mapped(b))
    assert found.correlation == pytest.approx(spearmanr(a.ravel(), b.ravel()).statistic, abs=1e-9)
    k = found.k
    same = set(np.argsort(-a.ravel(), kind="stable")[:k]) & set(
        np.argsort(-b.ravel(), kind="stable")[:k]
    )
    assert found.overlap == len(same) / k
    flat = agreement(attributed(np.ones(GRID.shape)), mapped(b))
    assert (flat.correlation, flat.chance) == (0, (0, 0))


def test_cells_out_of_reach_are_not_compared() -> None:
    reach = np.ones(GRID.shape, bool)
    reach[1] = False
    a, b = smooth(3), np.exp(smooth(4))
    hidden = b.copy()
    hidden[1] = 0
    found = agreement(attributed(a), mapped(hidden, reachable=reach))
    want = spearmanr(a[reach], b[reach]).statistic
    assert found.cells == reach.sum()
    assert found.correlation == pytest.approx(want, abs=1e-9)


def test_maps_of_two_grids_meet_on_the_coarser() -> None:
    pooled = GRID.pooled((1, 2, 2))
    assert pooled.shape == (3, 3, 5)
    fine, coarse = smooth(5), np.exp(smooth(6, pooled.shape))
    # The last odd row and column of the fine grid belong to the outermost coarse cells.
    rows, columns = [0, 2, 4, 7], [0, 2, 4, 6, 8, 11]
    means = np.array(
        [
            [
                [
                    fine[t, rows[y] : rows[y + 1], columns[x] : columns[x + 1]].mean()
                    for x in range(5)
                ]
                for y in range(3)
            ]
            for t in range(3)
        ]
    )
    found = agreement(attributed(fine), mapped(coarse, pooled))
    assert found.cells == 45
    assert found.correlation == pytest.approx(spearmanr(means.ravel(), coarse.ravel()).statistic)
    turned = agreement(attributed(coarse, pooled), mapped(np.exp(fine)))
    assert turned.cells == 45


def test_of_an_affinity_the_mean_row_is_taken() -> None:
    torch.manual_seed(0)
    theta, phi = torch.randn(2, 231, 6), torch.randn(2, 232, 6)
    keys = TokenGrid(GRID.shape, GRID.stride, GRID.origin, prefix=1)
    pairwise = Pairwise("dot_product")
    affinity = EmbeddedAffinity("b", pairwise, theta, phi, GRID, keys)
    mean = (theta @ phi.mT / 232).abs().mean((0, 1))[1:].reshape(GRID.shape)
    a = attributed(smooth(8))
    by_map = agreement(a, mapped(mean.numpy()))
    found = agreement(a, affinity)
    assert found.correlation == pytest.approx(by_map.correlation, abs=1e-6)


def test_too_few_cells_are_refused() -> None:
    grid = TokenGrid((1, 1, 3))
    with pytest.raises(NlvizError, match="at least 4 cells"):
        agreement(attributed(np.ones(grid.shape), grid), mapped(np.ones(grid.shape), grid))


def test_the_strip_marks_no_query_and_says_what_it_shows() -> None:
    values = smooth(9)
    signed = attribution_overlay(attributed(values))
    assert signed.look.scale.diverging
    assert signed.look.scale.title == "Grad-CAM, no unit"
    assert signed.title == "frames · Grad-CAM for dog at what enters b"
    positive = attribution_overlay(attributed(np.abs(values)))
    assert positive.look.scale.ends[0] == "0"
    # Nothing has the colour of a query's mark, and the cell at (0, 0, 0) is coloured like others.
    constant = attribution_overlay(attributed(np.ones(GRID.shape)))
    assert len(np.unique(constant.frames.reshape(-1, 3), axis=0)) == 1
    strip = np.asarray(film_strip(constant))
    assert not (strip == (0, 122, 158)).all(-1).any()


def test_the_words_follow_the_numbers() -> None:
    values = np.exp(smooth(0))
    lines = agreement_lines(agreement(attributed(values), mapped(values)), of="the mean map")
    assert lines[0].value == "1.00" and "more than by chance" in lines[0].meaning
    lines = agreement_lines(agreement(attributed(smooth(1)), mapped(values)), of="the mean map")
    assert "No more agreement than by chance" in lines[0].meaning
    assert cost_text(attributed(values)) == "1 pass through the network, 0.1 s"
