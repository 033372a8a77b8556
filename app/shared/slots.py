"""Slots for results that reruns and visitors share: made once, while others wait for them.

Streamlit's caches replay the elements drawn inside them, so a progress bar cannot live there. They
hold slots instead, and the work is done outside of them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")
Key = tuple[Any, ...]


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


def filled(slot: Slot, make: Callable[[], T]) -> T:
    """Return the slot's result; call ``make`` first if it is missing. Its errors are raised."""
    with slot.lock:
        if slot.value is None:
            slot.value = make()
        value: T = slot.value
        return value
