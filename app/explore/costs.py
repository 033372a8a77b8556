"""What a long run costs, said before it: seconds and memory, from short runs of the same clip."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import streamlit as st

import nlviz

from ..shared.slots import Key

if TYPE_CHECKING:
    from .state import Choice

LONG = 15.0  # seconds that are spent without asking
FEW = 16  # frames that are run without a look at what they cost
SHARES = (16, 4)  # a run is foretold from runs of a 16th and of a quarter of its frames
SURELY = 5  # times shorter than LONG is a run that is short whatever a second look would tell
SHORTEST = 0.02  # seconds; what is shorter is no measure


@dataclass(frozen=True)
class Cost:
    """What a run costs.

    Attributes:
        seconds: about how long it takes.
        memory: bytes at its peak, or None where that cannot be known.
    """

    seconds: float
    memory: int | None

    @property
    def text(self) -> str:
        """Both in words."""
        memory = "" if self.memory is None else f" and {self.memory / 2**30:.1f} GiB of memory"
        return f"about {in_words(self.seconds)}{memory}"


@dataclass
class Runs:
    """Runs of one network on clips of one size: frames and seconds of each."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    seconds: dict[int, float] = field(default_factory=dict)

    def add(self, frames: int, seconds: float) -> None:
        """Note how long a run of so many frames took."""
        with self.lock:
            self.seconds[frames] = max(seconds, SHORTEST)

    def expected(self, frames: int) -> float | None:
        """Return the seconds that a run of more frames takes; None where nothing tells."""
        with self.lock:
            known = sorted((n, s) for n, s in self.seconds.items() if n <= frames)
        return expected(known, frames)


@st.cache_resource(max_entries=16, show_spinner=False)
def runs(key: Key) -> Runs:
    """Return the runs that are known of a network and a size of clips."""
    return Runs()


def expected(known: Sequence[tuple[int, float]], frames: int) -> float | None:
    """Return the seconds of a run from shorter ones.

    A forward pass takes a part for each frame, and one for each pair of frames.

    Args:
        known: frames and seconds of runs, by frames.
        frames: of the run.

    >>> expected([(2, 1.2), (4, 2.8)], 8)  # 0.5 for each frame, 0.05 for each pair
    7.2
    >>> expected([], 8) is None
    True
    """
    if not known:
        return None
    (few, short), (more, longer) = known[0], known[-1]
    pair = 0.0 if few == more else (longer / more - short / few) / (more - few)
    pair = min(max(pair, 0.0), longer / more**2)
    return round((longer / more - pair * more) * frames + pair * frames**2, 6)


def foretold(
    choice: Choice,
    key: Key,
    clip: nlviz.Clip,
    model: nlviz.Model,
    progress: nlviz.Progress,
) -> Cost | None:
    """Return what a run costs where that is much, after short runs; None where it is little.

    Args:
        choice: of clip and network.
        key: of the network.
        clip: what would be run.
        model: the network.
        progress: told of the short runs.
    """
    frames = len(clip.frames)
    if frames <= FEW:
        return None
    known = runs((*key, clip.shape[1:]))
    least = 1 if model.input_spec is None else model.input_spec.least_frames
    seconds = None
    for share in SHARES:
        few = max(frames // share, least)
        if few * SHARES[-1] <= frames and few not in known.seconds:
            progress(f"Trying {few} of {frames} frames, to tell how long all take", 0.5)
            measured(known, few, model, clip.part(0, few))
        seconds = known.expected(frames)
        if seconds is None or seconds < LONG / SURELY:
            return None
    if seconds is None or seconds < LONG:
        return None
    try:
        memory = model.estimate(clip).peak
    except nlviz.NlvizError:
        memory = None
    return Cost(seconds, memory)


def measured(known: Runs, frames: int, model: nlviz.Model, clip: nlviz.Clip) -> None:
    """Run a part of a clip, and note how long it took."""
    start = time.perf_counter()
    model.capture(clip)
    known.add(frames, time.perf_counter() - start)


def in_words(seconds: float) -> str:
    """Return a duration in words, as exactly as it can be foretold.

    >>> in_words(17.3), in_words(154), in_words(5000)
    ('20 seconds', '3 minutes', '1.4 hours')
    """
    if seconds < 90:
        return f"{max(round(seconds / 5), 1) * 5} seconds"
    minutes = seconds / 60
    return f"{minutes:.0f} minutes" if minutes < 60 else f"{minutes / 60:.1f} hours"
