"""Hand freed memory back to the system.

The C library of Linux keeps what threads free in an arena for each thread. Forward passes that
take turns in several threads leave holes there, and a process that holds nothing more than before
looks larger and larger: 400 captures in four threads made 940 MiB into 1,065 MiB here, and one call
of ``malloc_trim`` into 934 MiB again.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from collections.abc import Callable
from functools import cache

SECONDS = 0.5
"""Not more often than this: a call takes some 6 ms, and a capture begins with fresh pages."""

_lock = threading.Lock()
_last = float("-inf")
_later: threading.Timer | None = None


def give_back() -> bool:
    """Hand memory that was freed back to the system, at most twice a second.

    What is asked for sooner is done once the half second is over, also if nothing asks again.

    Returns:
        Whether it was done now; False where the C library has no such call.

    >>> import sys
    >>> give_back() in ((True, False) if sys.platform == "linux" else (False,))
    True
    """
    global _last, _later
    trim = _trim()
    if trim is None:
        return False
    with _lock:
        now = time.monotonic()
        wait = _last + SECONDS - now
        if wait > 0:
            if _later is None:
                _later = threading.Timer(wait, _give_back_later)
                _later.daemon = True  # nothing waits for it at the end
                _later.start()
            return False
        _last = now
    trim(0)
    return True


def _give_back_later() -> None:
    global _later
    with _lock:
        _later = None
    give_back()


@cache
def _trim() -> Callable[[int], int] | None:
    if sys.platform != "linux":
        return None
    try:
        found: Callable[[int], int] = ctypes.CDLL("libc.so.6").malloc_trim
    except (OSError, AttributeError):  # musl, for instance
        return None
    return found
