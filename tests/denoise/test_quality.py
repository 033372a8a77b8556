from __future__ import annotations

import math

import numpy as np
import pytest

from nlviz.denoise.noise import add_noise
from nlviz.denoise.quality import method_noise, psnr, ssim
from nlviz.errors import NlvizError

from .test_noise import photo


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("white", [1.0, 255.0, 65535.0])
def test_both_measures_equal_scikit_images(white: float, grey: bool) -> None:
    from skimage import metrics

    clean = photo(size=(71, 303))[..., :3].astype(np.float64) * (white / 255)
    clean = clean[..., 1] if grey else clean
    other = add_noise(clean, white / 9, seed=3, data_range=white)
    theirs = metrics.structural_similarity(
        clean,
        other.astype(np.float64),
        data_range=white,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        channel_axis=None if grey else -1,
    )
    assert ssim(clean, other, data_range=white) == pytest.approx(theirs, abs=1e-9)
    decibels = metrics.peak_signal_noise_ratio(clean, other.astype(np.float64), data_range=white)
    assert psnr(clean, other, data_range=white) == pytest.approx(decibels, abs=1e-9)


def test_integers_know_their_white_and_types_may_differ() -> None:
    clean = photo(size=(23, 37))
    other = add_noise(clean, 10)
    assert psnr(clean, other) == psnr(clean.astype(np.float64), other, data_range=255)
    assert psnr(clean, other) == pytest.approx(28.1, abs=0.3)


def test_equal_pictures_are_infinitely_near() -> None:
    clean = photo(size=(23, 37))
    assert psnr(clean, clean) == math.inf
    assert ssim(clean, clean) == pytest.approx(1, abs=1e-12)


def test_frames_are_measured_as_one() -> None:
    clip = np.stack([photo(size=(23, 37)), photo("coffee.jpg", (23, 37))])
    other = add_noise(clip, 12)
    each = [ssim(a, b) for a, b in zip(clip, other, strict=True)]
    assert ssim(clip, other) == pytest.approx(np.mean(each), abs=1e-12)


def test_values_are_neither_rounded_nor_clipped() -> None:
    clean = np.zeros((12, 15), np.uint8)
    assert psnr(clean, np.full((12, 15), -0.4)) == pytest.approx(20 * math.log10(255 / 0.4))


def test_what_cannot_be_measured_is_told() -> None:
    small = np.zeros((10, 40))
    with pytest.raises(NlvizError, match=r"11 x 11 pixels at a time, this picture has 10 x 40"):
        ssim(small, small)
    with pytest.raises(NlvizError, match=r"shapes \(10, 40\) and \(9, 40\)"):
        psnr(small, small[1:])
    with pytest.raises(NlvizError, match="NaN"):
        psnr(small, small * np.nan)
    with pytest.raises(NlvizError, match="data_range=0"):
        psnr(small, small, data_range=0)


def test_the_method_noise_is_what_was_taken_away() -> None:
    noisy, denoised = photo(size=(9, 7)), photo("coffee.jpg", (9, 7))
    expected = noisy.astype(np.int64) - denoised
    assert np.array_equal(method_noise(noisy, denoised), expected)
