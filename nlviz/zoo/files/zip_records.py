"""Records of an uncompressed zip archive as views of the file.

The standard library's ``zipfile`` reads the directory; a record's bytes are then looked up in the
mapped file, where ``zipfile`` itself would copy them.
"""

from __future__ import annotations

import io
import struct
import zipfile

from nlviz.errors import UnreadableCheckpoint
from nlviz.zoo.files.bytes import Source

MOST_DIRECTORY = 4 * 2**20
"""Bytes of the archive's directory, which become objects; a thousand tensors have some 100,000."""

_END = struct.Struct("<4s4H2LH")
_LOCAL = struct.Struct("<4s5H3L2H")


class _File(io.RawIOBase):
    """A source as the file that ``zipfile`` asks for; what it reads at once is limited."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._at = 0

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self._source.data)}
        if start[whence] + offset < 0:
            raise OSError("a place before the beginning")
        self._at = start[whence] + offset
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        left = max(len(self._source.data) - self._at, 0)
        size = left if size is None or size < 0 else min(size, left)
        if size > MOST_DIRECTORY:
            raise self._source.broken(
                f"it claims a directory of {size:,} bytes, no weights have over {MOST_DIRECTORY:,}"
            )
        found = bytes(self._source.data[self._at : self._at + size])
        self._at += size
        return found


def records(source: Source) -> dict[str, memoryview | None]:
    """Return the bytes of each file in an archive by name, None for a compressed or encrypted one.

    Nothing is copied.

    Raises:
        UnreadableCheckpoint: when the archive is cut short, contradicts itself, or has names that
            lead out of it.
    """
    entries = _entries(source)
    found: dict[str, memoryview | None] = {}
    total = 0
    for entry in entries:
        name = _safe_name(source, entry.orig_filename)
        if name in found:
            raise source.broken(f"it has two records {name!r}")
        total += entry.compress_size
        if total > len(source.data):
            raise source.broken(f"its records claim over {len(source.data):,} bytes, all it has")
        plain = entry.compress_type == zipfile.ZIP_STORED and not entry.flag_bits & 1
        content = _content(source, name, entry)
        found[name] = content if plain and entry.compress_size == entry.file_size else None
    return found


def _entries(source: Source) -> list[zipfile.ZipInfo]:
    end = bytes(source.data[-_END.size - 0xFFFF :])
    at = end.rfind(b"PK\x05\x06")
    if at < 0 or len(end) - at < _END.size:
        raise source.cut_short("the directory at the end of the archive is missing")
    try:
        with zipfile.ZipFile(_File(source)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error) as error:
        raise source.broken(f"the directory of the archive makes no sense ({error})") from None
    claimed = _END.unpack_from(end, at)[4]
    wide = end[max(at - 20, 0) : at].startswith(b"PK\x06\x07")  # counted in 64 bits elsewhere
    if claimed != len(entries) and not wide:
        raise source.broken(f"it claims {claimed:,} records, its directory has {len(entries):,}")
    return entries


def _content(source: Source, name: str, entry: zipfile.ZipInfo) -> memoryview:
    """Return a record's bytes, which follow a header whose length only the header says."""
    what = f"record {name!r}"
    header = _LOCAL.unpack(source.part(entry.header_offset, _LOCAL.size, what))
    if header[0] != b"PK\x03\x04":
        raise source.broken(f"{what} does not begin where it should")
    start = entry.header_offset + _LOCAL.size + header[9] + header[10]
    return source.part(start, entry.compress_size, what)


def _safe_name(source: Source, name: str) -> str:
    parts = name.replace("\\", "/").split("/")
    if ".." in parts or name.startswith(("/", "\\")) or ":" in parts[0] or "\0" in name:
        raise UnreadableCheckpoint(
            f"{source.name} has a record named {name[:80]!r}, which leads out of the archive; "
            "nothing was unpacked, get the file from its authors"
        )
    return name
