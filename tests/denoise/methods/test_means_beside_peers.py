"""Non-local means beside OpenCV's and scikit-image's, which run here, on the same input."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import cv2
import numpy as np
import pytest
from skimage import data, restoration

from nlviz.denoise.weighted_means import non_local_means, non_local_means_of_clip

SIGMA = 25.0


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(before)


def noisy(clean: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, SIGMA, clean.shape)
    return (clean + noise).astype(np.float32)


def as_uint8(image: np.ndarray) -> np.ndarray:
    return np.rint(image).clip(0, 255).astype(np.uint8)


def best(clean: np.ndarray, run: Callable[[float], np.ndarray], shares: tuple[float, ...]) -> float:
    """Return the PSNR at the h, in units of sigma, that is best against the clean picture."""
    errors = [((run(share * SIGMA) - clean.astype(np.float64)) ** 2).mean() for share in shares]
    assert 0 < int(np.argmin(errors)) < len(shares) - 1  # the best is not at an end
    return float(10 * np.log10(255**2 / min(errors)))


@pytest.mark.slow
@pytest.mark.parametrize("colour, gain", [(False, 0.2), (True, 0.6)], ids=["grey", "colour"])
def test_as_good_as_opencv_and_better_with_the_bias(colour: bool, gain: float) -> None:
    clean = data.astronaut() if colour else data.camera()
    image = as_uint8(noisy(clean))
    without, with_bias = (0.85, 0.9, 0.95, 1.0), (0.55, 0.6, 0.65, 0.7)
    theirs = best(clean, lambda h: cv2.fastNlMeansDenoising(image, None, h, 7, 21), without)
    plain = best(clean, lambda h: non_local_means(image, h=h), without)
    ours = best(clean, lambda h: non_local_means(image, h=h, sigma=SIGMA), with_bias)
    assert plain == pytest.approx(theirs, abs=0.02)
    assert ours - theirs > gain


@pytest.mark.slow
@pytest.mark.parametrize("colour", [False, True], ids=["grey", "colour"])
def test_close_to_scikit_images_fast_mode(colour: bool) -> None:
    clean = (data.astronaut() if colour else data.camera())[100:356, 80:336]
    image = noisy(clean)
    axis = -1 if colour else None
    shares = (0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8)
    theirs = best(
        clean,
        lambda h: restoration.denoise_nl_means(
            image, 7, 10, h, fast_mode=True, sigma=SIGMA, channel_axis=axis, preserve_range=True
        ),
        shares,
    )
    ours = best(clean, lambda h: non_local_means(image, h=h, sigma=SIGMA), shares)
    assert ours > theirs - 0.25


def test_frames_of_a_clip_as_opencvs() -> None:
    """OpenCV's integer weights are coarse; the two differ by less than a grey level on average."""
    clean = data.camera()[150:230, 200:290]
    noise = [np.random.default_rng(t).normal(0, 20, clean.shape) for t in range(3)]
    clip = np.stack([as_uint8(clean + one) for one in noise])
    theirs = cv2.fastNlMeansDenoisingMulti(list(clip), 1, 3, None, 18, 5, 11).astype(np.float64)
    options = {"h": 18, "patch": 5, "window": 11}
    ours = non_local_means_of_clip(clip, frames_window=3, **options)[1]
    alone = non_local_means_of_clip(clip, frames_window=1, **options)[1]
    assert np.sqrt(((ours - theirs) ** 2).mean()) < 1
    assert np.sqrt(((alone - theirs) ** 2).mean()) > 3


def test_close_to_opencv_pixel_by_pixel() -> None:
    image = as_uint8(noisy(data.camera()[:120, 90:260]))
    theirs = cv2.fastNlMeansDenoising(image, None, 22, 7, 21).astype(np.float64)
    ours = non_local_means(image, h=22)
    assert np.sqrt(((ours - theirs) ** 2).mean()) < 0.8
