"""The packets of a video track, listed without decoding them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from nlviz.clips.video.access import Access
from nlviz.clips.video.opened import Opened
from nlviz.progress import Progress

Numbers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

UNKNOWN = np.iinfo(np.int64).min  # a place or a time that the container does not give
_EVERY = 2000  # packets between two reports of progress


@dataclass(frozen=True, eq=False)
class Packets:
    """Packets of a video track in the order in which the file holds them, that of decoding.

    Attributes:
        places: (P,) bytes from the beginning of the file, or UNKNOWN.
        sizes: (P,) bytes.
        shown_at: (P,) time of display in units of ``time_base``, or UNKNOWN.
        decoded_at: (P,) time of decoding in units of ``time_base``, or UNKNOWN.
        begins: (P,) whether frames from this one's on are decoded without those before.
        shows: (P,) whether a frame is to be shown of it, as far as the container says.
        broken: (P,) whether the container found it damaged or cut.
        between: (P,) whether it holds a B-frame, known of MPEG-4 in AVI alone; else None.
        time_base: seconds of a unit of time.
        rate: frames per second, as far as the container says.
        reorders: whether frames of this codec may be stored in another order than shown.
        container: FFmpeg's name of the container.
    """

    places: Numbers
    sizes: Numbers
    shown_at: Numbers
    decoded_at: Numbers
    begins: Flags
    shows: Flags
    broken: Flags
    between: Flags | None
    time_base: Fraction
    rate: float
    reorders: bool
    container: str

    def __len__(self) -> int:
        return len(self.sizes)

    def key(self, number: int) -> tuple[int, int, int]:
        """Return what identifies a packet when it is read again."""
        return int(self.places[number]), int(self.sizes[number]), int(self.shown_at[number])


def identity(packet: Any) -> tuple[int, int, int]:
    """Return what identifies a packet: where it lies, its size and when it is shown."""
    return stamp(packet.pos), packet.size, stamp(packet.pts)


def stamp(value: int | None) -> int:
    """Return a place or a time as a number, UNKNOWN for None."""
    return UNKNOWN if value is None else value


def list_packets(opened: Opened, progress: Progress) -> Packets:
    """List the packets of an opened file."""
    stream = opened.stream
    context = stream.codec_context
    codec = context.codec
    access = Access(codec.canonical_name, codec.intra_only, context.extradata)
    hides = codec.canonical_name == "vp8"
    size = opened.container.size or 0
    numbers: list[tuple[int, int, int, int]] = []
    flags: list[tuple[bool, bool, bool]] = []
    by_kind = codec.canonical_name == "mpeg4" and opened.container.format.name == "avi"
    between: list[bool | None] = []
    for packet in opened.packets():
        numbers.append((*identity(packet), stamp(packet.dts)))
        marked = packet.is_keyframe
        flags.append(
            (
                marked and access.begins(memoryview(packet), marked),
                not (packet.is_discard or (hides and access.hides(memoryview(packet)))),
                packet.is_corrupt,
            )
        )
        if by_kind:
            between.append(access.between(memoryview(packet)))
        if len(numbers) % _EVERY == 0:
            place = packet.pos or 0
            progress(f"Listing frame {len(numbers)}", min(place / size, 1.0) if size > 0 else 0.0)
    table = np.array(numbers, np.int64).reshape(-1, 4)
    marks = np.array(flags, np.bool_).reshape(-1, 3)
    places, sizes, shown_at, decoded_at = table.T
    begins, shows, broken = marks.T
    return Packets(
        places,
        sizes,
        shown_at,
        decoded_at,
        begins,
        shows,
        broken,
        np.array(between, np.bool_) if by_kind and None not in between else None,
        time_base=Fraction(stream.time_base.numerator, stream.time_base.denominator),
        rate=float(stream.average_rate or stream.guessed_rate or 25),
        reorders=codec.reorder,
        container=opened.container.format.name,
    )
