"""Paths and addresses: how a clip is known, and where its bytes are."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import quote_from_bytes, unquote_to_bytes, urlsplit

_FILE_URL = "file://"
_REMOTE = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+:(//|:)")  # one letter alone is a drive of Windows
_DRIVE = re.compile(r"/?[a-zA-Z]:[\\/]")


def is_remote(text: str) -> bool:
    """Return whether a text is an address of another file system than this machine's.

    >>> [is_remote(t) for t in ("s3://b/a.mp4", "C:/a.mp4", "file:///a.mp4", "zip://a::b.zip")]
    [True, False, False, True]
    """
    return bool(_REMOTE.match(text)) and not is_file_url(text)


def is_file_url(text: str) -> bool:
    """Return whether a text is a ``file:`` address."""
    return text[: len(_FILE_URL)].lower() == _FILE_URL


def path_of_url(url: str) -> str:
    """Return the path that a ``file://`` address names.

    >>> path_of_url("file:///films/a%20b.mp4"), path_of_url("file://localhost/films/a.mp4")
    ('/films/a b.mp4', '/films/a.mp4')
    """
    parts = urlsplit(url)
    path = os.fsdecode(unquote_to_bytes(parts.path))
    if parts.query or parts.fragment:  # signs that somebody did not quote
        path = os.fsdecode(unquote_to_bytes(url[len(_FILE_URL) + len(parts.netloc) :]))
    return path[1:] if _DRIVE.match(path) and path.startswith("/") and os.name == "nt" else path


def uri_of_path(path: str | Path) -> str:
    r"""Return what a path is known by: absolute, and valid Unicode, so that tables can hold it.

    >>> uri_of_path("/films/./a/../clip.mp4"), uri_of_path("/films/\udcff.mp4")
    ('/films/clip.mp4', 'file:///films/%FF.mp4')
    """
    whole = absolute(path)
    try:
        whole.encode()
    except UnicodeEncodeError:
        return _FILE_URL + quote_from_bytes(os.fsencode(whole))
    return whole


def absolute(path: str | Path) -> str:
    """Return an absolute path without ``..``; links stay as they are, for they are other names."""
    # Path.resolve would follow the links.
    return os.path.abspath(path)  # noqa: PTH100


def at_home(path: str) -> str:
    """Return a path whose ``~`` is the home of a user; without such a user, as it is."""
    if not path.startswith("~") or os.path.lexists(path):
        return path
    try:
        return str(Path(path).expanduser())
    except RuntimeError:
        return path


def is_folder(path: Path) -> bool:
    """Return whether a path is a folder that may be looked at; pathlib raises where it may not."""
    try:
        return path.is_dir()
    except OSError:
        return False


def is_plain_file(path: Path) -> bool:
    """Return whether a path is a file that may be looked at."""
    try:
        return path.is_file()
    except OSError:
        return False


def path_of_uri(uri: str) -> Path:
    """Return the path of what ``uri_of_path`` named."""
    return Path(path_of_url(uri) if is_file_url(uri) else uri)


def legible(text: str) -> str:
    r"""Return a text as valid Unicode: bytes that are no UTF-8 are those of Windows.

    >>> legible("caf\udce9")
    'café'
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape").decode("cp1252", "replace")
    return text


def shown(path: str | Path) -> str:
    r"""Return a name as valid Unicode with slashes, as people read it.

    >>> shown("a\udcff.mp4")
    'a�.mp4'
    """
    name = str(path)
    if os.sep != "/":
        name = name.replace(os.sep, "/")
    return name if name.isascii() else os.fsencode(name).decode("utf-8", "replace")
