"""Saved captures that the app may open.

A path is taken from the command line alone; the app knows those that were offered when it was
started, by their files' names, and no address can name another file.
"""

from __future__ import annotations

from pathlib import Path

from nlviz.captures.capture import read_capture

_offered: dict[str, Path] = {}


def offer(path: str | Path) -> str:
    """Let the app open a saved capture; return the name that it goes by.

    Raises:
        UnreadableCheckpoint: when it cannot be read.
    """
    path = Path(path).resolve()
    read_capture(path)  # what is wrong is told here, not on a page
    _offered[path.name] = path
    return path.name


def offered() -> dict[str, Path]:
    """Return the files that the app may open, by name.

    >>> offered()
    {}
    """
    return dict(_offered)
