"""Colour maps, overlays, and laying weights over pixels."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from nlviz.picture import (
    GROUND,
    colour_table,
    data_url,
    encode,
    ground_of,
    overlay_frame,
    resized,
    strip_html,
)


def lightness(rgb: np.ndarray) -> np.ndarray:
    linear = (rgb / 255.0) ** 2.2
    return linear @ np.array([0.2126, 0.7152, 0.0722])


def test_the_sequential_map_grows_lighter_all_the_way() -> None:
    table = colour_table("sequential")
    assert (np.diff(lightness(table[:, :3].astype(float))) > -1e-3).all()
    assert table.shape == (256, 4)
    assert table.dtype == np.uint8
    with pytest.raises(ValueError, match="read-only"):
        table[0] = 0


@pytest.mark.parametrize("name", ["sequential", "diverging"])
def test_opacity_rises_with_the_weight_and_zero_is_clear(name: str) -> None:
    alpha = colour_table(name)[:, 3].astype(int)
    rising = alpha if name == "sequential" else alpha[128:]
    assert (np.diff(rising) >= 0).all()
    assert rising[0] < 20
    assert rising[-1] == 255
    if name == "diverging":
        np.testing.assert_array_equal(alpha, alpha[::-1])


def test_the_ground_keeps_lightness_and_loses_colour() -> None:
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, (5, 7, 3)).astype(np.uint8)
    ground = ground_of(frame).astype(float)
    luma = frame @ [0.3, 0.59, 0.11]
    wanted = (1 - GROUND.veil) * luma + GROUND.veil * (np.array(GROUND.ink) @ [0.3, 0.59, 0.11])
    assert np.abs(ground @ [0.3, 0.59, 0.11] - wanted).max() <= 0.5
    assert np.ptp(ground, axis=2).max() < 0.15 * np.ptp(frame.astype(float), axis=2).max() + 3


def test_the_diverging_map_is_lightest_in_the_middle_and_blue_below() -> None:
    lut = colour_table("diverging")[:, :3].astype(int)
    light = lightness(lut.astype(float))
    assert abs(int(light.argmax()) - 127.5) < 3
    assert lut[20, 2] > lut[20, 0]
    assert lut[-20, 0] > lut[-20, 2]


def test_opacity_grows_with_the_weight() -> None:
    frame = np.full((2, 3, 3), 200, np.uint8)
    shares = np.array([[0.0, 0.5, 1.0]] * 2, np.float32)
    shown = overlay_frame(frame, shares, strength=1.0)
    np.testing.assert_array_equal(shown[0, 2], colour_table("sequential")[255, :3])
    np.testing.assert_array_equal(shown[0, 0], ground_of(frame)[0, 0])
    over = overlay_frame(frame, np.full((2, 3), 7.0, np.float32), strength=1.0)
    np.testing.assert_array_equal(over[0, 0], colour_table("sequential")[255, :3])


def test_signed_weights_go_both_ways() -> None:
    frame = np.full((1, 3, 3), 128, np.uint8)
    shown = overlay_frame(
        frame, np.array([[-1.0, 0.0, 1.0]], np.float32), strength=1.0, signed=True
    )
    lut = colour_table("diverging")[:, :3]
    np.testing.assert_array_equal(shown[0, [0, 2]], lut[[0, 255]])
    assert np.abs(shown[0, 1].astype(int) - ground_of(frame)[0, 1]).max() <= 6


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_pictures_are_encoded(kind: str) -> None:
    picture = np.full((5, 7, 3), 90, np.uint8)
    image = Image.open(io.BytesIO(encode(picture, kind)))
    assert image.size == (7, 5)
    assert np.abs(np.asarray(image).astype(int) - 90).max() <= 2
    assert data_url(picture, kind).startswith(f"data:image/{kind};base64,")


def test_text_in_strips_is_escaped() -> None:
    html = strip_html([np.zeros((4, 4, 3), np.uint8)], captions=["<i>"], title="a & b")
    assert "&lt;i&gt;" in html
    assert "a &amp; b" in html


def test_shrinking_takes_the_mean_over_areas() -> None:
    fine = np.random.default_rng(7).integers(0, 256, (12, 20, 3), np.uint8)
    means = fine.reshape(3, 4, 5, 4, 3).astype(np.float64).mean((1, 3))
    assert np.abs(resized(fine, (3, 5)) - means).max() <= 0.5
    assert resized(fine, (12, 20)) is fine
    assert resized(fine, (17, 31)).shape == (17, 31, 3)
