"""The bytes of a file, mapped and never copied, and the sentences for bytes that are missing."""

from __future__ import annotations

import mmap
import stat
from dataclasses import dataclass
from pathlib import Path

from nlviz.errors import UnreadableCheckpoint


@dataclass(frozen=True, eq=False)
class Source:
    """A file's content, or what was packed inside it.

    Attributes:
        name: the file's name, for sentences.
        data: the bytes. The memory is private to the process: tensors may lie in it and be written
            to, and the file stays as it is.
    """

    name: str
    data: memoryview

    def part(self, start: int, size: int, what: str) -> memoryview:
        """Return some bytes of the file.

        Raises:
            UnreadableCheckpoint: when the file ends before them.
        """
        if start < 0 or size < 0 or start + size > len(self.data):
            raise self.cut_short(
                f"{what} claims {size:,} bytes from byte {start:,}, "
                f"the file has {len(self.data):,} bytes"
            )
        return self.data[start : start + size]

    def cut_short(self, why: str) -> UnreadableCheckpoint:
        """Return the error of a file that ends too early."""
        return UnreadableCheckpoint(f"{self.name} is cut short ({why}); download it again")

    def broken(self, why: str) -> UnreadableCheckpoint:
        """Return the error of a file that contradicts itself."""
        return UnreadableCheckpoint(f"{self.name} is broken: {why}; download it again")


def mapped(path: Path) -> Source:
    """Map a file into memory; pages are read when they are looked at.

    Raises:
        UnreadableCheckpoint: when there is no such file, or it is empty or no plain file.
    """
    try:
        about = path.stat()
    except (OSError, ValueError):
        raise UnreadableCheckpoint(
            f"there is no weights file {str(path)!r}; check the path"
        ) from None
    if not stat.S_ISREG(about.st_mode):
        raise UnreadableCheckpoint(f"{str(path)!r} is no plain file; name the weights file itself")
    if not about.st_size:
        raise UnreadableCheckpoint(f"{path.name} is empty, it has 0 bytes; download it again")
    try:
        with path.open("rb") as handle:
            whole = mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_COPY)
    except OSError as error:
        raise UnreadableCheckpoint(
            f"{path.name} cannot be opened ({error.strerror}); check who may read it"
        ) from None
    return Source(path.name, memoryview(whole))
