"""What is said of the time that a clip covers."""

from __future__ import annotations

import numpy as np
import pytest

import nlviz
from nlviz import Clip, InputSpec
from nlviz.captures.time_covered import coverage, lengthened
from tests.nets import clip_net, noise_clip

SPEC = InputSpec(size=32, multiple=16, frames=8, stride=4)


def at(fps: float, frames: int = 8) -> Clip:
    return Clip.from_frames(np.zeros((frames, 5, 7, 3), np.uint8), fps=fps)


@pytest.mark.parametrize("film", [23.976, 25, 29.97, 30])
def test_films_of_usual_rates_are_as_trained(film: float) -> None:
    assert coverage(at(film / 4), SPEC) == ()


@pytest.mark.parametrize(
    ("film", "told"),
    [
        (60, "covers 0.47 s, the network was trained on 0.93 s to 1.12 s: every 4th frame of 25"),
        (50, "covers 0.56 s"),
        (12, "covers 2.33 s"),
    ],
)
def test_other_rates_are_told(film: float, told: str) -> None:
    (note,) = coverage(at(film / 4), SPEC)
    assert told in note


def test_a_rate_that_is_known_is_taken() -> None:
    spec = InputSpec(frames=8, stride=4, fps=60)
    assert coverage(at(15), spec) == ()
    assert "trained on 0.47 s: every 4th frame of 60 a second" in coverage(at(7.5), spec)[0]


def test_fewer_frames_than_in_training_are_told() -> None:
    assert coverage(at(7, 5), SPEC) == (
        "The network was trained on clips of 8 frames, this one has 5.",
    )
    assert coverage(at(25, 1), SPEC) == (
        "The network was trained on clips of 8 frames, this one has 1.",
    )
    # frames that repeat the last one are none of the film's
    assert "this one has 5" in coverage(lengthened(at(7, 5), 8), SPEC)[0]
    assert coverage(at(25), InputSpec()) == coverage(at(25), None) == ()


def test_a_capture_says_so() -> None:
    shot = nlviz.Model(clip_net(), input_spec=SPEC).capture(noise_clip(6))
    assert shot.notes[0] == "The network was trained on clips of 8 frames, this one has 6."
    assert "covers 0.20 s" in shot.notes[1]


def test_a_clip_that_is_too_short_for_its_network_is_lengthened() -> None:
    spec = InputSpec(size=32, multiple=16, least_frames=7)
    shot = nlviz.Model(clip_net(), input_spec=spec).capture(noise_clip(5))
    assert len(shot.clip.frames) == len(shot.clip.times) == 7
    assert np.array_equal(shot.clip.frames[6], shot.clip.frames[4])
    assert "up to 7" in shot.clip.notes[0]
    assert shot.clip.digest == noise_clip(5).digest
