"""What *From patches to features* says, computed again."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import nlviz
from nlviz.affinity.base import Affinity
from nlviz.recipes.composed import ComposedClip
from nlviz.recipes.lessons import features as recipe
from nlviz.resources import asset
from nlviz.web.lesson_pages import data
from tests.lessons.claims import claim
from tests.lessons.pure import hold_beside

FUR, EYE, GRASS = [1, 89.5, 319.5], [1, 115.2, 345.1], [3, 12.4, 12.3]


@cache
def seen() -> tuple[nlviz.Clip, Any, dict[str, list[Affinity]], dict[str, nlviz.Capture]]:
    """The clip, its labels, affinities and captures by light; one forward pass each."""
    film = nlviz.read_clip(asset(f"{recipe.CLIP}.mp4"))
    truth = ComposedClip.load(asset(f"{recipe.CLIP}.npz"), film.frames)
    clip = nlviz.read_clip(asset(f"{recipe.CLIP}.mp4"), frames=recipe.FRAMES)
    labels = recipe.labels_of(clip, film, truth)
    model = nlviz.load_model("lite-nl", device="cpu")
    captures = {
        "filmed": model.capture(clip),
        "darker": model.capture(replace(clip, frames=recipe.darker(clip.frames))),
    }
    found = {light: recipe.affinities(capture, clip) for light, capture in captures.items()}
    return clip, labels, found, captures


def shares(light: str, key: str) -> np.ndarray[Any, Any]:
    """(same, twin, first on same; cells): of the data."""
    lights, keys = ["filmed", "darker"], [v.key for v in recipe.VARIANTS]
    stored: np.ndarray[Any, Any] = data("features")[1]["shares"]
    return np.asarray(stored[lights.index(light), keys.index(key)], np.float64)


def cells() -> np.ndarray[Any, Any]:
    return np.asarray(data("features")[1]["labels.cells"]).ravel()


@claim("twins")
def test_the_cups_are_one_picture_swap_places_and_turn_a_little() -> None:
    truth = np.load(asset(f"{recipe.CLIP}.npz"))
    first, second = (truth["transforms"][n] for n in np.flatnonzero(truth["twins"] == 1))
    turned = [np.degrees(np.arctan2(cup[:, 1, 0], cup[:, 0, 0])) for cup in (first, second)]
    against = np.abs(turned[0][:, None] - turned[1][None])
    assert 3 < against.max() < 25  # degrees
    assert first[0, 0, 2] < second[0, 0, 2] and first[-1, 0, 2] > second[-1, 0, 2]
    length = nlviz.load_model("lite-nl", device="cpu").net.stage4.log_scale
    assert isinstance(length, torch.nn.Parameter)  # s is learned, too


@claim("patches", "twins", "disagree")
def test_the_shares_of_the_data_are_those_of_rows_made_again() -> None:
    _, labels, found, _ = seen()
    assert np.array_equal(recipe.cell_labels(labels, found["filmed"][2].queries).ravel(), cells())
    for light, affinities in found.items():
        for variant, affinity in zip(recipe.VARIANTS[1:], affinities[1:], strict=True):
            again = recipe.on_objects(affinity, labels)
            assert np.abs(again - shares(light, variant.key))[:2].max() < 2e-3
    # Non-local means is slow: some cells alone, and by another way, from the pixels themselves.
    patches = found["filmed"][0]
    own = cells()
    for cell in np.flatnonzero(own)[::110]:
        same, twin = row_by_hand(patches, labels, int(cell), own)
        assert abs(same - shares("filmed", "nl_means")[0, cell]) < 2e-3
        assert abs(twin - shares("filmed", "nl_means")[1, cell]) < 2e-3


def row_by_hand(patches: Any, labels: Any, cell: int, own: Any) -> tuple[float, float]:
    """Shares on the same object and its twin, of patches compared one by one."""
    picture = np.pad(np.asarray(patches.picture, np.float64), ((0, 0), (3, 3), (3, 3), (0, 0)),
                     mode="reflect")  # fmt: skip
    frame, y, x = cell // 350, cell % 350 // 25, cell % 25
    at = patches.queries.nearest(
        frame=frame, y=12.357142857142858 + 360 / 14 * y, x=12.3 + 25.6 * x
    )
    views = np.lib.stride_tricks.sliding_window_view(picture, (7, 7), axis=(1, 2))
    every = views[:, patches.offset :: 4, patches.offset :: 4]
    every = every.reshape(-1, 3, 7, 7)
    apart = ((every - every[at]) ** 2).mean((1, 2, 3))
    f = np.exp(-(apart - apart[np.repeat(np.arange(4), 2840) != frame].min()) / patches.h**2)
    f[np.repeat(np.arange(4), 2840) == frame] = 0
    f /= f.sum()
    keys = recipe.cell_labels(labels, patches.keys).ravel()
    twin = {1: 2, 2: 1}.get(int(own[cell]), -1)
    return float(f[keys == own[cell]].sum()), float(f[keys == twin].sum())


@claim("patches", "disagree")
def test_there_are_places_to_find_and_the_screens_do_not_open_at_one() -> None:
    own = cells() > 0
    by = np.stack([shares("filmed", v.key)[0] for v in recipe.VARIANTS])
    stray = own & (by[0] < 0.5)
    apart = own & (by.max(0) >= 0.6) & (by.min(0) <= 0.3)
    assert stray.sum() > 20 and apart.sum() > 10
    fur = 350 + 3 * 25 + 12
    assert own[fur] and not stray[fur] and not apart[fur]


@claim("light")
def test_the_dark_changes_patches_more_than_the_direction_of_features() -> None:
    _, _, _, captures = seen()
    x = {k: c.features["stage4"].float() for k, c in captures.items()}
    alike = F.cosine_similarity(x["filmed"], x["darker"], dim=0)
    assert float(alike[2:].mean()) > 0.9 and float(alike[:2].mean()) > 0.99
    clip, _, found, _ = seen()
    bright, dark = (found[k][0] for k in ("filmed", "darker"))
    late = slice(2, None)
    changed = np.abs(np.asarray(bright.picture)[late] - np.asarray(dark.picture)[late])  # type: ignore[attr-defined]
    assert changed.mean() / np.asarray(bright.picture)[late].mean() > 0.3  # type: ignore[attr-defined]
    own = cells() > 0
    lost = {k: (shares("filmed", k)[0] - shares("darker", k)[0])[own].mean()
            for k in ("nl_means", "features")}  # fmt: skip
    assert lost["nl_means"] > 0.1 > 0.02 > lost["features"]
    at = 350 + 5 * 25 + 14  # where the screen opens
    assert own[at]
    assert shares("filmed", "nl_means")[0, at] - shares("darker", "nl_means")[0, at] > 0.3
    assert clip.shape == (4, 360, 640)


@claim("light", "twins", "theta-phi", "disagree", "gain")
def test_numbers_that_texts_quote() -> None:
    numbers = data("features")[0]["numbers"]
    own = cells()
    objects, cups = own > 0, (own > 0) & (own < 3)
    assert numbers["objects"] == objects.sum() and numbers["cups"] == cups.sum()
    for v in recipe.VARIANTS:
        mean = shares("filmed", v.key)[0, objects].mean()
        assert numbers[f"all_{v.key}_filmed"] == pytest.approx(mean, abs=1e-4)
        first = shares("filmed", v.key)[2, cups].mean()
        assert numbers[f"cups_first_{v.key}"] == pytest.approx(first, abs=1e-4)
    assert abs(numbers["cups_first_nl_means"] - 0.5) < 0.06  # a coin toss
    assert 0.6 < numbers["cups_first_features"] < 0.98
    model: Any = nlviz.load_model("lite-nl", device="cpu").net
    block = model.stage4
    assert numbers["channels"] == block.channels
    assert numbers["theta_numbers"] == sum(p.numel() for p in block.theta.parameters())
    assert numbers["theta_numbers"] == sum(p.numel() for p in block.phi.parameters())
    assert numbers["sees"] == pytest.approx(recipe.receptive_side(model))
    assert numbers["patch"] == 7 * 360 / 160
    assert numbers["sees"] > 360  # beyond the frame


@claim("theta-phi")
def test_theta_and_phi_are_matrices_of_features_and_won_by_little() -> None:
    _, _, found, captures = seen()
    _, arrays = data("features")
    x = captures["filmed"].features["stage4"].float().flatten(1).mT
    learned: Any = found["filmed"][2]
    for name in ("theta", "phi"):
        made = x @ torch.from_numpy(arrays[f"{name}.weight"]).mT
        made = F.normalize(made + torch.from_numpy(arrays[f"{name}.bias"]), dim=1)
        assert float((made - getattr(learned, name)[0]).abs().max()) < 1e-4
    own = cells() > 0
    wins = shares("filmed", "learned")[0, own] > shares("filmed", "features")[0, own]
    assert 0.5 < wins.mean() < 0.9
    gap = (shares("filmed", "learned")[0, own] - shares("filmed", "features")[0, own]).mean()
    assert 0 < gap < 0.05


@claim("disagree")
def test_cut_outs_move_and_their_pixels_stay() -> None:
    """Warp the cat of frame 3 to frame 4 by the truth: nearly the same pixels."""
    film = nlviz.read_clip(asset(f"{recipe.CLIP}.mp4"))
    truth = ComposedClip.load(asset(f"{recipe.CLIP}.npz"), film.frames)
    clip, labels, _, _ = seen()
    at = [int(np.abs(np.asarray(film.times) - time).argmin()) for time in clip.times]
    points = np.argwhere(labels[1] == recipe.CAT)[::97]
    places, there = truth.places(frame=at[1], points=points, to=at[2])
    y, x = np.rint(places[there]).astype(int).T
    before = film.frames[at[1]][tuple(points[there].T)].astype(float)
    after = film.frames[at[2]][y, x].astype(float)
    assert len(before) > 100
    assert np.abs(before - after).mean() < 8  # grey levels, compression and rounding included
    assert np.abs(before - before[::-1]).mean() > 24


@claim("gain")
def test_the_benchmark_is_the_projects_own_and_says_what_the_screen_says() -> None:
    head = data("features")[0]
    stored = json.loads(Path("tests/benchmarks/results/correspondence.json").read_text())
    top1 = head["benchmark"]["top1"]
    for frames in ("clean", "noisy"):
        links = stored["links"][f"stage4, {frames} frames: composed"]
        named = {k: v["top-1 object"] for k, v in links.items()}
        assert top1[frames]["learned"] == named["lite-nl"]
        assert top1[frames]["features"] == named["raw features, centred cosine"]
        assert top1[frames]["nl_means"] in [v for k, v in named.items() if k.startswith("pixel")]
        assert top1[frames]["untrained"] == named["untrained block"]
    assert (stored["clips"], stored["queries per clip"]) == (
        head["numbers"]["bench_clips"], head["numbers"]["bench_queries"])  # fmt: skip
    assert head["numbers"]["bench_sigma"] == stored["sigma"]
    first = {f: top1[f]["features"][0] - top1[f]["nl_means"][0] for f in top1}
    second = {f: top1[f]["learned"][0] - top1[f]["features"][0] for f in top1}
    assert second["clean"] < first["clean"] and second["noisy"] > first["noisy"]
    card = json.loads(asset("weights/lite-nl.json").read_text())
    assert "frames with noise" in card["objective"]["theta and phi"]


@claim("patches", "light", "twins", "theta-phi", "disagree", "gain")
def test_rows_and_judges_of_the_browser(tmp_path: Path) -> None:
    _, _, found, _ = seen()
    rows: list[dict[str, Any]] = []
    own = cells()
    grid = found["filmed"][2].queries
    frame_of = {k: np.repeat(np.arange(4), k // 4) for k in (1400, 11360)}
    for cell in [*np.flatnonzero(own)[::90], 350 + 3 * 25 + 12]:
        point = grid.centre(int(cell))
        for light, affinities in found.items():
            for variant, affinity in zip(recipe.VARIANTS, affinities, strict=True):
                index = affinity.queries.nearest(frame=point.frame, y=point.y, x=point.x)
                logits = affinity.logits(torch.tensor([index]))[0, 0].numpy().copy()
                logits[frame_of[len(logits)] == int(point.frame)] = -np.inf
                same, twin = shares(light, variant.key)[:2, cell]
                rows.append({"light": light, "key": variant.key, "query": list(point),
                             "same": same, "twin": twin, "top": int(logits.argmax())})  # fmt: skip
    told = {
        "rows": rows,
        "places": {"fur": FUR, "eye": EYE, "grass": GRASS},
        "choices": {
            "judgeTwinCups": {"options": ["same", "more", "always"], "right": "more"},
            "judgeLearnedWins": {
                "options": ["always", "more", "seldom"], "right": "more",
                "state": {"tried": [437, 438, 439]},
            },
            "judgeLearnedGain": {
                "options": ["clean", "noisy", "both", "neither"], "right": "noisy",
            },
        },
    }  # fmt: skip
    hold_beside("features", told, tmp_path)
