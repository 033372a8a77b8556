"""Which values are black and white, and that results do not hang on a guess of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nlviz.denoise import compare, denoise, psnr, range_of
from nlviz.errors import NlvizError

SHAPES = np.kron([[0.0, 1.0], [0.7, 0.3]], np.ones((24, 30)))


@pytest.mark.parametrize(
    ("values", "sigma", "ends"),
    [
        (np.uint8([3, 9]), 0, (0, 255)),
        (np.uint16([3, 9]), 0, (0, 65535)),
        (np.int16([-900, 1800]), 0, (-900, 1800)),
        (np.uint32([5, 90_000]), 0, (5, 90_000)),
        (np.array([0.1, 0.9]), 0, (0, 1)),
        (np.array([-0.3, 1.4]), 0.1, (0, 1)),
        (np.array([0.2, 1.9]), 0, (0.2, 1.9)),
        (np.array([0.2, 1.9]), None, (0, 1)),
        (np.array([10.0, 90.0]), 0, (0, 255)),
        (np.array([-60.0, 330.0]), 25, (0, 255)),
        (np.array([100.0, 900.0]), 0, (100, 900)),
        (np.array([-1024.0, 3071.0]), None, (-1024, 3071)),
        (np.array([-1.0, 1.0]), 0, (-1, 1)),
        (np.array([7.0, 7.0]), 0, (0, 255)),
        (np.int8([5, 5]), 0, (5, 6)),
    ],
)
def test_the_range_is_told_by_type_or_values(values: Any, sigma: Any, ends: Any) -> None:
    found = range_of(values, sigma=sigma)
    assert (found.low, found.high) == pytest.approx(ends)
    assert found.sentence.startswith(f"{found.low:.6g} to ")


def test_psnr_is_measured_against_the_range_that_is_given_or_told() -> None:
    clean = (-1024 + 4095 * SHAPES).astype(np.float32)
    other = clean + np.float32(40.95)
    assert psnr(clean, other) == pytest.approx(40, abs=1e-3)
    assert psnr(clean, other, range=(-1024, 3071)) == psnr(clean, other, data_range=4095)
    seen = compare(clean, sigma=20, denoisers=["mean"])
    assert "range -1024 to 3071" in repr(seen) and seen.white == 4095
    given = compare(clean, sigma=20, denoisers=["mean"], range=(-2000, 8000))
    assert given.white == 10_000 and given.range.how == "given"
    assert seen.shown("clean").min() == 0 and seen.shown("clean").max() == 255


@pytest.mark.parametrize("name", ["opencv-nlm", "bm3d", "learned-nonlocal", "non-local-means"])
def test_what_is_cut_off_or_scaled_is_the_datas_own_range(name: str) -> None:
    """Black may be anywhere: a shifted picture gives the shifted result, nearer to the clean."""
    clean = 400 * SHAPES
    noisy = clean + np.random.default_rng(0).normal(0, 12, clean.shape)
    options: dict[str, Any] = {"sigma": 12.0}
    at_zero = denoise(noisy, name, range=(noisy.min(), noisy.max()), **options)
    below = denoise(noisy - 1000, name, **options) + 1000
    step = 1.1 * np.ptp(noisy) / 255 if name == "opencv-nlm" else 1.5
    assert np.abs(below - at_zero).max() < step
    assert np.abs(below - clean).mean() < 0.7 * np.abs(noisy - clean).mean()
    wrong = denoise(noisy - 1000, name, data_range=255, **options) + 1000  # wider than it was said
    assert np.abs(wrong - clean).mean() < 0.7 * np.abs(noisy - clean).mean()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"range": (5, 5)}, "black below white"),
        ({"range": (1, 2, 3)}, "black below white"),
        ({"range": (0, float("nan"))}, "black below white"),
        ({"range": (0, 255), "data_range": 255}, "a range is given once"),
        ({"data_range": -1}, r"give both, range=\(black, white\)"),
    ],
)
def test_what_is_no_range_is_told(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(NlvizError, match=sentence):
        denoise(SHAPES, "opencv-nlm", sigma=0.1, **options)


@pytest.mark.parametrize("name", ["mean", "non-local-means", "opencv-nlm", "learned-local"])
@pytest.mark.parametrize("channels", [1, 2, 4, 7])
def test_any_number_of_channels(name: str, channels: int) -> None:
    random = np.random.default_rng(1)
    clean = np.stack([60 + 90 * SHAPES + 5 * c for c in range(channels)], -1)
    noisy = clean + random.normal(0, 15, clean.shape)
    found = denoise(noisy, name, sigma=15, data_range=255)
    assert found.shape == clean.shape
    assert ((found - clean) ** 2).mean() < 0.5 * ((noisy - clean) ** 2).mean()
    first = np.moveaxis(noisy, -1, 0)
    turned = denoise(first, name, sigma=15, data_range=255, axes="CYX")
    np.testing.assert_array_equal(np.moveaxis(turned, 0, -1), found)


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "uint32", ">u2", ">f4"])
def test_types_of_instruments_are_kept(dtype: str) -> None:
    values = (40 * SHAPES + np.random.default_rng(1).normal(0, 3, SHAPES.shape)).round()
    whole = values - (30 if np.dtype(dtype).kind == "i" else -30)
    found = denoise(whole.astype(dtype), "non-local-means", sigma=3)
    assert found.dtype == np.dtype(dtype).newbyteorder("=")
    exact = denoise(whole, "non-local-means", sigma=3, data_range=64.0)
    assert np.abs(found - exact).max() < 2
