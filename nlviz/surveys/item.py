"""One clip that a survey was asked to look at: where its bytes are, and what people call it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["file", "frames", "member", "remote"]


@dataclass(frozen=True, slots=True)
class Item:
    """One clip of a survey, before it is read; it holds plain values, so that it can travel.

    Attributes:
        uri: what it is known by in this survey, unlike any other's: an absolute path, the address
            of a remote file, or ``TAR#MEMBER``. Always valid Unicode: a path that is none is
            written as a ``file://`` address.
        kind: a ``file``, a folder or pattern of ``frames``, a ``member`` of a tar, or ``remote``.
        name: what people call it: its path below the folder or pattern that was given.
        label: the class that a table or a folder gives it; empty where none does.
        offset: of a member, in bytes from the beginning of its tar; -1 where it must be looked for.
        size: of a member, in bytes; -1 where it is not known.
    """

    uri: str
    kind: Kind
    name: str
    label: str = ""
    offset: int = -1
    size: int = -1
