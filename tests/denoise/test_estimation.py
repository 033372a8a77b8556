"""Estimates of sigma where files make them hard, and what is said of them."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from nlviz.denoise import compare, estimate_sigma, sigma_estimate
from nlviz.errors import NlvizError

from .test_noise import photo


def ramp(sigma: float, low: float = 20, high: float = 230, seed: int = 0) -> np.ndarray:
    values = np.linspace(low, high, 300)[None].repeat(200, 0)
    return values + sigma * np.random.default_rng(seed).standard_normal(values.shape)


def as_bytes(values: np.ndarray) -> np.ndarray:
    return values.round().clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("sigma", [0.6, 0.8, 1.0, 1.5, 2.2, 4, 9])
def test_little_noise_in_whole_numbers_is_not_rounded_away(sigma: float) -> None:
    for picture in (as_bytes(ramp(sigma)), as_bytes(ramp(sigma, 97.3, 97.3))):
        found = sigma_estimate(picture)
        assert found.sigma == pytest.approx(sigma, rel=0.06)
        assert not any("rounding" in note for note in found.notes)
        assert estimate_sigma(picture / 255) == pytest.approx(sigma / 255, rel=0.06)
        assert estimate_sigma(picture.astype(np.float32)) == pytest.approx(sigma, rel=0.06)


@pytest.mark.parametrize("sigma", [0, 0.1, 0.3])
def test_noise_below_half_a_step_cannot_be_told(sigma: float) -> None:
    found = sigma_estimate(as_bytes(ramp(sigma)))
    assert found.sigma < 0.5
    assert "cannot be told from their rounding" in found.notes[0]
    seen = compare(noisy=as_bytes(ramp(sigma)), denoisers=["mean"])
    assert seen.notes == found.notes


def test_noise_that_is_cut_off_at_an_end_is_estimated_away_from_it() -> None:
    for low, high in ((0, 80), (180, 255)):
        assert estimate_sigma(as_bytes(ramp(10, low, high))) == pytest.approx(10, rel=0.04)
    told = sigma_estimate(as_bytes(ramp(10, -10, 12)))
    assert "lie at the ends of their range, where noise is cut off" in told.notes[0]


def test_a_jpeg_that_smooths_is_told() -> None:
    noisy = as_bytes(photo("coffee.jpg", (400, 270))[..., 1] + ramp(6, 0, 0)[:1, :1] * 0)
    noisy = as_bytes(noisy + 6 * np.random.default_rng(1).standard_normal(noisy.shape))
    file = BytesIO()
    Image.fromarray(noisy).save(file, "JPEG", quality=50)
    packed = np.asarray(Image.open(file))
    assert estimate_sigma(packed) < 3 < estimate_sigma(noisy)
    assert any("blocks of a JPEG" in note for note in sigma_estimate(packed).notes)
    assert not any("JPEG" in note for note in sigma_estimate(noisy).notes)


def test_few_pixels_are_told() -> None:
    found = sigma_estimate(np.array([[1.0, 2.0], [3.0, 5.0]]))
    assert found.sigma == pytest.approx(0.5 / 0.6745, rel=1e-3)
    assert "from 1 detail only" in found.notes[0]
    assert sigma_estimate(np.full((7, 9, 3), 5, np.uint8)).sigma == 0
    masked = np.ones((7, 9), bool)
    masked[3, 4] = False
    with pytest.raises(NlvizError, match="the mask leaves none; give sigma"):
        sigma_estimate(np.zeros((7, 9)), mask=masked)


def test_half_floats_and_volumes_have_an_estimate() -> None:
    values = ramp(3) + 900
    assert estimate_sigma(values.astype(np.float16)) == pytest.approx(3, rel=0.05)
    stack = np.stack([values[:50, :70]] * 3)
    assert estimate_sigma(stack, axes="ZYX") == pytest.approx(3, rel=0.1)
    turned = stack.transpose(2, 1, 0)
    assert estimate_sigma(turned, axes="XYZ") == estimate_sigma(stack, axes="ZYX")
