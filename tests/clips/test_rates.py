"""Frames at another rate than the film's."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

import nlviz
from nlviz.clips.rates import stride_at


@pytest.mark.parametrize(
    ("film", "stride", "rate", "found", "told"),
    [
        (60, 4, 30, 8, False),
        (59.94, 4, 30, 8, False),
        (120, 1, 30, 4, False),
        (30, 4, 30, 4, False),
        (15, 4, 30, 2, False),
        (50, 4, 30, 7, True),
        (25, 1, 30, 1, True),
        (8, 2, 30, 1, True),
    ],
)
def test_frames_lie_as_far_apart_as_at_the_rate(
    film: float, stride: int, rate: float, found: int, told: bool
) -> None:
    times = np.arange(150) / film
    assert stride_at(times, stride=stride, rate=rate)[0] == found
    assert bool(stride_at(times, stride=stride, rate=rate)[1]) == told


def film(path: Path, fps: int) -> Path:
    """Write two seconds of a square that moves 40 px a second."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=fps)
        stream.width, stream.height, stream.pix_fmt = 128, 48, "yuv444p"
        for k in range(2 * fps):
            x = np.full((48, 128, 3), 40, np.uint8)
            left = round(10 + 40 * k / fps)
            x[16:32, left : left + 12] = 220
            frame = av.VideoFrame.from_ndarray(x, "rgb24")
            frame.pts = k
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


def test_films_of_two_rates_give_the_same_clip(tmp_path: Path) -> None:
    slow, fast = (
        nlviz.read_clip(film(tmp_path / f"{fps}.mkv", fps), stride=4, frames=8, rate=30)
        for fps in (30, 60)
    )
    np.testing.assert_allclose(slow.times, fast.times, atol=2e-3)
    assert np.abs(slow.frames.astype(int) - fast.frames).max() <= 4
    assert (slow.sampling.stride, fast.sampling.stride) == (4, 8)
    assert slow.notes == fast.notes == ()


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_no_rate_is_refused(rate: float) -> None:
    with pytest.raises(nlviz.NlvizError, match="rate must be above 0"):
        stride_at(np.arange(5.0), stride=1, rate=rate)


def test_a_picture_has_no_rate() -> None:
    from nlviz.resources import asset

    assert len(nlviz.read_clip(asset("photos/coffee.jpg"), size=32, rate=30).frames) == 1
