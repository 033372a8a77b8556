"""Decoding of video and picture files, frame by frame, into RGB arrays.

Frame counts in file headers lie (a header may say 444 where 68 frames decode), so what counts is
what the demuxer lists and, in the end, what decodes.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from nlviz.errors import UnreadableClip

Frames = npt.NDArray[np.uint8]
Times = npt.NDArray[np.float64]
Keep = Callable[[Frames], Frames]
Progress = Callable[[str, float], None]

MAX_PIXELS = 64_000_000  # of one picture or frame; beyond it lie scans and decompression bombs
MAX_BYTES = 1 << 30  # of all frames kept
LISTED_SECONDS = 600.0  # longer films are not listed packet by packet, frames are sought by time


def decode(
    source: Path | BytesIO,
    *,
    start: float,
    stride: int | None,
    frames: int | None,
    keep: Keep | None,
    progress: Progress | None,
) -> tuple[Frames, Times]:
    """Return (T, H, W, 3) frames and their (T,) times in seconds.

    Raises:
        UnreadableClip: when nothing decodes, or more than the limits.
    """
    picture = _picture(source)
    if picture is not None:
        return (keep(picture) if keep else picture)[None], np.zeros(1)
    try:
        return _video(source, start, stride, frames, keep, progress)
    except (av.error.FFmpegError, EOFError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UnreadableClip(
            f"FFmpeg cannot decode this as a video ({reason.lower()}), nor is it a picture; "
            "is the file complete and what its name says?"
        ) from None


# Pictures -----------------------------------------------------------------------------------------


def _picture(source: Path | BytesIO) -> Frames | None:
    """Return the picture (H, W, 3), or None when the file is none (or is animated)."""
    try:
        image = Image.open(source)
    except Image.DecompressionBombError:
        raise _too_many_pixels("more than 178 million") from None
    except (UnidentifiedImageError, OSError):
        return None
    with image:
        # An animated picture, and a video whose first bytes look like one, is FFmpeg's.
        if getattr(image, "is_animated", False) and image.format != "TIFF":
            return None
        if image.width * image.height > MAX_PIXELS:
            raise _too_many_pixels(f"{image.width} x {image.height}")
        try:
            image.load()
            return _rgb(ImageOps.exif_transpose(image))
        except (OSError, SyntaxError, ValueError) as error:
            raise UnreadableClip(f"the picture is broken ({error}); save it again") from None


def _too_many_pixels(size: str) -> UnreadableClip:
    return UnreadableClip(
        f"a picture may have {MAX_PIXELS // 1_000_000} million pixels, this one has {size}; "
        "make it smaller first"
    )


def _rgb(image: Image.Image) -> Frames:
    if image.mode in ("I;16", "I;16L", "I;16B", "I", "F"):
        grey = np.asarray(image, np.float64)
        top = 65535.0 if image.mode != "F" or grey.max() > 1 else 1.0
        grey = np.clip(grey * (255.0 / top), 0, 255).round()
        return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return np.array(image.convert("RGB"))


# Videos -------------------------------------------------------------------------------------------


def _video(
    source: Path | BytesIO,
    start: float,
    stride: int | None,
    frames: int | None,
    keep: Keep | None,
    progress: Progress | None,
) -> tuple[Frames, Times]:
    with _opened(source) as (container, stream):
        length = float(stream.duration * stream.time_base) if stream.duration else 0.0
        length = length or (container.duration or 0) / av.time_base
        times, keyframes = ([], []) if length > LISTED_SECONDS else _listed(container, stream)
    if length > LISTED_SECONDS:
        # Frames of a long film: a list of wanted times, each sought for.
        step = 1.0 / float(stream.average_rate or 25)
        if length <= start:
            raise _beyond_end(start, length)
        if stride is not None or frames is None:
            wanted = np.arange(start, length, step * (stride or 1))[:frames]
        else:
            wanted = np.linspace(start, max(length - 2 * step, start), frames)
        keys = None
    else:
        if not times:
            raise UnreadableClip("the video has no frame; is the file complete?")
        if times[-1] < start:
            raise _beyond_end(start, times[-1])
        wanted = _chosen(times, start, stride, frames)
        keys = keyframes if len(times) > 600 else []  # short clips decode faster without seeking
    pixels, found = _decoded(source, wanted, keys, keep, progress)
    if len(pixels) < len(wanted) and keys is not None:
        # The file ends before its index does: spread the frames over what decodes.
        _, real = _decoded(source, np.asarray(times), [], lambda _: np.zeros((1, 1, 3), np.uint8))
        if len(real) and real[-1] >= start:
            wanted = _chosen(list(real), start, stride, frames)
            pixels, found = _decoded(source, wanted, [], keep, progress)
    if not pixels:
        raise UnreadableClip(
            "the video has no frame that decodes; is the file complete and its codec common?"
        )
    return np.stack(pixels), np.asarray(found, np.float64)


def _beyond_end(start: float, end: float) -> UnreadableClip:
    return UnreadableClip(f"start must lie before the last frame at {end:.2f} s, got {start:g} s")


class _opened:
    """Open a container and its first video stream; the stream decodes on all cores."""

    def __init__(self, source: Path | BytesIO) -> None:
        if isinstance(source, BytesIO):
            source.seek(0)
        self._container: Any = av.open(source if isinstance(source, BytesIO) else str(source))

    def __enter__(self) -> tuple[Any, Any]:
        if not self._container.streams.video:
            self._container.close()
            raise UnreadableClip("the file has no video track; give a video or a picture")
        stream = self._container.streams.video[0]
        stream.thread_type = "AUTO"
        return self._container, stream

    def __exit__(self, *_: object) -> None:
        self._container.close()


def _listed(container: Any, stream: Any) -> tuple[list[float], list[float]]:
    """Return the times of all frames and of the key frames, in seconds, without decoding."""
    times, keyframes = set(), set()
    for number, packet in enumerate(container.demux(stream)):
        if packet.size == 0 or packet.is_discard:
            continue
        time = _time_of(packet, stream, number)
        times.add(time)
        if packet.is_keyframe:
            keyframes.add(time)
    return sorted(times), sorted(keyframes)


def _time_of(item: Any, stream: Any, number: int) -> float:
    stamp = item.pts if item.pts is not None else item.dts
    if stamp is None:
        return number / float(stream.average_rate or 25)
    return float(stamp * stream.time_base)


def _chosen(times: list[float], start: float, stride: int | None, frames: int | None) -> Times:
    first = bisect_left(times, start - 1e-6)
    rest: Times = np.asarray(times[min(first, len(times) - 1) :], np.float64)
    if stride is not None or frames is None:
        return rest[:: stride or 1][:frames]
    if frames >= len(rest):
        return rest
    spread: Times = rest[np.linspace(0, len(rest) - 1, frames).round().astype(int)]
    return spread


def _decoded(
    source: Path | BytesIO,
    wanted: Times,
    keyframes: list[float] | None,
    keep: Keep | None,
    progress: Progress | None = None,
) -> tuple[list[Frames], list[float]]:
    """Return the frames at (or first after) the wanted times, as far as the file decodes."""
    pixels: list[Frames] = []
    found: list[float] = []
    with _opened(source) as (container, stream):
        reader = _Reader(container, stream)
        for place, time in enumerate(wanted):
            reader.move_to(time, keyframes)
            frame = reader.first_from(time)
            if frame is None:
                break
            if found and reader.time <= found[-1]:
                continue
            rgb = _upright(frame)
            rgb = keep(rgb) if keep else rgb
            if (len(wanted)) * rgb.nbytes > MAX_BYTES:
                raise UnreadableClip(
                    f"the frames kept may take 1 GiB, {len(wanted)} of {rgb.shape[1]} x "
                    f"{rgb.shape[0]} px take more; ask for fewer frames or a smaller size"
                )
            pixels.append(rgb)
            found.append(reader.time)
            if progress:
                progress(f"Reading frame {place + 1} of {len(wanted)}", (place + 1) / len(wanted))
    return pixels, found


class _Reader:
    """Decode forward; seek where a key frame lies between here and the wanted time."""

    def __init__(self, container: Any, stream: Any) -> None:
        self._container, self._stream = container, stream
        self._frames = self._decode()
        self.time = float("-inf")

    def _decode(self) -> Iterator[Any]:
        number = 0
        for packet in self._container.demux(self._stream):
            try:
                for frame in packet.decode():
                    self.time = _time_of(frame, self._stream, number)
                    number += 1
                    yield frame
            except av.error.FFmpegError:
                continue  # a damaged packet loses its frame, not the file

    def move_to(self, time: float, keyframes: list[float] | None) -> None:
        """Seek to the key frame before a time, if that skips anything."""
        if keyframes is None:
            worth = time - self.time > 2.0
        else:
            at = bisect_right(keyframes, time) - 1
            worth = at >= 0 and keyframes[at] > self.time
        if worth and time > 0:
            stamp = int(time / float(self._stream.time_base))
            self._container.seek(stamp, stream=self._stream, backward=True)
            self._frames = self._decode()
            self.time = float("-inf")

    def first_from(self, time: float) -> Any | None:
        """Return the first frame at or after a time, or None at the end."""
        for frame in self._frames:
            if self.time >= time - 1e-4:
                return frame
        return None


def _upright(frame: Any) -> Frames:
    if frame.width * frame.height > MAX_PIXELS:
        raise _too_many_pixels(f"{frame.width} x {frame.height}")
    rgb = frame.to_ndarray(format="rgb24")
    turns = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}
    rotation = round(frame.rotation) % 360
    return np.asarray(cv2.rotate(rgb, turns[rotation]) if rotation in turns else rgb, np.uint8)
