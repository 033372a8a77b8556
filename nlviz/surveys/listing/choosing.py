"""Which of the items are looked at: each once, some of them, the first of them."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import islice

import numpy as np
import numpy.typing as npt

from nlviz.errors import NlvizError
from nlviz.surveys.item import Item

_FRESH = 1 << 16  # names that wait before they are sorted in


class Seen:
    """Remembers which addresses were there, in eight bytes each.

    Ten million take 80 MB where Python's own set of them takes over 2 GB. Two different addresses
    are taken for one with a probability of n^2 / 2^65: 3 in a million among ten million.

    >>> seen = Seen()
    >>> seen.add("a.mp4"), seen.add("b.mp4"), seen.add("a.mp4")
    (True, True, False)
    """

    def __init__(self) -> None:
        self._sorted: npt.NDArray[np.uint64] = np.empty(0, np.uint64)
        self._fresh: set[int] = set()

    def add(self, uri: str) -> bool:
        """Remember an address; return whether it is new."""
        number = int.from_bytes(blake2b(uri.encode(), digest_size=8).digest())
        if number in self._fresh:
            return False
        if len(self._sorted):
            at = int(np.searchsorted(self._sorted, np.uint64(number)))
            if at < len(self._sorted) and int(self._sorted[at]) == number:
                return False
        self._fresh.add(number)
        if len(self._fresh) >= _FRESH:
            fresh = np.sort(np.fromiter(self._fresh, np.uint64, len(self._fresh)))
            self._sorted = np.insert(self._sorted, np.searchsorted(self._sorted, fresh), fresh)
            self._fresh.clear()
        return True


def chosen(
    items: Iterable[Item], *, limit: int | None = None, sample: int | None = None, seed: int = 0
) -> Iterator[Item]:
    """Yield a sample of the items, or the first of them, or all; in their order.

    A clip is drawn by its name and the seed alone, so that the same data set gives the same sample
    in whatever order and under whatever folder it lies; a sample of 20 holds the sample of 10.
    Without ``sample`` items are handed on as they come; with it all are listed before the first,
    and only those drawn are kept.

    Args:
        items: as ``listed`` gives them.
        limit: how many at most, the first ones; of the sample, where there is one.
        sample: how many are drawn.
        seed: of the draw.

    Raises:
        NlvizError: when limit or sample are below 1.

    >>> clips = [Item(f"/{n}.mp4", "file", f"{n}.mp4") for n in range(100)]
    >>> [item.name for item in chosen(clips, sample=3)]
    ['36.mp4', '40.mp4', '74.mp4']
    >>> set(chosen(clips[::-1], sample=3)) == set(chosen(clips, sample=3))
    True
    """
    for name, value in (("limit", limit), ("sample", sample)):
        if value is not None and value < 1:
            raise NlvizError(f"{name} is a number of clips, at least 1; got {value}")
    drawn = items if sample is None else _drawn(items, sample, seed)
    return islice(drawn, limit)


def _drawn(items: Iterable[Item], sample: int, seed: int) -> Iterator[Item]:
    """Yield the items whose hashes are the smallest, in their order."""
    kept: list[tuple[int, str, int, Item]] = []  # a heap with the largest hash first
    for place, item in enumerate(items):
        # Names may be the same under two folders; then the address decides.
        entry = (-draw_of(item.name, seed), item.uri, -place, item)
        if len(kept) < sample:
            heapq.heappush(kept, entry)
        elif entry[:3] > kept[0][:3]:
            heapq.heapreplace(kept, entry)
    yield from (entry[3] for entry in sorted(kept, key=lambda entry: -entry[2]))


def draw_of(name: str, seed: int) -> int:
    """Return the number that decides whether a clip of this name is drawn."""
    return int.from_bytes(blake2b(f"{seed}\n{name}".encode(), digest_size=8).digest())
