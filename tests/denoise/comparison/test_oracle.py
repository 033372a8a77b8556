from __future__ import annotations

import numpy as np
import pytest

from nlviz.denoise.comparison.oracle import oracle
from nlviz.denoise.noise import add_noise
from nlviz.denoise.quality import psnr
from nlviz.denoise.registry import denoise
from nlviz.errors import NlvizError
from tests.denoise.test_noise import photo

SMALL = {"patch": 5, "window": 11}


def pair() -> tuple[np.ndarray, np.ndarray]:
    clean = photo(size=(53, 41))[..., 1]
    return clean, add_noise(clean, 25, seed=2)


def test_a_given_grid_is_measured_as_it_is() -> None:
    clean, noisy = pair()
    grid = [30.0, 5.0, 16.0, 11.0]
    found = oracle(clean, noisy, "non-local-means", grid, sigma=25, **SMALL)
    assert [h for h, _ in found.grid] == sorted(grid)
    for h, decibels in found.grid:
        done = denoise(noisy, "non-local-means", sigma=25, h=h, **SMALL)
        assert decibels == psnr(clean, done)
    assert found.psnr == max(db for _, db in found.grid)
    assert (found.h, found.parameter) == (found.value, "h")


@pytest.mark.parametrize(
    ("name", "strength"),
    [
        ("mean", "window"),
        ("gaussian", "spatial"),
        ("non-local-means", "h"),
        ("opencv-nlm", "h"),
        ("learned-local", "level"),
    ],
)
def test_the_grid_that_is_found_surrounds_the_best(name: str, strength: str) -> None:
    clean, noisy = pair()
    options = SMALL if strength == "h" else {}
    found = oracle(clean, noisy, name, sigma=25, **options)
    assert found.parameter == strength
    assert not found.at_edge
    default = psnr(clean, denoise(noisy, name, sigma=25, **options))
    assert default <= found.psnr <= default + 3


def test_the_search_goes_beyond_a_bad_start() -> None:
    """Told a fifth of the noise, the grid around the default starts far too low."""
    clean, noisy = pair()
    found = oracle(clean, noisy, "gaussian", sigma=1)
    right = oracle(clean, noisy, "gaussian", sigma=25)
    assert found.value == pytest.approx(right.value, rel=0.3)
    assert not found.at_edge


def test_an_edge_is_told() -> None:
    clean, noisy = pair()
    assert oracle(clean, noisy, "gaussian", [0.3, 0.4], sigma=25).at_edge


def test_what_is_no_grid_is_told() -> None:
    clean, noisy = pair()
    with pytest.raises(NlvizError, match="at least one value, this one is empty"):
        oracle(clean, noisy, "gaussian", [])
    with pytest.raises(NlvizError, match="h must be above 0, got h=-1"):
        oracle(clean, noisy, "non-local-means", [-1], sigma=25)


def test_progress_is_told_and_can_cancel() -> None:
    clean, noisy = pair()
    told: list[str] = []
    oracle(clean, noisy, "gaussian", [1, 2], sigma=25, progress=lambda s, x: told.append(s))
    assert told == ["Oracle: Gaussian filter, spatial = 1", "Oracle: Gaussian filter, spatial = 2"]
