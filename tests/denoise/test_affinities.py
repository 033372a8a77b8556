"""A denoiser's affinity times the pixels is what the denoiser returns, at every pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nlviz.affinity.patches import PatchAffinity
from nlviz.denoise import affinity
from nlviz.denoise.registry import denoise, denoise_clip
from nlviz.errors import NlvizError

CASES: list[tuple[str, dict[str, Any]]] = [
    ("mean", {}),
    ("mean", {"window": 5}),
    ("gaussian", {"spatial": 1.3}),
    ("bilateral", {}),
    ("non-local-means", {}),
    ("non-local-means", {"bias": False}),
    ("non-local-means", {"patch": 3, "window": 9, "h": 14.0, "patch_sigma": 0.9}),
]


@pytest.mark.parametrize(("name", "parameters"), CASES)
@pytest.mark.parametrize("channels", [1, 3])
def test_rows_times_pixels_are_the_denoised_picture(
    name: str, parameters: dict[str, Any], channels: int
) -> None:
    rng = np.random.default_rng(5)
    noisy = rng.normal(120, 40, (13, 17, channels)[: 2 + (channels > 1)])
    done = denoise(noisy, name, sigma=20.0, **parameters)
    a = affinity(noisy, name, sigma=20.0, **parameters)
    pixels = noisy.reshape(-1, channels)
    rows = a.dense()[0].double().numpy()
    np.testing.assert_allclose(rows.sum(1), 1, rtol=1e-5)
    np.testing.assert_allclose((rows @ pixels).reshape(noisy.shape), done, atol=5e-4)


def test_rows_of_a_clip_reach_the_frames_around() -> None:
    frames = np.random.default_rng(6).normal(0.5, 0.2, (4, 9, 11, 3))
    done = denoise_clip(frames, "non-local-means", sigma=0.1, window=5, patch=3, frames=3)
    a = affinity(frames, "nl_means", sigma=0.1, window=5, patch=3, frames=3)
    rows = a.dense()[0].double().numpy()
    got = (rows @ frames.reshape(-1, 3)).reshape(frames.shape)
    np.testing.assert_allclose(got, done, atol=2e-6)
    assert (rows.reshape(-1, 4, 99)[0].sum(1) > 0).tolist() == [True, True, False, False]


def test_the_whole_picture_is_a_window_too() -> None:
    noisy = np.random.default_rng(7).integers(0, 256, (12, 15), np.uint8)
    a = affinity(noisy, "nl_means", sigma=20.0, window=None)
    assert isinstance(a, PatchAffinity) and a.support.window is None
    assert float(a.rows([0]).min()) > 0


def test_what_has_no_affinity_is_told() -> None:
    noisy = np.zeros((12, 15, 3), np.uint8)
    with pytest.raises(NlvizError, match=r"does not say what it averages.*non-local-means"):
        affinity(noisy, "opencv-nlm", sigma=20.0)
    with pytest.raises(NlvizError, match="no denoiser is called 'bilteral'; did you mean"):
        affinity(noisy, "bilteral", sigma=20.0)
    with pytest.raises(NlvizError, match="h must be above 0"):
        affinity(noisy, "nl_means", sigma=0.0)
    with pytest.raises(NlvizError, match="take a frame"):
        affinity(noisy[None], "learned-nonlocal", sigma=20.0)
