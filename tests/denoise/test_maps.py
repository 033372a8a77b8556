"""Maps of h and sigma, and masks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nlviz.denoise import (
    compare,
    denoise,
    estimate_sigma,
    list_denoisers,
    non_local_means,
    non_local_means_of_clip,
    non_local_means_of_volume,
    psnr,
    ssim,
)
from nlviz.errors import NlvizError

from .test_noise import photo

SIDES: dict[str, Any] = {"patch": 3, "window": 5}


def noisy(*shape: int, sigma: float = 10.0) -> np.ndarray:
    rng = np.random.default_rng(4)
    y, x = np.mgrid[: shape[-2], : shape[-1]]
    return 100 + 50 * np.sin(x / 3) * np.cos(y / 2) + rng.normal(0, sigma, shape)


def plain(image: np.ndarray, h: np.ndarray, sigma: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Return the definition for (H, W) with patches of 3 and windows of 5."""
    z, s, k = (np.pad(a.astype(float), 3, mode="reflect") for a in (image, sigma, kept))
    out = image.copy()
    for y, x in zip(*np.nonzero(kept), strict=True):
        total = weighted = 0.0
        for dy in range(-2, 3):
            for dx in range(-2, 3):
                one = np.s_[y + 2 : y + 5, x + 2 : x + 5]
                two = np.s_[y + 2 + dy : y + 5 + dy, x + 2 + dx : x + 5 + dx]
                both = k[one] * k[two]
                if not both.sum() or not k[y + 3 + dy, x + 3 + dx]:
                    continue
                apart = (z[one] - z[two]) ** 2 - s[one] ** 2 - s[two] ** 2
                d = max((both * apart).sum() / both.sum(), 0)
                own, other = s[y + 3, x + 3], s[y + 3 + dy, x + 3 + dx]
                f = np.exp(-d / h[y, x] ** 2) * (min(1, own**2 / other**2) if other else 1)
                total, weighted = total + f, weighted + f * z[y + 3 + dy, x + 3 + dx]
        out[y, x] = weighted / total
    return out


def test_equal_to_a_loop_over_the_definition() -> None:
    image = noisy(8, 11)
    rng = np.random.default_rng(1)
    h, sigma = rng.uniform(5, 25, image.shape), rng.uniform(2, 15, image.shape)
    mask = rng.random(image.shape) < 0.3
    found = non_local_means(image, h=h, sigma=sigma, mask=mask, **SIDES)
    np.testing.assert_allclose(found, plain(image, h, sigma, ~mask), atol=1e-9)


@pytest.mark.parametrize("more", [{}, {"patch_sigma": 1.2}, {"spatial": 2.0}, {"patch": 7}])
def test_maps_that_are_the_same_everywhere_are_numbers(more: dict[str, Any]) -> None:
    sides = {**SIDES, **more}
    picture, clip = noisy(13, 17), noisy(4, 9, 12)
    for run, image in (
        (non_local_means, picture),
        (non_local_means_of_clip, clip),
        (non_local_means_of_volume, clip),
    ):
        want = run(image, h=12, sigma=9, **sides)  # type: ignore[operator]
        full = np.full(image.shape, 1.0)
        found = run(image, h=12 * full, sigma=9 * full, **sides)  # type: ignore[operator]
        np.testing.assert_allclose(found, want, atol=1e-9)


def test_a_mask_hides_its_pixels_from_all_others() -> None:
    image = noisy(20, 23)
    mask = np.zeros(image.shape, bool)
    mask[5:9, 7:12] = True
    one = non_local_means(image, h=12, sigma=9, mask=mask)
    other = image.copy()
    other[mask] = np.nan
    two = non_local_means(other, h=12, sigma=9, mask=mask)
    np.testing.assert_array_equal(one[~mask], two[~mask])
    np.testing.assert_array_equal(one[mask], image[mask])
    assert np.isnan(two[mask]).all()
    assert np.abs(one - non_local_means(image, h=12, sigma=9))[~mask].max() > 0.1
    masked = np.ma.masked_array(image, mask)
    np.testing.assert_array_equal(denoise(masked, "mean", window=3, sigma=9)[mask], image[mask])


@pytest.mark.parametrize("name", [n for n in list_denoisers() if n != "scikit-image-slow"])
def test_every_denoiser_leaves_masked_ground_as_it_is(name: str) -> None:
    image = noisy(24, 30).astype(np.float32)
    mask = np.zeros(image.shape, bool)
    mask[:, :6] = True
    image[mask] = np.nan
    found = denoise(image, name, sigma=10, mask=mask)
    assert np.isnan(found[mask]).all() and np.isfinite(found[~mask]).all()
    assert found[:, 6].std() < image[:, 6].std()
    twice = denoise(np.where(mask, 999, image).astype(np.float32), name, sigma=10, mask=mask)
    np.testing.assert_allclose(twice[~mask], found[~mask], atol=1e-3)


def test_masked_ground_is_left_out_of_estimate_and_measures() -> None:
    image = noisy(60, 80, sigma=8)
    mask = np.zeros(image.shape, bool)
    mask[:40] = True
    image[mask] = np.random.default_rng(0).normal(0, 90, mask.sum())
    assert estimate_sigma(image) > 30
    assert estimate_sigma(image, mask=mask) == pytest.approx(8, rel=0.2)
    clean = np.where(mask, 5000, 100.0)
    assert psnr(clean, clean + ~mask, mask=mask, range=(0, 10)) == pytest.approx(20)
    assert ssim(clean, np.where(mask, 0, clean), mask=mask, range=(0, 255)) == pytest.approx(1)
    seen = compare(photo(size=(30, 40)), denoisers=["mean"], mask=mask[:40, :30] * 0, sigma=9)
    assert seen.mask is None


def test_a_map_of_sigma_is_better_than_one_number_and_keeps_what_has_no_noise() -> None:
    clean = photo(size=(150, 100))[..., 1].astype(float)
    sigma = np.linspace(0, 45, clean.shape[1]) * np.ones(clean.shape)
    sigma[:, :20] = 0
    seen = clean + sigma * np.random.default_rng(3).standard_normal(clean.shape)
    level = float(np.sqrt((sigma**2).mean()))
    one = denoise(seen, "non-local-means", sigma=level, data_range=255)
    each = denoise(seen, "non-local-means", sigma=sigma, data_range=255)
    np.testing.assert_array_equal(each[:, :20], clean[:, :20])
    assert psnr(clean, each, data_range=255) > psnr(clean, one, data_range=255) + 1


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"mask": np.ones((9, 12), bool)}, "this one leaves none; .* the wrong way round"),
        ({"mask": np.zeros((9, 11), bool)}, r"mask has a value for each pixel, \(9, 12\)"),
        ({"mask": np.full((9, 12), 0.5)}, "values besides 0 and 1"),
        ({"sigma": np.full((9, 12), -1.0)}, "sigma must be 0 or above, and finite, everywhere"),
        ({"sigma": np.ones((9, 12, 3))}, "leave the channels out"),
        ({"sigma": 5, "h": np.zeros((9, 12))}, "108 values of this map are not, the first is 0"),
        ({"sigma": 5, "h": np.ones((8, 12))}, r"h has a value for each pixel, \(9, 12\)"),
        ({"sigma": 5, "patch": np.ones((9, 12))}, "patch is one value for all pixels"),
    ],
)
def test_maps_that_make_no_sense_are_told(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(NlvizError, match=sentence):
        denoise(noisy(9, 12), "non-local-means", **options)


def test_what_takes_no_map_says_so() -> None:
    with pytest.raises(NlvizError, match="opencv-nlm takes one sigma for all pixels"):
        denoise(noisy(9, 12), "opencv-nlm", sigma=np.ones((9, 12)))
    with pytest.raises(NlvizError, match="sigma is one number here"):
        compare(noisy(9, 12), sigma=np.ones((9, 12)))  # type: ignore[arg-type]
