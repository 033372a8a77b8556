"""What takes seconds to import and to compute, done once behind the first view."""

from __future__ import annotations

import atexit
import gc
import os
import threading
from collections.abc import Callable
from contextlib import suppress

import nlviz

first_views: list[Callable[[], None]] = []
"""Compute the first view of each page, that of the first page first; the app's script fills it."""

_lock = threading.Lock()
_done = threading.Event()
_thread: threading.Thread | None = None


def start() -> None:
    """Begin in a thread of its own, unless that was done."""
    global _thread
    with _lock:
        if _thread is None:
            atexit.register(gc.unfreeze)  # what was spared ends in order
            _thread = threading.Thread(target=_work, daemon=True)
            _thread.start()


def done() -> bool:
    """Return whether the first view of Explore can be drawn from what is there."""
    return _done.is_set()


def running() -> bool:
    """Return whether it goes on."""
    return _thread is not None and _thread.is_alive()


def spare() -> None:
    """Let what was imported so far alone, where the collector looks for garbage.

    Streamlit looks through everything after each run. What PyTorch imports is half a million
    objects that stay: a quarter of a second, in which no thread goes on.
    """
    gc.freeze()


def _work() -> None:
    """Import what the first page needs, and compute the pages' first views into the app's cache."""
    try:
        import pandas  # noqa: F401 (Streamlit's tables are made of it)
        import torch

        # The browser and the server share the processor: threads that wait for a busy core spin.
        torch.set_num_threads(max(1, (os.cpu_count() or 2) // 2))
        # Names of a lazy package are imported where they are first mentioned.
        _ = nlviz.render.attention_of, nlviz.words.trust, nlviz.words.row_lines
        for first_view in first_views[:1]:
            _fill(first_view)
        spare()
    finally:
        _done.set()
    for first_view in first_views[1:]:
        _fill(first_view)
    gc.collect()
    spare()


def _fill(first_view: Callable[[], None]) -> None:
    with suppress(nlviz.NlvizError):  # the page will say it
        first_view()
