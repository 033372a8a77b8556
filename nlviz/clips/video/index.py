"""Which packet each frame comes from, in the order of display; where decoding may begin for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from nlviz.clips.video.access import RESTARTING
from nlviz.clips.video.packets import UNKNOWN, Flags, Numbers, Packets, stamp
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

    def doubted(self) -> Index:
        """Return the index as one that is no longer believed."""
        return replace(self, sure=False, sought=False)

    @property
    def starts(self) -> Numbers:
        """Packets at which decoding may begin."""
        return self._starts[0]

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
    delay = 0
    if packets.reorders and packets.between is not None:
        # A B-frame is shown at once, any other when the next of its kind has come.
        between = packets.between[shown]
        place = _between_others(between)
        delay = int(between.any())
        sure = UNKNOWN not in decoded_at and bool((np.diff(decoded_at) > 0).all())
    elif packets.reorders:
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
    # Slots are handed on in the order of decoding.
    slots = packets.decoded_at[shown] if packets.reorders else packets.decoded_at[order]
    slots = np.concatenate([slots[delay:], np.full(min(delay, len(slots)), UNKNOWN)])
    times, notes = _times(packets, packets.shown_at[order], slots)
    notes += _broken(packets)
    return Index(packets, order, times, bool(sure), bool(sure), notes)


def _between_others(between: Flags) -> Numbers:
    """Return the order of display of frames of which some are B-frames, one other being held."""
    place: list[int] = []
    held: list[int] = []
    for number, at_once in enumerate(between.tolist()):
        if at_once:
            place.append(number)
        else:
            place += held
            held = [number]
    return np.array(place + held, np.int64)


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
        return index.doubted()
    return shortened(index, missing, len(index)) if missing else index


def shortened(index: Index, first: int, end: int) -> Index:
    """Return an index of the frames from ``first`` to ``end``, exclusive, numbered from 0 on."""
    times = index.times[first:end]
    return replace(index, order=index.order[first:end], times=times - times[:1])


@dataclass(frozen=True)
class Seen:
    """A frame that a decoder gave.

    Attributes:
        origin: its packet, or -1.
        shown_at: when it is shown, or UNKNOWN.
        decoded_at: the slot in which it comes, or UNKNOWN.
        mended: whether FFmpeg made up a part of it.
    """

    origin: int
    shown_at: int
    decoded_at: int
    mended: bool

    @classmethod
    def of(cls, origin: int, frame: Any) -> Seen:
        """Note a frame of PyAV's."""
        return cls(origin, stamp(frame.pts), stamp(frame.dts), frame.is_corrupt)


MENDED = (
    "Some frames are damaged in the file; they, and those computed from them, are shown as FFmpeg "
    "mended them."
)


def measured(packets: Packets, seen: list[Seen], *, lost: int, harmed: bool) -> Index:
    """Return the index of the frames that a full decode gave.

    Args:
        packets: of the film.
        seen: all its frames, in the order of display.
        lost: number of packets that FFmpeg refused.
        harmed: whether it refused some that it then mended.
    """
    order = np.array([frame.origin for frame in seen], np.int64)
    shown_at = np.array([frame.shown_at for frame in seen], np.int64)
    slots = np.array([frame.decoded_at for frame in seen], np.int64)
    times, notes = _times(packets, shown_at, slots)
    # What comes before the first frame that can be decoded may be refused without harm.
    mended = any(frame.mended for frame in seen) or (harmed and bool(packets.begins[0]))
    if lost:
        what = "one packet" if lost == 1 else f"{lost} packets"
        notes += (
            f"FFmpeg could not decode {what} of this file, which is damaged, cut or begins in the "
            "middle; frames are numbered without what they held.",
        )
    if mended:
        notes += (MENDED,)
    notes += _broken(packets)
    index = Index(packets, order, times, True, True, notes)
    # What a decoder makes of damage depends on all before it.
    return replace(index, sought=not (lost or mended or harmed or _gaps(index)))


def _broken(packets: Packets) -> tuple[str, ...]:
    count = int(packets.broken.sum())
    if not count:
        return ()
    what = "a place" if count == 1 else f"{count} places"
    return (f"The file is damaged or cut in {what}; frames may be missing there, or be wrong.",)


def _gaps(index: Index) -> bool:
    """Return whether single packets gave no frame, once decoding had begun well.

    Where every second one gives none, packets hold fields and two make a frame.
    """
    behind = index.packets.shows.copy()
    behind[: index.starts[1] if len(index.starts) > 1 else 0] = False
    missing = ~np.isin(np.flatnonzero(behind), index.order)
    return bool(0 < missing.sum() < 0.4 * len(missing))


def _times(packets: Packets, shown_at: Numbers, slots: Numbers) -> tuple[Times, tuple[str, ...]]:
    """Return the times of frames in the order of display, and what was mended of them.

    Args:
        packets: of the film.
        shown_at: (N,) when each frame is shown.
        slots: (N,) the times of decoding that come with them: where the container stores no others,
            decoders hand on the slots in which frames are shown.
    """
    unit = packets.time_base
    first, second = (
        np.where(stamps == UNKNOWN, np.nan, stamps * float(unit.numerator) / unit.denominator)
        for stamps in (shown_at, slots)
    )
    if packets.container == "mjpeg" or packets.container.endswith("_pipe"):
        first = second = np.full(len(first), np.nan)  # FFmpeg's own
    stamping = packets.container in STAMPING or not packets.reorders
    said = first if stamping and np.isfinite(first).all() else second
    if not np.isfinite(said).any():
        said = first
    return grown(said, 1.0 / packets.rate, cuts=packets.container in CUTS)
