"""Which clips a survey has, in eight bytes each: ten million take 80 MB for their names."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

_FRESH = 1 << 16  # that wait before they are sorted in
_AGAIN = "again"


def number_of(text: str) -> int:
    """Return 64 bits that stand for a text."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest())


def numbers_of(texts: Iterable[str]) -> npt.NDArray[np.uint64]:
    """Return 64 bits for each text, in order."""
    return np.fromiter((number_of(text) for text in texts), np.uint64)


class Hashes:
    """A set of texts that may say yes to one that is not in it: once in 2^64 pairs.

    >>> known = Hashes()
    >>> known.add(["a.mp4", "b.mp4"])
    >>> "a.mp4" in known, "c.mp4" in known
    (True, False)
    """

    def __init__(self) -> None:
        self._sorted: npt.NDArray[np.uint64] = np.empty(0, np.uint64)
        self._fresh: set[int] = set()

    def __contains__(self, text: str) -> bool:
        number = number_of(text)
        return number in self._fresh or _place(self._sorted, number) is not None

    def add(self, texts: Iterable[str]) -> None:
        """Put texts into the set."""
        self._fresh.update(number_of(text) for text in texts)
        if len(self._fresh) >= _FRESH:
            fresh = np.fromiter(self._fresh, np.uint64, len(self._fresh))
            self._sorted = np.union1d(self._sorted, fresh)
            self._fresh.clear()


class States:
    """What each clip was when it was surveyed: 16 bytes for each.

    Args:
        uris: of the clips.
        states: of each, in the same order; None of one that is to be done again.

    >>> states = States(["a.mp4", "b.mp4"], ["70:1", None])
    >>> states.stands("a.mp4", "70:1"), states.stands("a.mp4", "70:2")
    (True, False)
    >>> "b.mp4" in states, states.stands("b.mp4", "5:5")
    (True, False)
    """

    def __init__(self, uris: Iterable[str], states: Iterable[str | None]) -> None:
        numbers = numbers_of(uris)
        values = numbers_of(_AGAIN if s is None else f"state {s}" for s in states)
        order = np.argsort(numbers, kind="stable")
        self._uris, self._states = numbers[order], values[order]

    def __len__(self) -> int:
        return len(self._uris)

    def __contains__(self, uri: str) -> bool:
        return _place(self._uris, number_of(uri)) is not None

    def stands(self, uri: str, state: str) -> bool:
        """Return whether what is known of a clip still holds.

        Args:
            uri: of the clip.
            state: of its file now; empty where that cannot be told: then what was done stands.
        """
        at = _place(self._uris, number_of(uri))
        if at is None or int(self._states[at]) == number_of(_AGAIN):
            return False
        return not state or int(self._states[at]) == number_of(f"state {state}")


def _place(numbers: npt.NDArray[np.uint64], number: int) -> int | None:
    at = int(np.searchsorted(numbers, np.uint64(number)))
    return at if at < len(numbers) and int(numbers[at]) == number else None
