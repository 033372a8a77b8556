"""Which frames of a film are taken, by number."""

from __future__ import annotations

from bisect import bisect_left

import numpy as np

from nlviz.clips.video.packets import Numbers
from nlviz.clips.video.times import Times
from nlviz.errors import UnreadableClip
from nlviz.sentences import seconds_text


def chosen(times: Times, start: float, stride: int | None, frames: int | None) -> Numbers:
    """Return the numbers of the frames to take, given the times of all.

    Args:
        times: (N,) seconds from the first frame, growing.
        start: seconds to skip.
        stride: take every stride-th frame; None spreads ``frames`` evenly over the rest.
        frames: how many, at most; None takes all.

    Raises:
        UnreadableClip: when the start lies behind the last frame.

    >>> chosen(np.arange(12) / 10, 0.45, 3, None).tolist()
    [5, 8, 11]
    >>> chosen(np.arange(12) / 10, 0.0, None, 4).tolist()
    [0, 4, 7, 11]
    """
    if times[-1] < start:
        raise UnreadableClip(
            f"start must lie before the last frame at {seconds_text(times[-1])}, got {start:g} s"
        )
    first = min(bisect_left(times, start - 1e-6), len(times) - 1)
    rest = np.arange(first, len(times))
    if stride is not None or frames is None:
        return rest[:: stride or 1][:frames]
    if frames >= len(rest):
        return rest
    spread: Numbers = rest[np.linspace(0, len(rest) - 1, frames).round().astype(int)]
    return spread
