"""Composed clips: their truth against what the pixels themselves say."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from nlviz.errors import NlvizError
from nlviz.recipes.composed import ComposedClip, CutOut, affine, compose, render
from nlviz.resources import asset

SIZE = (90, 120)


def ramp(height: int, width: int, layer: int) -> np.ndarray:
    """Return a picture whose red is its row, green its column and blue its layer."""
    y, x = np.indices((height, width))
    blue = np.full_like(y, 40 * layer)
    return np.stack([y + 20, x + 20, blue], axis=-1).astype(np.uint8)


def inner(labels: np.ndarray) -> np.ndarray:
    """Return where all pixels within 2 of a pixel show its layer."""
    square = np.ones((5, 5), np.uint8)
    return np.asarray(cv2.erode(labels, square) == cv2.dilate(labels, square))


@pytest.fixture(scope="module")
def clip() -> ComposedClip:
    pieces = [CutOut(ramp(40, 50, k), np.ones((40, 50), np.float32)) for k in (1, 2)]
    turning = [
        affine(scale=1 + 0.1 * t, turn=0.2 * t, pivot=(20, 25), place=(30 + 9 * t, 20 + 25 * t))
        for t in range(4)
    ]
    crossing = [
        affine(scale=1, turn=-0.3, pivot=(20, 25), place=(60, 100 - 30 * t)) for t in range(4)
    ]
    still = [affine(scale=1.1, turn=0.02 * t, pivot=(0, 0), place=(-12, -12)) for t in range(4)]
    return render(ramp(140, 180, 0), pieces, np.array([still, turning, crossing]), SIZE)


def test_places_agree_with_the_colours_of_the_pixels(clip: ComposedClip) -> None:
    rng = np.random.default_rng(0)
    points = np.stack([rng.integers(3, n - 3, 300) for n in SIZE], axis=1)
    checked = 0
    for a in range(4):
        for b in range(4):
            places, seen = clip.places(frame=a, points=points, to=b)
            y, x = np.rint(places).astype(int).T
            ok = seen & (y > 2) & (y < SIZE[0] - 3) & (x > 2) & (x < SIZE[1] - 3)
            here = clip.frames[a][points[ok, 0], points[ok, 1]].astype(int)
            there = clip.frames[b][y[ok], x[ok]].astype(int)
            # Rounding moves a place by at most half a row and column; rims mix two layers.
            pure = inner(clip.labels[a])[points[ok, 0], points[ok, 1]]
            pure &= inner(clip.labels[b])[y[ok], x[ok]]
            assert np.abs(here - there)[pure].max() <= 2
            assert (here[:, 2] == there[:, 2])[pure].all()
            checked += int(pure.sum())
    assert checked > 2000


def test_hidden_points_are_told(clip: ComposedClip) -> None:
    # Frame 2: the second object lies over the first; the blue channel is the witness.
    ys, xs = np.nonzero(clip.labels[0] == 1)
    points = np.stack([ys, xs], axis=1)
    places, seen = clip.places(frame=0, points=points, to=2)
    y, x = np.rint(places).astype(int).T
    inside = (y >= 0) & (y < SIZE[0]) & (x >= 0) & (x < SIZE[1])
    y, x, told = y[inside], x[inside], seen[inside]
    pure = inner(clip.labels[2])[y, x]
    assert ((clip.frames[2][y, x, 2] == 40) == told)[pure].all()
    assert not seen[~inside].any()
    assert 0.05 < seen.mean() < 0.95


def test_material_is_the_colour(clip: ComposedClip) -> None:
    pure = np.stack([inner(labels) for labels in clip.labels])
    shown = clip.frames[..., :2].astype(float) - 20
    assert np.abs(clip.material() - shown)[pure].max() < 1.1


def test_the_same_seed_is_the_same_clip_and_more_frames_the_same_motion() -> None:
    photo = np.random.default_rng(3).integers(0, 255, (200, 260, 3), np.uint8)
    two, again = (compose([photo], seed=5, frames=3, size=(64, 80)) for _ in range(2))
    assert np.array_equal(two.frames, again.frames)
    finer = compose([photo], seed=5, frames=5, size=(64, 80))
    assert np.allclose(finer.transforms[:, ::2], two.transforms)


def test_twins_look_alike_and_move_apart() -> None:
    photo = np.random.default_rng(3).integers(0, 255, (200, 260, 3), np.uint8)
    clip = compose([photo], seed=5, frames=3, size=(64, 80), objects=3, twins=True)
    assert clip.twins == (0, 1, 2, 3, 1)
    assert not np.allclose(clip.transforms[1], clip.transforms[4])


def test_points_outside_and_empty_material_are_refused(clip: ComposedClip) -> None:
    with pytest.raises(NlvizError, match=r"within the 120x90 frame, got y=90, x=3"):
        clip.places(frame=0, points=[[90, 3]], to=1)
    with pytest.raises(NlvizError, match="needs photos and frames, got 0 and 4"):
        compose([], seed=0)


@pytest.mark.parametrize("name", ["composed-space", "composed-twins"])
def test_bundled_truth_fits_its_film(name: str) -> None:
    film: Path = asset(f"clips/{name}.mp4")
    with av.open(str(film)) as container:
        shown = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    frames = np.stack(shown).astype(np.uint8)
    clip = ComposedClip.load(film.with_suffix(".npz"), frames)
    # What is seen of an object in two frames looks alike; shuffled places do not.
    ys, xs = np.nonzero(clip.labels[0] > 0)
    points = np.stack([ys, xs], axis=1)[::37]
    places, seen = clip.places(frame=0, points=points, to=40)
    y, x = np.rint(places[seen]).astype(int).T
    here = frames[0][points[seen, 0], points[seen, 1]].astype(float)
    there = frames[40][y, x].astype(float)
    shuffled = np.random.default_rng(0).permutation(there)
    assert np.abs(here - there).mean() < 0.4 * np.abs(here - shuffled).mean()
    with pytest.raises(NlvizError, match="read every frame at its own size"):
        ComposedClip.load(film.with_suffix(".npz"), frames[:, ::2])
