"""A film: the frames of a video file, taken by number.

A file's index is believed where it leaves no doubt, and checked wherever decoding passes; else, and
in films of few frames, a full decode numbers the frames. Either way a frame is that of this number
in a full decode from the first packet on.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from pathlib import Path

import av
import numpy as np

from nlviz.clips.decoded import Decoded, Keep
from nlviz.clips.streams import StreamFacts
from nlviz.clips.video.choice import chosen
from nlviz.clips.video.index import MENDED, Index, foretold, shortened, with_beginning
from nlviz.clips.video.kept import Kept
from nlviz.clips.video.opened import Opened
from nlviz.clips.video.packets import Numbers, list_packets
from nlviz.clips.video.passes import collect, measure
from nlviz.clips.video.reader import Astray, Reader
from nlviz.clips.video.remembered import Remembered, name_of
from nlviz.clips.video.times import Times
from nlviz.errors import UnreadableClip
from nlviz.progress import Listener, Progress

FEW = 600  # packets; so many are decoded faster than sought in
_PROBED = 24  # frames at the beginning that show whether a file keeps its word

Choose = Callable[[Times], Numbers]


@dataclass(frozen=True, eq=False)
class Known:
    """What is known of a film.

    Attributes:
        facts: what the file says of the stream that is shown.
        index: of its frames.
        probed: whether its beginning has shown that the index can be believed.
        measured: whether a full decode made the index.
    """

    facts: StreamFacts
    index: Index
    probed: bool = False
    measured: bool = False


_REMEMBERED: Remembered[Known] = Remembered(4)


class Film:
    """The frames of a video file by number.

    Args:
        source: the file, or its bytes.
        progress: called with a sentence and a share in [0, 1] while a long file is listed.

    Raises:
        UnreadableClip: when it is no video, or has no frame.
    """

    def __init__(self, source: Path | BytesIO, progress: Listener | None = None) -> None:
        self._source, self._name = source, name_of(source)
        self._known = _REMEMBERED.get(self._name) or _listed(source, Progress.of(progress))

    def times(self, progress: Listener | None = None) -> Times:
        """Return the (N,) times of all frames, in seconds from the first."""
        self._settle(Progress.of(progress))
        return self._known.index.times

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
        self._probe()
        if not self._certain():
            found = self._in_passing(choose, None if stride is None else frames, keep, hears)
            if found is not None:
                return found
        return self._sought(choose, keep, hears)

    def _learn(self, known: Known) -> None:
        self._known = known
        _REMEMBERED.put(self._name, known)

    def _certain(self) -> bool:
        """Return whether the numbers of frames are known before they are decoded."""
        known = self._known
        return known.measured or (known.index.sure and len(known.index.packets) > FEW)

    def _probe(self) -> None:
        """Decode the beginning, to learn whether the file keeps its word."""
        known, index = self._known, self._known.index
        if known.probed or not self._certain() or known.measured:
            return
        clean = index.start_before(0) == (0, 0)
        until = min(_PROBED, len(index)) if clean else index.start_after(_PROBED)
        if until is None:
            self._learn(replace(known, index=index.doubted(), probed=True))
            return
        origins: list[int] = []
        end = int(index.order[until]) if until < len(index) else -1
        with Opened(self._source, "slow") as opened:
            for origin, _ in Reader(opened, index.packets).all():
                if origin == end:
                    break
                origins.append(origin)
        self._learn(replace(known, index=with_beginning(index, origins, until), probed=True))

    def _settle(self, progress: Progress) -> None:
        """Make the index certain, if need be by a full decode."""
        self._probe()
        if not self._certain():
            known = self._known
            empty = self._place(len(known.index), False, None, progress)
            _, index = measure(self._source, known.index.packets, empty, [])
            self._learn(replace(known, index=index, measured=True))

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
        known = self._known
        numbers = _if_any(choose, known.index.times)
        enough = 0 < len(numbers) == count
        empty = self._place(len(numbers), known.index.sure, keep, progress)
        packets = known.index.packets
        kept, index = measure(self._source, packets, empty, numbers.tolist(), stop=enough)
        if not enough:
            self._learn(replace(known, index=index, measured=True))
        if len(numbers) and np.array_equal(_if_any(choose, index.times), numbers):
            return _decoded(index, numbers, kept)
        return self._in_passing(choose, None, keep, progress) if enough else None

    def _sought(self, choose: Choose, keep: Keep | None, progress: Progress) -> Decoded:
        """Decode what is chosen, seeking where that skips frames."""
        while True:
            index = self._known.index
            numbers = choose(index.times)
            empty = self._place(len(numbers), True, keep, progress)
            try:
                kept = collect(self._source, index, empty, numbers.tolist())
            except Astray as found:
                self._correct(found, progress)
            else:
                return _decoded(index, numbers, kept)

    def _correct(self, found: Astray, progress: Progress) -> None:
        """Mend an index after frames came that it does not have."""
        known, index = self._known, self._known.index
        if known.measured:
            # What was measured holds; only seeking does not lead to it.
            self._learn(replace(known, index=replace(index, sought=False)))
        elif found.ended and found.at > 0:
            self._learn(replace(known, index=shortened(index, 0, found.at)))
        else:
            self._learn(replace(known, index=index.doubted()))
            self._settle(progress)

    def _place(
        self, total: int, sure: bool, keep: Keep | None, progress: Progress
    ) -> Callable[[], Kept]:
        return partial(Kept, self._known.facts, total, sure=sure, keep=keep, progress=progress)


def _listed(source: Path | BytesIO, progress: Progress) -> Known:
    with Opened(source) as opened:
        packets = list_packets(opened, progress.part(0.0, 0.1))
        codec = opened.stream.codec_context.codec
        facts = StreamFacts.of(opened.stream, source)
    if not len(packets):
        raise UnreadableClip("the video has no frame; is the file complete?")
    return Known(facts, foretold(packets, codec.canonical_name, codec.intra_only))


def _decoded(index: Index, numbers: Numbers, kept: Kept) -> Decoded:
    mended = (MENDED,) if kept.mended else ()
    return Decoded(
        np.stack(kept.frames),
        index.times[numbers[: len(kept.frames)]],
        tuple(dict.fromkeys((*kept.notes, *index.notes, *mended))),
        reader=f"FFmpeg {av.ffmpeg_version_info} through PyAV {av.__version__}",
    )


def _if_any(choose: Choose, times: Times) -> Numbers:
    """Return what is chosen of times that are not certain, nothing where that is refused."""
    if len(times):
        with suppress(UnreadableClip):
            return choose(times)
    return np.zeros(0, np.int64)
