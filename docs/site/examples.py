"""Doctests of a docstring become its Examples section, as the reference shows code only there."""

from __future__ import annotations

import re
from typing import Any

import griffe

_HEADING = re.compile(r"^[A-Z]\w+:$")


class Examples(griffe.Extension):
    """Gives doctests that follow the text of a docstring a heading of their own."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of one object."""
        if obj.docstring is not None:
            obj.docstring.value = _with_heading(obj.docstring.value)


def _with_heading(text: str) -> str:
    lines = text.splitlines()
    first = next((i for i, line in enumerate(lines) if line.startswith(">>> ")), None)
    if first is None:
        return text
    last = next((i for i in range(first, len(lines)) if _HEADING.match(lines[i])), len(lines))
    shown = [f"    {line}" if line else "" for line in lines[first:last]]
    return "\n".join([*lines[:first], "Examples:", *shown, "", *lines[last:]])
