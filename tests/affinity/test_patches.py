"""Rows of patches against loops over pixels; every size is another."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlviz.affinity.patches import patch_affinity
from nlviz.errors import NlvizError


def nl_means_rows(
    picture: np.ndarray,
    tokens: list[tuple[int, int, int]],
    some: list[int],
    patch: int,
    h: float,
) -> np.ndarray:
    _, height, width, _ = picture.shape
    p = picture.astype(np.float64)

    def mirrored(i: int, n: int) -> int:
        i = abs(i)
        return i if i < n else 2 * (n - 1) - i

    def patch_at(a: int, b: int, c: int) -> np.ndarray:
        r = range(-(patch // 2), patch // 2 + 1)
        return np.array(
            [[p[a, mirrored(b + y, height), mirrored(c + x, width)] for x in r] for y in r]
        )

    patches = [patch_at(*token) for token in tokens]
    f = np.array(
        [
            [np.exp(-np.mean((q - k) ** 2) / h**2) for k in patches]
            for q in (patches[i] for i in some)
        ]
    )
    return f / f.sum(1, keepdims=True)


@settings(max_examples=15)
@given(
    st.integers(1, 2), st.integers(9, 14), st.integers(9, 15), st.sampled_from([1, 3]),
    st.sampled_from([1, 3, 5]), st.integers(1, 5),
)  # fmt: skip
def test_patch_rows_equal_the_formula(
    t: int, height: int, width: int, channels: int, patch: int, step: int
) -> None:
    rng = np.random.default_rng(height * width)
    picture = rng.integers(0, 256, (t, height, width, channels), np.uint8)
    a = patch_affinity(
        picture, clip_shape=(t, 2 * height, 3 * width), h=60.0, patch=patch, step=step
    )
    _, h, w = a.keys.shape
    tokens = [
        (f, a.offset + y * step, a.offset + x * step)
        for f in range(t) for y in range(h) for x in range(w)
    ]  # fmt: skip
    some = [0, a.queries.size // 2, a.queries.size - 1]
    want = nl_means_rows(picture, tokens, some, patch, 60.0)
    np.testing.assert_allclose(a.rows(some)[0].numpy(), want, rtol=1e-4, atol=1e-9)
    for index in some:  # pixel (y, x) of the picture covers 2 x 3 pixels of the clip
        f, y, x = tokens[index]
        assert a.keys.centre(index) == pytest.approx((f, 2 * y + 0.5, 3 * x + 1.0))


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"patch": 4}, "odd"),
        ({"patch": 0}, "odd"),
        ({"h": 0.0}, "h must be"),
        ({"step": 0}, "step"),
        ({"step": 60}, "smaller|larger"),
        ({"patch": 99}, "smaller|larger"),
    ],
)
def test_nonsense_parameters_of_patches_are_refused(options: dict[str, float], rule: str) -> None:
    picture = np.zeros((1, 24, 32, 3), np.uint8)
    with pytest.raises(NlvizError, match=rule):
        patch_affinity(picture, clip_shape=(1, 24, 32), **{"h": 10.0, **options})  # type: ignore[arg-type]


# Windows ------------------------------------------------------------------------------------------


def filtered(
    picture: np.ndarray[Any, Any], query: tuple[int, int, int], o: dict[str, Any]
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The weighted mean at one pixel, and each pixel's share, in loops over a mirrored picture."""
    a, y, x = query
    r, q = o["window"] // 2, o["patch"] // 2
    t, h, w, _ = picture.shape
    wide = np.pad(picture, ((0, 0), (r + q, r + q), (r + q, r + q), (0, 0)), mode="reflect")
    place = [np.pad(np.arange(n), r, mode="reflect") for n in (h, w)]
    away = np.arange(-q, q + 1)
    g = np.exp(-(away**2) / (2 * o.get("patch_sigma", math.inf) ** 2))
    g = np.outer(g, g) / np.outer(g, g).sum()

    def patch(frame: int, row: int, column: int) -> np.ndarray[Any, Any]:
        return wide[frame, row + r : row + r + 2 * q + 1, column + r : column + r + 2 * q + 1]

    shares = np.zeros((t, h, w))
    ahead = o.get("frames", 2 * t + 1) // 2
    for b in range(max(a - ahead, 0), min(a + ahead + 1, t)):
        for v in range(-r, r + 1):
            for u in range(-r, r + 1):
                apart = ((patch(b, y + v, x + u) - patch(a, y, x)) ** 2).mean(-1)
                d = max((apart * g).sum() - 2 * o.get("sigma", 0.0) ** 2, 0)
                f = math.exp(-d / o["h"] ** 2)
                f *= math.exp(-(v**2 + u**2) / (2 * o.get("spatial", math.inf) ** 2))
                shares[b, place[0][y + v + r], place[1][x + u + r]] += f
    shares /= shares.sum()
    return (shares[..., None] * picture).sum((0, 1, 2)), shares


WINDOWED: list[dict[str, Any]] = [
    {"h": 30.0, "patch": 3, "window": 7},
    {"h": 22.0, "patch": 5, "window": 9, "sigma": 11.0},
    {"h": 25.0, "patch": 5, "window": 5, "patch_sigma": 1.3, "frames": 3},
    {"h": 40.0, "patch": 1, "window": 9, "spatial": 2.1},
    {"h": math.inf, "patch": 1, "window": 7, "spatial": 1.4, "frames": 1},
    {"h": math.inf, "patch": 1, "window": 5},
    {"h": 18.0, "patch": 7, "window": 21},  # wider than the picture: mirrored more than once
]


@pytest.mark.parametrize("options", WINDOWED)
def test_rows_of_a_window_are_those_of_a_filter_of_the_mirrored_picture(
    options: dict[str, Any],
) -> None:
    rng = np.random.default_rng(7)
    picture = rng.normal(120, 40, (4, 8, 11, 3))
    a = patch_affinity(picture, clip_shape=(4, 8, 11), step=1, **options)
    pixels = picture.reshape(-1, 3)
    for query in ((0, 0, 0), (3, 7, 10), (1, 4, 5), (2, 0, 6)):
        index = int(np.ravel_multi_index(query, (4, 8, 11)))
        want, shares = filtered(picture, query, options)
        row = a.rows([index])[0, 0].double().numpy()
        np.testing.assert_allclose(row, shares.ravel(), atol=1e-6)
        np.testing.assert_allclose(row @ pixels, want, rtol=1e-6)
        shown = a.map(frame=query[0], y=query[1], x=query[2])
        assert shown.reachable is not None and bool(shown.reachable.ravel()[row > 0].all())
        logits = a.logits([index])[0, 0].double().numpy()
        np.testing.assert_allclose(np.exp(logits) / np.exp(logits).sum(), row, atol=1e-6)


def test_the_column_of_a_window_gathers_its_rows() -> None:
    picture = np.random.default_rng(3).normal(0.5, 0.1, (2, 6, 9, 1)).astype(np.float32)
    a = patch_affinity(picture, clip_shape=(2, 6, 9), h=0.1, patch=3, window=5, step=1, frames=1)
    np.testing.assert_allclose(a.column(61).numpy(), a.dense()[..., 61].numpy(), atol=1e-7)


def test_without_a_window_every_key_is_reached_and_nothing_mirrored() -> None:
    picture = np.random.default_rng(4).normal(90, 30, (1, 9, 13, 1))
    options: dict[str, Any] = {"h": 50.0, "patch": 3, "sigma": 12.0, "spatial": 2.5}
    a = patch_affinity(picture, clip_shape=(1, 9, 13), step=1, **options)
    f = np.empty((117, 117))
    wide = np.pad(picture[0, :, :, 0], 1, mode="reflect")
    at = [(y, x) for y in range(9) for x in range(13)]
    for i, (y, x) in enumerate(at):
        for j, (v, u) in enumerate(at):
            apart = ((wide[y : y + 3, x : x + 3] - wide[v : v + 3, u : u + 3]) ** 2).mean()
            f[i, j] = math.exp(-max(apart - 288, 0) / 2500 - ((y - v) ** 2 + (x - u) ** 2) / 12.5)
    np.testing.assert_allclose(a.dense()[0].numpy(), f / f.sum(1, keepdims=True), rtol=1e-4)
    assert a.pairwise.name == "bilateral"
    with pytest.raises(NlvizError, match="no window"):
        a.window_f(3)


def test_a_window_of_a_small_copy_is_refused() -> None:
    picture = np.zeros((3, 24, 32, 3), np.uint8)
    with pytest.raises(NlvizError, match="1 pixel with a window, got 4"):
        patch_affinity(picture, clip_shape=(3, 24, 32), h=5.0, window=5)
    with pytest.raises(NlvizError, match="frames=3 limits a window"):
        patch_affinity(picture, clip_shape=(3, 24, 32), h=5.0, step=1, frames=3)
