from __future__ import annotations

import itertools

import numpy as np
import pytest

from nlviz.denoise.comparison import setup as setups
from nlviz.denoise.comparison.run import Comparison, carry_out, compare
from nlviz.denoise.comparison.setup import Setup, default_denoisers, digest_of_pixels
from nlviz.denoise.estimation import estimate_sigma
from nlviz.denoise.noise import Noise, add_noise
from nlviz.denoise.quality import psnr, ssim
from nlviz.denoise.registry import denoise, denoise_clip
from nlviz.errors import NlvizError
from tests.denoise.test_noise import photo

FEW = ["gaussian", "non-local-means", "opencv-nlm"]
SMALL = {"patch": 5, "window": 11}


def small(grey: bool = False) -> np.ndarray:
    picture = photo(size=(57, 43))
    return picture[..., 1] if grey else picture


@pytest.fixture(scope="module")
def compared() -> Comparison:
    return compare(small(), sigma=25, denoisers=FEW, seed=3, parameters=SMALL, name="cat")


def test_all_are_given_the_same_noisy_picture(compared: Comparison) -> None:
    noisy = add_noise(small(), 25, seed=3)
    assert np.array_equal(compared.noisy, noisy)
    assert list(compared.results) == FEW
    for name, result in compared.results.items():
        asked = {} if name == "gaussian" else SMALL
        assert np.array_equal(result.picture, denoise(noisy, name, sigma=25, **asked))
        assert np.array_equal(result.method_noise, noisy - result.picture)


def test_measures_are_those_of_the_float_pictures(compared: Comparison) -> None:
    clean = small()
    assert (compared.psnr, compared.ssim) == (
        psnr(clean, compared.noisy),
        ssim(clean, compared.noisy),
    )
    for row, result in zip(compared.table, compared.results.values(), strict=True):
        assert row["psnr"] == psnr(clean, result.picture) > compared.psnr
        assert row["ssim"] == ssim(clean, result.picture)
        assert row["seconds"] > 0


def test_the_table_marks_the_best_of_each_column(compared: Comparison) -> None:
    columns = {
        "denoiser",
        "label",
        "psnr",
        "ssim",
        "seconds",
        "parameters",
        "note",
        "licence",
        "best",
    }
    table = {row["denoiser"]: row for row in compared.table}
    assert all(set(row) == columns for row in table.values())
    for column, better in (("psnr", max), ("ssim", max), ("seconds", min)):
        best = better(table, key=lambda name: table[name][column])
        assert compared.best(column) == best
        assert [name for name, row in table.items() if column in row["best"]] == [best]
    with pytest.raises(NlvizError, match="psnr, ssim, seconds, got 'speed'"):
        compared.best("speed")


def test_the_seed_decides(compared: Comparison) -> None:
    options = {"sigma": 25, "denoisers": FEW, "parameters": SMALL}
    again, other = (compare(small(), seed=s, **options) for s in (3, 4))  # type: ignore[arg-type]
    for name, result in compared.results.items():
        assert again.results[name].psnr == result.psnr
        assert other.results[name].psnr != result.psnr


def test_clipped_values_are_told_for_opencv_alone(compared: Comparison) -> None:
    assert "% of the values were clipped" in compared.results["opencv-nlm"].note
    assert "clipped" not in compared.results["gaussian"].note
    inside = compare(np.full((20, 24), 128, np.uint8), sigma=5, denoisers=["opencv-nlm"])
    assert "% of the values" not in inside.results["opencv-nlm"].note


def test_sigma_follows_the_units_where_it_is_not_given() -> None:
    for image, sigma in ((small(), 25), (small() / np.float32(255), 25 / 255)):
        seen = compare(image, denoisers=["gaussian"])
        assert seen.sigma == pytest.approx(sigma)
        assert seen.sigma_from == "that of the noise"


@pytest.mark.parametrize("kind", ["poisson-gaussian", "salt-and-pepper"])
def test_other_noises_tell_their_level(kind: str) -> None:
    noise = Noise(kind, sigma=4, gain=3, amount=0.05)  # type: ignore[arg-type]
    seen = compare(small(), noise=noise, denoisers=["gaussian"], clipped=True)
    assert seen.sigma == noise.level(small())
    assert "mean variance" in seen.sigma_from
    assert np.array_equal(seen.noisy, add_noise(small(), Noise(kind, 4, 3, 0.05, clipped=True)))  # type: ignore[arg-type]
    told = compare(small(), noise=noise, denoisers=["gaussian"], sigma=9)
    assert (told.sigma, told.sigma_from) == (9, "given")


@pytest.mark.parametrize("way", ["array", "flag"])
def test_a_picture_that_is_noisy_already_has_no_decibels(way: str) -> None:
    noisy = add_noise(small(), 20)
    if way == "array":
        seen = compare(noisy=noisy, denoisers=FEW)
    else:
        seen = compare(noisy, noisy=True, denoisers=FEW)
    assert seen.clean is None
    assert seen.sigma == estimate_sigma(noisy)
    assert "Donoho" in seen.sigma_from
    assert {(row["psnr"], row["ssim"]) for row in seen.table} == {(None, None)}
    assert seen.best("psnr") is None
    assert seen.best("seconds") in FEW
    assert np.array_equal(seen.noisy, noisy)
    assert compare(noisy=noisy, sigma=7, denoisers=FEW[:1]).sigma == 7


def test_a_real_pair_is_measured() -> None:
    noisy = add_noise(small(), 20, seed=9)
    seen = compare(small(), noisy=noisy, sigma=20, denoisers=["gaussian"])
    assert seen.psnr == psnr(small(), noisy)


def test_uint8_input_is_rounded_and_clipped_for_all() -> None:
    seen = compare(small(), denoisers=FEW, precision="uint8", parameters=SMALL)
    expected = np.rint(add_noise(small(), 25)).clip(0, 255)
    assert seen.precision == "uint8"
    assert np.array_equal(seen.noisy, expected)
    # The results are measured in float nevertheless.
    assert not np.array_equal(seen.results["gaussian"].picture % 1, np.zeros_like(seen.noisy))


def test_fair_is_the_same_input_and_the_oracles_strength() -> None:
    seen = compare(small(grey=True), denoisers=FEW, fair=True, parameters=SMALL)
    assert seen.precision == "uint8"  # OpenCV takes nothing else
    for name, result in seen.results.items():
        found = result.tuned
        assert found is not None
        assert found.psnr == result.psnr == max(db for _, db in found.grid)
        assert len(found.grid) >= 5
        assert not found.at_edge
        assert result.parameters[found.parameter] == found.value
        assert "Oracle" in result.note
        if name != "gaussian":
            assert (result.parameters["patch"], result.parameters["window"]) == (5, 11)
    alone = compare(small(grey=True), denoisers=FEW[:2], fair=True, parameters=SMALL)
    assert alone.precision == "float"


def test_clips_are_compared_in_space_time() -> None:
    clip = np.stack([small()] * 3)
    names = ["gaussian", "non-local-means", "opencv-nlm-multi"]
    seen = compare(clip, sigma=20, denoisers=names, parameters={**SMALL, "frames": 3})
    assert seen.of_clip
    noisy = add_noise(clip, 20)
    done = denoise_clip(noisy, "non-local-means", sigma=20, frames=3, **SMALL)
    assert np.array_equal(seen.results["non-local-means"].picture, done)
    assert seen.shown("clean").shape == small().shape
    assert np.array_equal(seen.shown("noisy", frame=2), np.rint(noisy[2]).clip(0, 255))


def test_what_is_shown_is_clipped_and_method_noise_is_on_one_scale(compared: Comparison) -> None:
    assert np.array_equal(compared.shown("clean"), small())
    assert np.array_equal(compared.shown("noisy"), np.rint(compared.noisy).clip(0, 255))
    assert compared.noise_scale == 75
    noise = compared.results["gaussian"].method_noise
    shown = compared.shown_noise("gaussian").astype(float)
    inside = np.abs(noise) < 74
    assert np.abs((shown / 255 * 150 - 75)[inside] - noise[inside]).max() < 0.6
    with pytest.raises(NlvizError, match="this comparison has no 'bm3d'"):
        compared.shown("bm3d")


def test_parameters_are_for_all_or_for_one() -> None:
    given = {"patch": 3, "opencv-nlm": {"h": 18, "patch": 5}, "window": 9}
    seen = compare(small(), denoisers=["mean", *FEW], parameters=given)
    got = {name: result.parameters for name, result in seen.results.items()}
    assert (got["opencv-nlm"]["h"], got["opencv-nlm"]["patch"]) == (18, 5)
    assert (got["non-local-means"]["patch"], got["non-local-means"]["window"]) == (3, 9)
    assert got["mean"]["window"] == 5  # its window is its strength, not where patches are sought


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"denoisers": []}, "at least one denoiser"),
        ({"denoisers": ["mean", "mean"]}, "named twice"),
        ({"denoisers": ["meen"]}, "did you mean 'mean'"),
        ({"denoisers": ["opencv-nlm-multi"]}, "is for clips"),
        ({"sigma": -3}, "sigma must be 0 or above, got sigma=-3"),
        ({"parameters": {"bm3d": {"level": 3}}}, "'bm3d', which is not among the denoisers"),
        ({"parameters": {"lavel": 3}}, "none of gaussian, non-local-means, .* has a parameter"),
        ({"precision": "uint9"}, "float or uint8, got precision='uint9'"),
        ({"noisy": True, "fair": True}, "tunes against the clean picture"),
        ({"noisy": True, "noise": Noise()}, "gets no more noise"),
        (
            {"fair": True, "parameters": {"opencv-nlm": {"patch": 5}}},
            "the same patch for all, got 5 and 7",
        ),
    ],
)
def test_what_makes_no_comparison_is_told(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(NlvizError, match=sentence):
        compare(small(), **{"denoisers": FEW, **options})  # type: ignore[arg-type]


def test_no_picture_and_the_wrong_units_are_told() -> None:
    with pytest.raises(NlvizError, match="needs a picture, none is given"):
        compare(denoisers=FEW)
    with pytest.raises(NlvizError, match=r"whose white is 1; sigma=25 .* sigma=0.098"):
        compare(small() / np.float32(255), sigma=25, denoisers=FEW)
    with pytest.raises(NlvizError, match="NaN"):
        compare(np.full((12, 13), np.nan), denoisers=FEW)


@pytest.mark.parametrize("shape", [(1, 1), (3, 2, 3), (10, 40)])
def test_tiny_pictures_are_compared_without_ssim(shape: tuple[int, ...]) -> None:
    seen = compare(np.full(shape, 100, np.uint8), sigma=9, denoisers=FEW)
    assert all(row["ssim"] is None and row["psnr"] > 0 for row in seen.table)


def test_without_noise_every_picture_is_the_clean_one() -> None:
    seen = compare(small(), sigma=0, denoisers=FEW)
    assert {row["psnr"] for row in seen.table} == {float("inf")}


def test_progress_rises_and_can_cancel() -> None:
    told: list[float] = []
    compare(small(), denoisers=FEW, progress=lambda s, share: told.append(share))
    assert told[0] == 0
    assert told[-1] == 1
    assert all(b >= a - 1e-9 for a, b in itertools.pairwise(told))

    def stop(sentence: str, share: float) -> None:
        if share > 0.4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare(small(), denoisers=FEW, progress=stop)


def test_by_default_all_but_the_very_slow_run(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "scikit-image-slow" not in default_denoisers()
    assert "opencv-nlm-multi" in default_denoisers(of_clips=True)
    monkeypatch.setattr(setups, "list_denoisers", lambda: ["mean", "gaussian", "scikit-image-slow"])
    assert list(compare(small()).results) == ["mean", "gaussian"]


def test_a_setup_makes_the_same_digits_again(compared: Comparison) -> None:
    setup = Setup.from_dict(compared.setup.to_dict())
    assert setup == compared.setup
    again = carry_out(setup, small())
    for name, result in compared.results.items():
        assert np.array_equal(again.results[name].picture, result.picture)
    for change, message in (
        ({"seed": True}, "setup's seed must be a whole number from 0, got True"),
        ({"sigma": float("nan")}, "setup's sigma must be a number from 0, or null, got nan"),
        ({"precision": "half"}, "precision must be float or uint8, or null"),
        ({"sed": 3}, "has no field 'sed'; did you mean 'seed'"),
        ({"noise": {"kind": "gaussian", "sigma": -5}}, "sigma must be 0 or above"),
    ):
        with pytest.raises(NlvizError, match=message):
            Setup.from_dict({**setup.to_dict(), **change})
    with pytest.raises(NlvizError, match="setup's noise is missing; save the comparison again"):
        Setup.from_dict({"denoisers": ["mean"]})


def test_the_digest_is_of_type_shape_and_values(compared: Comparison) -> None:
    picture = small()
    assert compared.digest == digest_of_pixels(picture)
    others = [picture.astype(np.float32), picture.transpose(1, 0, 2), picture + np.uint8(1)]
    assert compared.digest not in {digest_of_pixels(other) for other in others}


def test_a_notebook_shows_pictures_and_table(compared: Comparison) -> None:
    page = compared._repr_html_()
    assert page.count("<img") == 5
    assert f"<b>{compared.results[compared.best() or ''].psnr:.2f}</b>" in page
    assert "43x57x3" in repr(compared)
