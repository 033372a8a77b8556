"""Small films whose frames all differ, and what a plain full decode gives of them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import av
import numpy as np
import numpy.typing as npt

Frame = npt.NDArray[np.uint8]

_TEXTURE = np.random.default_rng(7).integers(0, 255, (16, 220, 3), np.uint8)


def picture(k: int, height: int = 32, width: int = 48) -> Frame:
    """Return frame k: a texture that moves by four pixels a frame, under a band of one grey."""
    left = k % 190
    tiles = _TEXTURE[: height // 4, left : left + width // 4]
    frame = np.ascontiguousarray(tiles.repeat(4, 0).repeat(4, 1))
    frame[:4] = k * 37 % 256
    return frame


def h264(gop: int, b_frames: int, *, open_gop: bool = False, more: str = "") -> dict[str, str]:
    """Return options of x264 for key frames this far apart and so many B-frames in a row."""
    known = f"keyint={gop}:min-keyint={gop}:scenecut=0:b-adapt=0:bframes={b_frames}"
    return {"preset": "veryfast", "x264-params": f"{known}:open-gop={int(open_gop)}{more}"}


def hevc(gop: int, b_frames: int, *, open_gop: bool = False) -> dict[str, str]:
    """Return options of x265, likewise."""
    known = f"keyint={gop}:min-keyint={gop}:scenecut=0:bframes={b_frames}:log-level=none"
    return {"preset": "ultrafast", "x265-params": f"{known}:open-gop={int(open_gop)}"}


def mpeg(gop: int, b_frames: int) -> dict[str, str]:
    """Return options of FFmpeg's own MPEG encoders, likewise."""
    return {"g": str(gop), "bf": str(b_frames), "q": "3"}


def film(
    container: str,
    codec: str,
    options: dict[str, str],
    *,
    count: int = 70,
    size: tuple[int, int] = (32, 48),
    pixels: str = "yuv420p",
    rate: int = 25,
    pts: Sequence[int] | None = None,
    muxer: dict[str, str] | None = None,
    first: int = 0,
) -> bytes:
    """Return a film of ``count`` frames, of which the first is picture ``first``."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container, options=muxer or {}) as out:
        stream: Any = out.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width = size
        stream.pix_fmt = pixels
        for k in range(count):
            frame = av.VideoFrame.from_ndarray(picture(first + k, *size), format="rgb24")
            frame.pts = k if pts is None else pts[k]
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return buffer.getvalue()


_VOP = b"\0\0\1\xb6"  # begins a picture of MPEG-4, whose kind stands in two bits behind it


def packed(avi: bytes) -> bytes:
    """Put each B-frame of an MPEG-4 AVI behind the frame before it, and a blank in its place."""
    with av.open(io.BytesIO(avi)) as container:
        stream = container.streams.video[0]
        size = stream.width, stream.height
        chunks = [(bytes(p), p.is_keyframe) for p in container.demux(stream) if p.size]
    first, key = chunks[0]
    at = first.index(_VOP)
    chunks[0] = (first[:at] + b"\0\0\1\xb2DivX503b1393p" + first[at:], key)  # says that it does so
    out: list[tuple[bytes, bool]] = []
    for data, key in chunks:
        if data[data.index(_VOP) + 4] >> 6 == 2:
            before, key = out[-1]
            out[-1:] = [(before + data, key), (_VOP + b"\x51\x7f", False)]
        else:
            out.append((data, key))
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="avi") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        for number, (data, key) in enumerate(out):
            packet = av.Packet(data)
            packet.stream, packet.is_keyframe = stream, key
            packet.pts = packet.dts = number
            packet.time_base = Fraction(1, 25)
            container.mux(packet)
    return buffer.getvalue()


def plain(data: bytes) -> list[Frame]:
    """Decode all frames from the first packet to the last, as PyAV does by itself."""
    frames = []
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.video[0]
        packets: list[Any] = [packet for packet in container.demux(stream) if packet.size]
        for packet in [*packets, None]:
            try:
                found = stream.codec_context.decode(packet)
            except av.error.FFmpegError:
                continue
            frames += [frame.to_ndarray(format="rgb24") for frame in found]
    return frames


class PlainScreen:
    """Shows decoded frames by FFmpeg's own conversion, to compare them bit for bit."""

    def __init__(self, _: object) -> None:
        self.notes: list[str] = []

    def hear(self, pixel_aspect: object) -> None:
        """Ignore what the codec says of its pixels."""

    def shown(self, frame: Any) -> Frame:
        """Return a frame as RGB."""
        rgb: Frame = frame.to_ndarray(format="rgb24")
        return rgb
