"""HDR and wide primaries against colours mixed by the equations of BT.2100 and BT.2390."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from nlviz.clips.film_colours import ColourTags, film_rgb
from tests.colour_patches import PATCHES, middles, patch_frame

Numbers = npt.NDArray[np.float64]
# Light of BT.709 as light of BT.2020: ITU-R BT.2087, table 2.
TO_2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
# Light of BT.709 as light of Display P3.
TO_P3 = np.array([[0.8225, 0.1774, 0.0], [0.0332, 0.9669, 0.0], [0.0171, 0.0724, 0.9108]])


def light_of(rgb: npt.ArrayLike) -> Numbers:
    v = np.asarray(rgb) / 255
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


def srgb(light: Numbers) -> Numbers:
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def pq(nits: Numbers) -> Numbers:
    y = (nits / 1e4) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * y) / (1 + 18.6875 * y)) ** 78.84375


def hlg(nits: Numbers) -> Numbers:
    """Signal of light on a screen of 1000 cd/m2, the system gamma of 1.2 undone."""
    screen = nits / 1000
    y = screen @ [0.2627, 0.6780, 0.0593]
    scene = screen * np.maximum(y, 1e-9)[:, None] ** (1 / 1.2 - 1)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(
        scene <= 1 / 12, (3 * scene) ** 0.5, a * np.log(np.maximum(12 * scene - b, 1e-9)) + c
    )


def shown(signal: Numbers, primaries: int, transfer: int) -> tuple[npt.NDArray[np.int64], str]:
    frame: Any = patch_frame("yuv444p10le", 9, colours=signal)
    frame.color_primaries, frame.color_trc = primaries, transfer
    notes: list[str] = []
    rgb = film_rgb(frame, codec="hevc", container=ColourTags(), note=notes.append)
    return middles(rgb), " ".join(notes)


@pytest.mark.parametrize(
    ("primaries", "matrix", "name"), [(9, TO_2020, "BT.2020"), (12, TO_P3, "P3")]
)
@pytest.mark.parametrize("transfer", [1, 13, 14, 6])
def test_wide_primaries_become_those_of_bt709(
    primaries: int, matrix: Numbers, name: str, transfer: int
) -> None:
    rgb, notes = shown(srgb(light_of(PATCHES) @ matrix.T), primaries, transfer)
    assert np.abs(rgb - PATCHES).max() <= 2
    assert f"converted from {'Display ' * (name == 'P3')}{name} to those of BT.709" in notes


@pytest.mark.parametrize(("transfer", "encode", "name"), [(16, pq, "PQ"), (18, hlg, "HLG")])
def test_hdr_below_the_knee_is_shown_as_bright_as_on_paper(
    transfer: int, encode: Any, name: str
) -> None:
    """Light below BT.2390's knee (92 of 203 cd/m2) is not touched."""
    dim = np.minimum(PATCHES, 170)
    rgb, notes = shown(encode(203 * light_of(dim) @ TO_2020.T), 9, transfer)
    assert np.abs(rgb - dim).max() <= 3
    assert f"HDR ({name})" in notes
    assert "1000 cd/m²" in notes


@pytest.mark.parametrize(("transfer", "encode"), [(16, pq), (18, hlg)])
def test_highlights_are_rolled_off_in_order(transfer: int, encode: Any) -> None:
    nits = np.array([50, 100, 203, 400, 700, 1000.0])
    grey, _ = shown(encode(nits[:, None].repeat(3, 1)), 9, transfer)
    assert (np.diff(grey[:, 1]) >= [1, 1, 1, 1, 0]).all()  # the curve ends level
    assert (np.ptp(grey, axis=1) <= 1).all()
    assert grey[-1, 1] >= 254
    assert 215 < grey[2, 1] < 240  # paper keeps below the highlights


def test_a_hue_survives_the_roll_off() -> None:
    light = np.array([[300, 200, 150], [200, 300, 250.0]])
    rgb, _ = shown(pq(light), 9, 16)
    ratio = (TO_2020 @ light_of(rgb).T).T
    ratio = ratio / ratio.max(1, keepdims=True)
    np.testing.assert_allclose(ratio, light / 300, atol=0.03)


def test_curves_that_are_not_undone_are_said() -> None:
    _, notes = shown(PATCHES / 255, 1, 9)
    assert "unusual curve (number 9" in notes
    _, notes = shown(PATCHES / 255, 9, 9)
    assert "BT.2020; they were not converted" in notes
    assert shown(PATCHES / 255, 1, 1)[1] == ""
    assert shown(PATCHES / 255, 6, 6)[1] == ""


@pytest.mark.parametrize(("primaries", "matrix"), [(1, np.eye(3)), (9, TO_2020)])
def test_linear_light_is_brought_to_the_curve_of_screens(primaries: int, matrix: Numbers) -> None:
    rgb, notes = shown(light_of(PATCHES) @ matrix.T, primaries, 8)
    assert np.abs(rgb - PATCHES).max() <= 4  # ten bits of light are coarse where it is dark
    assert "linear light" in notes
