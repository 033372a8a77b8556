"""Clips: what they hold, check and show; files are in test_decoding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nlviz.clips.clip import Clip, read_clip
from nlviz.errors import OutsideClip, UnreadableClip
from nlviz.resources import asset, bundled_inputs


def test_frames_are_copied_and_cannot_be_changed() -> None:
    pixels = np.zeros((2, 20, 30, 3), np.uint8)
    clip = Clip.from_frames(pixels, fps=10)
    pixels[:] = 9
    assert clip.frames.max() == 0
    with pytest.raises(ValueError, match="read-only"):
        clip.frames[0, 0, 0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        clip.times[0] = 1
    assert clip.times.tolist() == [0.0, 0.1]


def test_the_callers_arrays_stay_writeable() -> None:
    frames, times = np.zeros((1, 20, 30, 3), np.uint8), np.zeros(1)
    Clip(frames, times, "mine", "0")
    frames[:] = 1
    times[:] = 1


def test_one_picture_is_one_frame() -> None:
    assert Clip.from_frames(np.zeros((20, 30, 3), np.uint8)).shape == (1, 20, 30)


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((2, 20, 30, 3)),
        np.zeros((2, 20, 30, 4), np.uint8),
        np.zeros((20, 30), np.uint8),
        np.zeros((0, 20, 30, 3), np.uint8),
        np.zeros((2, 0, 30, 3), np.uint8),
    ],
)
def test_other_arrays_are_refused_with_their_shape(frames: np.ndarray) -> None:
    with pytest.raises(UnreadableClip, match=r"uint8 of shape \(T, H, W, 3\).*convert"):
        Clip.from_frames(frames)


@pytest.mark.parametrize("fps", [0, -1, float("nan")])
def test_frames_per_second_must_be_positive(fps: float) -> None:
    with pytest.raises(UnreadableClip, match="fps must be above 0"):
        Clip.from_frames(np.zeros((2, 20, 30, 3), np.uint8), fps=fps)


def test_as_many_times_as_frames() -> None:
    with pytest.raises(UnreadableClip, match="2 frames need as many times"):
        Clip(np.zeros((2, 20, 30, 3), np.uint8), np.zeros(3), "odd", "0")


def test_digests_tell_clips_apart() -> None:
    one, two, three = (
        Clip.from_frames(np.full(shape, value, np.uint8))
        for shape, value in (((2, 20, 30, 3), 0), ((2, 20, 30, 3), 1), ((2, 30, 20, 3), 0))
    )
    assert len({one.digest, two.digest, three.digest}) == 3
    assert one.digest == Clip.from_frames(one.frames).digest


@pytest.mark.parametrize(
    "place", [{"frame": 2}, {"frame": -0.5}, {"y": 20}, {"x": 29.5}, {"x": float("nan")}]
)
def test_places_outside_are_refused(place: dict[str, float]) -> None:
    clip = Clip.from_frames(np.zeros((2, 20, 30, 3), np.uint8))
    clip.check(frame=1, y=19, x=29)
    with pytest.raises(OutsideClip, match=r"(frame|y|x) must be between 0 and \d+ in this clip"):
        clip.check(**{"frame": 0, "y": 0, "x": 0, **place})


def test_thumbnails_repeat_the_edge() -> None:
    pixels = np.arange(20 * 30, dtype=np.uint8).reshape(1, 20, 30, 1).repeat(3, 3)
    clip = Clip.from_frames(pixels)
    assert clip.thumbnail(frame=0, y=10, x=10, side=5)[2, 2, 0] == pixels[0, 10, 10, 0]
    corner = clip.thumbnail(frame=0, y=0, x=29, side=5)
    assert corner.shape == (5, 5, 3)
    assert corner[0, 4, 0] == pixels[0, 0, 29, 0]


def test_resizing_keeps_the_aspect_and_the_times() -> None:
    clip = Clip.from_frames(np.zeros((2, 40, 90, 3), np.uint8), fps=5)
    small = clip.resized(20)
    assert small.shape == (2, 20, 45)
    assert small.times.tolist() == clip.times.tolist()
    assert small.digest == clip.digest


@pytest.mark.parametrize("name", bundled_inputs())
def test_bundled_inputs_open(name: str) -> None:
    clip = read_clip(bundled_inputs()[name], frames=3, size=64)
    assert min(clip.shape[1:]) == 64
    assert clip.shape[0] == (3 if name.endswith((".mp4", ".gif")) else 1)
    assert (np.diff(clip.times) > 0).all()


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UnreadableClip, match="there is no file"):
        read_clip(tmp_path / "none.mp4")


def test_clips_show_themselves() -> None:
    clip = Clip.from_frames(np.zeros((20, 20, 30, 3), np.uint8), name="<b>")
    html = clip._repr_html_()
    assert html.count("<img") == 16
    assert "the first 16 of 20" in html
    assert "Half as <i>fast" not in html
    noted = clip.noted("Half as <i>fast.", "Half as <i>fast.")
    assert repr(noted).endswith("s, 1 note)")
    assert noted._repr_html_().count("Half as &lt;i&gt;fast.") == 1
    assert "&lt;b&gt;" in html
    assert repr(read_clip(asset("photos/coffee.jpg"), size=120)) == (
        "Clip('coffee.jpg', a picture of 180x120 px)"
    )
