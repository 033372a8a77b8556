"""Changes of a clip in time: frames are frozen, moved, or put in the place of one another.

Frames count from 0 and are those of the clip as it was sampled, before a network takes its own.
Times stay: the changed frames are shown when those before them were.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from nlviz.clips.clip import Clip, Frames
from nlviz.clips.graph import Graph
from nlviz.clips.text import Text
from nlviz.errors import NlvizError
from nlviz.files.local import digest_of
from nlviz.interventions.change import ClipChange
from nlviz.picture import resized
from nlviz.sentences import counted, listed

LIGHTEST = 255


@dataclass(frozen=True)
class FreezeFrame(ClipChange):
    """Show one frame in the place of others: nothing moves there.

    Attributes:
        frame: the one that is shown.
        frames: in whose place; None for all.

    >>> import numpy as np
    >>> clip = Clip.from_frames(np.arange(3, dtype=np.uint8)[:, None, None, None].repeat(3, 3))
    >>> change = FreezeFrame(1)
    >>> change.said, change.apply(clip).frames[:, 0, 0, 0].tolist()
    ('every frame is frame 1', [1, 1, 1])
    """

    frame: int
    frames: tuple[int, ...] | None = None

    @property
    def said(self) -> str:
        """What is changed, as a clause."""
        if self.frames is None:
            return f"every frame is frame {self.frame}"
        return f"frame {self.frame} stands in the place of {_named(self.frames)}"

    def apply(self, clip: Clip) -> Clip:
        """Return the clip with that frame in the place of others."""
        others = range(len(clip.frames)) if self.frames is None else self.frames
        _check(clip, self.frame, *others)
        if not len(others):
            raise NlvizError("a frame stands in the place of at least one other, got none")
        frames = clip.frames.copy()
        frames[list(others)] = clip.frames[self.frame]
        return with_frames(clip, frames, self.said)


@dataclass(frozen=True)
class ShuffleTime(ClipChange):
    """Put the frames into another order.

    Attributes:
        seed: of the order, which is never the one before.

    >>> import numpy as np
    >>> clip = Clip.from_frames(np.arange(5, dtype=np.uint8)[:, None, None, None].repeat(3, 3))
    >>> sorted(ShuffleTime(2).apply(clip).frames[:, 0, 0, 0].tolist())
    [0, 1, 2, 3, 4]
    """

    seed: int = 0

    @property
    def said(self) -> str:
        """What is changed, as a clause."""
        return f"the frames are shuffled (seed {self.seed})"

    def order(self, count: int) -> list[int]:
        """Return which frame stands at each place; at least two are not at their own."""
        rng = np.random.default_rng(self.seed)
        while (order := rng.permutation(count).tolist()) == list(range(count)):
            pass
        return [int(frame) for frame in order]

    def apply(self, clip: Clip) -> Clip:
        """Return the clip with its frames in another order."""
        _several(clip, "be shuffled")
        return with_frames(clip, clip.frames[self.order(len(clip.frames))], self.said)


@dataclass(frozen=True)
class ReverseTime(ClipChange):
    """Play the clip backwards.

    >>> import numpy as np
    >>> clip = Clip.from_frames(np.arange(3, dtype=np.uint8)[:, None, None, None].repeat(3, 3))
    >>> ReverseTime().apply(clip).frames[:, 0, 0, 0].tolist()
    [2, 1, 0]
    """

    @property
    def said(self) -> str:
        """What is changed, as a clause."""
        return "time is reversed"

    def apply(self, clip: Clip) -> Clip:
        """Return the clip with its last frame first."""
        _several(clip, "be reversed")
        return with_frames(clip, clip.frames[::-1].copy(), self.said)


@dataclass(frozen=True)
class SwapFrames(ClipChange):
    """Let two frames change places.

    Attributes:
        one: of them.
        other: of them.

    >>> import numpy as np
    >>> clip = Clip.from_frames(np.arange(4, dtype=np.uint8)[:, None, None, None].repeat(3, 3))
    >>> SwapFrames(0, 2).apply(clip).frames[:, 0, 0, 0].tolist()
    [2, 1, 0, 3]
    """

    one: int
    other: int

    @property
    def said(self) -> str:
        """What is changed, as a clause."""
        return f"frames {self.one} and {self.other} have changed places"

    def apply(self, clip: Clip) -> Clip:
        """Return the clip with both frames in each other's place."""
        _check(clip, self.one, self.other)
        if self.one == self.other:
            raise NlvizError(f"two frames can change places, got frame {self.one} twice")
        order = list(range(len(clip.frames)))
        order[self.one], order[self.other] = self.other, self.one
        return with_frames(clip, clip.frames[order], self.said)


@dataclass(frozen=True)
class NoiseFrame(ClipChange):
    """Put noise in the place of one frame, or upon it.

    Attributes:
        frame: which.
        sigma: of Gaussian noise that is added, in grey levels of 255; None puts noise with the
            mean and the spread of the frame's own colours in its place, so that nothing of what it
            shows is left.
        seed: of the noise.

    >>> import numpy as np
    >>> clip = Clip.from_frames(np.full((2, 30, 40, 3), 90, np.uint8))
    >>> frames = NoiseFrame(1, sigma=20).apply(clip).frames
    >>> bool((frames[0] == 90).all()), bool(18 < frames[1].std() < 22)
    (True, True)
    """

    frame: int
    sigma: float | None = None
    seed: int = 0

    @property
    def said(self) -> str:
        """What is changed, as a clause."""
        if self.sigma is None:
            return f"frame {self.frame} is noise of its own colours (seed {self.seed})"
        return f"frame {self.frame} has noise of {self.sigma:g} grey levels (seed {self.seed})"

    def apply(self, clip: Clip) -> Clip:
        """Return the clip with noise in that frame."""
        _check(clip, self.frame)
        if self.sigma is not None and not 0 < self.sigma < np.inf:
            raise NlvizError(f"sigma must be above 0 grey levels, got {self.sigma:g}")
        own = clip.frames[self.frame].astype(np.float64)
        noise = np.random.default_rng(self.seed).standard_normal(own.shape)
        if self.sigma is None:
            made = own.mean((0, 1)) + own.std((0, 1)) * noise
        else:
            made = own + self.sigma * noise
        frames = clip.frames.copy()
        frames[self.frame] = rounded(made)
        return with_frames(clip, frames, self.said)


@dataclass(frozen=True)
class FrameFromNeighbours(ClipChange):
    """Put the mean of the frames before and behind in the place of one.

    Of the first and the last frame, which have one neighbour, that one.

    Attributes:
        frame: which.

    >>> import numpy as np
    >>> clip = Clip.from_frames(np.array([10, 90, 40], np.uint8)[:, None, None, None].repeat(3, 3))
    >>> FrameFromNeighbours(1).apply(clip).frames[:, 0, 0, 0].tolist()
    [10, 25, 40]
    """

    frame: int

    @property
    def said(self) -> str:
        """What is changed, as a clause."""
        return f"frame {self.frame} is the mean of its neighbours"

    def apply(self, clip: Clip) -> Clip:
        """Return the clip with the mean of its neighbours in the place of that frame."""
        _check(clip, self.frame)
        _several(clip, "have neighbours")
        beside = [n for n in (self.frame - 1, self.frame + 1) if 0 <= n < len(clip.frames)]
        frames = clip.frames.copy()
        frames[self.frame] = rounded(clip.frames[beside].astype(np.float64).mean(0))
        return with_frames(clip, frames, self.said)


@dataclass(frozen=True, eq=False)
class FrameFrom(ClipChange):
    """Put a frame of another clip in the place of one, brought to its size.

    Attributes:
        frame: in whose place.
        other: the other clip.
        of_other: which of its frames; None for the one of the same number, or its last.

    >>> import numpy as np
    >>> clip, other = (Clip.from_frames(np.full((2, 30, 40, 3), n, np.uint8)) for n in (5, 8))
    >>> FrameFrom(1, other).apply(clip).frames[:, 0, 0, 0].tolist()
    [5, 8]
    """

    frame: int
    other: Clip
    of_other: int | None = None

    @property
    def number(self) -> int:
        """Number of the other clip's frame."""
        last = len(self.other.frames) - 1
        return min(self.frame, last) if self.of_other is None else self.of_other

    @property
    def said(self) -> str:
        """What is changed, as a clause."""
        return f"frame {self.frame} is frame {self.number} of {self.other.name}"

    def apply(self, clip: Clip) -> Clip:
        """Return the clip with the other clip's frame in the place of that one."""
        _check(clip, self.frame)
        _check(self.other, self.number)
        frames = clip.frames.copy()
        frames[self.frame] = resized(self.other.frames[self.number], clip.shape[1:])
        return with_frames(clip, frames, self.said, more=self.other.digest)


def with_frames(clip: Clip, frames: Frames, said: str, *, more: str = "") -> Clip:
    """Return a clip with other frames of the same shape, which its notes tell.

    Args:
        clip: as it was.
        frames: (T, H, W, 3) in the place of its own.
        said: what was changed, as a clause.
        more: what else the frames follow from, beside clip and change.
    """
    text = f"{clip.digest} {clip.sampling} {said} {more}".encode()
    digest = digest_of(text + np.ascontiguousarray(frames).tobytes())
    changed = replace(clip, frames=frames, digest=digest)
    return changed.noted(f"The clip was changed: {said}.")


def check_pixels(clip: Clip) -> None:
    """Check that an input has pixels.

    Raises:
        NlvizError: when it is a text or a graph.
    """
    if isinstance(clip, (Text, Graph)):
        what = "a graph" if isinstance(clip, Graph) else "a text"
        raise NlvizError(
            f"a change of frames or regions needs a clip or a picture, got {what}; change what "
            "runs inside the network instead, by cutting edges for instance"
        )


def rounded(values: npt.NDArray[np.floating]) -> Frames:
    """Return colours as whole grey levels in [0, 255]."""
    whole: Frames = np.clip(np.rint(values), 0, LIGHTEST).astype(np.uint8)
    return whole


def _check(clip: Clip, *frames: int) -> None:
    check_pixels(clip)
    for frame in frames:
        if not 0 <= frame < len(clip.frames):
            raise NlvizError(
                f"a frame must be between 0 and {len(clip.frames) - 1} in {clip.name}, got {frame}"
            )


def _several(clip: Clip, what: str) -> None:
    check_pixels(clip)
    if len(clip.frames) < 2:
        raise NlvizError(f"frames can {what} where there are at least 2, {clip.name} has 1")


def _named(frames: tuple[int, ...]) -> str:
    if not 0 < len(frames) <= 4:
        return counted(len(frames), "frame")
    return f"frame{'s' if len(frames) > 1 else ''} {listed([str(n) for n in frames], 'and')}"
