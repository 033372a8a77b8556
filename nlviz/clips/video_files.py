"""Decode video files into RGB arrays, and list the times of their frames."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import av

from nlviz.clips.decoded import Decoded, Keep, Times
from nlviz.clips.video.film import Film
from nlviz.errors import UnreadableClip
from nlviz.progress import Listener


def decode(
    source: Path | BytesIO,
    *,
    start: float,
    stride: int | None,
    frames: int | None,
    keep: Keep | None,
    progress: Listener | None,
) -> Decoded:
    """Decode a file into RGB frames, their times and what a user must know of them.

    Raises:
        UnreadableClip: when nothing decodes, or more than the limits.
    """
    try:
        return Film(source, progress).sampled(start, stride, frames, keep=keep, progress=progress)
    except av.error.FFmpegError as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise UnreadableClip(
            f"FFmpeg cannot bring its frames to RGB ({reason}); is the file complete?"
        ) from None


def frame_times(source: Path | BytesIO) -> Times:
    """List the (N,) times of a video's frames, in seconds from the first.

    Raises:
        UnreadableClip: when it is no video, or has no frame.
    """
    return Film(source).times()
