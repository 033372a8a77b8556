"""Files that are either written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from nlviz.errors import NlvizError


def write_whole(path: str | Path, content: bytes) -> Path:
    """Write a file beside its target and rename it, so that no half of it is ever seen.

    Raises:
        NlvizError: when the file cannot be written; nothing is left behind.
    """
    path = Path(path)
    beside: str | None = None
    try:
        handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        mask = os.umask(0)
        os.umask(mask)
        Path(beside).chmod(0o666 & ~mask)  # mkstemp's files are for their owner only
        Path(beside).replace(path)
    except OSError as error:
        raise NlvizError(
            f"{str(path)!r} cannot be written ({error.strerror}); name a file in a folder that "
            "exists and may be written to"
        ) from None
    finally:
        if beside is not None:
            Path(beside).unlink(missing_ok=True)
    return path
