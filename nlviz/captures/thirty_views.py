"""The 30-view protocol: ten clips of a video, three crops of each, the mean of their softmax.

Published accuracies on Kinetics are of this protocol; a single clip in the middle gives far less
(61.4 % against 74.9 % for a non-local I3D). Source: Wang et al. 2018, arXiv 1711.07971, section
4.1: ten clips spread evenly over the whole video, the shorter side scaled to 256 pixels, and three
squares of 256 that cover the longer side.

Clip i of n starts at frame round(i / (n - 1) * (N - span)) of N, span = (frames - 1) stride + 1; a
single clip lies in the middle. A video shorter than the span repeats its last frame, as the loaders
of the field do; all its clips are then one and the same, and run once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from nlviz.captures.capture import most_probable
from nlviz.captures.model import Model
from nlviz.captures.time_covered import coverage
from nlviz.clips.clip import Clip, read_clip
from nlviz.clips.inputs import frame_times, is_input
from nlviz.clips.rates import stride_at
from nlviz.errors import NlvizError, UnreadableClip
from nlviz.families.reading.input_spec import InputSpec
from nlviz.progress import Listener, Progress

ONE_CLIP = (
    "This is one clip. Published accuracies average the predictions of 30 views (10 clips x 3 "
    "crops of the whole video); one clip alone is right far less often."
)


@dataclass(frozen=True, eq=False)
class Views:
    """Class probabilities of the views of a video: their mean, and each by itself.

    Attributes:
        probabilities: (classes,) mean of the softmax over all views.
        each: (clips, crops, classes) softmax of every view.
        starts: (clips,) seconds at which the clips start.
        labels: a name per class, or empty.
        ran: number of forward passes; equal views run once.
        padded: frames by which the video is shorter than a clip, filled with its last frame.
        note: the protocol, in a sentence.
        notes: what a user must know of the frames.
    """

    probabilities: Float[Tensor, " classes"]
    each: Float[Tensor, "clips crops classes"]
    starts: tuple[float, ...]
    labels: tuple[str, ...]
    ran: int
    padded: int
    note: str
    notes: tuple[str, ...] = ()

    def prediction(self, k: int = 5) -> list[tuple[str, float]]:
        """Return the k most probable labels with their mean probabilities."""
        return most_probable(self.probabilities, self.labels, k)

    def agreeing(self) -> float:
        """Return the share of the views whose best class is that of their mean."""
        best = int(self.probabilities.argmax())
        return float((self.each.argmax(-1) == best).float().mean())

    def __repr__(self) -> str:
        clips, crops, _ = self.each.shape
        (label, share), *_ = self.prediction(1)
        return f"Views({clips} x {crops}, {label} {share:.0%})"


ThirtyViews = Views


def sees_video(model: Model) -> bool:
    """Return whether a network was trained to classify clips of known frames and stride."""
    spec = model.input_spec
    return spec is not None and spec.frames is not None and spec.stride is not None


def thirty_views(
    model: Model,
    video: str | Path | bytes,
    *,
    clips: int = 10,
    crops: int = 3,
    size: int = 256,
    frames: int | None = None,
    stride: int | None = None,
    rate: float | None = None,
    progress: Listener | None = None,
) -> Views:
    """Classify a video from several clips and crops; one clip is in memory at a time.

    Args:
        model: the network.
        video: the file, or its bytes.
        clips: how many, spread evenly over the video.
        crops: how many squares along the longer side, spread evenly; 1 is the middle.
        size: side of the squares, in pixels.
        frames: of a clip; by default as the network was trained.
        stride: between them; by default as the network was trained.
        rate: frames per second that the stride speaks of; by default the film's own.
        progress: called with a sentence and a share in [0, 1] before each view; an exception it
            raises stops the work.

    Raises:
        NlvizError: when the network gives no class scores, or how it samples videos is not known.
        UnreadableClip: when the video cannot be read.
        OutOfMemory: when the device's memory does not suffice for one view.

    >>> import nlviz
    >>> from nlviz.resources import asset
    >>> model = nlviz.load_model("lite-nl")
    >>> found = thirty_views(
    ...     model, asset("clips/bunny.mp4"), clips=2, crops=1, size=64, frames=2, stride=4
    ... )
    >>> found.each.shape, found.ran
    (torch.Size([2, 1, 1000]), 2)
    """
    spec = model.input_spec
    frames = spec.frames if frames is None and spec else frames
    stride = spec.stride if stride is None and spec else stride
    if frames is None or stride is None:
        raise NlvizError(
            "views need to know how a network samples videos, that of "
            f"{model.about.name} is not known; give frames= and stride="
        )
    for name, value in (("clips", clips), ("crops", crops), ("frames", frames), ("stride", stride)):
        if value < 1:
            raise NlvizError(f"{name} must be at least 1, got {value}")
    tell = Progress.of(progress)
    tell("Listing the frames", 0.0)
    times = _times(video)
    notes: dict[str, None] = {}
    spec = replace(spec or InputSpec(), frames=frames, stride=stride)
    if rate is not None:
        stride, told = stride_at(times, stride=stride, rate=rate)
        notes |= dict.fromkeys(told)
    span = (frames - 1) * stride + 1
    firsts = starts(len(times), span=span, clips=clips)
    viewer = _at_size(model, size)
    each: dict[tuple[int, int], Float[Tensor, " classes"]] = {}
    corners: list[int] = []
    total = len(set(firsts)) * crops
    for first, clip in _clips(video, times, sorted(set(firsts)), frames, stride, size):
        notes |= dict.fromkeys((*clip.notes, *coverage(clip, spec)))
        corners = _corners(clip, size, crops)
        for corner in corners:
            if (first, corner) in each:
                continue
            done = len(each)
            tell(f"View {done + 1} of at most {total}", done / total)
            each[first, corner] = viewer.probabilities(_crop(clip, corner, size))
    table = torch.stack(
        [torch.stack([each[first, corner] for corner in corners]) for first in firsts]
    )
    padded = max(span - len(times), 0)
    return Views(
        probabilities=table.mean((0, 1)),
        each=table,
        starts=tuple(float(times[first]) for first in firsts),
        labels=model.labels,
        ran=len(each),
        padded=padded,
        note=_note(clips, crops, size, frames, stride, padded, len(each)),
        notes=tuple(notes),
    )


def starts(total: int, *, span: int, clips: int) -> list[int]:
    """Return the first frames of clips that are spread evenly over a video.

    >>> starts(300, span=61, clips=5), starts(300, span=61, clips=1), starts(40, span=61, clips=3)
    ([0, 60, 120, 179, 239], [119], [0, 0, 0])
    """
    room = max(total - span, 0)
    if clips == 1:
        return [room // 2]
    return [round(i / (clips - 1) * room) for i in range(clips)]


def _note(
    clips: int, crops: int, size: int, frames: int, stride: int, padded: int, ran: int
) -> str:
    views = clips * crops
    every = "one after another" if stride == 1 else f"every {stride} frames one"
    text = (
        f"Mean softmax of {views} views: {clips} clips of {frames} frames, {every}, spread evenly "
        f"over the video, and {crops} crops of {size} px."
    )
    if padded:
        text += (
            f" The video is {padded} frames shorter than a clip: its last frame is repeated, and "
            "all clips are the same."
        )
    if ran < views:
        text += f" {ran} of the views differ."
    return text


def _times(video: str | Path | bytes) -> npt.NDArray[np.float64]:
    if not isinstance(video, bytes) and not is_input(Path(video)):
        raise UnreadableClip(f"there is no file {str(video)!r}; give the path of a video")
    return frame_times(video)


def _at_size(model: Model, size: int) -> Model:
    """Return the same network for squares of this side; both models share one lock."""
    spec = model.input_spec
    if spec is not None:
        spec = replace(spec, size=size)
    return Model(
        model.net,
        adapter=model.adapter,
        about=model.about,
        labels=model.labels,
        input_spec=spec,
        autocast=model.autocast,
        prepare=model.prepare,
        output=model.output,
    )


def _clips(
    video: Any,
    times: npt.NDArray[np.float64],
    firsts: list[int],
    frames: int,
    stride: int,
    size: int,
) -> Iterator[tuple[int, Clip]]:
    """Yield (first frame, clip), one at a time, a short one filled up with the last frame."""
    for first in firsts:
        clip = read_clip(video, start=float(times[first]), stride=stride, frames=frames, size=size)
        missing = frames - len(clip.frames)
        if missing:
            last = read_clip(video, start=float(times[-1]), frames=1, size=size).frames
            pixels = np.concatenate([clip.frames, np.repeat(last, missing, 0)])
            times_too = np.pad(clip.times, (0, missing), "edge")
            clip = replace(clip, frames=pixels, times=times_too)
        yield first, clip


def _corners(clip: Clip, size: int, crops: int) -> list[int]:
    """Return the pixels at which the squares start along the longer side."""
    room = max(clip.shape[1:]) - size
    if crops == 1:
        return [-(-room // 2)]
    return [-(-room * i // (crops - 1)) for i in range(crops)]


def _crop(clip: Clip, corner: int, size: int) -> Clip:
    _, height, width = clip.shape
    rows = slice(corner, corner + size) if height > width else slice(0, size)
    columns = slice(0, size) if height > width else slice(corner, corner + size)
    return Clip(clip.frames[:, rows, columns].copy(), clip.times, clip.name, clip.digest)
