"""Two rows on the same cells: measures by their definitions, beside distance and chance."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.patches import PatchAffinity, patch_affinity
from nlviz.affinity.support import Support, Window
from nlviz.analysis.common_ground import common_ground
from nlviz.errors import NlvizError, OutsideClip

SHAPE = (3, 22, 34)
AT = {"frame": 1, "y": 10, "x": 19}


def pixels(seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).normal(110, 30, (*SHAPE, 2))


def patches(seed: int = 3, h: float = 40.0, **options: int) -> PatchAffinity:
    return patch_affinity(
        pixels(seed), clip_shape=SHAPE, h=h, step=1, **{"patch": 3, "window": 9} | options
    )


def cells(seed: int = 5, heads: int = 2, **support: object) -> EmbeddedAffinity:
    """A learned affinity between cells of 1 x 2 x 2 pixels."""
    rng = np.random.default_rng(seed)
    grid = TokenGrid((3, 11, 17), (1.0, 2.0, 2.0), (0.0, 0.5, 0.5))
    theta, phi = (
        torch.from_numpy(rng.normal(size=(heads, grid.size, 7)).astype(np.float32)) for _ in "ab"
    )
    return EmbeddedAffinity(
        "cells", Pairwise("embedded_gaussian", 0.6), theta, phi, grid, grid, Support(**support)
    )


def test_measures_follow_their_definitions() -> None:
    """A pixel window laid on cells, cell by cell, by a plain loop."""
    one, other = patches(window=9, frames=1), cells()
    found = common_ground(one, other, **AT, k=6)
    a, b = one.map(**AT), other.map(**AT)
    means: dict[tuple[int, int], list[float]] = {}
    for y in range(22):
        for x in range(34):
            if abs(y - 10) <= 4 and abs(x - 19) <= 4:
                means.setdefault((y // 2, x // 2), []).append(float(a.weights[1, y, x]))
    places = sorted(means)
    p = np.array([np.mean(means[place]) for place in places])
    q = np.array([b.weights[1, y, x] for y, x in places], np.float64)
    p, q = p / p.sum(), q / q.sum()
    assert (found.cells, found.cell, found.k) == (25, (1.0, 2.0, 2.0), 6)
    assert found.correlation.value == pytest.approx(spearmanr(p, q).statistic, abs=1e-6)
    top = set(np.argsort(-p)[:6]) & set(np.argsort(-q)[:6])
    assert found.overlap.value == pytest.approx(len(top) / 6)
    assert found.mass.value == pytest.approx(np.minimum(p, q).sum(), abs=1e-6)
    assert found.kept == pytest.approx((1, sum(b.weights[1, y, x] for y, x in places)), abs=1e-6)
    for row, effective in zip((p, q), found.effective, strict=True):
        assert effective == pytest.approx(np.exp(-(row * np.log(row)).sum()), rel=1e-5)


def test_order_does_not_matter_to_the_values_nor_to_distance() -> None:
    one, other = patches(frames=3), cells()
    forth, back = common_ground(one, other, **AT), common_ground(other, one, **AT)
    for a, b in zip(forth.table, back.table, strict=True):
        assert a["measure"] == b["measure"]
        assert a["value"] == pytest.approx(b["value"], abs=1e-9)
        assert a["distance"] == pytest.approx(b["distance"], abs=1e-9)
    assert forth.kept == back.kept[::-1]


def test_an_affinity_agrees_wholly_with_itself() -> None:
    found = common_ground(patches(), patches(), **AT)
    assert found.correlation.value == pytest.approx(1)
    assert found.overlap.value == pytest.approx(1)
    assert found.mass.value == pytest.approx(1)
    assert (found.cells, found.k, found.shifts) == (243, 24, 242)
    for measured in (found.correlation, found.overlap, found.mass):
        assert measured.low <= measured.chance <= measured.high < measured.value
        assert measured.distance < measured.value


def test_chance_is_the_mean_over_all_shifts_of_the_common_box() -> None:
    """At a corner the window is cut off; 5 x 5 keys and 24 shifts remain."""
    one, other = patches(frames=1), patches(seed=8, h=25.0, frames=1)
    found = common_ground(one, other, frame=2, y=0, x=0)
    p, q = (a.map(frame=2, y=0, x=0).weights[2, :5, :5].astype(np.float64) for a in (one, other))
    p, q = p / p.sum(), q / q.sum()
    shifted = [np.roll(p, (b, c), (0, 1)) for b in range(5) for c in range(5)][1:]
    mass = [np.minimum(s, q).sum() for s in shifted]
    ranked = [spearmanr(s.ravel(), q.ravel()).statistic for s in shifted]
    assert found.shifts == 24
    assert found.mass.chance == pytest.approx(np.mean(mass), abs=1e-6)
    assert found.mass.high == pytest.approx(np.quantile(mass, 0.975), abs=1e-6)
    assert found.correlation.low == pytest.approx(np.quantile(ranked, 0.025), abs=1e-6)


def test_distance_alone_explains_two_gaussians_of_distance() -> None:
    """Both look at what is near and at nothing else: distance gives as much, chance does not."""
    near, nearer = (
        patch_affinity(
            pixels(), clip_shape=SHAPE, h=math.inf, patch=1, window=11, step=1, frames=1, spatial=s
        )
        for s in (2.1, 1.4)
    )
    found = common_ground(near, nearer, **AT)
    assert found.correlation.value == pytest.approx(1)
    assert found.correlation.distance == pytest.approx(1)
    assert found.mass.distance == pytest.approx(found.mass.value, abs=1e-3)
    assert found.mass.value > found.mass.high
    # Its effective number is kept: the stand-in of a wide row is wide.
    row = np.exp(-(np.arange(-5, 6)[:, None] ** 2 + np.arange(-5, 6) ** 2) / (2 * 2.1**2))
    row /= row.sum()
    assert found.effective[0] == pytest.approx(np.exp(-(row * np.log(row)).sum()), rel=1e-4)


def test_ties_share_the_last_places() -> None:
    """A mean filter prefers no pixel, so that its strongest k are any k: k / n by chance."""
    mean = patch_affinity(
        pixels(), clip_shape=SHAPE, h=math.inf, patch=1, window=7, step=1, frames=1
    )
    found = common_ground(mean, patches(window=7, frames=1), **AT, k=13)
    assert found.overlap.value == pytest.approx(13 / 49)
    assert found.overlap.low == pytest.approx(found.overlap.high) == pytest.approx(13 / 49)
    assert found.correlation.value == found.correlation.chance == 0


def test_supports_are_intersected() -> None:
    """A block of cells and a window of cells around the query's frame."""
    block = cells(window=Window(rows=1, columns=2, frames=None, block=4))
    window = cells(seed=6, window=Window(rows=3, columns=1, frames=1))
    found = common_ground(block, window, frame=0, y=10, x=19)
    # The query is cell (5, 9): rows 3..8 and 2..8, columns 6..13 and 8..10, frames all and 0..1.
    assert found.cells == 2 * 6 * 3
    assert 0 < min(found.kept) <= max(found.kept) < 1


def test_heads_and_signed_rows() -> None:
    one = patches(frames=1)
    of_head = [common_ground(one, cells(), **AT, head=head).mass.value for head in (0, 1, "max")]
    # A filter has one head; a learned row of two is their mean unless told otherwise.
    assert len({round(v, 6) for v in of_head}) == 3
    signed = replace(cells(), pairwise=Pairwise("dot_product", 0.6))
    flipped = replace(signed, phi=-signed.phi)
    assert common_ground(one, signed, **AT).mass.value == pytest.approx(
        common_ground(one, flipped, **AT).mass.value
    )


def test_frames_between_coarser_ones_are_left_out() -> None:
    """Seven frames of few cells against four of many: only frames that both have are compared."""
    rng = np.random.default_rng(2)
    shape = (7, 24, 40)
    fine = TokenGrid((2, 12, 20), (4.0, 2.0, 2.0), (1.0, 0.5, 0.5))
    coarse = TokenGrid((7, 3, 5), (1.0, 8.0, 8.0), (0.0, 3.5, 3.5))
    made = [
        EmbeddedAffinity(
            "a",
            Pairwise("gaussian"),
            *(torch.from_numpy(rng.normal(size=(1, grid.size, 6)).astype("f4")) for _ in "ab"),
            grid,
            grid,
            clip_shape=shape,
        )
        for grid in (fine, coarse)
    ]
    found = common_ground(*made, frame=1, y=9, x=22)
    assert found.cells == 2 * 3 * 5
    assert found.cell == (1.0, 8.0, 8.0)
    assert found.kept[0] == pytest.approx(1)
    assert found.kept[1] < 0.8


def test_what_cannot_be_compared_is_told() -> None:
    with pytest.raises(NlvizError, match=r"at least 4 cells .* these have 1; take a larg"):
        common_ground(patches(window=1, frames=1), cells(), **AT)
    for k in (0, 26):
        with pytest.raises(NlvizError, match=f"between 1 and the 25 cells in common, got {k}"):
            common_ground(patches(frames=1), cells(), **AT, k=k)
    with pytest.raises(OutsideClip):
        common_ground(patches(), cells(), frame=3, y=2, x=2)
    for other in (cells(), patches()):
        with pytest.raises(OutsideClip, match="head must be between 0 and"):
            common_ground(patches(), other, **AT, head=2)
