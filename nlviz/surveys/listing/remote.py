"""Other file systems than this machine's, through fsspec where the package of one is installed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nlviz.clips.sequences import fits_name, has_pattern, natural
from nlviz.errors import MissingClip, NlvizError, UnreachableClip, UnreadableClip
from nlviz.files.cache import is_offline
from nlviz.surveys.item import Item
from nlviz.surveys.listing.folders import TarMembers, label_above
from nlviz.surveys.listing.frames import runs_of
from nlviz.surveys.listing.kinds import ending, is_hidden, name_kind
from nlviz.surveys.listing.places import remote_name
from nlviz.surveys.listing.rules import LeftOut, Rules

PACKAGES = {
    **dict.fromkeys(("s3", "s3a"), "s3fs"),
    **dict.fromkeys(("gs", "gcs"), "gcsfs"),
    **dict.fromkeys(("az", "abfs", "abfss", "adl"), "adlfs"),
    **dict.fromkeys(("http", "https"), "aiohttp requests"),
    **dict.fromkeys(("sftp", "ssh"), "paramiko"),
    "hf": "huggingface_hub",
    "smb": "smbprotocol",
    "oss": "ossfs",
    "webdav": "webdav4",
    "hdfs": "pyarrow",
}
_HERE = ("memory", "file", "local")


def scheme_of(url: str) -> str:
    """Return what stands before the colon of an address.

    >>> scheme_of("S3://bucket/a.mp4"), scheme_of("zip://a.mp4::b.zip")
    ('s3', 'zip')
    """
    return url.split(":", 1)[0].lower()


def system_of(url: str) -> tuple[Any, str]:
    """Return the file system of an address, and the path on it.

    Raises:
        NlvizError: when its package is not installed, or ``NLVIZ_OFFLINE`` forbids it.

    >>> system_of("memory://films/a.mp4")[1]
    '/films/a.mp4'
    """
    from fsspec.core import url_to_fs

    scheme = scheme_of(url)
    if is_offline() and scheme not in _HERE and not _is_in_a_local_file(url):
        raise NlvizError(f"NLVIZ_OFFLINE forbids to read {url}; name files of this machine")
    try:
        return url_to_fs(url)  # type: ignore[no-any-return]
    except ImportError as error:
        package = PACKAGES.get(scheme)
        cure = f"pip install {package}" if package else str(error)
        raise NlvizError(f"{scheme}:// is read by a package that is not here; {cure}") from None
    except ValueError as error:
        known = ", ".join(sorted({"s3", "gs", "az", "https", "hf", "memory", "sftp"}))
        raise NlvizError(f"{url} cannot be read ({error}); addresses begin with {known}") from None
    except Exception as error:
        raise told(error, url) from None


def _is_in_a_local_file(url: str) -> bool:
    return "::" in url and "://" not in url.rsplit("::", 1)[1]


def told(error: BaseException, name: str) -> UnreadableClip:
    """Return the error that says why something remote is not there."""
    if isinstance(error, UnreadableClip):
        return error
    cause = error.__cause__
    if isinstance(error, FileNotFoundError) and cause and not isinstance(cause, FileNotFoundError):
        return told(cause, name)  # fsspec says so, too, where a host does not answer
    status = getattr(error, "status", None)  # of HTTP
    if isinstance(error, FileNotFoundError) or status in (404, 410):
        return MissingClip(f"{name}: there is no such file; it was moved or deleted")
    if isinstance(error, PermissionError) or status in (401, 403):
        return UnreadableClip(f"{name} may not be read ({_brief(error)}); see its access rights")
    if isinstance(error, asyncio.TimeoutError):
        return UnreachableClip(f"{name} did not come in time; try again")
    return UnreachableClip(f"{name} could not be had ({_brief(error)}); try again")


def _brief(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:200]}" if text else type(error).__name__


@contextmanager
def opened(url: str) -> Iterator[Any]:
    """Open a remote file for reading bytes.

    Raises:
        UnreadableClip: when it is not there, or may not be read.
    """
    system, path = system_of(url)
    try:
        file = system.open(path, "rb")
    except Exception as error:
        raise told(error, url) from None
    with file:
        yield file


class RemoteWalk:
    """The clips in a remote folder and below.

    Args:
        base: address of the folder.
        rules: how folders are read.
        left: where what is left out is counted.
        members: yields the clips of a tar.
    """

    def __init__(self, base: str, rules: Rules, left: LeftOut, members: TarMembers) -> None:
        self._system, self._base = system_of(base)
        self._base = self._base.rstrip("/")
        self._chain = base[len(base.split("::", 1)[0]) :]
        self._rules, self._left, self._members = rules, left, members
        self._flat = False

    def items(self) -> Iterator[Item]:
        """Yield the clips of the folder, then those of its sub-folders."""
        yield from self._folder(self._base)

    def matched(self, pattern: str) -> Iterator[Item]:
        """Yield the clips that a pattern of fsspec finds, and those in folders that it finds."""
        try:
            found = self._system.glob(pattern, detail=True)
        except Exception as error:
            raise told(error, self.url(pattern)) from None
        folders: dict[str, list[str]] = {}
        for path in sorted(found, key=natural):
            if found[path].get("type") == "directory":
                yield from self._folder(path)
            else:
                folder, _, name = path.rpartition("/")
                folders.setdefault(folder, []).append(name)
        for folder, names in folders.items():
            yield from self._files(folder, names, pattern.rsplit("/", 1)[-1])

    def url(self, path: str) -> str:
        """Return the address of a path on the file system."""
        whole: str = self._system.unstrip_protocol(path)
        return whole + self._chain

    def _folder(self, folder: str) -> Iterator[Item]:
        try:
            entries = self._system.ls(folder, detail=True)
        except Exception as error:
            if folder == self._base:
                raise told(error, self.url(folder)) from None
            yield self._item(folder, "frames")  # it fails when it is read, and says why
            return
        kinds = {
            str(entry["name"]).rstrip("/").rsplit("/", 1)[-1]: entry["type"] for entry in entries
            if str(entry["name"]).rstrip("/") != folder.rstrip("/")
        }  # fmt: skip
        names = sorted(kinds, key=natural)
        yield from self._files(folder, [n for n in names if kinds[n] != "directory"], None)
        for name in names:
            if kinds[name] != "directory":
                continue
            if is_hidden(name):
                self._left.counts["hidden folder"] += 1
            else:
                yield from self._folder(f"{folder.rstrip('/')}/{name}")

    def _files(self, folder: str, names: list[str], pattern: str | None) -> Iterator[Item]:
        kinds = {name: self._kind(name) for name in names}
        films = [name for name in names if kinds[name] in ("film", "tar")]
        pictures = [name for name in names if kinds[name] == "picture"]
        if pictures and films and self._rules.pictures == "auto":
            self._left.counts["picture beside films"] += len(pictures)
            pictures = []
        if (films or pictures) and folder.rstrip("/") == self._base:
            self._flat = True
        for name in films:
            item = self._item(f"{folder}/{name}", "remote")
            if kinds[name] == "tar":
                yield from self._members(item.uri, item.name, item.label, self._left)
            else:
                yield item
        runs = runs_of(pictures, self._rules.pictures, lambda name: None)
        frames = [run for run in runs if run.are_frames]
        if frames and self._rules.pictures == "auto":
            self._left.counts["picture beside frames"] += len(runs) - len(frames)
            runs = frames
        for run in runs:
            if not run.are_frames:
                yield self._item(f"{folder}/{run.names[0]}", "remote")
                continue
            if self._rules.pictures == "auto":
                self._left.found_frames(self._below(folder))
            spelled = pattern if pattern and len(runs) == 1 else run.pattern
            alone = pattern is None and len(runs) == 1
            yield self._item(folder if alone else f"{folder}/{spelled}", "frames")

    def _kind(self, name: str) -> str:
        kind = name_kind(name)
        if kind == "hidden":
            self._left.counts["hidden file"] += 1
        elif kind not in ("film", "picture", "tar"):
            last = ending(name)
            self._left.counts[f".{last} file" if last else "file without an ending"] += 1
        return kind

    def _item(self, path: str, kind: Any) -> Item:
        below = self._below(path)
        flat = self._flat and self._rules.labels == "auto"
        return Item(self.url(path), kind, below, "" if flat else label_above(below, self._rules))

    def _below(self, path: str) -> str:
        inside = path[len(self._base) :].lstrip("/") if path.startswith(self._base) else path
        return inside or self._base.rsplit("/", 1)[-1]


def remote_items(url: str, rules: Rules, left: LeftOut, members: TarMembers) -> Iterator[Item]:
    """Yield the clips of a remote file, folder or pattern.

    Raises:
        MissingClip: when it is not there.
        NlvizError: when its file system is not installed.
    """
    system, path = system_of(url)
    name = path.rstrip("/").rsplit("/", 1)[-1]
    kind = name_kind(name.split("?", 1)[0] if scheme_of(url).startswith("http") else name)
    parts = path.split("/")
    if not scheme_of(url).startswith("http"):
        first = next((i for i, part in enumerate(parts) if "**" in part or has_pattern(part)), None)
        if first is not None and not _exists(system, path):
            base = "/".join(parts[:first])
            walk = RemoteWalk(_spelled(system, base, url), rules, left, members)
            yield from walk.matched(path)
            return
    whole = _spelled(system, path, url)
    if kind == "tar":
        yield from members(whole, remote_name(whole), "", left)
    elif kind in ("film", "picture"):
        yield Item(whole, "remote", remote_name(whole))
    elif _is_folder(system, path, url):
        yield from RemoteWalk(whole, rules, left, members).items()
    else:
        yield Item(whole, "remote", remote_name(whole))


def _spelled(system: Any, path: str, url: str) -> str:
    whole: str = system.unstrip_protocol(path)
    return whole + url[len(url.split("::", 1)[0]) :]


def _exists(system: Any, path: str) -> bool:
    try:
        return bool(system.isfile(path))
    except Exception:
        return False


def _is_folder(system: Any, path: str, url: str) -> bool:
    try:
        if path.endswith("/") or system.isdir(path):
            return True
        if not system.exists(path):
            raise FileNotFoundError
    except Exception as error:
        raise told(error, url) from None
    return False


def frames_of(url: str) -> tuple[Any, dict[str, Any]]:
    """Return the file system, and paths and facts of the pictures of a remote folder or pattern.

    Raises:
        UnreadableClip: when there is none.
    """
    system, path = system_of(url)
    folder, _, last = path.rstrip("/").rpartition("/")
    pattern = last if has_pattern(last) else ""
    try:
        entries = system.ls(folder if pattern else path, detail=True)
    except Exception as error:
        raise told(error, url) from None
    names = {str(entry["name"]).rstrip("/").rsplit("/", 1)[-1]: entry for entry in entries}
    fit = [n for n in names if name_kind(n) == "picture" and (not pattern or fits_name(n, pattern))]
    if not fit:
        raise MissingClip(f"{url} holds no picture; it was moved or deleted")
    return system, {names[n]["name"]: names[n] for n in sorted(fit, key=natural)}
