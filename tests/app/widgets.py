"""Finds a page's widgets by their field, whatever the revision of their key."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def the(elements: Iterable[Any], field: str) -> Any:
    """Return the widget of a field; there must be one."""
    (found,) = [e for e in elements if e.key is not None and e.key.partition("~")[0] == field]
    return found
