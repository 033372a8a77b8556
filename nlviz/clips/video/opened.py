"""Open a video file at the track that is shown, and hand over its packets."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import av

from nlviz.clips.pictures.limits import MAX_PIXELS, too_many_pixels
from nlviz.clips.streams import decoder_of, shown_stream
from nlviz.errors import UnreadableClip

Way = Literal["slow", "fast", "strict"]


class Opened:
    """A file and the video track that is shown, open in a ``with`` block.

    Attributes:
        container: PyAV's container.
        stream: its video track.
        decoder: of the track; it says of which packet a frame is.

    Args:
        source: the file, or its bytes.
        way: how to decode. ``slow`` decodes frames one after another and mends what is damaged,
            alike on all machines; ``fast`` decodes them side by side and mends it somehow;
            ``strict`` does so and refuses it.

    Raises:
        UnreadableClip: when it is no video, or has no video track whose codec is known.
    """

    def __init__(self, source: Path | BytesIO, way: Way = "fast") -> None:
        self._way = way
        if isinstance(source, BytesIO):
            source.seek(0)
        try:
            self.container: Any = av.open(
                # FFmpeg takes what stands before a colon for a protocol.
                source if isinstance(source, BytesIO) else str(source.absolute()),
                options={"protocol_whitelist": "file,crypto,data"},  # lists may name other hosts
                metadata_errors="ignore",  # titles in another encoding than UTF-8 are common
            )
        except (av.error.FFmpegError, EOFError) as error:
            raise _no_video(error) from None

    def __enter__(self) -> Opened:
        try:
            self.stream = shown_stream(self.container)
            self.decoder = decoder_of(self.stream)
            codec = self.stream.codec_context
            if codec.width * codec.height > MAX_PIXELS:
                raise too_many_pixels(f"{codec.width} x {codec.height}")
        except UnreadableClip:
            self.container.close()
            raise
        for other in self.container.streams:
            if other.index != self.stream.index:
                other.discard = av.stream.Discard.all
        # FFmpeg's VP8 hides errors of frames that it decodes side by side.
        alone = self._way == "slow" or codec.name == "vp8"
        self.decoder.thread_type = "SLICE" if alone else "AUTO"
        if self._way == "strict":
            self.decoder.options = {"err_detect": "explode"}
        self.decoder.copy_opaque = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Decoding threads that still work would wait for Python while Python waits for them.
        self.decoder.flush_buffers()
        self.container.close()

    def packets(self) -> Iterator[Any]:
        """Iterate over the packets that hold something, from where the file stands."""
        packets = self.container.demux(self.stream)
        some = False
        while True:
            try:
                packet = next(packets, None)
            except (av.error.FFmpegError, EOFError) as error:
                if some:  # what lies behind the damage cannot be found
                    return
                raise _no_video(error) from None
            if packet is None:
                return
            # An empty one repeats the frame before it; a decoder would take it for the end.
            if packet.size:
                some = True
                yield packet


def _no_video(error: BaseException) -> UnreadableClip:
    reason = getattr(error, "strerror", None) or str(error)
    return UnreadableClip(
        f"FFmpeg cannot decode this as a video ({reason.lower()}), nor is it a picture; "
        "is the file complete and what its name says?"
    )
