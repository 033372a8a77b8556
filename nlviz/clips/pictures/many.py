"""Many pictures as a clip: which of them are taken, when each is shown, on which scale of grey."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from nlviz.clips.decoded import Decoded, Keep
from nlviz.clips.pictures.levels import Extent, Scale, scale_of
from nlviz.clips.pictures.stored import Frame, Stored
from nlviz.errors import UnreadableClip
from nlviz.picture import resized
from nlviz.progress import Listener
from nlviz.sentences import fixed, seconds_text

MAX_BYTES = 1 << 30  # of all frames kept
RATE = 25.0  # frames per second where neither file nor caller says one


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures that are read one at a time.

    Attributes:
        count: how many.
        read: reads one, by its number from 0.
        reader: the library that reads them, with its version.
        times: seconds of each from the first, or None where the file does not say.
        notes: sentences that a user must know of all of them.
    """

    count: int
    read: Callable[[int], Stored]
    reader: str
    times: tuple[float, ...] | None = None
    notes: tuple[str, ...] = ()


def sampled(
    pictures: Pictures,
    *,
    start: float,
    stride: int | None,
    frames: int | None,
    fps: float | None,
    keep: Keep | None = None,
    progress: Listener | None = None,
) -> Decoded:
    """Read the pictures of a clip that are asked for; a single picture ignores the sampling.

    Raises:
        UnreadableClip: when the start lies behind the last picture, one cannot be read, or those
            kept take more than 1 GiB.
    """
    times, notes = times_of(pictures, fps), _on_rate(pictures, fps)
    chosen = _chosen(times, start, stride, frames) if pictures.count > 1 else [0]
    notes += pictures.notes
    first = pictures.read(chosen[0])
    scale = _common_scale(pictures, first, chosen[1:])
    if scale is not None and scale.note:
        notes += (scale.note,)
    out: list[Frame] = []
    sizes = set()
    for place, number in enumerate(chosen):
        stored = pictures.read(number) if place else first
        rgb, more = stored.shown(scale)
        notes += more
        sizes.add(rgb.shape[:2])
        out.append(_fitting(keep(rgb) if keep else rgb, out, len(chosen)))
        if progress:
            share = (place + 1) / len(chosen)
            progress(f"Reading picture {place + 1} of {len(chosen)}", share)
    if len(sizes) > 1:
        height, width = out[0].shape[:2]
        notes += (
            f"Its pictures have {len(sizes)} sizes; all are shown at that of the first, "
            f"{width} x {height} px.",
        )
    unique = tuple(dict.fromkeys(notes))
    return Decoded(np.stack(out), np.asarray([times[n] for n in chosen]), unique, pictures.reader)


def times_of(pictures: Pictures, fps: float | None = None) -> tuple[float, ...]:
    """Return the seconds of each picture from the first, at this rate or as its file says."""
    if pictures.times is not None and fps is None:
        return pictures.times
    return tuple(number / (fps or RATE) for number in range(pictures.count))


def _on_rate(pictures: Pictures, fps: float | None) -> tuple[str, ...]:
    if fps is not None or pictures.times is not None or pictures.count == 1:
        return ()
    return (
        f"Nothing says how fast its {pictures.count} pictures follow each other: "
        f"{fixed(RATE, 0)} a second are assumed; give fps to say it.",
    )


def _chosen(
    times: Sequence[float], start: float, stride: int | None, frames: int | None
) -> list[int]:
    """Return the numbers of the pictures that a sampling takes, as it does in films."""
    if times[-1] < start:
        raise UnreadableClip(
            f"start must lie before the last frame at {seconds_text(times[-1])}, got {start:g} s"
        )
    rest = [n for n, time in enumerate(times) if time >= start - 1e-6]
    if stride is not None or frames is None:
        return rest[:: stride or 1][:frames]
    if frames >= len(rest):
        return rest
    return [rest[n] for n in np.linspace(0, len(rest) - 1, frames).round().astype(int)]


def _common_scale(pictures: Pictures, first: Stored, others: Sequence[int]) -> Scale | None:
    """Return one scale for all pictures, so that a frame is not brighter for what it holds."""
    extent = first.extent
    if extent is None:
        return None
    found = (pictures.read(number).extent for number in others)
    return scale_of(reduce(Extent.joined, (one for one in found if one is not None), extent))


def _fitting(frame: Frame, before: Sequence[Frame], count: int) -> Frame:
    if before:
        height, width = before[0].shape[:2]
        frame = resized(frame, (height, width))
    if count * frame.nbytes > MAX_BYTES:
        raise UnreadableClip(
            f"the frames kept may take 1 GiB, {count} of {frame.shape[1]} x {frame.shape[0]} px "
            "take more; ask for fewer frames or a smaller size"
        )
    return frame
