"""Files that version 0.3 saved open, and hold what they held."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.captures.capture import About, read_capture
from nlviz.clips.clip import Sampling, read_clip
from nlviz.clips.point import Point
from nlviz.resources import bundled_inputs
from nlviz.views.reading import read_view
from nlviz.views.view import View, find_clip

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


def test_a_capture_of_0_3_has_the_maps_that_0_3_had() -> None:
    capture = read_capture(FILES / "x.nlviz")
    clip = capture.clip
    assert clip.sampling == Sampling(frames=3, size=56)
    again = read_clip(bundled_inputs()[clip.name], frames=3, size=56)
    assert clip.digest == again.digest
    np.testing.assert_allclose(clip.frames.astype(int), again.frames.astype(int), atol=2)
    np.testing.assert_allclose(clip.times, again.times)
    affinity = capture.affinities["layer1"]
    assert isinstance(affinity, EmbeddedAffinity)
    assert affinity.queries == TokenGrid((3, 8, 16), (1, 7, 6.25), (0, 0.375, 0.28125))
    assert (parity := affinity.parity_error()) is not None
    assert parity < 1e-5
    # As version 0.3 printed them.
    attention = affinity.map(frame=2, y=20, x=70)
    row = [0.00259435, 0.00258722, 0.00259887, 0.00262843]
    np.testing.assert_allclose(attention.weights[2, 3, 5:9], row, rtol=1e-5)
    assert [link.index for link in attention.top(2)] == [365, 51]
    assert attention.entropy() == pytest.approx(5.950520828866933)
    entered = capture.features["layer1"][1, 2, 3, 4:8]
    torch.testing.assert_close(
        entered, torch.tensor([0.5634, 0.0603, 0.0424, 0.1340]), atol=1e-4, rtol=0
    )
    best = {"class 3": 0.235322, "class 1": 0.228420}
    assert dict(capture.prediction(2)) == pytest.approx(best, abs=1e-5)
    assert capture.about == About("FrameNet")


def test_a_capture_of_0_3_is_saved_again_without_loss(tmp_path: Path) -> None:
    before = read_capture(FILES / "x.nlviz")
    after = read_capture(before.save(tmp_path / "again.nlviz"))
    for name, mine in before.affinities.items():
        assert torch.equal(after.affinities[name].rows([5, 77]), mine.rows([5, 77]))
        assert torch.equal(after.features[name], before.features[name])
    assert np.array_equal(after.clip.frames, before.clip.frames)
