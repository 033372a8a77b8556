"""Which frames of a file make a clip."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sampling:
    """Which frames were taken from a file, so that the same clip can be read again.

    Attributes:
        start: seconds from the beginning.
        stride: every stride-th frame, or None for frames spread evenly.
        frames: number of frames asked for, or None for all.
        size: shorter side in pixels, or None for the file's own.
        fps: frames per second of pictures that say none, or None for 25.
    """

    start: float = 0.0
    stride: int | None = None
    frames: int | None = None
    size: int | None = None
    fps: float | None = None
