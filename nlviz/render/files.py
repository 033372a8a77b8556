"""Kinds of files that views and overlays are saved as."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nlviz.errors import NlvizError
from nlviz.whole_file import write_whole as write_whole

KINDS = ("png", "gif", "mp4", "html", "json", "npz")  # what a view is saved as


def suffix_of(path: str | Path, kinds: Sequence[str], *, what: str) -> str:
    """Return the kind of file that a path's ending asks for.

    Raises:
        NlvizError: when it is none of the kinds.

    >>> suffix_of("a/look.GIF", ("png", "gif"), what="an overlay")
    'gif'
    """
    kind = Path(path).suffix.lower().removeprefix(".")
    if kind not in kinds:
        *others, last = (f".{k}" for k in kinds)
        listed = f"{', '.join(others)} or {last}" if others else last
        raise NlvizError(f"{what} is saved as {listed}, got {Path(path).name!r}; change its ending")
    return kind
