"""Files on this machine: written whole, read by digest."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from nlviz.errors import NlvizError
from nlviz.sentences import listed

# What a view is saved as.
KINDS = ("png", "pdf", "svg", "gif", "mp4", "html", "json", "npz", "rrd")


def suffix_of(path: str | Path, kinds: Sequence[str], *, what: str) -> str:
    """Return the kind of file that a path's ending asks for.

    Raises:
        NlvizError: when it is another kind.

    >>> suffix_of("a/look.GIF", ("png", "gif"), what="an overlay")
    'gif'
    """
    kind = Path(path).suffix.lower().removeprefix(".")
    if kind not in kinds:
        endings = listed(f".{k}" for k in kinds)
        raise NlvizError(
            f"{what} is saved as {endings}, got {Path(path).name!r}; change its ending"
        )
    return kind


def put_whole(path: Path, content: bytes, *, sync: bool = False) -> None:
    """Write a file under another name and rename it, so that no half of it is ever seen.

    Args:
        path: of the file.
        content: all of it.
        sync: wait until it lies on the disk, so that it is there after a power cut, too.

    Raises:
        OSError: when the file cannot be written; nothing is left behind.
    """
    beside: str | None = None
    try:
        handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        Path(beside).chmod(0o666 & ~mask)  # mkstemp's files are for their owner only
        Path(beside).replace(path)
    finally:
        if beside is not None:
            Path(beside).unlink(missing_ok=True)


def write_whole(path: str | Path, content: bytes) -> Path:
    """Write a file under another name and rename it, so that no half of it is ever seen.

    Raises:
        NlvizError: when the file cannot be written; nothing is left behind.
    """
    path = Path(path)
    try:
        put_whole(path, content)
    except OSError as error:
        raise NlvizError(
            f"{str(path)!r} cannot be written ({error.strerror}); name a file in a folder that "
            "exists and may be written to"
        ) from None
    return path


def digest_of(content: Path | bytes, kind: Literal["sha256", "sha1"] = "sha256") -> str:
    """Return the digest of a file or of bytes, in hex.

    Args:
        content: a file's path, or the bytes themselves.
        kind: of the digest; ``sha1`` only where a publisher names no other.

    Raises:
        OSError: when the file cannot be read.

    >>> digest_of(b"theta and phi")[:12], len(digest_of(b"", "sha1"))
    ('f913efcb9949', 40)
    """
    if isinstance(content, bytes):
        return hashlib.new(kind, content).hexdigest()
    with content.open("rb") as handle:
        return hashlib.file_digest(handle, kind).hexdigest()


def bytes_in_words(count: int) -> str:
    """Return a number of bytes in units of 1024, as memory and file sizes are said everywhere.

    >>> bytes_in_words(3 << 30), bytes_in_words(1_500_000), bytes_in_words(2048), bytes_in_words(3)
    ('3.0 GiB', '1.4 MiB', '2.0 KiB', '3 B')
    """
    for power, unit in ((3, "GiB"), (2, "MiB"), (1, "KiB")):
        if count >= 1024**power:
            return f"{count / 1024**power:.1f} {unit}"
    return f"{count} B"
