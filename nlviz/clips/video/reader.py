"""Decode the frames of a film from a place on, and say of which packet each one is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import av
import numpy as np

from nlviz.clips.video.index import Index
from nlviz.clips.video.opened import Opened
from nlviz.clips.video.packets import UNKNOWN, Packets, identity

_WHOLE = (0, 1)  # kinds of pictures: not said, and coded without others
# Containers without an index, in which a packet is sought by its place.
_BY_PLACE = frozenset("mpegts mpeg mpegvideo h264 hevc m4v".split())
_BACK = (0, 1, 16, 128)  # packets, for one try at seeking after another
_MISSED = 2000  # packets read in vain before a try is given up


class Astray(Exception):
    """Decoding gave other frames than the index says.

    Attributes:
        at: number of the first frame that differs.
        ended: whether the film simply ended there.
    """

    def __init__(self, at: int, *, ended: bool = False) -> None:
        super().__init__(f"frame {at} differs from the index")
        self.at = at
        self.ended = ended


class Reader:
    """Reads one opened film forward, from its first packet or from a start in the middle.

    Attributes:
        lost: number of packets that FFmpeg refused to decode.

    Args:
        opened: the film, just opened.
        packets: as they were listed before.
    """

    def __init__(self, opened: Opened, packets: Packets) -> None:
        self._opened, self._packets = opened, packets
        self.lost = 0

    def all(self) -> Iterator[tuple[int, Any]]:
        """Iterate over all frames, each with the number of its packet, or -1."""
        yield from self._decoded(self._opened.packets(), 0)

    def from_first(self, index: Index) -> Iterator[tuple[int, Any]]:
        """Iterate over all frames, each with its own number.

        Raises:
            Astray: when a frame comes that an index which foretells does not have at this place.
        """
        count = 0
        for number, (origin, frame) in enumerate(self.all()):
            if index.sought and (number >= len(index) or origin != index.order[number]):
                raise Astray(number)
            yield number, frame
            count = number + 1
        if index.sought and count < len(index):
            raise Astray(count, ended=True)

    def from_start(self, index: Index, packet: int, number: int) -> Iterator[tuple[int, Any]]:
        """Iterate over the frames from a start on, each with its own number.

        Args:
            index: of the film.
            packet: at which decoding begins.
            number: of the frame that this packet gives.

        Raises:
            Astray: when a frame comes that the index does not have at this place.
        """
        expected = number
        first = None  # held back until the next frame has confirmed that it follows
        for origin, frame in self._decoded(self._landed(packet, number), packet):
            # Until the start's own frame, frames are shown before it and may lack others.
            if expected == number and origin != packet:
                if origin < 0 or index.ranks[origin] > number:
                    raise Astray(number)
                continue
            if expected >= len(index) or origin != index.order[expected]:
                raise Astray(expected)
            if expected == number:
                if not (frame.key_frame or frame.pict_type in _WHOLE):
                    raise Astray(number)
                first = frame
            else:
                if expected == number + 1:
                    yield number, first
                yield expected, frame
            expected += 1
        if expected == number + 1:
            yield number, first
        if expected < len(index):
            raise Astray(expected, ended=True)

    def _decoded(self, packets: Iterator[Any], first: int) -> Iterator[tuple[int, Any]]:
        number = first
        for packet in packets:
            if number >= len(self._packets):  # the file has grown since it was listed
                break
            packet.opaque = _Origin(number)
            number += 1
            yield from self._frames(packet)
        yield from self._frames(None)

    def _frames(self, packet: Any | None) -> Iterator[tuple[int, Any]]:
        try:
            frames = self._opened.decoder.decode(packet)
        except av.error.FFmpegError:
            self.lost += 1  # a damaged packet loses its frame, not the file
            return
        for frame in frames:
            yield _origin(frame), frame

    def _landed(self, start: int, number: int) -> Iterator[Any]:
        """Seek to a packet and iterate over the packets from it on, each of which is checked."""
        packets = self._packets
        # Where a packet does not begin with what the container can seek to, one lands behind it.
        for back in _BACK:
            if self._seek(max(start - back, 0)):
                found = self._opened.packets()
                packet = self._met(found, start)
                if packet is not None:
                    break
        else:
            raise Astray(number)
        yield packet
        for place, packet in enumerate(found, start + 1):
            # FFmpeg may give times that it makes up anew; where and how long a packet is stays.
            if place < len(packets) and identity(packet)[:2] != packets.key(place)[:2]:
                raise Astray(number)
            yield packet

    def _met(self, found: Iterator[Any], start: int) -> Any | None:
        """Read on to a packet; return None where it lies before."""
        wanted, time = self._packets.key(start), int(self._packets.decoded_at[start])
        for _, packet in zip(range(_MISSED), found, strict=False):
            if identity(packet) == wanted:
                return packet
            if time != UNKNOWN and packet.dts is not None and packet.dts > time:
                return None
        return None

    def _seek(self, start: int) -> bool:
        """Seek to a packet, or before it; return whether that can be tried."""
        packets = self._packets
        container, stream = self._opened.container, self._opened.stream
        times = [int(t[start]) for t in (packets.shown_at, packets.decoded_at)]
        times = [time for time in times if time != UNKNOWN]
        try:
            if packets.container in _BY_PLACE:
                located = np.flatnonzero(packets.places[: start + 1] != UNKNOWN)
                place = int(packets.places[located[-1]]) if len(located) else 0
                container.seek(place, stream=stream, unsupported_byte_offset=True)
            elif times:
                container.seek(min(times), stream=stream)
            else:
                return False
        except av.error.FFmpegError:
            return False
        self._opened.decoder.flush_buffers()
        return True


class _Origin:
    """The number of a packet, an object of its own for each, since PyAV knows them by identity."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number


def _origin(frame: Any) -> int:
    origin = frame.opaque
    return origin.number if isinstance(origin, _Origin) else -1
