"""A film: the frames of a video file, taken by number.

A file's index is believed where it leaves no doubt, and checked wherever decoding passes; else, and
in films of few frames, a full decode numbers the frames. Either way a frame is that of this number
in a full decode from the first packet on.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from io import BytesIO
from pathlib import Path

import av
import numpy as np

from nlviz.clips.decoded import Decoded, Keep
from nlviz.clips.streams import StreamFacts
from nlviz.clips.video.choice import chosen
from nlviz.clips.video.index import Index, Seen, foretold, measured, shortened, with_beginning
from nlviz.clips.video.kept import Kept
from nlviz.clips.video.opened import Opened
from nlviz.clips.video.packets import Numbers, list_packets, stamp
from nlviz.clips.video.reader import Astray, Reader
from nlviz.clips.video.times import Times
from nlviz.errors import UnreadableClip
from nlviz.progress import Listener, Progress

FEW = 600  # packets; so many are decoded faster than sought in
_NEAR = 12  # frames; a start that lies so near is reached by decoding on
_PROBED = 24  # frames at the beginning that show whether a file keeps its word
_EVERY = 100  # frames between two signs of life

Choose = Callable[[Times], Numbers]


class Film:
    """The frames of a video file by number.

    Args:
        source: the file, or its bytes.
        progress: called with a sentence and a share in [0, 1] while a long file is listed.

    Raises:
        UnreadableClip: when it is no video, or has no frame.
    """

    def __init__(self, source: Path | BytesIO, progress: Listener | None = None) -> None:
        self._source = source
        with Opened(source) as opened:
            self._packets = list_packets(opened, Progress.of(progress).part(0.0, 0.1))
            codec = opened.stream.codec_context.codec
            self._facts = StreamFacts.of(opened.stream, source)
        if not len(self._packets):
            raise UnreadableClip("the video has no frame; is the file complete?")
        self._index = foretold(self._packets, codec.canonical_name, codec.intra_only)
        self._probed = self._measured = False

    def times(self, progress: Listener | None = None) -> Times:
        """Return the (N,) times of all frames, in seconds from the first."""
        self._settle(Progress.of(progress))
        return self._index.times

    def sampled(
        self,
        start: float,
        stride: int | None,
        frames: int | None,
        *,
        keep: Keep | None = None,
        progress: Listener | None = None,
    ) -> Decoded:
        """Decode the frames that a start, a stride and a number of frames choose.

        Raises:
            UnreadableClip: when nothing decodes, the start lies behind the end, or the frames take
                more memory than is allowed.
        """
        hears = Progress.of(progress)
        choose = partial(chosen, start=start, stride=stride, frames=frames)
        if len(self._packets) > FEW:
            self._probe()
        if len(self._packets) <= FEW or not self._index.sure:
            found = self._in_passing(choose, None if stride is None else frames, keep, hears)
            if found is not None:
                return found
        return self._sought(choose, keep, hears)

    def taken(
        self, numbers: Numbers, *, keep: Keep | None = None, progress: Listener | None = None
    ) -> Decoded:
        """Decode the frames of these numbers, which grow.

        Raises:
            UnreadableClip: when they take more memory than is allowed.
        """
        hears = Progress.of(progress)
        self._settle(hears)
        return self._sought(lambda times: numbers[numbers < len(times)], keep, hears)

    def _probe(self) -> None:
        """Decode the beginning, to learn whether the file keeps its word."""
        if self._probed or not self._index.sure:
            return
        self._probed = True
        index = self._index
        clean = index.start_before(0) == (0, 0)
        until = min(_PROBED, len(index)) if clean else index.start_after(_PROBED)
        if until is None:
            self._index = replace(index, sure=False, sought=False)
            return
        origins: list[int] = []
        end = int(index.order[until]) if until < len(index) else -1
        with Opened(self._source) as opened:
            for origin, _ in Reader(opened, self._packets).all():
                if origin == end:
                    break
                origins.append(origin)
        self._index = with_beginning(index, origins, until)

    def _settle(self, progress: Progress) -> None:
        """Make the index sure, if need be by a full decode."""
        self._probe()
        if not self._measured and (len(self._packets) <= FEW or not self._index.sure):
            total = len(self._index)
            self._index = self._through(
                Kept(self._facts, total, sure=False, keep=None, progress=progress), []
            )
            self._measured = True

    def _in_passing(
        self, choose: Choose, count: int | None, keep: Keep | None, progress: Progress
    ) -> Decoded | None:
        """Decode from the first frame on, keeping what the index foretells to be chosen.

        Args:
            choose: numbers of the frames to take, given the times of all.
            count: of frames behind which the rest does not matter, or None.
            keep: what to keep of a frame.
            progress: hears of it.

        Returns:
            the frames, or None where others should have been kept, as is known now.
        """
        index = self._index
        numbers = _if_any(choose, index.times)
        enough = 0 < len(numbers) == count
        kept = Kept(self._facts, len(numbers), sure=index.sure, keep=keep, progress=progress)
        found = self._through(kept, numbers.tolist(), stop=enough)
        if not enough:
            self._index, self._measured = found, True
        if len(numbers) and np.array_equal(_if_any(choose, found.times), numbers):
            return self._decoded(found, numbers, kept)
        return self._in_passing(choose, None, keep, progress) if enough else None

    def _through(self, kept: Kept, numbers: list[int], *, stop: bool = False) -> Index:
        """Decode from the first frame on, keep frames of these numbers and measure the index.

        Args:
            kept: where the frames go.
            numbers: of the frames to keep, growing.
            stop: whether to stop behind the last of them.
        """
        wanted, last = set(numbers), numbers[-1] if stop else -1
        seen: list[Seen] = []
        with Opened(self._source) as opened:
            reader = Reader(opened, self._packets)
            for number, (origin, frame) in enumerate(reader.all()):
                seen.append(Seen(origin, stamp(frame.pts), stamp(frame.dts)))
                if number in wanted:
                    kept.add(frame)
                elif number % _EVERY == 0:
                    kept.report()
                if number == last:
                    break
        if not seen:
            raise UnreadableClip(
                "the video has no frame that decodes; is the file complete and its codec common?"
            )
        return measured(self._packets, seen, damaged=reader.lost)

    def _sought(self, choose: Choose, keep: Keep | None, progress: Progress) -> Decoded:
        """Decode what is chosen, seeking where that skips frames."""
        while True:
            index = self._index
            numbers = choose(index.times)
            kept = Kept(self._facts, len(numbers), sure=True, keep=keep, progress=progress)
            try:
                self._read(numbers, kept)
            except Astray as found:
                self._correct(found, progress)
                continue
            return self._decoded(index, numbers, kept)

    def _read(self, numbers: Numbers, kept: Kept) -> None:
        index = self._index
        with Opened(self._source) as opened:
            reader = Reader(opened, self._packets)
            frames = reader.from_first(index)
            at = -1
            for number in numbers.tolist():
                start = index.start_before(number)
                if start is not None and start[1] - at > _NEAR:
                    frames = reader.from_start(index, *start)
                for at, frame in frames:
                    if at == number:
                        kept.add(frame)
                        break
                    if at % _EVERY == 0:
                        kept.report()
            if at == len(index) - 1:
                for _ in frames:  # goes astray if there are more than foretold
                    pass

    def _correct(self, found: Astray, progress: Progress) -> None:
        """Mend an index after frames came that it does not have."""
        index = self._index
        if self._measured:
            # What was measured holds; only seeking does not lead to it.
            self._index = replace(index, sought=False)
        elif found.ended and found.at > 0:
            self._index = shortened(index, 0, found.at)
        else:
            self._index = replace(index, sure=False, sought=False)
            self._settle(progress)

    def _decoded(self, index: Index, numbers: Numbers, kept: Kept) -> Decoded:
        return Decoded(
            np.stack(kept.frames),
            index.times[numbers[: len(kept.frames)]],
            (*kept.notes, *index.notes),
            reader=f"FFmpeg {av.ffmpeg_version_info} through PyAV {av.__version__}",
        )


def _if_any(choose: Choose, times: Times) -> Numbers:
    """Return what is chosen of times that are not certain, nothing where that is refused."""
    if len(times):
        with suppress(UnreadableClip):
            return choose(times)
    return np.zeros(0, np.int64)
