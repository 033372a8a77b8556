"""Find the file of a clip by its path or its bundled name."""

from __future__ import annotations

from pathlib import Path

from nlviz.errors import UnreadableClip, did_you_mean
from nlviz.resources import bundled_inputs


def find_input(name: str) -> Path:
    """Return the path of a clip, given as a path or as a bundled name.

    Raises:
        UnreadableClip: when it is neither.

    >>> find_input("coffee.jpg").name
    'coffee.jpg'
    """
    if Path(name).exists():
        return Path(name)
    inputs = bundled_inputs()
    if name not in inputs:
        raise UnreadableClip(
            f"there is no file {name!r}, nor a bundled input of that name"
            f"{did_you_mean(name, inputs)}"
        )
    return inputs[name]
