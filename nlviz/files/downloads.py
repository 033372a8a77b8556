"""Weights from the network: downloaded once, resumed, checked, and kept in the user's cache."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib import error, request
from urllib.parse import unquote, urlsplit

from platformdirs import user_cache_path

from nlviz.errors import DownloadFailed
from nlviz.progress import Listener

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_CHUNK = 2**18
_PATIENCE = 30.0  # seconds without a byte
_REMEMBERED = 1000  # files whose digest is kept
_RANGE = re.compile(r"bytes (\d+)-\d+/(?:\d+|\*)")
_DIGEST = re.compile(r"[0-9a-f]{6,64}")


def cache_folder() -> Path:
    """Return where downloads are kept: ``NLVIZ_CACHE``, or else the platform's cache folder.

    >>> import os
    >>> from unittest.mock import patch
    >>> with patch.dict(os.environ, NLVIZ_CACHE="/data/nlviz"):
    ...     cache_folder().as_posix()
    '/data/nlviz'
    """
    told = os.environ.get("NLVIZ_CACHE")
    return Path(told).expanduser() if told else user_cache_path("nlviz", appauthor=False)


def is_offline() -> bool:
    """Return whether ``NLVIZ_OFFLINE`` forbids downloads."""
    return os.environ.get("NLVIZ_OFFLINE", "0").lower() not in ("", "0", "false", "no")


@dataclass(frozen=True)
class _Wanted:
    """One file to have: where it is, where it goes, and the digest it must begin with."""

    url: str
    target: Path
    digest: str

    @property
    def part(self) -> Path:
        return self.target.with_name(self.target.name + ".part")

    @property
    def version(self) -> Path:
        """Beside a part, the server's name for the version that it is a part of."""
        return self.target.with_name(self.target.name + ".part.version")

    def failed(self, why: str) -> DownloadFailed:
        return DownloadFailed(
            f"{self.url} could not be downloaded: {why}; get it by other means and put it at "
            f"{self.target}"
        )


class _Stale(Exception):
    """The part on disk is of no use; the download starts again."""


def where(url: str, *, file_name: str | None = None) -> Path:
    """Return the path at which a download is kept, whether it is there or not.

    Args:
        url: an http or https address.
        file_name: its name in the cache, or None for that of the address; files of one name from
            different addresses do not meet.

    Raises:
        DownloadFailed: when the address or the name is none.

    >>> where("https://example.org/a/net.pth", file_name="net-1.pth").name
    'net-1.pth'
    """
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and parts.hostname
    except ValueError:
        known = None
    if not known:
        raise DownloadFailed(f"a download needs an http or https address, got {url!r}")
    name = unquote(parts.path).rpartition("/")[2] if file_name is None else file_name
    if not name.strip(". ") or set(name) & set('/\\:*?"<>|\0') or len(name) > 200:
        raise DownloadFailed(
            f"a download needs a plain file name, {url!r} gives {name!r}; pass file_name"
        )
    folder = cache_folder() / "weights"
    if file_name is None:
        folder /= hashlib.sha256(url.encode()).hexdigest()[:8]
    return folder / name


def fetch(
    url: str,
    *,
    digest: str = "",
    file_name: str | None = None,
    progress: Listener | None = None,
) -> Path:
    """Return the path of a file from the network, downloaded if it is not in the cache.

    A download that was interrupted goes on where it stopped. Several threads and processes may ask
    for the same file at once: one downloads it, the others wait.

    Args:
        url: an http or https address.
        digest: the sha256 of the file, or how it begins, in hex; empty for no check.
        file_name: its name in the cache, or None for that of the address.
        progress: called with a sentence and a share in [0, 1]; an exception that it raises ends
            the download, and what was downloaded is kept for the next time.

    Raises:
        DownloadFailed: when the file cannot be had, or is not the one that the digest means. The
            sentence tells where to put the file by hand; one that is there is used.
    """
    digest = digest.lower()
    if digest and not _DIGEST.fullmatch(digest):
        raise DownloadFailed(f"a digest is 6 to 64 hex digits of a sha256, got {digest!r}")
    wanted = _Wanted(url, where(url, file_name=file_name), digest)
    if _is_there(wanted):
        return wanted.target
    if is_offline():
        raise wanted.failed("NLVIZ_OFFLINE forbids downloads")
    try:
        wanted.target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(wanted.target, progress):
            if not _is_there(wanted):  # the one before may have finished it
                _download(wanted, progress)
    except error.HTTPError as answer:
        with answer:
            raise wanted.failed(f"the server answers {answer.code} {answer.reason}") from None
    except (OSError, UnicodeError, http.client.HTTPException) as problem:
        reason = getattr(problem, "reason", None) or problem
        raise wanted.failed(str(reason) or type(problem).__name__) from None
    return wanted.target


def _is_there(wanted: _Wanted) -> bool:
    if not wanted.target.is_file():
        return False
    if wanted.digest and not (found := remembered_digest(wanted.target)).startswith(wanted.digest):
        raise DownloadFailed(
            f"{wanted.target} has the sha256 {found[:12]}..., it must begin with "
            f"{wanted.digest[:12]}; delete it, so that {wanted.url} is downloaded again"
        )
    return True


def _download(wanted: _Wanted, progress: Listener | None) -> None:
    for _ in range(2):
        try:
            found = _attempt(wanted, progress)
            break
        except _Stale:
            _forget(wanted)
    else:
        raise wanted.failed("the server goes on at another place than it was asked to")
    if not found.startswith(wanted.digest):
        _forget(wanted)
        raise wanted.failed(
            f"what came has the sha256 {found[:12]}..., it must begin with {wanted.digest[:12]}, "
            "and was deleted"
        )
    wanted.part.replace(wanted.target)
    wanted.version.unlink(missing_ok=True)
    _remember(wanted.target, found)


def _forget(wanted: _Wanted) -> None:
    wanted.part.unlink(missing_ok=True)
    wanted.version.unlink(missing_ok=True)


def _attempt(wanted: _Wanted, progress: Listener | None) -> str:
    """Download what is missing and return the digest of the whole."""
    have = wanted.part.stat().st_size if wanted.part.exists() else 0
    version = wanted.version.read_text("utf-8") if have and wanted.version.exists() else ""
    if have and not (version or wanted.digest):
        have = 0  # nothing would tell whether both halves are of one file
    asked = request.Request(wanted.url, headers={"User-Agent": "nlviz"})
    if have:
        asked.add_header("Range", f"bytes={have}-")
        if version:
            asked.add_header("If-Range", version)
    try:
        answer = _opener().open(asked, timeout=_PATIENCE)
    except error.HTTPError as refused:
        if have and refused.code == 416:
            refused.close()
            raise _Stale from None
        raise
    with answer:
        resumed = answer.status == 206
        if resumed:
            told = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
            if not told or int(told[1]) != have:
                raise _Stale
        else:
            have = 0
        length = answer.headers.get("Content-Length", "")
        total = have + int(length) if length.isdecimal() else 0
        free = shutil.disk_usage(wanted.part.parent).free
        if total - have > free:
            raise wanted.failed(f"it needs {_size(total - have)}, {_size(free)} are free")
        etag = answer.headers.get("ETag", "")
        if etag and not etag.startswith("W/"):  # weak ones do not tell bytes apart
            wanted.version.write_text(etag, "utf-8")
        with wanted.part.open("r+b" if resumed else "w+b") as out:
            found = _written(wanted, answer, out, total, progress)
    if resumed and not found.startswith(wanted.digest):
        raise _Stale  # the file may have changed between the two parts
    return found


def _written(
    wanted: _Wanted,
    answer: http.client.HTTPResponse,
    out: IO[bytes],
    total: int,
    progress: Listener | None,
) -> str:
    hashed = hashlib.sha256()
    while piece := out.read(_CHUNK):
        hashed.update(piece)
    done = out.tell()
    while piece := answer.read(_CHUNK):
        out.write(piece)
        hashed.update(piece)
        done += len(piece)
        if progress:
            of = f" of {_size(total)}" if total else ""
            share = min(done / total, 1.0) if total else 0.0
            progress(f"Downloading {wanted.target.name}, {_size(done)}{of}", share)
    if total and done != total:
        raise OSError(f"it ended after {done:,} of {total:,} bytes, ask again to go on from there")
    return hashed.hexdigest()


def _opener() -> request.OpenerDirector:
    # Without the handlers of file: and ftp:, which an answer could redirect to.
    opener = request.OpenerDirector()
    for handler in (
        request.ProxyHandler(),
        request.UnknownHandler(),
        request.HTTPHandler(),
        request.HTTPSHandler(),
        request.HTTPDefaultErrorHandler(),
        request.HTTPRedirectHandler(),
        request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


@contextmanager
def _locked(target: Path, progress: Listener | None = None) -> Iterator[None]:
    """Hold a lock that the system releases when its process ends, however that ends."""
    with target.with_name(target.name + ".lock").open("a+b") as handle:
        while not _try_lock(handle):
            if progress:
                progress(f"Waiting for another download of {target.name}", 0.0)
            time.sleep(0.05)
        try:
            yield
        finally:
            _unlock(handle)


def _try_lock(handle: IO[bytes]) -> bool:
    try:
        if sys.platform == "win32":
            handle.seek(0)
            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _unlock(handle: IO[bytes]) -> None:
    if sys.platform == "win32":
        handle.seek(0)
        msvcrt.locking(handle.fileno(), msvcrt.LK_UNLCK, 1)
    else:
        fcntl.flock(handle, fcntl.LOCK_UN)


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
    with path.open("rb") as handle:
        found = hashlib.file_digest(handle, "sha256").hexdigest()
    if path.stat().st_mtime_ns == about.st_mtime_ns:
        _remember(path, found)
    return found


def _digests() -> dict[str, list[object]]:
    try:
        found = json.loads((cache_folder() / "digests.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {k: v for k, v in found.items() if isinstance(v, list) and len(v) == 3}


def _remember(path: Path, digest: str) -> None:
    path = path.resolve()
    about = path.stat()
    kept = cache_folder() / "digests.json"
    with suppress(OSError):  # a cache that cannot be written costs time only
        kept.parent.mkdir(parents=True, exist_ok=True)
        with _locked(kept):
            known = _digests()
            known.pop(str(path), None)
            known[str(path)] = [about.st_size, about.st_mtime_ns, digest]
            newest = dict(list(known.items())[-_REMEMBERED:])
            fresh = kept.with_name(f"digests.{os.getpid()}.json")
            fresh.write_text(json.dumps(newest, indent=0), "utf-8")
            fresh.replace(kept)
