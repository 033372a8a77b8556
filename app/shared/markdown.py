"""Text that Markdown shows as it is."""

from __future__ import annotations

import re


def plain(text: str) -> str:
    """Escape Markdown in text; names from a file may hold anything."""
    return re.sub(r"([\\`*_{}\[\]<>#|~$:])", r"\\\1", text)


def plain_but_bold(text: str) -> str:
    """Return text in which nothing but ``**`` is Markdown."""
    return "**".join(plain(part) for part in text.split("**"))
