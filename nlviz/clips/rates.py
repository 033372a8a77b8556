"""Frames taken at another rate than the film's, by time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nlviz.errors import UnreadableClip
from nlviz.sentences import ordinal

CLOSE = 0.02  # share by which a rate may differ without a word


def stride_at(
    times: npt.NDArray[np.float64], *, stride: int, rate: float
) -> tuple[int, tuple[str, ...]]:
    """Return which frames of a film lie as far apart as every stride-th at another rate.

    Args:
        times: (N,) seconds of the film's frames.
        stride: every stride-th frame ...
        rate: ... of so many a second.

    Returns:
        The stride in the film, and a sentence where no whole one fits.

    Raises:
        UnreadableClip: when the rate is not above 0.

    >>> stride_at(np.arange(200) / 60, stride=4, rate=30)
    (8, ())
    >>> print(*stride_at(np.arange(200) / 50, stride=4, rate=30)[1])
    Every 7th of 50 frames a second is taken: 7.1 a second, where 7.5 were asked for.
    """
    if not 0 < rate < float("inf"):
        raise UnreadableClip(f"rate must be above 0 frames per second, got {rate}")
    steps = np.diff(times)
    steps = steps[steps > 0]
    if not len(steps):
        return stride, ()
    native = 1 / float(np.median(steps))
    found = max(round(stride * native / rate), 1)
    got, asked = native / found, rate / stride
    if abs(got / asked - 1) <= CLOSE:
        return found, ()
    which = "Every one" if found == 1 else f"Every {ordinal(found)}"
    return found, (
        f"{which} of {native:.3g} frames a second is taken: {got:.2g} a second, where {asked:.2g} "
        "were asked for.",
    )
