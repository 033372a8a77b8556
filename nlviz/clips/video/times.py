"""Times of frames: what the file says, mended where it says too little or goes back.

Frames are numbered; their times are labels. They must grow, since a time chooses where to start.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nlviz.sentences import seconds_text

Times = npt.NDArray[np.float64]

# A container in which a jump of more than JUMP seconds is a cut, as FFmpeg's own tools take it.
CUTS = frozenset(("mpegts", "mpeg"))
JUMP = 10.0
_DIP = 8  # frames; times that fall back by more have started again


def grown(said: Times, step: float, *, cuts: bool = False) -> tuple[Times, tuple[str, ...]]:
    """Return times that grow from 0 on, and a sentence for each way in which they were mended.

    Args:
        said: (N,) seconds as the file says, in the order of display; not a number where it says
            nothing.
        step: seconds between two frames where the file does not say.
        cuts: whether a long jump forward is a cut between recordings.

    >>> grown(np.array([5.0, 5.5, np.nan, 6.5]), 0.5)[0].tolist()
    [0.0, 0.5, 1.0, 1.5]
    >>> times, notes = grown(np.array([5.0, 5.5, 6.0, 5.0, 5.5]), 0.5)
    >>> times.tolist(), len(notes)
    ([0.0, 0.5, 1.0, 1.5, 2.0], 1)
    """
    if not len(said):
        return said, ()
    known = np.isfinite(said)
    if not known.any():
        note = (
            f"The file gives its frames no times; {1 / step:g} frames a second are taken, "
            "and the first lies at 0 s."
        )
        return np.arange(len(said), dtype=np.float64) * step, (note,)
    usual = _usual(said, step)
    times = _without_outliers(said, usual)
    missing = ~np.isfinite(times)
    times = _filled(times, usual)
    joints: list[int] = []
    steps = np.diff(times)
    back = steps <= 0
    if cuts:
        back |= (steps > JUMP) & (steps > 100 * usual)
    for at in np.flatnonzero(back) + 1:
        joints.append(int(at))
        times[at:] += times[at - 1] + usual - times[at]
    times -= times[0]
    notes = []
    if joints:
        some = ", ".join(f"{at} ({seconds_text(times[at])})" for at in joints[:3])
        more = "" if len(joints) <= 3 else f" and {len(joints) - 3} more"
        notes.append(
            f"The times in the file start again or jump at frame {some}{more}, as where recordings "
            "were joined; all frames are shown, and the times go on."
        )
    missing[np.flatnonzero(known)[-1] + 1 :] = False  # the last few times follow from the others
    mended = int(missing.sum())
    if mended:
        notes.append(
            f"The file gives {mended} of its {len(said)} frames no time or one out of order; "
            "these lie evenly between their neighbours."
        )
    return times, tuple(notes)


def _without_outliers(times: Times, step: float) -> Times:
    """Blank single times that run ahead, and few that fall back before times go on as before."""
    times = times.copy()
    known = np.flatnonzero(np.isfinite(times))
    alike = np.flatnonzero(np.diff(times[known]) == 0) + 1  # as where ticks are longer than frames
    times[known[alike]] = np.nan
    known = np.delete(known, alike)
    values = times[known]
    ahead = np.flatnonzero((values[1:-1] >= values[2:]) & (values[:-2] < values[2:])) + 1
    times[known[ahead]] = np.nan
    known = np.delete(known, ahead)
    values = times[known]
    top = np.maximum.accumulate(values)
    at = 0
    for low in (np.flatnonzero(np.diff(values) <= 0) + 1).tolist():
        if low < at:
            continue
        fall = top[low - 1] - values[low]
        later = np.flatnonzero(values[low : low + 2 * _DIP] > top[low - 1])
        if fall < _DIP * step and len(later):
            at = low + int(later[0])
            times[known[low:at]] = np.nan
    return times


def _usual(times: Times, step: float) -> float:
    known = times[np.isfinite(times)]
    steps = np.diff(known)
    steps = steps[steps > 0]
    return float(np.median(steps)) if len(steps) else step


def _filled(times: Times, step: float) -> Times:
    known = np.flatnonzero(np.isfinite(times))
    filled = np.interp(np.arange(len(times)), known, times[known])
    first, last = known[0], known[-1]
    filled[:first] = times[first] - step * np.arange(first, 0, -1)
    filled[last + 1 :] = times[last] + step * np.arange(1, len(times) - last)
    return np.asarray(filled, np.float64)
