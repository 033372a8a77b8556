"""Changes in time move whole frames, never write to the clip, and say what they did."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from nlviz.clips.clip import Clip
from nlviz.clips.text import Text
from nlviz.errors import NlvizError
from nlviz.interventions.change import ClipChange
from nlviz.interventions.time import (
    FrameFrom,
    FrameFromNeighbours,
    FreezeFrame,
    NoiseFrame,
    ReverseTime,
    ShuffleTime,
    SwapFrames,
)
from tests.nets import noise_clip

CLIP = noise_clip(5, 17, 23)
OTHER = noise_clip(3, 34, 29, seed=1)
CHANGES: list[ClipChange] = [
    FreezeFrame(3),
    FreezeFrame(3, frames=(0, 4)),
    ShuffleTime(4),
    ReverseTime(),
    SwapFrames(1, 4),
    NoiseFrame(2),
    NoiseFrame(2, sigma=9.0),
    FrameFromNeighbours(3),
    FrameFrom(4, OTHER),
]


def bag(clip: Clip) -> Counter[bytes]:
    """Return the frames of a clip, whatever their order."""
    return Counter(frame.tobytes() for frame in clip.frames)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.said)
def test_a_change_keeps_the_shape_and_the_clip_it_was_given(change: ClipChange) -> None:
    before = CLIP.frames.copy()
    after = change.apply(CLIP)
    assert after.shape == CLIP.shape
    assert np.array_equal(after.times, CLIP.times)
    assert np.array_equal(CLIP.frames, before)
    assert not np.array_equal(after.frames, before)
    assert after.digest != CLIP.digest
    assert change.said in after.notes[-1]
    again = change.apply(CLIP)
    assert np.array_equal(again.frames, after.frames) and again.digest == after.digest


@pytest.mark.parametrize("change", [ReverseTime(), SwapFrames(1, 4)], ids=repr)
def test_what_is_done_twice_is_undone(change: ClipChange) -> None:
    assert np.array_equal(change.apply(change.apply(CLIP)).frames, CLIP.frames)


@pytest.mark.parametrize("seed", range(6))
def test_shuffling_keeps_all_frames_and_never_their_order(seed: int) -> None:
    for count in (2, 3, 5):
        clip = noise_clip(count, 17, 23)
        after = ShuffleTime(seed).apply(clip)
        assert bag(after) == bag(clip)
        assert not np.array_equal(after.frames, clip.frames)


def test_frozen_frames_are_that_frame_and_no_others_change() -> None:
    after = FreezeFrame(3, frames=(0, 4)).apply(CLIP).frames
    for n, source in enumerate((3, 1, 2, 3, 3)):
        assert np.array_equal(after[n], CLIP.frames[source])


def test_noise_has_the_colours_of_its_frame_and_nothing_else_of_it() -> None:
    ramp = np.linspace(60, 180, 90, dtype=np.float32)[:, None, None]
    tinted = np.clip(ramp + np.array([-20, 0, 20.0]), 0, 255).astype(np.uint8)
    frames = np.broadcast_to(tinted, (3, 90, 70, 3)).copy()
    after = NoiseFrame(1).apply(Clip.from_frames(frames)).frames
    assert np.array_equal(after[[0, 2]], frames[[0, 2]])
    np.testing.assert_allclose(after[1].mean((0, 1)), frames[1].mean((0, 1)), atol=2)
    np.testing.assert_allclose(after[1].std((0, 1)), frames[1].std((0, 1)), rtol=0.05)
    rows = after[1].astype(float).mean((1, 2))
    assert abs(np.corrcoef(rows, frames[1].astype(float).mean((1, 2)))[0, 1]) < 0.4


def test_the_ends_have_one_neighbour() -> None:
    for frame, beside in ((0, 1), (4, 3)):
        after = FrameFromNeighbours(frame).apply(CLIP).frames
        assert np.array_equal(after[frame], CLIP.frames[beside])


def test_a_frame_of_another_clip_is_brought_to_size() -> None:
    flat = Clip.from_frames(np.full((2, 31, 11, 3), 77, np.uint8), name="flat")
    change = FrameFrom(4, flat)
    assert change.said == "frame 4 is frame 1 of flat"
    after = change.apply(CLIP).frames
    assert (after[4] == 77).all() and np.array_equal(after[:4], CLIP.frames[:4])


@pytest.mark.parametrize(
    ("change", "clip", "says"),
    [
        (FreezeFrame(5), CLIP, "between 0 and 4"),
        (FreezeFrame(0, frames=()), CLIP, "at least one other"),
        (SwapFrames(2, 2), CLIP, "frame 2 twice"),
        (SwapFrames(-1, 2), CLIP, "got -1"),
        (NoiseFrame(1, sigma=0), CLIP, "above 0"),
        (FrameFrom(1, OTHER, of_other=3), CLIP, "between 0 and 2"),
        (ReverseTime(), noise_clip(1, 17, 23), "at least 2"),
        (ShuffleTime(), noise_clip(1, 17, 23), "at least 2"),
        (FrameFromNeighbours(0), noise_clip(1, 17, 23), "at least 2"),
        (ReverseTime(), Text.of_tokens(["a", "b"]), "a text"),
    ],
)
def test_what_cannot_be_done_is_said(change: ClipChange, clip: Clip, says: str) -> None:
    with pytest.raises(NlvizError, match=says):
        change.apply(clip)
