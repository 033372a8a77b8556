"""Which packet each frame comes from, in the order of display; where decoding may begin for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from nlviz.clips.video.access import RESTARTING
from nlviz.clips.video.packets import UNKNOWN, Numbers, Packets
from nlviz.clips.video.times import CUTS, Times, grown

# Containers that store when a frame is shown; in others FFmpeg makes it up.
STAMPING = frozenset(("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "mpegts", "mpeg", "flv", "nut"))


@dataclass(frozen=True, eq=False)
class Index:
    """The frames of a video track, numbered in the order in which they are shown.

    Attributes:
        packets: as the file holds them.
        order: (N,) the packet of each frame; -1 where the decoder did not say.
        times: (N,) seconds from the first frame; they grow.
        sure: whether the numbers are those of a full decode: measured by one, or foretold by a file
            that leaves no doubt.
        sought: whether decoding from the middle may be tried.
        notes: a sentence for each thing that a user must know.
    """

    packets: Packets
    order: Numbers
    times: Times
    sure: bool
    sought: bool
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.order)

    @cached_property
    def _starts(self) -> tuple[Numbers, Numbers]:
        """Packets at which decoding may begin, and the numbers of their frames, both growing."""
        nothing = np.zeros(0, np.int64)
        if not self.sought or not len(self.order) or self.order.min() < 0:
            return nothing, nothing
        alone = np.bincount(self.order, minlength=len(self.packets)) == 1
        starts = np.flatnonzero(self.packets.begins & alone)
        # From a start on, no frame may come from a packet before it.
        earliest = np.minimum.accumulate(self.order[::-1])[::-1]
        starts = starts[earliest[self.ranks[starts]] >= starts]
        return starts, self.ranks[starts]

    @cached_property
    def ranks(self) -> Numbers:
        """Number of the (last) frame of each packet, or -1."""
        ranks = np.full(len(self.packets), -1, np.int64)
        known = self.order >= 0
        ranks[self.order[known]] = np.flatnonzero(known)
        return ranks

    def start_before(self, number: int) -> tuple[int, int] | None:
        """Return the last packet from which this frame can be decoded, and its frame's number."""
        starts, ranks = self._starts
        at = int(np.searchsorted(ranks, number, "right")) - 1
        return (int(starts[at]), int(ranks[at])) if at >= 0 else None

    def start_after(self, number: int) -> int | None:
        """Return the frame number of the first start behind a frame."""
        _, ranks = self._starts
        at = int(np.searchsorted(ranks, number, "right"))
        return int(ranks[at]) if at < len(ranks) else None


def foretold(packets: Packets, codec: str, intra_only: bool) -> Index:
    """Return the index that a full decode will give, as far as the packets say.

    It is sure where each packet has a time of display of its own, or the codec keeps frames in the
    order of display, and nothing is damaged.
    """
    shown = np.flatnonzero(packets.shows)
    stamps = packets.shown_at[shown]
    decoded_at = packets.decoded_at[shown]
    stamped = bool((stamps != UNKNOWN).all())
    if packets.reorders:
        keys = stamps if stamped else decoded_at
        place = np.argsort(keys, kind="stable")
        timed = decoded_at[decoded_at != UNKNOWN]
        sure = stamped and packets.container in STAMPING
        sure &= bool((np.diff(stamps[place]) > 0).all() and (np.diff(timed) >= 0).all())
    else:
        place = np.arange(len(shown))
        sure = stamped and bool((np.diff(stamps) > 0).all())
        sure |= not stamped and bool((np.diff(decoded_at) > 0).all() and UNKNOWN not in decoded_at)
    order = shown[place]
    sure &= not packets.broken.any() and (intra_only or codec in RESTARTING)
    stamps = (packets.shown_at if stamped else packets.decoded_at)[order]
    times, notes = _times(packets, stamps)
    return Index(packets, order, times, bool(sure), bool(sure), notes)


def with_beginning(index: Index, origins: list[int], number: int) -> Index:
    """Return an index whose frames before a number are those that a decoder gave.

    The first frames of a recording that begins in the middle of a broadcast cannot be decoded. It
    is no longer sure where more than these are missing.

    Args:
        index: as foretold.
        origins: packets of the frames that were decoded before that of ``number``.
        number: of a frame, as foretold.
    """
    missing = number - len(origins)
    if missing < 0 or index.order[missing:number].tolist() != origins:
        return replace(index, sure=False, sought=False)
    return shortened(index, missing, len(index)) if missing else index


def shortened(index: Index, first: int, end: int) -> Index:
    """Return an index of the frames from ``first`` to ``end``, exclusive, numbered from 0 on."""
    times = index.times[first:end]
    return replace(index, order=index.order[first:end], times=times - times[:1])


@dataclass(frozen=True)
class Seen:
    """A frame that a decoder gave: its packet, or -1, and its stamps, or UNKNOWN."""

    origin: int
    shown_at: int
    decoded_at: int


def measured(packets: Packets, seen: list[Seen], *, damaged: int) -> Index:
    """Return the index of the frames that a full decode gave, ``damaged`` packets being lost."""
    order = np.array([frame.origin for frame in seen], np.int64)
    shown_at = np.array([frame.shown_at for frame in seen], np.int64)
    # Where the container has none, decoders hand on the slots in which frames are shown.
    slots = np.array([frame.decoded_at for frame in seen], np.int64)
    times, notes = _times(packets, shown_at, slots)
    if damaged:
        what = "packet" if damaged == 1 else "packets"
        notes += (
            f"FFmpeg could not decode {damaged} damaged {what} of this file; frames are numbered "
            "without what they held.",
        )
    return Index(packets, order, times, True, not damaged, notes)


def _times(packets: Packets, *said: Numbers) -> tuple[Times, tuple[str, ...]]:
    """Return the times of frames in the order of display, and what was mended of them.

    Args:
        packets: of the film.
        said: (N,) stamps of the frames; the first that grow are taken, or else the first.
    """
    unit = packets.time_base
    columns = [
        np.where(stamps == UNKNOWN, np.nan, stamps * float(unit.numerator) / unit.denominator)
        for stamps in said
    ]
    good = [times for times in columns if _grows(times)]
    return grown(
        good[0] if good else columns[0], 1.0 / packets.rate, cuts=packets.container in CUTS
    )


def _grows(times: Times) -> bool:
    """Return whether times grow and none is missing but the last ones."""
    known = np.isfinite(times)
    some = times[known]
    return len(some) > 0 and bool(known[: len(some)].all() and (np.diff(some) > 0).all())
