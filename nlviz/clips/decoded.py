"""What a reader of files hands over: frames, times, and what a user must know of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Frames = npt.NDArray[np.uint8]
Times = npt.NDArray[np.float64]
Keep = Callable[[Frames], Frames]


@dataclass(frozen=True, eq=False)
class Decoded:
    """Frames of a file, as a player shows them.

    Attributes:
        frames: (T, H, W, 3) RGB uint8 in [0, 255].
        times: (T,) seconds from the first frame of the file.
        notes: one sentence for each way in which the frames differ from what the file holds.
        reader: the library that decoded, with its version.
    """

    frames: Frames
    times: Times
    notes: tuple[str, ...] = ()
    reader: str = ""
