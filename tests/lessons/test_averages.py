"""Lesson 1: what its screens claim, from the library's own denoisers; its arithmetic and judges."""

from __future__ import annotations

import math
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import numpy.typing as npt
import pytest

from nlviz.denoise.affinities import affinity
from nlviz.denoise.noise import add_noise
from nlviz.denoise.quality import psnr
from nlviz.denoise.registry import denoise
from nlviz.recipes.lessons.averages import (
    EYE,
    FILTERS,
    OPENING,
    PIXEL,
    RIM,
    SIGMA,
    SMALL,
    crop,
    errors,
    view,
)
from nlviz.views.denoise_view import DenoiseView
from nlviz.web.lesson_pages import data, texts
from nlviz.web.payloads.container import unpack
from tests.lessons.claims import claim
from tests.lessons.pure import Pure

LESSON = Pure("averages")
NUMBERS = data("averages")[0]["numbers"]
ARRAYS = data("averages")[1]
CLEAN, NOISY = ARRAYS["rim.clean"], ARRAYS["rim.noisy"]
SIDE = len(CLEAN)
Array = npt.NDArray[Any]


def row(name: str, y: int, x: int, of: Array = NOISY) -> Array:
    """Return what a filter averages for a pixel, (H, W), by the library."""
    weights = affinity(of, name, sigma=SIGMA, data_range=255.0).rows([y * of.shape[1] + x])
    found: Array = weights[0, 0].numpy().astype(np.float64).reshape(of.shape)
    return found


def around(weights: Array, y: int, x: int, reach: int) -> Array:
    return weights[y - reach : y + reach + 1, x - reach : x + reach + 1]


def test_the_bundled_data_is_what_the_recipe_makes() -> None:
    noisy = {of: add_noise(crop(of), SIGMA, seed=3, data_range=255.0) for of in (RIM, EYE)}
    for name, values in {
        "rim.clean": crop(RIM), "rim.noisy": noisy[RIM],
        "small.clean": crop(RIM)[SMALL, SMALL], "small.noisy": noisy[RIM][SMALL, SMALL],
    }.items():  # fmt: skip
        np.testing.assert_array_equal(ARRAYS[name], values)
    views = {
        "rim.view": view(noisy[RIM], crop(RIM), FILTERS, PIXEL),
        "eye.view": view(noisy[EYE], crop(EYE), FILTERS[-1:], OPENING),
    }
    for name, made in views.items():
        (header, sections), (own, bundled) = unpack(made), unpack(ARRAYS[name].tobytes())
        assert header == own
        assert all(
            np.array_equal(sections[each], bundled[each]) for each in {**sections, **bundled}
        )


@claim("pattern")
def test_two_filters_weigh_the_same_around_every_pixel_and_two_do_not() -> None:
    screen = LESSON.screen("pattern")
    reach, here, there = screen["question"]["reach"], PIXEL, (44, 30)
    moved = {}
    for name in FILTERS:
        a, b = (around(row(name, *place), *place, reach) for place in (here, there))
        moved[name] = np.abs(a - b).sum() / 2
    assert moved["mean"] < 1e-6 and moved["gaussian"] < 1e-6
    assert moved["bilateral"] > 0.1 and moved["non-local-means"] > 0.1
    live = {"$live": "rim.view", "query": [0, *there]}
    given = [option["id"] for option in screen["question"]["options"]]
    verdicts = LESSON.judged(
        "judgePattern", "pattern", *({"given": g, "reading": live} for g in given)
    )
    said = dict(zip(given, (v["say"] for v in verdicts), strict=True))
    assert said == {"near": "right", "values": "bilateral", "alike": "means", "all": "means"}
    for verdict in verdicts:
        values = verdict["values"]
        assert (values["row"], values["column"]) == there
        assert (values["other_row"], values["other_column"]) == here
        assert values["bilateral"] == pytest.approx(moved["bilateral"], abs=1e-3)
        assert values["means"] == pytest.approx(moved["non-local-means"], abs=1e-3)
    # Where nobody moved, or close to a border, other pixels are compared, whose windows lie inside.
    for query in ((0, *PIXEL), (0, 1, 62)):
        (verdict,) = LESSON.judged(
            "judgePattern", "pattern", {"given": "near", "reading": {**live, "query": query}}
        )
        assert verdict["right"], query
    # Each pixel becomes the weighted mean, whatever the filter.
    for name in FILTERS:
        done = denoise(NOISY, name, sigma=SIGMA, data_range=255.0)
        assert (row(name, *there) * NOISY).sum() == pytest.approx(done[there], abs=1e-2)


@claim("noise")
def test_noise_falls_as_one_over_the_root_of_n() -> None:
    figure = LESSON.screen("noise")["figure"]
    counts, draws = figure["counts"], figure["draws"]
    assert figure["sigma"] == SIGMA == NUMBERS["sigma"]
    question = LESSON.screen("noise")["question"]
    target, near = question["target"], question["tolerance"]
    for text in question["text"].values():
        assert all(f"{value:.1f}" in text for value in (target, target - near, target + near))
    (measured, normal) = LESSON.call(
        ("draws", "noiseOfMeans", SIGMA, counts, draws, figure["seed"]),
        ("draws", "gaussianDraws", 5, 40_001),
    )
    # The browser's draws are those of a normal distribution, and its figures those of numpy.
    assert len(normal) == 40_001
    assert abs(np.mean(normal)) < 0.02 and np.std(normal) == pytest.approx(1, abs=0.02)
    assert np.mean(np.abs(normal) < 1) == pytest.approx(0.6827, abs=0.01)
    assert abs(np.corrcoef(normal[:-1], normal[1:])[0, 1]) < 0.02
    noise = np.random.default_rng(2).normal(0, SIGMA, (4000, counts[-1]))
    for n, found in zip(counts, measured, strict=True):
        own = np.sqrt((noise[:, :n].mean(1) ** 2).mean())
        assert own == pytest.approx(SIGMA / math.sqrt(n), rel=0.05)
        assert found == pytest.approx(own, rel=0.12)
    reading = {"sigma": SIGMA, "measured": {"draws": draws, "seed": figure["seed"]}}
    answers = {100: "right", 93: "right", 108: "right", 10: "linear", 64: "few", 12: "few",
               92: "few", 110: "many", 1e9: "many", 0: "few"}  # fmt: skip
    verdicts = LESSON.judged(
        "judgeCount", "noise", *({"given": given, "reading": reading} for given in answers)
    )
    for (given, said), verdict in zip(answers.items(), verdicts, strict=True):
        assert verdict["say"] == said, given
        assert verdict["values"]["left"] == pytest.approx(SIGMA / math.sqrt(max(given, 1)))
        assert verdict["values"]["measured"] == pytest.approx(verdict["values"]["left"], rel=0.15)
    assert verdicts[3]["values"]["factor"] == pytest.approx(math.sqrt(10))


@claim("blur")
def test_noise_falls_blur_grows_and_the_error_is_made_of_both() -> None:
    screen = LESSON.screen("blur")
    least, most, step = screen["figure"]["range"]
    widths = np.arange(least, most + step / 2, step).round(3).tolist()
    parts = LESSON.call(
        *(("blurred", "partsOfError", CLEAN.ravel().tolist(), SIDE, SIDE, SIGMA, s) for s in widths)
    )
    noise, blur, error = (np.array([part[name] for part in parts]) for name in
                          ("noise", "blur", "error"))  # fmt: skip
    assert (np.diff(noise) < 0).all() and (np.diff(blur) > 0).all()
    np.testing.assert_allclose(error**2, noise**2 + blur**2)
    # The library's filter, its weights, and its error over many draws.
    tried = [0.3, 0.8, 1.3, 2.6]
    found = LESSON.call(
        *(("blurred", "gaussianFiltered", NOISY.ravel().tolist(), SIDE, SIDE, s) for s in tried)
    )
    for s, filtered in zip(tried, found, strict=True):
        own = denoise(NOISY, "gaussian", sigma=SIGMA, data_range=255.0, spatial=s)
        np.testing.assert_allclose(np.reshape(filtered, own.shape), own, atol=2e-3)
        weights = affinity(NOISY, "gaussian", sigma=SIGMA, data_range=255.0, spatial=s)
        middle = weights.rows([SIDE * SIDE // 2 + SIDE // 2])[0, 0].double()
        part = parts[widths.index(s)]
        assert part["noise"] == pytest.approx(SIGMA * float((middle**2).sum()) ** 0.5, rel=1e-4)
        squares = [
            ((denoise(add_noise(CLEAN, SIGMA, seed=k, data_range=255.0), "gaussian", sigma=SIGMA,
                      data_range=255.0, spatial=s) - CLEAN) ** 2).mean()
            for k in range(8)
        ]  # fmt: skip
        assert math.sqrt(np.mean(squares)) == pytest.approx(part["error"], rel=0.03)
    readings = [{"s": s, "sigma": SIGMA, "range": [least, most, step]} for s in widths]
    verdicts = LESSON.judged("judgeBlur", "blur", *({"reading": reading} for reading in readings))
    best = int(error.argmin())
    within = 1 + screen["question"]["within"]
    for n, verdict in enumerate(verdicts):
        right = error[n] <= error[best] * within
        assert verdict["say"] == ("right" if right else "noise" if n < best else "blur"), widths[n]
        assert verdict["values"]["best_s"] == pytest.approx(widths[best])
    # From the best on, each step takes more of the picture than of the noise.
    assert (np.diff(blur**2)[best:] > -np.diff(noise**2)[best:]).all()
    assert error[best] < 0.5 * SIGMA


@claim("paint")
def test_the_error_of_a_painted_mean_and_those_of_the_filters() -> None:
    figure = LESSON.screen("paint")["figure"]
    side, (y, x) = figure["side"], figure["pixel"]
    assert (y, x) == PIXEL and NUMBERS["draws"] >= 500
    (window,) = LESSON.call(("judges", "paintedWindow", "$data", figure["pixel"], side))
    clean = CLEAN[y - 4 : y + 5, x - 4 : x + 5]
    np.testing.assert_array_equal(np.reshape(window["clean"], (side, side)), clean)
    np.testing.assert_array_equal(
        np.reshape(window["noisy"], (side, side)), NOISY[y - 4 : y + 5, x - 4 : x + 5]
    )
    # Filters that do not look at the picture have an error in closed form, the others are measured.
    for name in ("mean", "gaussian"):
        weights = row(name, y, x)
        shift = (weights * CLEAN).sum() - CLEAN[y, x]
        exact = math.hypot(SIGMA * math.sqrt((weights**2).sum()), shift)
        assert NUMBERS[f"error_{name}"] == pytest.approx(exact, rel=0.06)
    for name, measured in errors(CLEAN, PIXEL, draws=60).items():
        assert NUMBERS[f"error_{name.replace('-', '_')}"] == pytest.approx(measured, rel=0.3), name
    best = min(NUMBERS[number] for number in figure["filters"].values())
    everything = list(range(side * side))
    coffee = [j for j in everything if j < 5 * side]
    paintings = {"right": coffee, "noise": [40, 31, 22], "blur": everything, "nothing": []}
    readings = [
        {**window, "chosen": chosen, "centre": 40, "sigma": SIGMA} for chosen in paintings.values()
    ]
    verdicts = LESSON.judged("judgePainted", "paint", *({"reading": r} for r in readings))
    assert [v["say"] for v in verdicts] == list(paintings)
    noise = np.random.default_rng(4).normal(0, SIGMA, (3000, side * side))
    for chosen, verdict in zip(list(paintings.values())[:3], verdicts, strict=False):
        means = (clean.ravel() + noise)[:, chosen].mean(1)
        drawn = math.sqrt(((means - clean[4, 4]) ** 2).mean())
        values = verdict["values"]
        assert values["error"] == pytest.approx(drawn, rel=0.05)
        assert values["best"] == best
        assert verdict["right"] == (values["error"] < best)


@claim("strength")
def test_the_browsers_non_local_means_is_the_librarys_and_its_psnr_has_one_peak() -> None:
    screen = LESSON.screen("strength")
    figure = screen["figure"]
    clean, noisy = ARRAYS["small.clean"], ARRAYS["small.noisy"]
    shares = np.arange(figure["range"][0], figure["range"][1] + 1e-9, figure["range"][2])
    strengths = (SIGMA * shares).round(3).tolist()
    own = [
        psnr(clean, denoise(noisy, "non-local-means", sigma=SIGMA, data_range=255.0, h=h),
             data_range=255.0)
        for h in strengths
    ]  # fmt: skip
    best = int(np.argmax(own))
    assert 0 < best < len(own) - 1
    assert (np.diff(own[: best + 1]) > 0).all() and (np.diff(own[best:]) < 0).all()
    reading = {"sigma": SIGMA, "strengths": strengths, "sides": figure["sides"]}
    tried = [0, 3, best - 1, best, best + 1, 20, len(own) - 1]
    verdicts = LESSON.judged(
        "judgeStrength", "strength",
        *({"reading": {**reading, "h": strengths[n]}} for n in tried),
    )  # fmt: skip
    before = psnr(clean, noisy, data_range=255.0)
    for n, verdict in zip(tried, verdicts, strict=True):
        values = verdict["values"]
        assert values["psnr"] == pytest.approx(own[n], abs=2e-3), strengths[n]
        assert values["before"] == pytest.approx(before, abs=1e-3)
        assert values["best_h"] == pytest.approx(strengths[best])
        right = own[n] >= own[best] - screen["question"]["within"]
        assert verdict["say"] == ("right" if right else "low" if n < best else "high")
    # Patch and window are those of the library's denoiser: the numbers above are its own.
    means = affinity(noisy, "non-local-means", sigma=SIGMA, data_range=255.0)
    assert figure["sides"] == {"patch": means.patch, "window": 21}  # type: ignore[attr-defined]


@claim("rare")
def test_what_has_no_twin_is_averaged_with_next_to_nothing() -> None:
    noisy = add_noise(crop(EYE), SIGMA, seed=3, data_range=255.0)
    weights = row("non-local-means", *OPENING, of=noisy).ravel()
    entropy = -(weights * np.log(np.maximum(weights, 1e-300))).sum()
    assert math.exp(entropy) > 100  # an iris pixel is spread over more than a hundred
    places = [OPENING, (16, 32), (17, 34), (20, 20), (30, 35), (50, 40)]
    verdicts = LESSON.judged(
        "judgeRare", "rare",
        *({"reading": {"$live": "eye.view", "query": [0, *place]}} for place in places),
    )  # fmt: skip
    for place, verdict in zip(places, verdicts, strict=True):
        own = np.sort(row("non-local-means", *place, of=noisy).ravel())[::-1]
        half = int(np.searchsorted(np.cumsum(own), 0.5)) + 1
        values = verdict["values"]
        assert values["half"] == pytest.approx(half, abs=1), place
        assert values["most"] == pytest.approx(own[0], abs=1e-3)
        assert values["left"] == pytest.approx(SIGMA * math.sqrt((own**2).sum()), rel=1e-2)
        assert verdict["right"] == (half == 1)
    assert [v["right"] for v in verdicts] == [False, True, True, False, False, False]


def test_the_app_opens_the_pixel_that_a_screen_speaks_of() -> None:
    tops = {"coffee.jpg": RIM, "cat.jpg": EYE}
    for screen in texts("averages")["screens"]:
        if "open" in screen["figure"]:
            page, fields = screen["figure"]["open"].split("?")
            found = DenoiseView.understood(dict(parse_qsl(fields)))
            assert page == "denoise" and not found.left_out and not found.complaint
            name, top, left = tops[found.values["picture"]]
            pixel = PIXEL if name == "coffee.jpg" else OPENING
            assert found.values["at"] == (0, top + pixel[0], left + pixel[1])
