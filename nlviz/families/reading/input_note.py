"""How a network saw a video in training, in words."""

from __future__ import annotations

from nlviz.sentences import ordinal


def sampled(frames: int, stride: int) -> str:
    """Return frames and stride in words.

    >>> sampled(32, 2), sampled(128, 1)
    ('32 frames, every 2nd', '128 frames in a row')
    """
    return f"{frames} frames" + (" in a row" if stride == 1 else f", every {ordinal(stride)}")


def input_note(colours: str, frames: int, stride: int, size: int, *, spread: bool = False) -> str:
    """Return what goes into a network, for load reports.

    Args:
        colours: how RGB is normalised.
        frames: number of frames.
        stride: every stride-th frame of the video is taken.
        size: shorter side in pixels.
        spread: the frames are spread evenly over the whole video instead.

    >>> input_note("ImageNet's mean and deviation", 8, 8, 256)
    "RGB, ImageNet's mean and deviation, 8 frames, every 8th of the video, shorter side 256"
    """
    taken = f"{frames} frames spread evenly over" if spread else f"{sampled(frames, stride)} of"
    return f"RGB, {colours}, {taken} the video, shorter side {size}"
