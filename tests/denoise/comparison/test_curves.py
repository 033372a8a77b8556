from __future__ import annotations

import numpy as np
import pytest

from nlviz.denoise.comparison.curves import effective_number_over_h, psnr_over_sigma
from nlviz.denoise.comparison.run import compare
from nlviz.denoise.noise import add_noise
from nlviz.errors import NlvizError
from tests.denoise.test_noise import photo

FEW = ["gaussian", "non-local-means"]


def test_the_curve_over_sigma_is_that_of_the_comparisons() -> None:
    clean = photo(size=(43, 31))
    curve = psnr_over_sigma(clean, sigmas=[5, 20, 60], denoisers=FEW, seed=2)
    for index, sigma in enumerate((5, 20, 60)):
        seen = compare(clean, sigma=sigma, denoisers=FEW, seed=2)
        assert curve.noisy[index] == seen.psnr
        for name in FEW:
            assert curve.psnr[name][index] == seen.results[name].psnr
            assert curve.ssim[name][index] == seen.results[name].ssim
    assert (np.diff(curve.noisy) < 0).all()


def test_the_curve_can_be_fair_and_its_sigmas_follow_the_range() -> None:
    clean = photo(size=(30, 22)) / np.float32(255)
    fair, default = (
        psnr_over_sigma(clean, sigmas=[0.1], denoisers=["gaussian"], fair=f) for f in (True, False)
    )
    assert fair.psnr["gaussian"][0] >= default.psnr["gaussian"][0]
    whole = psnr_over_sigma(clean, denoisers=["gaussian"])
    assert whole.sigmas[[0, -1]] == pytest.approx([5 / 255, 100 / 255])
    assert np.isnan(psnr_over_sigma(clean[:8], denoisers=["mean"], sigmas=[0.1]).ssim["mean"][0])


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("patch_sigma", [None, 1.2])
def test_the_effective_number_follows_its_formula(bias: bool, patch_sigma: float | None) -> None:
    noisy = add_noise(photo(size=(19, 14)), 15, seed=1).astype(np.float64)
    curve = effective_number_over_h(
        noisy,
        sigma=15,
        h=[4.0, 20.0],
        patch=3,
        window=7,
        bias=bias,
        patch_sigma=patch_sigma,
        queries=5,
        seed=3,
    )
    weights = np.ones((3, 3))
    if patch_sigma is not None:
        y, x = np.mgrid[-1:2, -1:2]
        weights = np.exp(-(y**2 + x**2) / (2 * patch_sigma**2))
    weights /= weights.sum()
    mirrored = np.pad(noisy, ((4, 4), (4, 4), (0, 0)), mode="reflect")

    def patch_at(y: int, x: int) -> np.ndarray:
        return mirrored[y + 3 : y + 6, x + 3 : x + 6]

    for query, (y, x) in enumerate(curve.places):
        for row, h in enumerate((4.0, 20.0)):
            f = []
            for dy in range(-3, 4):
                for dx in range(-3, 4):
                    apart = ((patch_at(y, x) - patch_at(y + dy, x + dx)) ** 2).mean(-1)
                    d = (weights * apart).sum() - (2 * 15**2 if bias else 0)
                    f.append(np.exp(-max(d, 0) / h**2))
            w = np.array(f) / np.sum(f)
            w = w[w > 0]
            assert curve.effective[row, query] == pytest.approx(np.exp(-(w * np.log(w)).sum()))


def test_it_grows_with_h_up_to_the_window() -> None:
    noisy = add_noise(photo(size=(40, 30))[..., 1], 25)
    curve = effective_number_over_h(noisy, sigma=25, h=[1, 5, 15, 40, 1e6], window=9, queries=20)
    assert (np.diff(curve.effective, axis=0) >= -1e-9).all()
    assert curve.effective[-1] == pytest.approx(81)
    assert curve.pixels == 81
    assert curve.quantile(0.1)[2] <= curve.median[2] <= curve.quantile(0.9)[2]


def test_more_queries_than_pixels_are_all_pixels() -> None:
    curve = effective_number_over_h(np.zeros((3, 4)), sigma=1, h=[1], window=3, queries=99)
    assert len(curve.places) == 12


def test_curves_can_be_cancelled() -> None:
    def stop(sentence: str, share: float) -> None:
        if share > 0.5:
            raise KeyboardInterrupt

    clean = photo(size=(30, 22))
    with pytest.raises(KeyboardInterrupt):
        psnr_over_sigma(clean, sigmas=[5, 10], denoisers=["mean"], progress=stop)
    with pytest.raises(KeyboardInterrupt):
        effective_number_over_h(clean, sigma=5, progress=stop)


def test_what_is_no_curve_is_told() -> None:
    clean = photo(size=(30, 22))
    with pytest.raises(NlvizError, match="at least one sigma"):
        psnr_over_sigma(clean, sigmas=[])
    with pytest.raises(NlvizError, match="sigma=-2"):
        psnr_over_sigma(clean, sigmas=[-2])
    with pytest.raises(NlvizError, match="at least one h"):
        effective_number_over_h(clean, h=[])
    with pytest.raises(NlvizError, match="h must be above 0"):
        effective_number_over_h(clean, h=[0], sigma=5)
    with pytest.raises(NlvizError, match="queries=0"):
        effective_number_over_h(clean, queries=0)
    with pytest.raises(NlvizError, match="window is an odd"):
        effective_number_over_h(clean, window=4)
