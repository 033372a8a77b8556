from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from nlviz.denoise import noise as noises
from nlviz.denoise.estimation import ESTIMATOR, estimate_sigma
from nlviz.denoise.image import Image as Array
from nlviz.denoise.noise import Noise, add_noise
from nlviz.errors import NlvizError
from nlviz.resources import asset


def photo(name: str = "cat.jpg", size: tuple[int, int] = (240, 160)) -> Array:
    return np.asarray(Image.open(asset(f"photos/{name}")).resize(size))


def test_the_same_seed_is_the_same_noise_and_another_is_not() -> None:
    clean = photo(size=(31, 23))
    first, again, other = (add_noise(clean, 25, seed=s) for s in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("sigma", [5, 25, 100])
def test_gaussian_noise_has_its_moments_and_is_not_clipped(sigma: float) -> None:
    clean = np.full((150, 210, 3), 4, np.uint8)
    noisy = add_noise(clean, sigma, seed=1)
    assert noisy.dtype == np.float32
    assert noisy.std() == pytest.approx(sigma, rel=0.02)
    assert noisy.mean() == pytest.approx(4, abs=0.02 * sigma)
    assert noisy.min() < 4 - 3 * sigma


def test_the_variance_of_sensor_noise_grows_with_the_signal() -> None:
    clean = np.repeat([[10.0, 90.0, 200.0]], 40_000, axis=0)
    noise = Noise("poisson-gaussian", sigma=3, gain=2)
    noisy = add_noise(clean, noise, seed=2).astype(np.float64)
    assert noisy.mean(0) == pytest.approx(clean[0], rel=0.02)
    assert noisy.var(0) == pytest.approx(2 * clean[0] + 9, rel=0.05)
    assert noise.level(clean) == pytest.approx(np.sqrt((noisy - clean).var()), rel=0.02)


@pytest.mark.parametrize("shape", [(160, 230), (160, 230, 3)])
def test_salt_and_pepper_falls_on_its_share_of_whole_pixels(shape: tuple[int, ...]) -> None:
    clean = np.full(shape, 100, np.uint8)
    noisy = add_noise(clean, Noise("salt-and-pepper", amount=0.2), seed=5)
    assert set(np.unique(noisy)) == {0.0, 100.0, 255.0}
    assert (noisy == 0).mean() == pytest.approx(0.1, abs=0.01)
    assert (noisy == 255).mean() == pytest.approx(0.1, abs=0.01)
    if len(shape) == 3:
        assert (np.ptp(noisy, axis=2) == 0).all()


def test_the_level_of_salt_and_pepper_is_the_root_of_its_mean_square() -> None:
    clean = photo()
    noise = Noise("salt-and-pepper", amount=0.3)
    apart = add_noise(clean, noise, seed=1).astype(np.float64) - clean
    assert noise.level(clean) == pytest.approx(np.sqrt((apart**2).mean()), rel=0.02)


@pytest.mark.parametrize(("dtype", "white"), [("uint8", 255), ("uint16", 65535), ("float32", 1)])
def test_clipped_noise_stays_in_the_range(dtype: str, white: float) -> None:
    clean = np.linspace(0, white, 35 * 47).reshape(35, 47).astype(dtype)
    noisy = add_noise(clean, Noise(sigma=white / 5, clipped=True))
    assert (noisy.min(), noisy.max()) == (0, white)


def test_bands_of_a_large_picture_are_one_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    clean = photo(size=(31, 23))
    whole = add_noise(clean, 25, seed=3)
    monkeypatch.setattr(noises, "_BAND", 500)
    assert np.array_equal(add_noise(clean, 25, seed=3), whole)


def test_frames_get_noise_of_their_own() -> None:
    clip = np.full((3, 20, 31, 3), 50, np.uint8)
    noisy = add_noise(clip, 10)
    assert noisy.shape == clip.shape
    assert not np.array_equal(noisy[0], noisy[1])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"kind": "gausian"}, "did you mean 'gaussian'"),
        ({"sigma": -1}, "sigma must be 0 or above, got sigma=-1"),
        ({"sigma": float("nan")}, "sigma must be 0 or above"),
        ({"gain": 0}, "gain of Poisson-Gaussian noise must be above 0"),
        ({"amount": 1.5}, "share from 0 to 1, got amount=1.5"),
    ],
)
def test_noise_out_of_its_range_is_told(options: dict[str, float], sentence: str) -> None:
    with pytest.raises(NlvizError, match=sentence):
        Noise(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("sigma", [10, 25, 50])
@pytest.mark.parametrize("grey", [False, True])
def test_the_estimate_is_near_the_truth_and_near_scikit_images(sigma: float, grey: bool) -> None:
    from skimage import restoration

    clean = photo("astronaut.jpg", (400, 270))
    noisy = add_noise(clean[..., 1] if grey else clean, sigma, seed=7)
    theirs = restoration.estimate_sigma(
        noisy, channel_axis=None if grey else -1, average_sigmas=True
    )
    found = estimate_sigma(noisy)
    assert found == pytest.approx(sigma, rel=0.15)
    assert found == pytest.approx(theirs, rel=0.05)
    assert "Donoho" in ESTIMATOR


def test_the_estimate_has_the_pictures_units_and_survives_clipping() -> None:
    clean = photo()
    noisy = add_noise(clean, 20)
    assert estimate_sigma(noisy / 255) == pytest.approx(estimate_sigma(noisy) / 255, rel=1e-4)
    dark = np.zeros((80, 90), np.uint8)
    dark[:, 30:] = 120
    seen = add_noise(dark, 20).clip(0, 255).round().astype(np.uint8)
    assert estimate_sigma(seen) == pytest.approx(20, rel=0.2)


def test_the_estimate_follows_its_formula() -> None:
    random = np.random.default_rng(0)
    picture = random.normal(100, 9, (7, 9))
    details = [
        abs(picture[y, x] - picture[y, x + 1] - picture[y + 1, x] + picture[y + 1, x + 1]) / 2
        for y in range(0, 6, 2)
        for x in range(0, 8, 2)
    ]
    assert estimate_sigma(picture) == pytest.approx(np.median(details) / 0.6744897501960817)


def test_a_constant_picture_has_no_noise_and_one_pixel_cannot_tell() -> None:
    assert estimate_sigma(np.full((5, 8, 3), 9, np.uint8)) == 0
    with pytest.raises(NlvizError, match=r"this picture has 1 x 6; give sigma"):
        estimate_sigma(np.zeros((1, 6)))


@pytest.mark.parametrize(
    ("picture", "sentence"),
    [
        (np.full((4, 6), np.nan), "24 of this one's are NaN"),
        (np.zeros((24, 16, 36), np.uint8), "picture of 36 channels; say which"),
        (np.zeros((4, 6), np.int64), "convert it with image.astype"),
        (np.zeros((0, 6)), "at least one pixel"),
    ],
)
def test_what_is_no_picture_is_told(picture: Array, sentence: str) -> None:
    for ask in (lambda: add_noise(picture, 5), lambda: estimate_sigma(picture)):
        with pytest.raises(NlvizError, match=sentence):
            ask()
