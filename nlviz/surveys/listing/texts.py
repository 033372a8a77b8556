"""Text files as people write them: with or without a byte order mark, in this or that coding."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from nlviz.errors import NlvizError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),  # PowerShell and Excel write these
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@contextmanager
def opened_text(file: Any, name: str) -> Iterator[IO[str]]:
    """Open a file of bytes as text, lines as they are.

    Bytes that are no UTF-8 are kept as Python keeps those of file names, so that a name in another
    coding still finds its file.

    Raises:
        NlvizError: when it is no text.
    """
    head = file.read(1 << 12)
    file.seek(0)
    coding = next((coding for mark, coding in _MARKS if head.startswith(mark)), "utf-8")
    if coding == "utf-8" and b"\0" in head:
        raise NlvizError(
            f"{name} is no text: it holds bytes that no list has; give a list of paths, one a line"
        )
    errors = "replace" if coding in ("utf-16", "utf-32") else "surrogateescape"
    text = io.TextIOWrapper(file, encoding=coding, errors=errors, newline="")
    try:
        yield text
    finally:
        text.detach()
