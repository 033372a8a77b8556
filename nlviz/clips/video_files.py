"""Decode video files, frame by frame, into RGB arrays.

Frame counts in file headers are not trusted (a header may say 444 where 68 frames decode): what
the demuxer lists counts and, in the end, what decodes.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import numpy as np

from nlviz.clips.decoded import Decoded, Frames, Keep, Times
from nlviz.clips.pictures.limits import MAX_PIXELS, too_many_pixels
from nlviz.clips.shown_frames import Screen
from nlviz.clips.streams import StreamFacts, decoder_of, shown_stream
from nlviz.errors import UnreadableClip
from nlviz.progress import Listener
from nlviz.sentences import seconds_text

MAX_BYTES = 1 << 30  # of all frames kept
LISTED_SECONDS = 600.0  # longer films are not listed packet by packet, frames are sought by time


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
        return _video(source, start, stride, frames, keep, progress)
    except (av.error.FFmpegError, EOFError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UnreadableClip(
            f"FFmpeg cannot decode this as a video ({reason.lower()}), nor is it a picture; "
            "is the file complete and what its name says?"
        ) from None


def frame_times(source: Path | BytesIO) -> Times:
    """List the (N,) times of a video's frames, in seconds from the first, without decoding them.

    Raises:
        UnreadableClip: when it is no video, or has no frame.
    """
    try:
        with _opened(source) as (container, stream):
            times = _listed(container, stream)[0]
    except (av.error.FFmpegError, EOFError):
        raise UnreadableClip(
            "FFmpeg cannot decode this as a video; is the file complete?"
        ) from None
    if not times:
        raise UnreadableClip("the video has no frame; is the file complete?")
    return np.asarray(times, np.float64) - times[0]


def _video(
    source: Path | BytesIO,
    start: float,
    stride: int | None,
    frames: int | None,
    keep: Keep | None,
    progress: Listener | None,
) -> Decoded:
    with _opened(source) as (container, stream):
        screen = Screen(StreamFacts.of(stream))
        length = float(stream.duration * stream.time_base) if stream.duration else 0.0
        length = length or (container.duration or 0) / av.time_base
        origin = float((stream.start_time or 0) * stream.time_base)
        step = 1.0 / float(stream.average_rate or 25)
        times, keyframes = ([], []) if length > LISTED_SECONDS else _listed(container, stream)
    keys: list[float] | None = None
    if length > LISTED_SECONDS:
        # A long film is not listed: frames are sought at times spread over its length.
        if length <= start:
            raise _beyond_end(start, length)
        wanted = origin + _spread(length, step, start, stride, frames)
    else:
        if not times:
            raise UnreadableClip("the video has no frame; is the file complete?")
        origin = times[0]
        if times[-1] - origin < start:
            raise _beyond_end(start, times[-1] - origin)
        wanted = _chosen(times, origin + start, stride, frames)
        keys = keyframes if len(times) > 600 else []  # short clips decode faster without seeking
    pixels, found = _decoded(source, wanted, keys, screen, keep, progress)
    if len(pixels) < len(wanted) and keys is not None:
        # The file ends before its index does: spread the frames over what decodes.
        _, real = _decoded(
            source, np.asarray(times), [], Screen(), lambda _: np.zeros((1, 1, 3), np.uint8)
        )
        if len(real) and real[-1] - origin >= start:
            wanted = _chosen(real, origin + start, stride, frames)
            pixels, found = _decoded(source, wanted, [], screen, keep, progress)
    elif 1 < len(pixels) < len(wanted) and stride is None:
        # The film ends before its header says: spread the frames again.
        wanted = np.linspace(found[0], found[-1], len(wanted))
        pixels, found = _decoded(source, wanted, None, screen, keep, progress)
    if not pixels:
        raise UnreadableClip(
            "the video has no frame that decodes; is the file complete and its codec common?"
        )
    return Decoded(
        np.stack(pixels),
        np.asarray(found, np.float64) - origin,
        tuple(screen.notes),
        reader=f"FFmpeg {av.ffmpeg_version_info} through PyAV {av.__version__}",
    )


def _spread(
    length: float, step: float, start: float, stride: int | None, frames: int | None
) -> Times:
    """Return the times at which to seek in a film that is not listed, from its first frame on."""
    if stride is None and frames is not None:
        return np.linspace(start, max(length - 2 * step, start), frames)
    count = min((length - start) / (step * (stride or 1)), frames or MAX_BYTES // 768)
    return np.asarray(start + np.arange(max(int(count), 1)) * (step * (stride or 1)), np.float64)


def _beyond_end(start: float, end: float) -> UnreadableClip:
    return UnreadableClip(
        f"start must lie before the last frame at {seconds_text(end)}, got {start:g} s"
    )


class _opened:
    """A container and its first video stream, open in a ``with`` block; it decodes on all cores."""

    def __init__(self, source: Path | BytesIO) -> None:
        if isinstance(source, BytesIO):
            source.seek(0)
        self._container: Any = av.open(
            source if isinstance(source, BytesIO) else str(source),
            metadata_errors="ignore",  # titles in another encoding than UTF-8 are common
        )

    def __enter__(self) -> tuple[Any, Any]:
        try:
            stream = shown_stream(self._container)
        except UnreadableClip:
            self._container.close()
            raise
        codec = stream.codec_context
        if codec.width * codec.height > MAX_PIXELS:
            self._container.close()
            raise too_many_pixels(f"{codec.width} x {codec.height}")
        stream.thread_type = "AUTO"
        return self._container, stream

    def __exit__(self, *_: object) -> None:
        self._container.close()


def _listed(container: Any, stream: Any) -> tuple[list[float], list[float]]:
    """List the times of all frames and of the key frames, in seconds, without decoding.

    Frames of a stream without times are counted; it cannot be sought in, so it has no key frames.
    """
    times, keyframes = set(), set()
    number = 0
    for packet in container.demux(stream):
        if packet.size == 0 or packet.is_discard:
            continue
        time = _time_of(packet, stream, number)
        number += 1
        times.add(time)
        if packet.is_keyframe and (packet.pts is not None or packet.dts is not None):
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
    screen: Screen,
    keep: Keep | None,
    progress: Listener | None = None,
) -> tuple[list[Frames], list[float]]:
    """Decode the frames at, or first after, the wanted times, as far as the file decodes."""
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
            rgb = screen.shown(frame)
            rgb = keep(rgb) if keep else rgb
            if len(wanted) * rgb.nbytes > MAX_BYTES:
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
    """Reads a stream forward; seeks where a key frame lies before the wanted time."""

    def __init__(self, container: Any, stream: Any) -> None:
        self._container, self._stream = container, stream
        self._decoder = decoder_of(stream)
        self._frames = self._decode()
        self.time = float("-inf")

    def _decode(self) -> Iterator[Any]:
        number = 0
        for packet in self._container.demux(self._stream):
            try:
                for frame in self._decoder.decode(packet):
                    self.time = _time_of(frame, self._stream, number)
                    number += 1
                    yield frame
            except av.error.FFmpegError:
                continue  # a damaged packet loses its frame, not the file

    def move_to(self, time: float, keyframes: list[float] | None) -> None:
        """Seek to the key frame before a time, if that skips frames."""
        if keyframes is None:
            worth = time - self.time > 2.0
        else:
            at = bisect_right(keyframes, time) - 1
            worth = at >= 0 and keyframes[at] > self.time
        if worth and time > 0:
            stamp = int(time / float(self._stream.time_base))
            try:
                self._container.seek(stamp, stream=self._stream, backward=True)
            except av.error.FFmpegError:
                return  # read on instead
            self._decoder.flush_buffers()
            self._frames = self._decode()
            self.time = float("-inf")

    def first_from(self, time: float) -> Any | None:
        """Return the first frame at or after a time, or None at the end."""
        for frame in self._frames:
            if self.time >= time - 1e-4:
                return frame
        return None
