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
    """A place for one result.

    Attributes:
        lock: held while the result is made.
        value: the result, or None as long as it is not made.
        seconds: what a part of the work took, where somebody asks.
    """

    lock: threading.Lock = field(default_factory=threading.Lock)
    value: Any = None
    seconds: float = 0.0


def filled(slot: Slot, make: Callable[[], T]) -> T:
    """Return the slot's result, made now unless it is there; what ``make`` raises is raised."""
    with slot.lock:
        if slot.value is None:
            slot.value = make()
        value: T = slot.value
        return value
