"""What takes seconds to import and to compute, done once behind the first view."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from importlib import import_module

import nlviz

_lock = threading.Lock()
_done = threading.Event()
_thread: threading.Thread | None = None


def start() -> None:
    """Begin in a thread of its own, unless that was done."""
    global _thread
    with _lock:
        if _thread is None:
            _thread = threading.Thread(target=_work, daemon=True)
            _thread.start()


def done() -> bool:
    """Return whether the first view of Explore can be drawn from what is there."""
    return _done.is_set()


def running() -> bool:
    """Return whether it goes on."""
    return _thread is not None and _thread.is_alive()


def _work() -> None:
    """Import what the first page needs, and compute its first view into the app's cache."""
    try:
        import torch

        # The browser and the server share the processor: threads that wait for a busy core spin.
        torch.set_num_threads(max(1, (os.cpu_count() or 2) // 2))
        from .explore import cached as explore

        with suppress(nlviz.NlvizError):  # the page will say it
            explore.fill_first_view()
        for name in ("render.save", "render.charts", "words.health"):
            import_module(f"nlviz.{name}")
    finally:
        _done.set()
    from .denoise import live as denoise

    with suppress(nlviz.NlvizError):
        denoise.fill_first_view()
