"""The user's cache folder, and what it remembers of files: digests, and who works on them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from nlviz.files.local import digest_of
from nlviz.progress import SILENT, Progress

_REMEMBERED = 1000  # files whose digest is kept
_PATIENCE = 0.1  # seconds between two sentences that a file is waited for


def cache_folder() -> Path:
    """Return where downloads are kept: ``NLVIZ_CACHE``, or else the platform's cache folder.

    >>> from unittest.mock import patch
    >>> with patch.dict(os.environ, NLVIZ_CACHE="/data/nlviz"):
    ...     cache_folder().as_posix()
    '/data/nlviz'
    """
    given = os.environ.get("NLVIZ_CACHE")
    return Path(given).expanduser() if given else user_cache_path("nlviz", appauthor=False)


def is_offline() -> bool:
    """Return whether ``NLVIZ_OFFLINE`` forbids downloads."""
    return os.environ.get("NLVIZ_OFFLINE", "0").lower() not in ("", "0", "false", "no")


@contextmanager
def locked(target: Path, progress: Progress = SILENT) -> Iterator[None]:
    """Hold the lock of a file, which the system releases when its process ends, however it ends.

    Args:
        target: the file; the lock is a file of its own in the same folder.
        progress: called while another thread or process holds the lock; an exception that it
            raises ends the wait.
    """
    lock = FileLock(f"{target}.lock")
    while not lock.is_locked:
        try:
            lock.acquire(timeout=_PATIENCE, poll_interval=_PATIENCE / 2)
        except Timeout:
            progress(f"Waiting for another download of {target.name}", 0.0)
    try:
        yield
    finally:
        lock.release()


def remembered_digest(path: Path) -> str:
    """Return the sha256 of a file, computed once for each path, size and time of change.

    Raises:
        OSError: when the file cannot be read.

    >>> import tempfile
    >>> from unittest.mock import patch
    >>> with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, NLVIZ_CACHE=folder):
    ...     _ = Path(folder, "a.pth").write_bytes(b"")
    ...     remembered_digest(Path(folder, "a.pth"))[:12]
    'e3b0c44298fc'
    """
    path = path.resolve()
    about = path.stat()
    known = _digests().get(str(path))
    if known and known[:2] == [about.st_size, about.st_mtime_ns]:
        return str(known[2])
    found = digest_of(path)
    if path.stat().st_mtime_ns == about.st_mtime_ns:
        remember(path, found)
    return found


def remember(path: Path, digest: str) -> None:
    """Keep the digest of a file until its size or time of change is another."""
    path = path.resolve()
    about = path.stat()
    kept = cache_folder() / "digests.json"
    with suppress(OSError):  # a cache that cannot be written costs time only
        kept.parent.mkdir(parents=True, exist_ok=True)
        with locked(kept):
            known = _digests()
            known.pop(str(path), None)
            known[str(path)] = [about.st_size, about.st_mtime_ns, digest]
            newest = dict(list(known.items())[-_REMEMBERED:])
            fresh = kept.with_name(f"digests.{os.getpid()}.json")
            fresh.write_text(json.dumps(newest, indent=0), "utf-8")
            fresh.replace(kept)


def _digests() -> dict[str, list[object]]:
    try:
        found = json.loads((cache_folder() / "digests.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {k: v for k, v in found.items() if isinstance(v, list) and len(v) == 3}
