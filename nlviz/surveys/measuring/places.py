"""Where a survey asks: places drawn once for a clip, and the query cell of each block there.

The clip is divided into as many boxes of the same size as there are queries, by halving the longest
side again and again, and in each box lie ``SLOTS`` places drawn at random. These are the same for
all clips with as many frames, so that mean rows by position have to be known for them alone. Of
each box one place is drawn for each clip, from the seed and the digest of its bytes. A block is
asked at the cell whose centre is nearest to the place.

Stratified sampling: Cochran 1977, "Sampling Techniques", chapter 5.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from nlviz.affinity.grid import TokenGrid
from nlviz.clips.point import Shape

SLOTS = 4  # places of each box, of which one is drawn for a clip

Places = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]


def slots(frames: int, queries: int, seed: int) -> Places:
    """Return the places at which clips may be asked, (queries, slots, 3), shares of the clip.

    Args:
        frames: of the clip; boxes are not made shorter than one of them.
        queries: number of boxes.
        seed: of the draw.

    >>> found = slots(8, 32, 0)
    >>> found.shape, bool((found >= 0).all() and (found < 1).all())
    ((32, 4, 3), True)
    """
    boxes = _boxes(frames, queries)
    low, high = boxes[:, None, 0], boxes[:, None, 1]
    drawn = _generator(f"slots {seed} {queries} {frames}").random((queries, SLOTS, 3))
    return low + drawn * (high - low)


def drawn_slots(queries: int, seed: int, digest: str) -> Numbers:
    """Return which slot of each box a clip is asked at, (queries,).

    Args:
        queries: number of boxes.
        seed: of the survey.
        digest: of the clip's bytes.

    >>> drawn_slots(5, 0, "ab").shape, bool((drawn_slots(5, 0, "ab") < SLOTS).all())
    ((5,), True)
    """
    return _generator(f"clip {seed} {queries} {digest}").integers(0, SLOTS, queries)


def in_clip(shares: Places, shape: Shape) -> Places:
    """Return places (..., 3) in sampled frames and pixels; pixel 0 covers [-0.5, 0.5)."""
    found: Places = shares * np.array(shape, np.float64) - 0.5
    return found


def cells_at(grid: TokenGrid, places: Places, most: int) -> Numbers:
    """Return the cells of a grid at places, each once, in the order of their numbers.

    Args:
        grid: where the queries lie.
        places: (n, 3) in sampled frames and pixels.
        most: all cells are asked where there are no more than these.

    >>> grid = TokenGrid((1, 2, 3), (1, 8, 8), (0, 3.5, 3.5))
    >>> cells_at(grid, np.array([[0, 1.0, 20.0], [0, 2.0, 21.0]]), 2)
    array([2])
    """
    if grid.size <= most:
        return np.arange(grid.size)
    found: Numbers = np.unique(nearest_cells(grid, places))
    return found


def nearest_cells(grid: TokenGrid, places: Places) -> Numbers:
    """Return the cell that is nearest to each place; of words, the one at this share of the line.

    Args:
        grid: where the queries lie.
        places: (n, 3) in sampled frames and pixels.
    """
    if grid.kind == "grid":
        at = (axis.nearest(places[:, n], grid.shape[n]) for n, axis in enumerate(grid.axes))
        found: Numbers = np.ravel_multi_index(tuple(at), grid.shape)
        return found
    return np.array([grid.nearest(frame=f, y=y, x=x) for f, y, x in places.tolist()])


def _boxes(frames: int, count: int) -> Places:
    """Return boxes that the unit cube is divided into, (count, 2, 3): low and high corners."""
    whole = [(np.zeros(3), np.ones(3), count)]
    done = []
    while whole:
        low, high, parts = whole.pop()
        if parts == 1:
            done.append((low, high))
            continue
        side = high - low
        side[0] *= side[0] > 1 / frames  # the time of one frame is not divided
        axis = 2 - int(side[::-1].argmax())
        first = parts // 2
        middle = low[axis] + (high - low)[axis] * first / parts
        end, begin = high.copy(), low.copy()
        end[axis] = begin[axis] = middle
        whole += [(begin, high, parts - first), (low, end, first)]
    return np.array(done)


def _generator(of: str) -> np.random.Generator:
    return np.random.default_rng(int.from_bytes(hashlib.sha256(of.encode()).digest()[:16]))
