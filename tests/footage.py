"""Video files that the tests write themselves: a bar that grows by one step a frame."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import numpy as np
import numpy.typing as npt

HEIGHT, WIDTH = 64, 96


def bar(share: float, height: int = HEIGHT, width: int = WIDTH) -> npt.NDArray[np.uint8]:
    """Return a frame whose left part, this share of the width, is red on dark grey."""
    frame = np.full((height, width, 3), 20, np.uint8)
    frame[:, : round(share * width)] = (220, 60, 40)
    return frame


def shares(frames: npt.NDArray[np.uint8]) -> list[float]:
    """Return how far the bar reaches in each frame: which frames of the file these are."""
    return [float((f[..., 0].astype(int).mean(0) > 120).mean()) for f in frames]


def codec_is_there(name: str) -> bool:
    """Progress whether FFmpeg can encode with this codec here."""
    try:
        av.codec.Codec(name, "w")
    except av.codec.codec.UnknownCodecError:
        return False
    return True


def write_video(
    container: str = "mp4",
    codec: str = "libx264",
    *,
    frames: int = 12,
    rate: int = 10,
    pts: Sequence[int] | None = None,
    pixels: str = "yuv420p",
    size: tuple[int, int] = (HEIGHT, WIDTH),
    gop: int = 4,
    b_frames: int | None = None,
    options: dict[str, str] | None = None,
    faststart: bool = False,
    metadata: dict[str, str] | None = None,
    sound: bool = False,
) -> bytes:
    """Return a video file; frame i of n shows a bar of share (i + 1) / (n + 1)."""
    buffer = io.BytesIO()
    with ExitStack() as stack:
        target: Any = buffer
        if faststart:  # the index goes to the front in a second pass over a real file
            folder = stack.enter_context(TemporaryDirectory())
            target = str(Path(folder) / f"video.{container}")
        muxer = {"movflags": "faststart"} if faststart else {}
        out = av.open(target, "w", format=container, options=muxer)
        out.metadata.update(metadata or {})
        stream: Any = out.add_stream(codec, rate=rate)
        stream.height, stream.width = size
        stream.pix_fmt = pixels
        stream.options = options or {}
        stream.codec_context.gop_size = gop
        if b_frames is not None:
            stream.codec_context.max_b_frames = b_frames
        voice: Any = out.add_stream("mp3", rate=44100) if sound else None
        for i in range(frames):
            frame = av.VideoFrame.from_ndarray(bar((i + 1) / (frames + 1), *size), format="rgb24")
            if pts is not None:
                frame.pts = pts[i]
            for packet in stream.encode(frame):
                out.mux(packet)
        for packet in stream.encode():
            out.mux(packet)
        if voice is not None:
            for packet in [*voice.encode(silence()), *voice.encode()]:
                out.mux(packet)
        out.close()
        return Path(target).read_bytes() if faststart else buffer.getvalue()


def silence() -> av.AudioFrame:
    """Return a tenth of a second of nothing."""
    frame = av.AudioFrame.from_ndarray(np.zeros((1, 4410), np.float32), "fltp", "mono")
    frame.rate = 44100
    return frame


def write_sound(cover: bool = False) -> bytes:
    """Return an audio file, with or without a cover picture in it."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp3") as out:
        stream: Any = out.add_stream("mp3", rate=44100)
        if cover:
            picture: Any = out.add_stream("mjpeg", rate=1)
            picture.height, picture.width, picture.pix_fmt = 64, 64, "yuvj420p"
            picture.disposition = av.stream.Disposition.attached_pic
        for packet in [*stream.encode(silence()), *stream.encode()]:
            out.mux(packet)
        if cover:
            frame = av.VideoFrame.from_ndarray(bar(0.5, 64, 64), format="rgb24")
            for packet in [*picture.encode(frame), *picture.encode()]:
                out.mux(packet)
    return buffer.getvalue()
