"""Does a clip cover the time that a network was trained to see? In sentences, and made to fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nlviz.clips.clip import Clip
from nlviz.families.reading.input_spec import InputSpec
from nlviz.sentences import ordinal, seconds_text

SLOWEST, FASTEST = 25.0, 30.0  # frames per second of the films that data sets are made of
UNLIKE = 4 / 3  # a step in time that differs by this factor is told


def lengthened(clip: Clip, frames: int) -> Clip:
    """Return a clip of at least so many frames, its last one repeated, which its notes say.

    >>> short = Clip.from_frames(np.zeros((2, 5, 7, 3), np.uint8))
    >>> lengthened(short, 4).shape, lengthened(short, 4).notes
    ((4, 5, 7), ('The network takes no clip of 2 frames: the last one is repeated, up to 4.',))
    """
    missing = frames - len(clip.frames)
    if missing <= 0:
        return clip
    more = replace(
        clip,
        frames=np.concatenate([clip.frames, np.repeat(clip.frames[-1:], missing, 0)]),
        times=np.pad(clip.times, (0, missing), "edge"),
    )
    return more.noted(
        f"The network takes no clip of {len(clip.frames)} frames: the last one is repeated, up to "
        f"{frames}."
    )


def coverage(clip: Clip, spec: InputSpec | None) -> tuple[str, ...]:
    """Return what a user must know of the time that a clip covers; empty where it is as trained.

    Args:
        clip: what the network sees.
        spec: how it was trained to see a video; without frames and stride nothing is known.

    >>> spec = InputSpec(frames=8, stride=4, fps=30)
    >>> coverage(Clip.from_frames(np.zeros((8, 5, 7, 3), np.uint8), fps=7.5), spec)
    ()
    >>> print(*coverage(Clip.from_frames(np.zeros((8, 5, 7, 3), np.uint8), fps=15), spec))
    The clip covers 0.47 s, the network was trained on 0.93 s: every 4th frame of 30 a second.
    """
    if spec is None:
        return ()
    steps = np.diff(clip.times)
    moving = steps[steps > 0]
    real = len(moving) + 1  # frames, without those that repeat the last one
    said = []
    if spec.frames is not None and 1 < spec.frames and real < spec.frames:
        said.append(
            f"The network was trained on clips of {spec.frames} frames, this one has {real}."
        )
    if spec.stride is None or not len(moving):
        return tuple(said)
    step = float(np.median(moving))
    least, most = (spec.stride / (spec.fps or fps) for fps in (FASTEST, SLOWEST))
    if least / UNLIKE < step < most * UNLIKE:
        return tuple(said)
    count = spec.frames or real
    covered = float(clip.times[-1] - clip.times[0])
    trained = [seconds_text((count - 1) * t) for t in dict.fromkeys((least, most))]
    every = "every frame" if spec.stride == 1 else f"every {ordinal(spec.stride)} frame"
    rate = f"{spec.fps:g}" if spec.fps else f"{SLOWEST:g} to {FASTEST:g}"
    said.append(
        f"The clip covers {seconds_text(covered)}, the network was trained on "
        f"{' to '.join(trained)}: {every} of {rate} a second.{_cure(clip, step, least)}"
    )
    return tuple(said)


def _cure(clip: Clip, step: float, trained: float) -> str:
    """Return which frames of the film would cover as much, or an empty text."""
    stride = clip.sampling.stride
    if stride is None:
        return ""
    wanted = max(round(trained * stride / step), 1)
    which = "All its frames" if wanted == 1 else f"Every {ordinal(wanted)} frame of this film"
    return f" {which} would cover as much." if wanted != stride else ""
