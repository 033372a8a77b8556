"""Times of frames grow, whatever a file says, and what was mended is said."""

from __future__ import annotations

import numpy as np
import pytest

from nlviz.clips.video.times import grown

NAN = float("nan")


@pytest.mark.parametrize(
    ("said", "want", "note"),
    [
        ([3.0, 3.5, 4.75, 5.0], [0, 0.5, 1.75, 2.0], ""),
        ([-1.0, -0.5, 0.0], [0, 0.5, 1.0], ""),
        ([NAN, 4.0, 4.5], [0, 0.5, 1.0], "1 of its 3 frames"),
        ([4.0, NAN, NAN, 5.5], [0, 0.5, 1.0, 1.5], "2 of its 4 frames"),
        ([4.0, 4.5, NAN, NAN], [0, 0.5, 1.0, 1.5], ""),  # a decoder's last frames
        ([0.0, 0.5, 9.0, 1.5, 2.0], [0, 0.5, 1.0, 1.5, 2.0], "1 of its 5 frames"),
        ([0.0, 0.5, 1.0, 0.5, 1.0, 2.5, 3.0], [0, 0.5, 1, 1.5, 2, 2.5, 3], "2 of its 7 frames"),
        ([0.0, 0.5, 0.5, 1.5], [0, 0.5, 1.0, 1.5], "1 of its 4 frames"),
        ([7.0, 7.5, 0.0, 0.5, 1.0], [0, 0.5, 1.0, 1.5, 2.0], "again or jump at frame 2 (1.00 s)"),
        ([NAN, NAN], [0, 0.25], "4 frames a second are taken"),
    ],
)
def test_times_grow(said: list[float], want: list[float], note: str) -> None:
    times, notes = grown(np.array(said), 0.25)
    np.testing.assert_allclose(times, want)
    assert (note in " ".join(notes)) if note else notes == ()


def test_recordings_that_overlap_in_time_are_one_behind_the_other() -> None:
    said = np.concatenate([np.arange(31), np.arange(43)]) / 25
    times, notes = grown(said, 0.04)
    np.testing.assert_allclose(times, np.arange(74) / 25)
    assert "frame 31" in notes[0]


@pytest.mark.parametrize("cuts", [False, True])
def test_a_long_pause_is_a_cut_only_where_containers_have_cuts(cuts: bool) -> None:
    said = np.concatenate([np.arange(30), np.arange(30) + 5000]) / 25
    times, notes = grown(said, 0.04, cuts=cuts)
    assert times[30] == pytest.approx(30 / 25 if cuts else 5000 / 25)
    assert len(notes) == cuts


def test_pictures_that_follow_slowly_are_no_cuts() -> None:
    said = np.arange(9) * 60.0
    times, notes = grown(said, 0.04, cuts=True)
    np.testing.assert_allclose(times, said)
    assert notes == ()
