"""The frames that are kept of a film, as a player shows them, within the limit of memory."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from nlviz.clips.decoded import Frames, Keep
from nlviz.clips.shown_frames import Screen
from nlviz.clips.streams import StreamFacts
from nlviz.errors import UnreadableClip
from nlviz.progress import Progress

MAX_BYTES = 1 << 30  # of all frames kept


class Kept:
    """Collects frames of a film.

    Attributes:
        frames: those kept so far, (H, W, 3) each.
        notes: a sentence for each way in which they differ from what the file holds.
        mended: whether FFmpeg made up a part of them, or of frames before them.

    Args:
        facts: what the file says of the stream.
        total: how many are wanted.
        sure: whether the film has as many, so that too many can be refused at the first.
        keep: what to keep of a frame, such as a smaller size; None keeps it whole.
        progress: hears of each frame.
    """

    def __init__(
        self,
        facts: StreamFacts,
        total: int,
        *,
        sure: bool,
        keep: Keep | None,
        progress: Progress,
    ) -> None:
        self.frames: list[Frames] = []
        self.notes: list[str] = []
        self.mended = False
        self._total, self._sure, self._keep, self._progress = total, sure, keep, progress
        self._screen = Screen(facts)

    def add(self, frame: Any, pixel_aspect: Fraction | None = None) -> None:
        """Keep a decoded frame.

        Args:
            frame: as PyAV decodes it.
            pixel_aspect: what the codec says of its pixels about now, or None.

        Raises:
            UnreadableClip: when all of them would take more memory than is allowed.
        """
        self._screen.hear(pixel_aspect)
        rgb = self._screen.shown(frame)
        rgb = self._keep(rgb) if self._keep else rgb
        number = len(self.frames) + 1
        if (self._total if self._sure else number) * rgb.nbytes > MAX_BYTES:
            count = str(self._total) if self._sure else f"{number} or more"
            raise UnreadableClip(
                f"the frames kept may take 1 GiB, {count} of {rgb.shape[1]} x {rgb.shape[0]} px "
                "take more; ask for fewer frames or a smaller size"
            )
        self.frames.append(rgb)
        self.notes = list(self._screen.notes)
        self.report()

    def report(self) -> None:
        """Say how far reading is, so that it can be stopped."""
        number = len(self.frames)
        total = max(self._total, number, 1)
        self._progress(f"Reading frame {number} of {total}", number / total)
