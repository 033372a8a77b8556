"""Mean, Gaussian and bilateral filters against others' code and the formula."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from nlviz.denoise.weighted_means import bilateral, gaussian, mean, window_of
from nlviz.errors import NlvizError
from tests.denoise import naive


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(3).uniform(-20, 270, (17, 22, 3))


@pytest.mark.parametrize("window", [1, 3, 7])
def test_mean_is_opencvs_box(image: np.ndarray, window: int) -> None:
    want = cv2.blur(image, (window, window), borderType=cv2.BORDER_REFLECT_101)
    np.testing.assert_allclose(mean(image, window=window), want, rtol=0, atol=1e-10)


@pytest.mark.parametrize("spatial, window", [(0.7, None), (1.5, None), (2.0, 5)])
def test_gaussian_is_opencvs(image: np.ndarray, spatial: float, window: int | None) -> None:
    size = window or window_of(spatial)
    want = cv2.GaussianBlur(
        image, (size, size), spatial, sigmaY=spatial, borderType=cv2.BORDER_REFLECT_101
    )
    got = gaussian(image, spatial=spatial, window=window)
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-10)


@pytest.mark.parametrize("window", [None, 5])
@pytest.mark.parametrize("colour", [False, True])
def test_bilateral_is_the_formula(image: np.ndarray, colour: bool, window: int | None) -> None:
    part = image[:11, :13] if colour else image[:11, :13, 1]
    got = bilateral(part, h=60, spatial=1.2, window=window)
    want = naive.non_local_means(
        part[None], h=60, patch=1, window=window or window_of(1.2), spatial=1.2
    )[0]
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-10)


def test_types_are_kept(image: np.ndarray) -> None:
    small = image.clip(0, 255).astype(np.uint8)
    for done in (
        mean(small, window=3),
        gaussian(small, spatial=1.0),
        bilateral(small, h=30, spatial=1.0),
    ):
        assert done.dtype == np.uint8 and done.shape == small.shape


@pytest.mark.parametrize("spatial", [0, -1, float("nan"), float("inf")])
def test_spatial_out_of_range(image: np.ndarray, spatial: float) -> None:
    with pytest.raises(NlvizError, match="spatial must be above 0 pixels"):
        gaussian(image, spatial=spatial)
    with pytest.raises(NlvizError, match="spatial must be above 0 pixels"):
        bilateral(image, h=20, spatial=spatial)


def test_even_windows(image: np.ndarray) -> None:
    with pytest.raises(NlvizError, match="window is an odd number of pixels"):
        mean(image, window=4)
