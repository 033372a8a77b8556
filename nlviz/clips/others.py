"""Other inputs of the same shape as one: what a network does whatever it is shown needs several.

Clips are cut out of the bundled films and photos: a crop of the same aspect ratio, at another place
and size and sometimes mirrored; of a photo it moves, as a camera does. Texts are drawn from the
words of the one, numbers from numbers and words from words, or are these in another order.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nlviz.clips.clip import Clip, read_clip
from nlviz.clips.graph import Graph
from nlviz.clips.text import Text, read_text
from nlviz.errors import NlvizError
from nlviz.picture import resized
from nlviz.resources import bundled_inputs

LEAST, MOVED = 0.6, 0.15  # side of a crop, of the largest there is; how far it moves and grows
_WORD = re.compile(r"\S+")

Frames = npt.NDArray[np.uint8]


def other_clips(
    like: Clip,
    count: int,
    *,
    of: Sequence[str | Path | Clip] | None = None,
    orders: bool = False,
) -> Iterator[Clip]:
    """Yield inputs with as many frames, or words, and of the same size, the same ones each time.

    Args:
        like: a clip or a text.
        count: how many.
        of: clips, or files of films and pictures, that they are cut out of; by default the bundled
            ones. Of a text they are drawn from its own words.
        orders: of a text, whether each word stands there as often as it does.

    Raises:
        NlvizError: of a graph, whose nodes have no place that another graph has, too; of a text
            with fewer than three words that may change places.

    >>> like = Clip.from_frames(np.zeros((3, 40, 60, 3), np.uint8))
    >>> [clip.shape for clip in other_clips(like, 2)]
    [(3, 40, 60), (3, 40, 60)]
    >>> next(other_clips(read_text("a 3 b 7 c 1"), 1, orders=True)).text
    'c 1 b 3 a 7'
    """
    if isinstance(like, Graph):
        raise NlvizError(
            "another input of the same shape has its tokens at the same places; nodes of a graph "
            "have none that another graph has, too"
        )
    if isinstance(like, Text):
        yield from _texts(like, count, orders)
        return
    # A drawing of digits is no footage: where other clips are wanted, it is none.
    bundled = [path for path in bundled_inputs().values() if path.suffix != ".gif"]
    sources: list[str | Path | Clip] = [*(bundled if of is None else of)]
    if not sources:
        raise NlvizError("other clips are cut out of at least one film or picture, got none")
    for i in range(count):
        yield _cut_out(sources[i % len(sources)], like, np.random.default_rng(i))


def _texts(text: Text, count: int, orders: bool) -> Iterator[Text]:
    """Yield texts of the words of one; marks stay where they are."""
    written = text.written
    places = [(m.start(), m.end()) for m in _WORD.finditer(written)]
    words = [written[a:b] for a, b in places]
    kinds = [1 if w.isdecimal() else 2 if any(c.isalpha() for c in w) else 0 for w in words]
    moving = [[i for i, k in enumerate(kinds) if k == kind] for kind in (1, 2)]
    if max(map(len, moving)) < 3:
        raise NlvizError(
            "other texts of the words of one need three of them at least, "
            f"{text.name!r} has {len(words)}; give other inputs with clips="
        )
    for n in range(count):
        rng, order = np.random.default_rng(n), list(words)
        for own in moving:
            taken = rng.permutation(own) if orders else rng.choice(own or [0], len(own))
            for i, j in zip(own, taken.tolist(), strict=True):
                order[i] = words[j]
        parts, at = [], 0
        for (a, b), word in zip(places, order, strict=True):
            parts += [written[at:a], word]
            at = b
        yield read_text("".join((*parts, written[at:])), name=f"{text.name}, {n}")


def _cut_out(source: str | Path | Clip, like: Clip, rng: np.random.Generator) -> Clip:
    """Return a crop of a film, or of a picture that moves under it, of the shape of a clip."""
    frames, height, width = like.shape
    film = source if isinstance(source, Clip) else _window(source, like, rng)
    _, high, wide = film.shape
    most = min(high / height, wide / width)
    still = len(film.frames) == 1
    size = most * rng.uniform(LEAST, 1 - MOVED if still else 1)
    grown = size * (1 + (MOVED * rng.uniform(-1, 1) if still else 0))
    y0, x0 = (rng.uniform(0, n - size * m) for n, m in ((high, height), (wide, width)))
    away = rng.uniform(-MOVED, MOVED, 2) * (high, wide) if still else np.zeros(2)
    mirrored = bool(rng.integers(2))
    found = np.empty((frames, height, width, 3), np.uint8)
    for t, u in enumerate(np.linspace(0, 1, frames) if frames > 1 else [0.0]):
        side = size + (grown - size) * u
        tall, broad = round(side * height), round(side * width)
        top = int(np.clip(y0 + away[0] * u, 0, high - tall))
        left = int(np.clip(x0 + away[1] * u, 0, wide - broad))
        picture = film.frames[0 if still else t * len(film.frames) // frames]
        crop = resized(picture[top : top + tall, left : left + broad], (height, width))
        found[t] = crop[:, ::-1] if mirrored else crop
    fps = (frames - 1) / max(float(like.times[-1] - like.times[0]), 1e-3) if frames > 1 else 25.0
    return Clip.from_frames(found, fps=fps, name=f"a part of {film.name}")


def _window(path: str | Path, like: Clip, rng: np.random.Generator) -> Clip:
    """Return frames of a film over as long a time as a clip lasts, where it is so long."""
    whole = read_clip(path, frames=2)
    if len(whole.frames) == 1:
        return whole
    span, length = (float(c.times[-1] - c.times[0]) for c in (like, whole))
    if len(like.frames) == 1:
        return read_clip(path, start=float(rng.uniform(0, 0.9 * length)), stride=1, frames=1)
    if span >= 0.9 * length:
        return read_clip(path, frames=len(like.frames))
    # Frames spread evenly run to the end of the film: as many more are read and cut off.
    start = float(rng.uniform(0, length - span))
    more = round(len(like.frames) * (length - start) / max(span, 1e-3))
    found = read_clip(path, start=start, frames=max(more, len(like.frames)))
    return found.part(0, len(like.frames))
