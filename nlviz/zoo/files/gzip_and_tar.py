"""What gzip or tar packed around weights, unpacked in memory and never to a disk."""

from __future__ import annotations

import zlib

from nlviz.errors import UnreadableCheckpoint
from nlviz.progress import Listener
from nlviz.zoo.files.bytes import Source

MOST_GROWTH = 20
"""Weights shrink by a tenth; what grows twentyfold is a bomb."""

_FREE = 64 * 2**20  # bytes that may always be unpacked
_STEP = 2**20
_MOST_STREAMS = 10_000  # bgzip writes one for each 64 kB
_BLOCK = 512


def from_gzip(source: Source, progress: Listener | None = None) -> Source:
    """Return what was compressed.

    Raises:
        UnreadableCheckpoint: when it is cut short or broken, or grows beyond all reason.
    """
    most = _FREE + MOST_GROWTH * len(source.data)
    found = bytearray()
    engine = zlib.decompressobj(wbits=31)
    at, streams = 0, 1
    try:
        while True:
            if engine.eof:  # several streams in a row are one file, as gzip has it
                rest = engine.unused_data or bytes(source.data[at : at + 2])
                if rest[:2] != b"\x1f\x8b":
                    break
                streams += 1
                if streams > _MOST_STREAMS:
                    raise source.broken(f"it is over {_MOST_STREAMS:,} gzip streams in a row")
                at -= len(engine.unused_data)
                engine = zlib.decompressobj(wbits=31)
            given = engine.unconsumed_tail or source.data[at : at + _STEP]
            if not given:
                raise source.cut_short("its gzip stream has no end")
            if not engine.unconsumed_tail:
                at += len(given)
                if progress:
                    progress(f"Unpacking {source.name}", at / len(source.data))
            found += engine.decompress(given, _STEP)
            if len(found) > most:
                raise UnreadableCheckpoint(
                    f"{source.name} grows more than {most // len(source.data):,} times when "
                    f"unpacked, from {len(source.data):,} bytes to over {most:,}, no weights do; "
                    "get the file from its authors"
                )
    except zlib.error as error:
        raise source.broken(f"its gzip stream makes no sense ({error})") from None
    if not found:
        raise UnreadableCheckpoint(f"{source.name} is a gzip file of 0 bytes; download it again")
    return Source(source.name, memoryview(found))


def is_tar(data: memoryview) -> bool:
    """Return whether the first block is the header of a tar archive."""
    return len(data) >= _BLOCK and bytes(data[257:262]) == b"ustar" and _checked(data[:_BLOCK])


def _checked(header: memoryview) -> bool:
    told = _octal(bytes(header[148:156]))
    return told == sum(header[:148]) + 32 * 8 + sum(header[156:])


def _octal(field: bytes) -> int | None:
    if field[:1] == b"\x80":  # GNU: sizes of 8 GiB and more are binary
        return int.from_bytes(field[1:], "big")
    text = field.strip(b" \0")
    if not text or not all(b"0"[0] <= byte <= b"7"[0] for byte in text):
        return None
    return int(text, 8)


def from_tar(source: Source) -> Source:
    """Return the one file of a tar archive.

    Raises:
        UnreadableCheckpoint: when it is cut short or broken, has links or names that lead out of
            it, or holds no file or several.
    """
    at, held = 0, {}
    while at + _BLOCK <= len(source.data):
        header = source.data[at : at + _BLOCK]
        if not any(header):
            break
        size = _octal(bytes(header[124:136]))
        if size is None or not _checked(header):
            raise source.broken(f"the tar header at byte {at:,} makes no sense")
        name = _name(source, header)
        content = source.part(at + _BLOCK, size, f"the tar member {name[:80]!r}")
        kind = bytes(header[156:157])
        if kind in b"0\0" and not _ignored(name):
            held[name] = content
        elif kind in b"1234567":
            if kind != b"5":
                raise UnreadableCheckpoint(
                    f"{source.name} is a tar archive with a link or device {name[:80]!r}, weights "
                    "are plain files; unpack it and name the weights file"
                )
        at += _BLOCK + -(-size // _BLOCK) * _BLOCK
    else:
        if not held:
            raise source.cut_short("its tar archive has no end")
    if len(held) != 1:
        told = ", ".join(list(held)[:4]) or "none"
        raise UnreadableCheckpoint(
            f"{source.name} is a tar archive that must hold one file, it holds {len(held)} "
            f"({told}); unpack it and name the weights file"
        )
    return Source(source.name, next(iter(held.values())))


def _name(source: Source, header: memoryview) -> str:
    name, prefix = (
        bytes(header[a:b]).split(b"\0")[0].decode("utf-8", "replace")
        for a, b in ((0, 100), (345, 500))
    )
    whole = f"{prefix}/{name}" if prefix and bytes(header[257:263]) == b"ustar\0" else name
    if ".." in whole.replace("\\", "/").split("/") or whole.startswith(("/", "\\")):
        raise UnreadableCheckpoint(
            f"{source.name} is a tar archive with a file named {whole[:80]!r}, which leads out of "
            "it; nothing was unpacked, get the file from its authors"
        )
    return whole


def _ignored(name: str) -> bool:
    last = name.rpartition("/")[2]
    return last.startswith("._") or last.lower().startswith(("readme", "licen", ".ds_store"))
