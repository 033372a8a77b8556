"""Slots for results that reruns and visitors share: made once, while others wait for them.

Streamlit's caches replay the elements drawn inside them, so a progress bar cannot live there. They
hold slots instead, and the work is done outside of them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")
Key = tuple[Any, ...]
PATIENCE = 0.25  # seconds between two looks at a lock


@dataclass
class Slot:
    """Container of one shared result.

    Attributes:
        lock: held while the result is made.
        value: the result, or None until it is made.
        seconds: duration of a part of the work, for callers that estimate.
    """

    lock: threading.Lock = field(default_factory=threading.Lock)
    value: Any = None
    seconds: float = 0.0


def filled(slot: Slot, make: Callable[[], T], waiting: Callable[[], object] | None = None) -> T:
    """Return the slot's result; call ``make`` first if it is missing. Its errors are raised.

    Args:
        slot: of the result.
        make: makes it.
        waiting: called now and then while another visitor makes it; what it raises ends the wait.
    """
    with taken(slot.lock, waiting):
        if slot.value is None:
            slot.value = make()
        value: T = slot.value
        return value


@contextmanager
def taken(lock: threading.Lock, waiting: Callable[[], object] | None = None) -> Iterator[None]:
    """Hold a lock; until it is free ``waiting`` is called now and then."""
    while not lock.acquire(timeout=PATIENCE):
        if waiting is not None:
            waiting()
    try:
        yield
    finally:
        lock.release()
