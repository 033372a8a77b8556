"""The records of a zip archive that torch wrote: stored, never compressed.

Only what torch needs is understood, so that an archive cannot claim more memory than it has bytes.
Layout: APPNOTE.TXT of PKWARE, sections 4.3.7 (local header), 4.3.12 (directory), 4.3.14 and 4.3.16
(its end).
"""

from __future__ import annotations

import struct

from nlviz.containers.source import Source
from nlviz.errors import UnreadableCheckpoint

MOST_RECORDS = 100_000

_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")


def records(source: Source) -> dict[str, memoryview | None]:
    """Return the bytes of each file in an archive by name, None for a compressed or encrypted one.

    Nothing is copied.

    Raises:
        UnreadableCheckpoint: when the archive is cut short, contradicts itself, or has names that
            lead out of it.
    """
    data = source.data
    count, size, start = _end(source)
    if count > MOST_RECORDS:
        raise source.broken(f"it claims {count:,} records, no weights have over {MOST_RECORDS:,}")
    directory = source.part(start, size, "its directory")
    found: dict[str, memoryview | None] = {}
    at = total = 0
    for _ in range(count):
        if at + _ENTRY.size > len(directory):
            raise source.broken(f"its directory ends before {count:,} records")
        entry = _ENTRY.unpack_from(directory, at)
        mark, _, _, flags, method = entry[:5]
        packed, plain, name_size, extra_size, note_size = entry[8:13]
        offset = entry[16]
        if mark != b"PK\x01\x02":
            raise source.broken("its directory is none")
        at += _ENTRY.size
        if at + name_size + extra_size > len(directory):
            raise source.broken("a name in its directory has no end")
        name = _safe_name(source, bytes(directory[at : at + name_size]))
        extra = directory[at + name_size : at + name_size + extra_size]
        plain, packed, offset = _wide(source, extra, plain, packed, offset)
        at += name_size + extra_size + note_size
        if name in found:
            raise source.broken(f"it has two records {name!r}")
        total += packed
        if total > len(data):
            raise source.broken(f"its records claim over {len(data):,} bytes, all that it has")
        stored = not method and packed == plain and not flags & 1
        content = _content(source, name, offset, packed)
        found[name] = content if stored else None
    return found


def _content(source: Source, name: str, offset: int, size: int) -> memoryview:
    header = source.part(offset, _LOCAL.size, f"record {name!r}")
    local = _LOCAL.unpack(header)
    if local[0] != b"PK\x03\x04":
        raise source.broken(f"record {name!r} does not begin where it should")
    return source.part(offset + _LOCAL.size + local[9] + local[10], size, f"record {name!r}")


def _end(source: Source) -> tuple[int, int, int]:
    """Return the number of records, and size and place of the directory."""
    data = source.data
    tail_start = max(0, len(data) - 0x10000 - _END.size)
    tail = bytes(data[tail_start:])
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END.size:
        raise source.cut_short("the directory at the end of the archive is missing")
    _, _, _, _, count, size, start, _ = _END.unpack_from(tail, at)
    before = at - _LOCATOR_64.size
    if before >= 0 and tail[before : before + 4] == b"PK\x06\x07":
        place = _LOCATOR_64.unpack_from(tail, before)[2]
        wide = _END_64.unpack(source.part(place, _END_64.size, "its directory"))
        if wide[0] != b"PK\x06\x06":
            raise source.broken("the end of its directory is none")
        count, size, start = wide[7:10]
    return count, size, start


def _wide(
    source: Source, extra: memoryview, plain: int, packed: int, offset: int
) -> tuple[int, int, int]:
    """Return sizes and place, from the extra field where they have more than 32 bits."""
    if 0xFFFFFFFF not in (plain, packed, offset):
        return plain, packed, offset
    at = 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<HH", extra, at)
        at += 4
        if kind == 1:
            wide = [value for (value,) in struct.iter_unpack("<Q", extra[at : at + size // 8 * 8])]
            asked = [value == 0xFFFFFFFF for value in (plain, packed, offset)]
            if len(wide) < sum(asked):
                break
            plain = wide.pop(0) if asked[0] else plain
            packed = wide.pop(0) if asked[1] else packed
            return plain, packed, wide.pop(0) if asked[2] else offset
        at += size
    raise source.broken("a record has no size")


def _safe_name(source: Source, raw: bytes) -> str:
    name = raw.decode("utf-8", "replace")
    parts = name.replace("\\", "/").split("/")
    if ".." in parts or name.startswith(("/", "\\")) or ":" in parts[0] or "\0" in name:
        raise UnreadableCheckpoint(
            f"{source.name} has a record named {name[:80]!r}, which leads out of the archive; "
            "nothing was unpacked, get the file from its authors"
        )
    return name
