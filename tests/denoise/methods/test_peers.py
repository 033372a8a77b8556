"""Other people's denoisers, run for real."""

from __future__ import annotations

import sys
from typing import Any

import cv2
import numpy as np
import pytest

from nlviz.denoise.comparison.run import compare
from nlviz.denoise.methods.bm3d import LICENCE
from nlviz.denoise.methods.opencv import as_bytes
from nlviz.denoise.noise import add_noise
from nlviz.denoise.quality import psnr
from nlviz.denoise.registry import denoise, denoise_clip, find_denoiser, list_denoisers
from nlviz.errors import NlvizError
from tests.denoise.test_noise import photo

REASON = "bm3d is optional: its licence forbids commercial use"


def seen(grey: bool = False, size: tuple[int, int] = (61, 47)) -> tuple[Any, Any]:
    clean = photo(size=size)
    clean = clean[..., 1] if grey else clean
    return clean, add_noise(clean, 25, seed=4)


@pytest.mark.parametrize("grey", [False, True])
def test_opencv_is_called_on_the_rounded_picture(grey: bool) -> None:
    _, noisy = seen(grey)
    source = np.rint(noisy).clip(0, 255).astype(np.uint8)
    theirs = cv2.fastNlMeansDenoising(source, [22.0], None, 5, 13, cv2.NORM_L2)
    assert np.array_equal(denoise(noisy, "opencv-nlm", sigma=25, h=22, patch=5, window=13), theirs)


def test_opencvs_h_is_that_of_the_formula() -> None:
    """On the same uint8 input, without the bias, ours and OpenCV's differ by the rounding."""
    for grey in (False, True):
        _, noisy = seen(grey)
        source = as_bytes(noisy, 255)
        options = {"h": 24.0, "patch": 5, "window": 13, "sigma": 0.0}
        theirs = denoise(source.astype(np.float32), "opencv-nlm", data_range=255, **options)
        ours = denoise(source.astype(np.float32), "non-local-means", bias=False, **options)
        assert np.sqrt(((theirs - ours) ** 2).mean()) < 1
        assert np.abs(theirs - ours).mean() < 0.7


@pytest.mark.parametrize("grey", [False, True])
def test_on_one_uint8_input_opencvs_best_is_ours_without_the_bias_and_less_with_it(
    grey: bool,
) -> None:
    clean = photo("astronaut.jpg", (200, 170))
    clean = clean[..., 1] if grey else clean
    options: dict[str, Any] = {"sigma": 25, "fair": True, "precision": "uint8"}
    both = compare(clean, denoisers=["non-local-means", "opencv-nlm"], **options)
    plain = compare(clean, denoisers=["non-local-means"], parameters={"bias": False}, **options)
    theirs = both.results["opencv-nlm"].psnr or 0
    assert plain.results["non-local-means"].psnr == pytest.approx(theirs, abs=0.05)
    assert (both.results["non-local-means"].psnr or 0) > theirs + 0.2


def test_opencvs_lab_is_its_coloured_call() -> None:
    clean, noisy = seen()
    source = np.ascontiguousarray(as_bytes(noisy, 255)[..., ::-1])
    theirs = cv2.fastNlMeansDenoisingColored(source, None, 20, 20, 7, 21)[..., ::-1]
    ours = denoise(noisy, "opencv-nlm", sigma=25, h=20, lab=True)
    assert np.array_equal(ours, theirs)
    assert psnr(clean, denoise(noisy, "opencv-nlm", sigma=25, h=20)) > psnr(clean, ours)


def test_opencvs_frames_are_its_multi_frame_call() -> None:
    clip = np.stack([photo(size=(40, 33)), photo(size=(41, 34))[:33, :40], photo(size=(40, 33))])
    noisy = add_noise(clip, 20)
    done = denoise_clip(noisy, "opencv-nlm-multi", sigma=20, h=18, patch=5, window=11)
    source = [as_bytes(f, 255) for f in noisy]
    theirs = cv2.fastNlMeansDenoisingMulti(source, 1, 3, [18.0], None, 5, 11, cv2.NORM_L2)
    assert np.array_equal(done[1], theirs)
    # At the ends no frames are left on one side: the frame by itself.
    alone = denoise(noisy[0], "opencv-nlm", sigma=20, h=18, patch=5, window=11)
    assert np.array_equal(done[0], alone)


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("grey", [False, True])
def test_scikit_image_is_called_with_sigma(fast: bool, grey: bool) -> None:
    from skimage.restoration import denoise_nl_means

    _, noisy = seen(grey)
    theirs = denoise_nl_means(
        noisy,
        patch_size=5,
        patch_distance=4,
        h=14,
        fast_mode=fast,
        sigma=25,
        preserve_range=True,
        channel_axis=None if grey else -1,
    )
    name = f"scikit-image-{'fast' if fast else 'slow'}"
    assert np.array_equal(denoise(noisy, name, sigma=25, h=14, patch=5, window=9), theirs)


def test_without_the_bias_another_h_is_the_default() -> None:
    for name in ("non-local-means", "scikit-image-fast", "scikit-image-slow"):
        one = find_denoiser(name)
        with_it, without = (one.values(25, 255, {"bias": b})["h"] for b in (True, False))
        assert float(without or 0) > 1.2 * float(with_it or 0)


@pytest.mark.slow
@pytest.mark.parametrize("grey", [False, True])
def test_bm3d_runs_and_is_better_than_non_local_means(grey: bool) -> None:
    bm3d = pytest.importorskip("bm3d", reason=REASON)
    clean, noisy = seen(grey, (37, 26))
    done = denoise(noisy, "bm3d", sigma=25)
    source = noisy.astype(np.float64) / 255
    call = bm3d.bm3d if grey else bm3d.bm3d_rgb
    assert np.abs(done - call(source, 25 / 255) * 255).max() < 1e-3
    assert psnr(clean, done) > psnr(clean, denoise(noisy, "non-local-means", sigma=25))


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(8, 8), (1, 9, 3)])
def test_bm3d_takes_pictures_below_its_blocks(shape: tuple[int, ...]) -> None:
    pytest.importorskip("bm3d", reason=REASON)
    picture = np.random.default_rng(0).normal(100, 10, shape)
    done = denoise(picture, "bm3d", sigma=10)
    assert done.shape == shape
    assert np.isfinite(done).all()


@pytest.mark.slow
def test_bm3d_takes_colours_that_do_not_vary() -> None:
    pytest.importorskip("bm3d", reason=REASON)
    grey = np.repeat(add_noise(photo(size=(20, 17))[..., 1], 20)[..., None], 3, axis=2)
    done = denoise(grey, "bm3d", sigma=20)
    assert np.isfinite(done).all()
    assert np.ptp(done, axis=2).max() < 1e-3


def test_bm3d_says_that_it_is_not_free() -> None:
    assert find_denoiser("bm3d").licence == LICENCE == "Tampere University: non-commercial use only"


@pytest.mark.parametrize(
    ("module", "name", "sentence"),
    [
        ("bm3d", "bm3d", "whose licence forbids commercial use; where that is no obstacle, pip"),
        ("skimage", "scikit-image-fast", "it needs scikit-image; pip install scikit-image"),
    ],
)
def test_absent_peers_are_not_listed_and_say_what_to_install(
    module: str, name: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    assert name not in list_denoisers()
    with pytest.raises(NlvizError, match=sentence):
        denoise(photo(size=(20, 15)), name, sigma=5)
