"""The bytes of an item: a path, bytes, or pictures of a folder; remote ones are copied first."""

from __future__ import annotations

import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from nlviz.errors import MissingClip, UnreachableClip, UnreadableClip
from nlviz.files.local import bytes_in_words
from nlviz.surveys.item import Item
from nlviz.surveys.listing.kinds import ending
from nlviz.surveys.listing.parquet_rows import ParquetRows
from nlviz.surveys.listing.paths import is_remote, path_of_uri, shown
from nlviz.surveys.listing.remote import frames_of, opened, system_of, told
from nlviz.surveys.listing.tars import BROKEN, holder_and_member, members_of, unpacked

LARGEST, IN_MEMORY = 8 << 30, 64 << 20  # bytes: of a clip that is copied; that stays in memory
_CHUNK, _HEADER = 8 << 20, 512
_TRIES, _PAUSE = 3, 0.5  # of a remote file; seconds before the second
_BY_NAME = frozenset("tga icb vda vst".split())  # what a file is, only its ending says

Content = Path | bytes | list[str | Path | bytes | Any]
Read = Callable[[int], bytes]


@contextmanager
def content_of(item: Item) -> Iterator[Content]:
    """Yield where the bytes of an item are, for as long as they are needed.

    Raises:
        MissingClip: when it is not there.
        UnreachableClip: when the storage or the network failed, three times.
        UnreadableClip: when it may not be read, is too large, or its tar is broken or changed.
    """
    with ExitStack() as stack:
        if item.kind == "member":
            yield _member(item, stack)
        elif not is_remote(item.uri):
            yield path_of_uri(item.uri)
        elif item.kind == "frames":
            yield _tried(lambda: _frames(item))
        else:
            yield _tried(lambda: _remote(item, stack))


def _tried(read: Callable[[], Content]) -> Content:
    """Read something remote, and once more where the network fails."""
    for attempt in range(_TRIES):
        try:
            return read()
        except UnreachableClip:
            if attempt == _TRIES - 1:
                raise
            time.sleep(_PAUSE * 4**attempt)
    raise AssertionError


def _frames(item: Item) -> Content:
    system, paths = frames_of(item.uri)
    frames: list[Any] = []
    total = 0
    for path in paths:
        try:
            frames.append(system.cat_file(path))
        except Exception as error:
            raise told(error, item.name) from None
        total += len(frames[-1])
        if total > LARGEST // 8:
            raise UnreadableClip(
                f"the frames of {item.name} take more than {bytes_in_words(LARGEST // 8)}; copy "
                "them to this machine"
            )
    return frames


def _remote(item: Item, stack: ExitStack) -> Content:
    try:
        with opened(item.uri) as file:
            size = getattr(file, "size", None)
            return _kept(file.read, size, item, stack)
    except UnreadableClip:
        raise
    except Exception as error:
        raise told(error, item.name) from None


def _member(item: Item, stack: ExitStack) -> Content:
    tar, member = holder_and_member(item.uri)
    if tar.lower().endswith((".parquet", ".pq")):
        return _cell(item, tar, member)
    if not member or item.offset < 0:
        return _STREAM.read(item, tar, member, stack)
    if is_remote(tar):
        return _tried(lambda: _remote_member(item, tar, stack))
    try:
        with path_of_uri(tar).open("rb") as file:
            file.seek(item.offset - _HEADER)
            _check_header(file.read(_HEADER), item)
            return _kept(file.read, item.size, item, stack)
    except OSError as error:
        raise refused(item, error) from None


def _cell(item: Item, table: str, member: str) -> Content:
    if is_remote(table):
        return _tried(lambda: _ROWS.read(item, table, "", member, lambda: opened(table)))
    try:
        path, stamp = path_of_uri(table), _stamp(table)
        return _ROWS.read(item, table, stamp, member, lambda: path.open("rb"))
    except OSError as error:
        raise refused(item, error) from None


def _remote_member(item: Item, tar: str, stack: ExitStack) -> Content:
    system, path = system_of(tar)
    at, end = item.offset - _HEADER, item.offset + item.size

    def read(count: int) -> bytes:
        nonlocal at
        stop = min(at + count, end)
        try:
            found: bytes = system.cat_file(path, start=at, end=stop) if stop > at else b""
        except Exception as error:
            raise told(error, item.name) from None
        if len(found) > stop - at:
            raise UnreadableClip(
                f"{item.name} lies in a tar of which its server gives no part; copy the tar"
            )
        at += len(found)
        return found

    _check_header(read(_HEADER), item)
    return _kept(read, item.size, item, stack)


def _check_header(block: bytes, item: Item) -> None:
    """See that a tar still holds the member where it was when it was listed."""
    try:
        size = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape").size
    except tarfile.HeaderError:
        size = None
    if size is None or (size != item.size and item.size < 8 << 30):  # larger ones are said before
        raise UnreadableClip(f"{item.name} is no more where it was in its tar; list it again")


def _stamp(holder: str) -> str:
    """Return what changes when a tar or table of this machine does, which may be open already."""
    if is_remote(holder):
        return ""
    found = path_of_uri(holder).stat()
    return f"{found.st_ino}:{found.st_size}:{found.st_mtime_ns}"


class _Stream:
    """Reads members of a compressed tar one after another, without beginning anew for each."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tar = ("", "")  # its address and stamp
        self._open: ExitStack | None = None
        self._members: Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]] = iter(())

    def read(self, item: Item, tar: str, name: str, stack: ExitStack) -> Content:
        with self._lock:
            try:
                again = self._tar == (tar, _stamp(tar)) and self._open is not None and bool(name)
                for attempt in range(2 if again else 1):
                    if not again or attempt:
                        self._begin(tar)
                    for whole, member in self._members:
                        if name and shown(member.name.removeprefix("./")) == name:
                            file = whole.extractfile(member)
                            if file is not None:
                                return _kept(file.read, member.size, item, stack)
                raise MissingClip(f"{item.name} is not in its tar any more; list it again")
            except BROKEN as error:
                self._end()
                raise UnreadableClip(f"{item.name}: the tar is broken ({error})") from None
            except OSError as error:
                self._end()
                raise refused(item, error) from None
            except UnreadableClip:
                self._end()
                raise

    def _begin(self, tar: str) -> None:
        self._end()
        self._open, self._tar = ExitStack(), (tar, _stamp(tar))
        opens = opened(tar) if is_remote(tar) else path_of_uri(tar).open("rb")
        file, _ = self._open.enter_context(unpacked(self._open.enter_context(opens)))
        self._members = members_of(file)

    def _end(self) -> None:
        self._members = iter(())
        if self._open is not None:
            self._open.close()
        self._open, self._tar = None, ("", "")


_STREAM, _ROWS = _Stream(), ParquetRows()


def _kept(read: Read, size: int | None, item: Item, stack: ExitStack) -> Content:
    """Return what is read as bytes, or in a temporary file where it is large.

    Args:
        read: returns at most as many bytes, none at the end.
        size: how many there are; None where it is not known.
        item: what they belong to.
        stack: takes the temporary file away.
    """
    if size is not None and size > LARGEST:
        raise _too_large(item, size)
    parts: list[bytes] = []
    count = 0
    file: Any = None
    while (wanted := _CHUNK if size is None else min(_CHUNK, size - count)) > 0:
        part = read(wanted)
        if not part:
            break
        count += len(part)
        if count > LARGEST:
            raise _too_large(item, count)
        parts.append(part)
        if file is None and (count > IN_MEMORY or ending(item.name) in _BY_NAME):
            file = stack.enter_context(_temporary(item))
        if file is not None:
            _written(file, parts, item)
    if size is not None and count < size:
        raise UnreadableClip(
            f"{item.name} ends after {count:,} of {size:,} bytes; its file is incomplete"
        )
    if file is None:
        return b"".join(parts)
    file.flush()
    return Path(file.name)


def _temporary(item: Item) -> Any:
    try:
        return NamedTemporaryFile(prefix="nlviz-", suffix=f".{ending(item.name) or 'bin'}")
    except OSError as error:
        raise _no_room(item, error) from None


def _written(file: Any, parts: list[bytes], item: Item) -> None:
    try:
        for part in parts:
            file.write(part)
    except OSError as error:
        raise _no_room(item, error) from None
    parts.clear()


def _no_room(item: Item, error: OSError) -> UnreachableClip:
    return UnreachableClip(
        f"{item.name} cannot be kept in a temporary file while it is read ({error.strerror}); set "
        "TMPDIR to a folder with more room"
    )


def _too_large(item: Item, size: int) -> UnreadableClip:
    return UnreadableClip(
        f"{item.name} is larger than {bytes_in_words(LARGEST)} ({bytes_in_words(size)}), more than "
        "is copied; put it on this machine as a file"
    )


def refused(item: Item, error: OSError) -> UnreadableClip:
    """Return the error that says why the system gives no bytes of an item."""
    if isinstance(error, FileNotFoundError):
        return gone(item)
    reason = (error.strerror or str(error)).lower()
    return UnreadableClip(f"{item.name} cannot be read ({reason}); see who may read {item.uri!r}")


def gone(item: Item) -> MissingClip:
    """Return the error that says that an item is not there."""
    return MissingClip(f"{item.name}: there is no file {item.uri!r}; it was moved or deleted")
