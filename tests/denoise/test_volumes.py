"""Volumes: patches and windows of three dimensions, against a plain loop and scikit-image."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nlviz.denoise import compare, denoise, non_local_means_of_clip, non_local_means_of_volume
from nlviz.errors import NlvizError


def volume(shape: tuple[int, ...] = (5, 9, 11), seed: int = 0) -> np.ndarray:
    z, y, x = np.meshgrid(*map(np.arange, shape[:3]), indexing="ij")
    base = 100 + 40 * np.sin(x / 2) * np.cos(y / 3) + 15 * z
    base = base.reshape(*base.shape, *[1] * (len(shape) - 3))
    return base + np.random.default_rng(seed).normal(0, 10, shape)


def plain(
    v: np.ndarray, h: float, sigma: float, patch: Any, window: Any, **more: Any
) -> np.ndarray:
    """Return the definition for (Z, Y, X), one voxel and one key at a time."""
    q, r = [p // 2 for p in patch], [w // 2 for w in window]
    padded = np.pad(v, [(a + b, a + b) for a, b in zip(q, r, strict=True)], mode="reflect")
    deviation, spatial = more.get("patch_sigma"), more.get("spatial")
    taps = np.ones(patch)
    for place in np.ndindex(*patch):
        away = sum((i - c) ** 2 for i, c in zip(place, q, strict=True))
        taps[place] = 1.0 if deviation is None else np.exp(-away / (2 * deviation**2))
    taps /= taps.sum()

    def around(centre: np.ndarray) -> np.ndarray:
        return padded[tuple(slice(c - s, c + s + 1) for c, s in zip(centre, q, strict=True))]

    out = np.empty_like(v)
    for place in np.ndindex(*v.shape):
        centre = np.array(place) + q + r
        total = weighted = 0.0
        for step in np.ndindex(*window):
            away = np.array(step) - r
            d = float((taps * (around(centre) - around(centre + away)) ** 2).sum())
            f = np.exp(-max(d - 2 * sigma**2, 0) / h**2)
            f *= 1.0 if spatial is None else np.exp(-(away**2).sum() / (2 * spatial**2))
            total, weighted = total + f, weighted + f * padded[tuple(centre + away)]
        out[place] = weighted / total
    return out


@pytest.mark.parametrize(
    ("patch", "window", "more"),
    [
        ((3, 3, 3), (3, 5, 5), {}),
        ((1, 3, 3), (5, 3, 3), {"spatial": 1.7}),
        ((3, 5, 5), (3, 3, 3), {"patch_sigma": 1.1}),
        ((5, 3, 3), (7, 1, 1), {}),
    ],
)
def test_equal_to_a_loop_over_the_definition(patch: Any, window: Any, more: Any) -> None:
    noisy = volume((4, 7, 9))
    found = non_local_means_of_volume(
        noisy,
        h=15,
        sigma=8,
        patch=patch[1],
        window=window[1],
        patch_slices=patch[0],
        window_slices=window[0],
        **more,
    )
    np.testing.assert_allclose(found, plain(noisy, 15, 8, patch, window, **more), atol=1e-10)
    assert np.abs(found - noisy).max() > 1


def test_the_inside_is_near_scikit_images() -> None:
    """It weighs patches by a Gaussian of (patch - 1) / 4 and cuts windows off at the border."""
    from skimage.restoration import denoise_nl_means

    noisy = volume((9, 14, 13)) / 255
    theirs = denoise_nl_means(noisy, 3, 2, 0.06, fast_mode=False)
    ours = non_local_means_of_volume(noisy, h=0.06, patch=3, window=5, patch_sigma=0.5)
    inside = (slice(3, -3),) * 3
    before = np.abs(noisy - theirs)[inside].mean()
    assert np.abs(ours - theirs)[inside].mean() < 0.02 * before


def test_axes_may_be_turned() -> None:
    noisy = volume((6, 8, 10))
    want = non_local_means_of_volume(noisy, h=9, sigma=8, patch=3, window=5)
    turned = non_local_means_of_volume(noisy.transpose(2, 0, 1), h=9, sigma=8, patch=3, window=5)
    np.testing.assert_allclose(turned.transpose(1, 2, 0), want, atol=1e-10)
    flipped = non_local_means_of_volume(noisy[::-1, :, ::-1], h=9, sigma=8, patch=3, window=5)
    np.testing.assert_allclose(flipped[::-1, :, ::-1], want, atol=1e-10)


@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.uint8])
def test_type_shape_and_channels_are_kept(dtype: type) -> None:
    for shape in ((6, 9, 12), (4, 9, 12, 2)):
        noisy = (volume(shape) - (128 if dtype == np.int16 else 0)).clip(-128, 255).astype(dtype)
        letters = "ZYX" if len(shape) == 3 else "ZYXC"
        found = denoise(noisy, "non-local-means", axes=letters, sigma=9, window=5)
        assert (found.dtype, found.shape) == (noisy.dtype, noisy.shape)
    assert (denoise(np.full((5, 7, 9), 3, dtype), "mean", axes="ZYX", sigma=9) == 3).all()


def test_three_dimensions_see_more_than_slices() -> None:
    clean = volume((9, 30, 31)) * 0 + np.repeat([[[60.0], [180.0]]], 15, axis=1).reshape(1, 30, 1)
    noisy = clean + np.random.default_rng(2).normal(0, 25, clean.shape)

    def error(found: np.ndarray) -> float:
        return float(np.sqrt(((found - clean) ** 2).mean()))

    whole = error(denoise(noisy, "non-local-means", axes="ZYX", sigma=25))
    clip = error(non_local_means_of_clip(noisy, h=15, sigma=25))
    assert whole < 0.8 * clip
    peer = denoise(noisy, "opencv-nlm", axes="ZYX", sigma=25)  # a slice at a time
    np.testing.assert_array_equal(peer[4], denoise(noisy[4], "opencv-nlm", sigma=25))


def test_volumes_are_compared() -> None:
    seen = compare(
        volume((5, 16, 18)).astype(np.float32),
        axes="ZYX",
        sigma=9,
        denoisers=["non-local-means", "opencv-nlm"],
        parameters={"window": 5, "patch": 3},
    )
    assert seen.kind == "volume" and seen.results["opencv-nlm"].note.count("Slice by slice.") == 1
    assert "Slice" not in seen.results["non-local-means"].note
    assert seen.shown("noisy").shape == (16, 18, 3)
    assert all(row["psnr"] > seen.psnr and row["ssim"] > 0 for row in seen.table)


def test_what_is_no_volume_is_told() -> None:
    with pytest.raises(NlvizError, match=r"a volume has the shape \(Z, H, W\)"):
        non_local_means_of_volume(np.zeros((5, 6)), h=1)
    with pytest.raises(NlvizError, match="window_slices is an odd number of slices"):
        non_local_means_of_volume(np.zeros((5, 6, 7)), h=1, window_slices=4)
    with pytest.raises(NlvizError, match="for clips, this is a volume"):
        denoise(np.zeros((5, 6, 7)), "opencv-nlm-multi", axes="ZYX", sigma=1)
    with pytest.raises(NlvizError, match="computed on the CPU, got device='cuda'"):
        non_local_means_of_volume(np.zeros((5, 6, 7)), h=1, device="cuda")
