"""Uploaded files of weights, kept on disk while the server runs.

A network's tensors may be views of its file, so the file must stay as long as the network does.
"""

from __future__ import annotations

import tempfile
import threading
from functools import cache
from pathlib import Path

import nlviz

_LOCK = threading.Lock()


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="nlviz-", ignore_cleanup_errors=True)


def keep(name: str, content: bytes) -> Path:
    """Return the path of an upload's copy; the same content under the same name is kept once.

    Args:
        name: of the visitor's file.
        content: its bytes.
    """
    with _LOCK:
        folder = Path(_folder().name) / nlviz.digest_of(content)[:16]
        path = folder / Path(name.replace("\\", "/")).name
        if not path.is_file():
            folder.mkdir(exist_ok=True)
            part = path.with_name(path.name + ".part")
            part.write_bytes(content)
            part.replace(path)
        return path


def is_upload(path: str) -> bool:
    """Return whether a path is an upload's copy; addresses and files must not name it."""
    return _folder.cache_info().currsize > 0 and path.startswith(_folder().name)
