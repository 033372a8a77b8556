"""Two ways through a film: from its first frame on, and seeking where that skips frames."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from nlviz.clips.video.index import Index, Seen, measured
from nlviz.clips.video.kept import Kept
from nlviz.clips.video.opened import Opened, Way
from nlviz.clips.video.packets import Packets
from nlviz.clips.video.reader import Reader
from nlviz.errors import UnreadableClip

NEAR = 12  # frames; a start that lies so near is reached by decoding on
_EVERY = 100  # frames between two signs of life

Source = Path | BytesIO


class _Harmed(Exception):
    """A film may be damaged: frames decoded side by side may be others than they should.

    Attributes:
        refused: whether FFmpeg refused something; else only frames are missing.
    """

    def __init__(self, refused: bool) -> None:
        super().__init__(refused)
        self.refused = refused


def measure(
    source: Source,
    packets: Packets,
    empty: Callable[[], Kept],
    numbers: list[int],
    *,
    stop: bool = False,
) -> tuple[Kept, Index]:
    """Decode from the first frame on, keep frames of some numbers and measure the index.

    Args:
        source: the file, or its bytes.
        packets: as they were listed.
        empty: gives the place where frames go.
        numbers: of the frames to keep, growing.
        stop: whether to stop behind the last of them; the index then ends there.

    Raises:
        UnreadableClip: when nothing decodes, or too much is to be kept.
    """
    kept = empty()
    try:
        return kept, _measured(source, packets, kept, numbers, "strict", stop)
    except _Harmed as found:
        kept = empty()
        index = _measured(source, packets, kept, numbers, "slow", stop, harmed=found.refused)
        return kept, index


def _measured(
    source: Source,
    packets: Packets,
    kept: Kept,
    numbers: list[int],
    way: Way,
    stop: bool,
    harmed: bool = False,
) -> Index:
    wanted, last = set(numbers), numbers[-1] if stop else -1
    seen: list[Seen] = []
    with Opened(source, way) as opened:
        reader = Reader(opened, packets)
        for number, (origin, frame) in enumerate(reader.all()):
            if way == "strict" and (reader.lost or frame.is_corrupt):
                raise _Harmed(True)
            seen.append(Seen.of(origin, frame))
            if number in wanted:
                kept.add(frame, opened.decoder.sample_aspect_ratio)
            elif number % _EVERY == 0:
                kept.report()
            if number == last:
                break
    if way == "strict" and (reader.lost or not seen):
        raise _Harmed(True)
    if not seen:
        raise UnreadableClip(
            "the video has no frame that decodes; is the file complete and its codec common?"
        )
    found = measured(packets, seen, lost=reader.lost, harmed=harmed)
    if way == "strict" and not (stop or found.sought):
        raise _Harmed(False)
    return found


def collect(source: Source, index: Index, empty: Callable[[], Kept], numbers: list[int]) -> Kept:
    """Decode the frames of some numbers, seeking where that skips frames.

    Args:
        source: the file, or its bytes.
        index: of the film.
        empty: gives the place where frames go.
        numbers: of the frames to keep, growing.

    Raises:
        Astray: when other frames come than the index says.
        UnreadableClip: when too much is to be kept.
    """
    kept = empty()
    if index.sought:
        try:
            _collected(source, index, kept, numbers, "fast")
        except _Harmed:
            kept = empty()
        else:
            return kept
    _collected(source, index, kept, numbers, "slow")
    return kept


def _collected(source: Source, index: Index, kept: Kept, numbers: list[int], way: Way) -> None:
    with Opened(source, way) as opened:
        reader = Reader(opened, index.packets)
        frames = reader.from_first(index)
        at = -1
        for number in numbers:
            start = index.start_before(number)
            if start is not None and start[1] - at > NEAR:
                frames = reader.from_start(index, *start)
            for at, frame in frames:
                if frame.is_corrupt:
                    if way == "fast":
                        raise _Harmed(True)
                    kept.mended = True
                if at == number:
                    kept.add(frame, opened.decoder.sample_aspect_ratio)
                    break
                if at % _EVERY == 0:
                    kept.report()
        if at == len(index) - 1:
            for _ in frames:  # goes astray if there are more than foretold
                pass
