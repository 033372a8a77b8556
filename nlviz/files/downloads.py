"""Weights from the network: downloaded once, resumed, checked, and kept in the user's cache."""

from __future__ import annotations

import hashlib
import http.client
import re
import shutil
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib import error, request
from urllib.parse import unquote, urlsplit

from nlviz.errors import DownloadFailed
from nlviz.files.cache import cache_folder, is_offline, locked, remember, remembered_digest
from nlviz.files.local import bytes_in_words, digest_of
from nlviz.progress import Listener, Progress

_CHUNK = 2**18
_PATIENCE = 30.0  # seconds without a byte
_RANGE = re.compile(r"bytes (\d+)-\d+/(?:\d+|\*)")
_DIGEST = re.compile(r"[0-9a-f]{6,64}")


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
        """File with the server's name for the version to which the part belongs."""
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
        DownloadFailed: when the address is not one of http, or the name is no plain file name.

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
        folder /= digest_of(url.encode())[:8]
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
            sentence says where to put the file by hand; one that is there is used.
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
        tell = Progress.of(progress)
        with locked(wanted.target, tell):
            if not _is_there(wanted):  # the one before may have finished it
                _download(wanted, tell)
    except error.HTTPError as answer:
        with answer:
            raise wanted.failed(f"the server answers {answer.code} {answer.reason}") from None
    except (OSError, UnicodeError, http.client.HTTPException) as problem:
        raise wanted.failed(_in_words(problem, url)) from None
    return wanted.target


def _in_words(problem: Exception, url: str) -> str:
    """Return why nothing came, without numbers of errors."""
    reason = getattr(problem, "reason", None) or problem
    host = urlsplit(url).hostname or url
    if isinstance(reason, socket.gaierror):
        return f"{host} cannot be found; check the connection and try again"
    if isinstance(reason, TimeoutError):
        return f"{host} does not answer; try again"
    if isinstance(reason, OSError) and reason.strerror and not isinstance(reason, ssl.SSLError):
        return f"{reason.strerror[:1].lower()}{reason.strerror[1:]}"
    return str(reason) or type(problem).__name__


def _is_there(wanted: _Wanted) -> bool:
    if not wanted.target.is_file():
        return False
    if wanted.digest and not (found := remembered_digest(wanted.target)).startswith(wanted.digest):
        raise DownloadFailed(
            f"{wanted.target} has the sha256 {found[:12]}..., it must begin with "
            f"{wanted.digest[:12]}; delete it, so that {wanted.url} is downloaded again"
        )
    return True


def _download(wanted: _Wanted, progress: Progress) -> None:
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
    remember(wanted.target, found)


def _forget(wanted: _Wanted) -> None:
    wanted.part.unlink(missing_ok=True)
    wanted.version.unlink(missing_ok=True)


def _attempt(wanted: _Wanted, progress: Progress) -> str:
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
            needed = bytes_in_words(total - have)
            raise wanted.failed(f"it needs {needed}, {bytes_in_words(free)} are free")
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
    progress: Progress,
) -> str:
    hashed = hashlib.sha256()
    while piece := out.read(_CHUNK):
        hashed.update(piece)
    done = out.tell()
    while piece := answer.read(_CHUNK):
        out.write(piece)
        hashed.update(piece)
        done += len(piece)
        of = f" of {bytes_in_words(total)}" if total else ""
        share = min(done / total, 1.0) if total else 0.0
        progress(f"Downloading {wanted.target.name}, {bytes_in_words(done)}{of}", share)
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
