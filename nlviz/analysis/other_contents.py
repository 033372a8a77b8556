"""Other contents at the same places: what a row does there follows from the position alone.

Half of them are the clip itself with every frame moved around, mirrored and put elsewhere in time,
so that what is seen is of the kind that the network is used to; the other half are bundled photos
under a window that jumps. Of a text the words change places.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import numpy.typing as npt

from nlviz.clips.clip import Clip, read_clip
from nlviz.clips.graph import Graph
from nlviz.clips.text import Text, read_text
from nlviz.files.local import digest_of
from nlviz.picture import resized
from nlviz.resources import bundled_inputs

CONTENTS = 6  # other inputs over which a mean row is taken


def other_contents(clip: Clip, count: int = CONTENTS, *, seed: int = 0) -> list[Clip]:
    """Return other inputs of the same shape; none of one whose content cannot be changed alone.

    Args:
        clip: the input.
        count: how many are wanted.
        seed: the same number gives the same inputs.

    >>> clip = Clip.from_frames(np.zeros((2, 30, 40, 3), np.uint8))
    >>> [other.shape for other in other_contents(clip, 2)]
    [(2, 30, 40), (2, 30, 40)]
    """
    if isinstance(clip, Graph) or clip.prompt is not None:
        return []  # edges and words beside a clip are content that would stay
    rng = np.random.default_rng(seed)
    if isinstance(clip, Text):
        return _shuffled(clip, count, rng)
    photos = [path for name, path in bundled_inputs().items() if name.endswith(".jpg")]
    photos = [path for path in photos if path.stem not in clip.name]
    found = []
    for n in range(count):
        use = n % 2 and photos
        frames = _photo(str(photos[n // 2 % len(photos)]), clip, rng) if use else _moved(clip, rng)
        found.append(_with(clip, frames, f"other content {n}"))
    return found


def _with(clip: Clip, frames: npt.NDArray[np.uint8], name: str) -> Clip:
    frames = np.ascontiguousarray(frames)
    digest = digest_of(repr(frames.shape).encode() + frames.tobytes())
    return replace(clip, frames=frames, name=name, digest=digest, notes=())


def _moved(clip: Clip, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Return the clip's frames in another order, each rolled around and mirrored by chance."""
    t, h, w = clip.shape
    out = clip.frames[rng.permutation(t)].copy()
    for frame in out:
        # At least a fifth of the frame away, so that nothing lies where it lay.
        dy, dx = (round(rng.uniform(0.2, 0.8) * side) for side in (h, w))
        moved = np.roll(frame, (dy, dx), (0, 1))
        moved = moved[::-1] if rng.random() < 0.5 else moved
        frame[:] = moved[:, ::-1] if rng.random() < 0.5 else moved
    return out


@cache
def _read(path: str) -> Clip:
    return read_clip(path)


def _photo(path: str, clip: Clip, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Return a photo under a window that jumps from frame to frame."""
    photo = _read(path).frames[0]
    t, h, w = clip.shape
    zoom = min(photo.shape[0] / h, photo.shape[1] / w) * rng.uniform(0.4, 0.8)
    high, wide = max(int(h * zoom), 1), max(int(w * zoom), 1)
    out = np.empty(clip.frames.shape, np.uint8)
    for n in range(t):
        y, x = rng.integers(0, (photo.shape[0] - high + 1, photo.shape[1] - wide + 1))
        out[n] = resized(photo[y : y + high, x : x + wide], (h, w))
    return out


def _shuffled(text: Text, count: int, rng: np.random.Generator) -> list[Clip]:
    """Return the text with its words in other orders; separators and stops stay where they are.

    Between two separators numbers change places with numbers and words with words, so that what
    follows a letter is a digit as before, and what is asked behind a bar is still there before it.
    """
    words = text.written.split()
    places: dict[tuple[int, bool], list[int]] = {}
    part = 0
    for i, word in enumerate(words):
        if any(c.isalnum() for c in word):
            places.setdefault((part, word.isdecimal()), []).append(i)
        else:
            part += 1
    if all(len({words[i] for i in group}) < 2 for group in places.values()):
        return []
    found: list[Clip] = []
    for _ in range(count):
        order = list(words)
        for group in places.values():
            for to, source in zip(group, rng.permutation(group), strict=True):
                order[to] = words[source]
        found.append(read_text(" ".join(order)))
    return found
