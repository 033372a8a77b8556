"""Noise that grows with the signal: the transform, its exact inverse, the estimate of the noise."""

from __future__ import annotations

import numpy as np
import pytest

from nlviz.denoise import Noise, add_noise, compare, denoise, estimate_noise
from nlviz.denoise.stabilising import expected, forward, inverse
from nlviz.errors import NlvizError


@pytest.mark.parametrize(("photons", "s"), [(0, 0.5), (0.2, 0.8), (1.5, 0), (4, 2.5), (60, 7)])
def test_the_mean_of_f_is_that_of_many_draws(photons: float, s: float) -> None:
    random = np.random.default_rng(7)
    drawn = random.poisson(photons, 400_000) + s * random.standard_normal(400_000)
    values = forward(drawn, s)
    assert expected([photons], s)[0] == pytest.approx(values.mean(), abs=5 * values.std() / 630)


def test_the_inverse_is_exact_and_near_its_closed_form() -> None:
    for s in (0.0, 0.3, 4.0, 60.0):
        y = np.concatenate([np.linspace(0, 30, 331), np.geomspace(31, 3e5, 257)])
        np.testing.assert_allclose(inverse(expected(y, s), s), y, rtol=1e-6, atol=1e-4)
    assert inverse(np.array([0.0, 1.2]), 0.0).tolist() == [0, 0]  # below that of no photon
    d, root = np.linspace(1.3, 40, 113), np.sqrt(1.5)
    closed = d**2 / 4 + root / 4 / d - 11 / 8 / d**2 + 5 / 8 * root / d**3 - 1 / 8
    np.testing.assert_allclose(inverse(d, 0.0), closed, atol=0.03)  # of Mäkitalo and Foi 2011
    assert np.all(np.diff(inverse(np.linspace(0, 30, 999), 0.7)) >= 0)


def test_the_noise_is_even_after_the_transform() -> None:
    random = np.random.default_rng(3)
    for photons in (6, 25, 300):
        drawn = random.poisson(photons, 60_000) + 1.5 * random.standard_normal(60_000)
        assert forward(drawn, 1.5).std() == pytest.approx(1, abs=0.03)


def sensor(gain: float, sigma: float, offset: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[:120, :136]
    photons = 1 + 60 * (0.5 + 0.5 * np.sin(x / 9) * np.sin(y / 13)) * (x / 135)
    clean = gain * photons + offset
    noise = Noise("poisson-gaussian", sigma=sigma, gain=gain, offset=offset)
    return clean, add_noise(clean, noise, seed=5).astype(np.float64)


@pytest.mark.parametrize("name", ["non-local-means", "gaussian", "bm3d", "opencv-nlm"])
def test_every_denoiser_gains_where_the_noise_is_known(name: str) -> None:
    clean, noisy = sensor(3.0, 2.0, offset=100.0)
    noise = Noise("poisson-gaussian", sigma=2, gain=3, offset=100)
    even = denoise(noisy, name, noise=noise)
    plain = denoise(noisy, name, sigma=noise.level(clean))

    def error(found: np.ndarray) -> float:
        return float(np.sqrt(((found - clean) ** 2).mean()))

    assert error(even) < (1.02 if name == "gaussian" else 0.9) * error(plain)
    dark = clean < 112  # where an algebraic inverse is too low
    assert abs((even - clean)[dark].mean()) < 0.9


def test_gain_and_sigma_are_estimated() -> None:
    for gain, sigma in ((1.0, 0.0), (4.0, 10.0), (0.2, 1.0)):
        found = estimate_noise(sensor(gain, sigma)[1])
        assert found.gain == pytest.approx(gain, rel=0.2)
        assert found.sigma == pytest.approx(sigma, abs=0.2 * sigma + 1.2 * gain)
    _, noisy = sensor(2.0, 0.0)
    told = denoise(noisy, "non-local-means", noise=Noise("poisson", gain=2))
    guessed = denoise(noisy, "non-local-means", noise="poisson")
    assert np.abs(told - guessed).mean() < 0.1 * np.abs(told - noisy).mean()


def test_comparisons_make_noise_even_on_request() -> None:
    clean, noisy = sensor(2.0, 3.0)
    noise = Noise("poisson-gaussian", sigma=3, gain=2)
    plain = compare(clean, noise=noise, denoisers=["non-local-means"], seed=5)
    even = compare(clean, noise=noise, denoisers=["non-local-means"], seed=5, stabilise=True)
    assert even.results["non-local-means"].psnr > plain.results["non-local-means"].psnr + 1
    assert "exact unbiased inverse" in " ".join(even.notes) and not plain.notes
    again = compare(noisy=noisy, noise=noise, denoisers=["non-local-means"])
    want = denoise(noisy.astype(np.float32), "non-local-means", noise=noise)
    np.testing.assert_allclose(again.results["non-local-means"].picture, want, atol=0.02)
    fair = compare(clean[:40, :50], noise=noise, denoisers=["gaussian"], stabilise=True, fair=True)
    assert fair.results["gaussian"].tuned is not None


def test_poisson_is_short_for_both_with_no_sigma() -> None:
    assert Noise("poisson", gain=3) == Noise("poisson-gaussian", sigma=0, gain=3)
    with pytest.raises(NlvizError, match="no Gaussian part, got sigma=4"):
        Noise("poisson", sigma=4)


def test_what_makes_no_sense_is_told() -> None:
    picture = np.random.default_rng(0).normal(0, 60, (64, 72))
    with pytest.raises(NlvizError, match="of counts, and this picture goes down to -"):
        add_noise(picture, Noise("poisson"))
    with pytest.raises(NlvizError, match="it does not grow, or everything is of one brightness"):
        estimate_noise(picture + 500)
    with pytest.raises(NlvizError, match="it does not grow"):
        estimate_noise(np.zeros((64, 72)))
    with pytest.raises(NlvizError, match="40 blocks of 8 x 8 pixels or more, this picture has 2"):
        estimate_noise(picture[:9, :20])
    with pytest.raises(NlvizError, match="leave sigma out"):
        denoise(picture, "mean", sigma=3, noise="poisson")
    with pytest.raises(NlvizError, match="poisson or poisson-gaussian, got 'pink'"):
        denoise(picture, "mean", noise="pink")
    with pytest.raises(NlvizError, match="for Poisson-Gaussian noise, got 'salt-and-pepper'"):
        denoise(picture, "mean", noise=Noise("salt-and-pepper"))
    assert (denoise(np.zeros((30, 40)), "non-local-means", noise=Noise("poisson")) == 0).all()
