"""Files that version 0.3 saved open, and hold what a capture of today holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import nlviz
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.captures.capture import read_capture
from nlviz.clips.point import Point
from nlviz.resources import bundled_inputs
from nlviz.views.view import View, find_clip, read_view

FILES = Path(__file__).parents[1] / "fixtures" / "0.3"


@pytest.fixture(scope="module")
def view() -> View:
    found = read_view(FILES / "x.json")
    assert isinstance(found, View)
    return found


def test_a_view_of_0_3_says_what_it_said(view: View) -> None:
    assert (view.block, view.query) == ("stage4", Point(2, 50, 70))
    assert (view.clip.name, view.clip.frames, view.clip.size) == ("composed-twins.mp4", 3, 112)
    assert not view.display.changed()
    path = find_clip(view, beside=FILES)  # checks the digest
    assert path == bundled_inputs()["composed-twins.mp4"]
    assert View.from_query_params(view.to_query_params()).query == view.query


def test_a_capture_of_0_3_has_the_maps_of_a_capture_of_today(view: View) -> None:
    saved = read_capture(FILES / "x.nlviz")
    assert saved.about.digest == view.model.digest
    t, h, w = saved.clip.shape
    clip = nlviz.read_clip(
        bundled_inputs()[saved.clip.name],
        frames=saved.clip.sampling.frames,
        size=saved.clip.sampling.size,
    )
    assert np.array_equal(saved.clip.frames, clip.frames)
    assert saved.clip.digest == clip.digest
    fresh = nlviz.load_model("lite-nl", device="cpu").capture(clip)
    assert list(saved.affinities) == list(fresh.affinities)
    assert saved.labels == fresh.labels
    assert [n for n, _ in saved.prediction(3)] == [n for n, _ in fresh.prediction(3)]
    for name, now in fresh.affinities.items():
        then = saved.affinities[name]
        assert isinstance(then, EmbeddedAffinity)
        assert isinstance(now, EmbeddedAffinity)
        assert (then.queries, then.keys) == (now.queries, now.keys)
        assert (then.support, then.pairwise) == (now.support, now.pairwise)
        torch.testing.assert_close(then.theta, now.theta, atol=1e-3, rtol=1e-3)
        torch.testing.assert_close(saved.features[name], fresh.features[name], atol=1e-3, rtol=1e-3)
        at = {"frame": t - 1, "y": h // 2, "x": w // 3}
        np.testing.assert_allclose(then.map(**at).weights, now.map(**at).weights, atol=1e-4)
