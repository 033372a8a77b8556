"""Clips: the input of every network here, in pixels; a picture is a clip of one frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nlviz.clips import video_files as decoding
from nlviz.clips.pictures.files import open_pictures
from nlviz.clips.pictures.many import sampled, times_of
from nlviz.clips.point import Point
from nlviz.clips.rates import stride_at
from nlviz.clips.sampling import Sampling as Sampling
from nlviz.clips.sequences import Item, picture_list
from nlviz.errors import MissingClip, UnreadableClip
from nlviz.files.local import digest_of
from nlviz.picture import resized, scaled, strip_html
from nlviz.progress import Listener
from nlviz.sentences import fixed, seconds_text, times_text

Frames = npt.NDArray[np.uint8]
Box = tuple[float, float, float, float, float]  # frame, top, left, bottom, right


@dataclass(frozen=True, eq=False)
class Clip:
    """The sampled frames of a video, or one picture.

    Attributes:
        frames: (T, H, W, 3) RGB uint8 in [0, 255], read-only.
        times: (T,) seconds from the beginning of the file.
        name: file name or what the caller called it.
        digest: sha256 of the file's bytes, or of the frames where there is no file.
        sampling: how the frames were chosen.
        notes: one sentence for each thing that a user must know before believing the frames, such
            as that fields were combined into frames; empty where there is none.
        reader: the library that decoded the file, with its version, or empty.
        prompt: the ``Text`` that goes beside it, of a network that takes both; or None.
        boxes: what a network that takes boxes is asked about, see ``nlviz.clips.boxes``.

    >>> clip = Clip.from_frames(np.zeros((2, 30, 40, 3), np.uint8), name="black")
    >>> clip
    Clip('black', 2 frames of 40x30 px, 0.00 to 0.04 s)
    """

    frames: Frames
    times: npt.NDArray[np.float64]
    name: str
    digest: str
    sampling: Sampling = field(default_factory=Sampling)
    notes: tuple[str, ...] = ()
    reader: str = ""
    prompt: Clip | None = None
    boxes: tuple[Box, ...] = ()

    def __post_init__(self) -> None:
        f = self.frames
        if f.ndim != 4 or f.shape[-1] != 3 or f.dtype != np.uint8 or 0 in f.shape:
            raise UnreadableClip(
                "frames must be uint8 of shape (T, H, W, 3) with T, H and W of at least 1, "
                f"got {f.dtype} {f.shape}; convert to 8-bit RGB first"
            )
        if self.times.shape != (len(f),):
            raise UnreadableClip(f"{len(f)} frames need as many times, got {self.times.shape}")
        for name in ("frames", "times"):
            # A view of it: the caller's own array stays as it is.
            array = getattr(self, name).view()
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    @classmethod
    def from_frames(cls, frames: npt.ArrayLike, *, fps: float = 25.0, name: str = "frames") -> Clip:
        """Make a clip of frames that are in memory.

        Args:
            frames: (T, H, W, 3) or (H, W, 3) RGB uint8; copied.
            fps: frames per second.
            name: what to call the clip.

        Raises:
            UnreadableClip: when shape or type are others, or fps is not above 0.
        """
        if not fps > 0:
            raise UnreadableClip(f"fps must be above 0 frames per second, got {fps}")
        array = np.array(frames)
        if array.ndim == 3:
            array = array[None]
        digest = digest_of(repr(array.shape).encode() + array.tobytes())
        return cls(array, np.arange(len(array)) / fps, name, digest)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of frames, height and width in pixels."""
        t, h, w, _ = self.frames.shape
        return (t, h, w)

    def check(self, *, frame: float, y: float, x: float) -> None:
        """Check that a point lies inside the clip.

        Raises:
            OutsideClip: when it does not.
        """
        Point(frame, y, x).inside(self.shape)

    def resized(self, size: int) -> Clip:
        """Resize the clip to this shorter side, in pixels, keeping its aspect ratio."""
        frames = np.stack([_shorter_side(f, size) for f in self.frames])
        y, x = (new / old for new, old in zip(frames.shape[1:3], self.shape[1:], strict=True))
        boxes = tuple((f, t * y, a * x, b * y, c * x) for f, t, a, b, c in self.boxes)
        return replace(self, frames=frames, times=self.times.copy(), boxes=boxes)

    def part(self, first: int, end: int) -> Clip:
        """Return the frames from ``first`` to ``end``, exclusive, as a clip.

        >>> Clip.from_frames(np.zeros((5, 30, 40, 3), np.uint8), name="black").part(2, 4)
        Clip('black, frames 2 to 3', 2 frames of 40x30 px, 0.08 to 0.12 s)
        """
        digest = digest_of(f"{self.digest} {self.sampling} {first} {end}".encode())
        name = f"{self.name}, frames {first} to {end - 1}"
        frames, times = self.frames[first:end], self.times[first:end]
        inside = (box for box in self.boxes if first <= box[0] < end)
        boxes = tuple((f - first, t, a, b, c) for f, t, a, b, c in inside)
        part = replace(self, frames=frames, times=times, name=name, digest=digest)
        return replace(part, boxes=boxes)

    def noted(self, *notes: str) -> Clip:
        """Return the clip with further notes, each of them once.

        >>> Clip.from_frames(np.zeros((2, 30, 40, 3), np.uint8)).noted("Shown half as fast.").notes
        ('Shown half as fast.',)
        """
        return replace(self, notes=tuple(dict.fromkeys((*self.notes, *notes))))

    def thumbnail(self, *, frame: int, y: float, x: float, side: int) -> Frames:
        """Return the (side, side, 3) square of pixels around a point; edges are repeated."""
        ys = np.clip(np.arange(side) + round(y) - side // 2, 0, self.shape[1] - 1)
        xs = np.clip(np.arange(side) + round(x) - side // 2, 0, self.shape[2] - 1)
        square: Frames = self.frames[frame][np.ix_(ys, xs)]
        return square

    def __repr__(self) -> str:
        t, h, w = self.shape
        count = len(self.notes)
        told = f", {count} note{'s' * (count > 1)}" if count else ""
        if t == 1:
            return f"Clip({self.name!r}, a picture of {w}x{h} px{told})"
        span = f"{fixed(self.times[0], 2)} to {seconds_text(self.times[-1])}"
        return f"Clip({self.name!r}, {t} frames of {w}x{h} px, {span}{told})"

    def _repr_html_(self) -> str:
        captions = times_text([float(time) for time in self.times])
        return strip_html(list(self.frames), captions=captions, title=repr(self), notes=self.notes)


def read_clip(
    path: str | Path | bytes | Sequence[Item],
    *,
    start: float = 0.0,
    stride: int | None = None,
    frames: int | None = None,
    size: int | None = None,
    fps: float | None = None,
    rate: float | None = None,
    name: str | None = None,
    progress: Listener | None = None,
) -> Clip:
    """Read a video, a picture, or pictures that follow each other.

    Videos: whatever FFmpeg decodes, with exact frame times, as players show it: turned, with square
    pixels, deinterlaced, on white, in ordinary colours; ``notes`` say what was done. Frames are
    decoded one by one and only those asked for are kept.

    Pictures: PNG, JPEG, WebP, TIFF, HEIC, AVIF and more, of any depth, in sRGB, laid on white and
    turned as the file says. Moving pictures and stacks are clips, and so are a folder, a numbered
    pattern (``img_%04d.png``, ``img_####.png``), a glob and a list of pictures, in natural order
    (``img_2`` before ``img_10``).

    What differs from the file, or had to be assumed, is said in ``Clip.notes``.

    Args:
        path: the file, its bytes, a folder, a pattern, or a list of paths, bytes and arrays of
            shape (H, W) or (H, W, C).
        start: seconds to skip.
        stride: take every stride-th frame; None spreads ``frames`` evenly over the rest.
        frames: how many frames; None takes all.
        size: shorter side in pixels; None keeps the file's own.
        fps: frames per second of pictures that say none themselves; None takes 25 and says so.
        rate: frames per second that ``stride`` speaks of; None: the film's own. With 30 and a
            stride of 4, a film of 60 frames per second gives every 8th.
        name: what to call the clip; the file's name by default.
        progress: called with a sentence and a share in [0, 1] after each frame.

    Raises:
        UnreadableClip: when the file is missing, empty, broken, without frames or too large.

    >>> from nlviz.resources import asset
    >>> read_clip(asset("photos/coffee.jpg"), size=120).shape
    (1, 120, 180)
    """
    _check_sampling(Sampling(start, stride, frames, size, fps))
    pictures = picture_list(path)
    source: Path | BytesIO = BytesIO()
    if pictures is not None:
        label, digest = name or pictures.name, pictures.digest
    else:
        source, label, digest = _file_of(path, name)
    resize = None if size is None else (lambda frame: _shorter_side(frame, size))
    try:
        opened = open_pictures(source) if pictures is None else pictures.opened()
        told: tuple[str, ...] = ()
        if rate is not None:
            times = decoding.frame_times(source) if opened is None else times_of(opened, fps)
            stride, told = stride_at(np.asarray(times), stride=stride or 1, rate=rate)
        sampling = Sampling(start, stride, frames, size, fps)
        wanted: dict[str, Any] = {
            "start": start,
            "stride": stride,
            "frames": frames,
            "keep": resize,
            "progress": progress,
        }
        if opened is None:
            decoded = decoding.decode(source, **wanted)
        else:
            decoded = sampled(opened, fps=fps, **wanted)
    except UnreadableClip as error:
        raise type(error)(f"{label}: {error}") from None
    return Clip(
        decoded.frames,
        decoded.times,
        label,
        digest,
        sampling,
        (*decoded.notes, *told),
        decoded.reader,
    )


def _file_of(path: Any, name: str | None) -> tuple[Path | BytesIO, str, str]:
    """Return a file or its bytes to read from, what to call it, and its digest."""
    if isinstance(path, bytes):
        label = name or "upload"
        if not path:
            raise UnreadableClip(
                f"{label!r} is empty; choose a file that holds a video or a picture"
            )
        return BytesIO(path), label, digest_of(path)
    source = Path(path)
    label = name or source.name
    if not source.is_file():
        raise MissingClip(f"there is no file {str(path)!r}; give the path of a file")
    if source.stat().st_size == 0:
        raise UnreadableClip(f"{label!r} is empty; choose a file that holds a video or a picture")
    try:
        return source, label, digest_of(source)
    except OSError as error:
        raise UnreadableClip(f"{label} cannot be read: {error.strerror}") from None


def _check_sampling(sampling: Sampling) -> None:
    rules: Sequence[tuple[str, Any, int]] = (
        ("stride", sampling.stride, 1),
        ("frames", sampling.frames, 1),
        ("size", sampling.size, 16),
    )
    for name, value, least in rules:
        if value is not None and value < least:
            raise UnreadableClip(f"{name} must be at least {least}, got {value}")
    if sampling.fps is not None and not 0 < sampling.fps < float("inf"):
        raise UnreadableClip(f"fps must be above 0 frames per second, got {sampling.fps}")
    if not 0 <= sampling.start < float("inf"):
        raise UnreadableClip(f"start must be 0 seconds or more, got {sampling.start}")


def _shorter_side(frame: Frames, size: int) -> Frames:
    return resized(frame, scaled(frame.shape, size / min(frame.shape[:2])))
