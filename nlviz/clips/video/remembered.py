"""What was learnt of the last few files, so that reading one again need not learn it again."""

from __future__ import annotations

import time
from collections import OrderedDict
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import Generic, TypeVar

from nlviz.files.local import digest_of

_SETTLED = 2.0  # seconds; a file changed since then may change again within one tick of its clock

T = TypeVar("T")


class Remembered(Generic[T]):
    """A few values by name, those asked for last; threads may share it.

    >>> last = Remembered(2)
    >>> for name in "abc":
    ...     last.put(name, name.upper())
    >>> last.get("a"), last.get("c")
    (None, 'C')

    Args:
        most: how many.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[str, T] = OrderedDict()
        self._lock = Lock()

    def get(self, name: str | None) -> T | None:
        """Return what is remembered under a name, or None."""
        with self._lock:
            if name is None or name not in self._values:
                return None
            self._values.move_to_end(name)
            return self._values[name]

    def put(self, name: str | None, value: T) -> None:
        """Remember a value; without a name it is forgotten at once."""
        if name is None:
            return
        with self._lock:
            self._values[name] = value
            self._values.move_to_end(name)
            while len(self._values) > self._most:
                self._values.popitem(last=False)


def name_of(source: Path | BytesIO) -> str | None:
    """Return what a file and its state are remembered by; None for one that may still change."""
    if isinstance(source, BytesIO):
        return digest_of(source.getvalue())
    try:
        state = source.stat()
    except OSError:
        return None
    if not 0 <= state.st_mtime < time.time() - _SETTLED:
        return None
    place = f"{state.st_dev} {state.st_ino} {state.st_size} {state.st_mtime_ns} {state.st_ctime_ns}"
    return f"{source.absolute()} {place}"
