"""Open a video file at the track that is shown, and hand over its packets."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Any

import av

from nlviz.clips.pictures.limits import MAX_PIXELS, too_many_pixels
from nlviz.errors import UnreadableClip


class Opened:
    """A file and the video track that is shown, open in a ``with`` block.

    Attributes:
        container: PyAV's container.
        stream: its video track; it decodes on all cores and says of which packet a frame is.
        notes: a sentence where the file has more than one video track.

    Args:
        source: the file, or its bytes.

    Raises:
        UnreadableClip: when it is no video, or has no video track whose codec is known.
    """

    def __init__(self, source: Path | BytesIO) -> None:
        if isinstance(source, BytesIO):
            source.seek(0)
        try:
            self.container: Any = av.open(
                source if isinstance(source, BytesIO) else str(source),
                metadata_errors="ignore",  # titles in another encoding than UTF-8 are common
            )
        except (av.error.FFmpegError, EOFError) as error:
            raise _no_video(error) from None
        self.notes: tuple[str, ...] = ()

    def __enter__(self) -> Opened:
        try:
            self.stream = self._shown()
        except UnreadableClip:
            self.container.close()
            raise
        for other in self.container.streams:
            if other.index != self.stream.index:
                other.discard = av.stream.Discard.all
        self.stream.thread_type = "AUTO"
        self.stream.codec_context.copy_opaque = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Decoding threads that still work would wait for Python while Python waits for them.
        self.stream.codec_context.flush_buffers()
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

    def _shown(self) -> Any:
        # The cover of a piece of music is no video.
        cover = av.stream.Disposition.attached_pic
        found = [s for s in self.container.streams.video if not s.disposition & cover]
        if not found:
            raise UnreadableClip("the file has no video track; give a video or a picture")
        known = [s for s in found if s.codec_context is not None]
        if not known:
            raise UnreadableClip("FFmpeg does not know the codec of the video track; convert it")
        first = av.stream.Disposition.default
        stream = next((s for s in known if s.disposition & first), known[0])
        codec = stream.codec_context
        if codec.width * codec.height > MAX_PIXELS:
            raise too_many_pixels(f"{codec.width} x {codec.height}")
        if len(found) > 1:
            self.notes = (
                f"The file has {len(found)} video tracks; number {found.index(stream) + 1}, "
                f"{codec.width} x {codec.height} px, is shown.",
            )
        return stream


def _no_video(error: BaseException) -> UnreadableClip:
    reason = getattr(error, "strerror", None) or str(error)
    return UnreadableClip(
        f"FFmpeg cannot decode this as a video ({reason.lower()}), nor is it a picture; "
        "is the file complete and what its name says?"
    )
