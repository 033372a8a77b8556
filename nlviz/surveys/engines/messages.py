"""Messages between the process that runs a survey and its workers: pickles over a pipe."""

from __future__ import annotations

import os
import pickle
import struct
from dataclasses import dataclass
from typing import Any

_SIZE = struct.Struct(">Q")


@dataclass(frozen=True)
class Hello:
    """The first message to a worker: where it finds modules, what it sees, and its job.

    Attributes:
        path: of modules, ``sys.path`` of the process that runs the survey.
        environment: variables that are set before anything heavy is imported.
        job: what is asked, pickled, so that it is read after the two above are set.
    """

    path: list[str]
    environment: dict[str, str]
    job: bytes


@dataclass(frozen=True)
class Sorry:
    """A worker cannot begin.

    Attributes:
        sentence: why.
    """

    sentence: str


class Ended(Exception):
    """The other end of the pipe is closed: that process is gone."""


def send(file: int, message: Any) -> None:
    """Write a message.

    Args:
        file: number of the pipe's end.
        message: anything that can be pickled.

    Raises:
        Ended: when nobody reads it.
    """
    content = pickle.dumps(message)
    left = memoryview(_SIZE.pack(len(content)) + content)
    try:
        while left:
            left = left[os.write(file, left) :]
    except OSError:
        raise Ended from None


def receive(file: int) -> Any:
    """Wait for a message, and return it.

    Args:
        file: number of the pipe's end.

    Raises:
        Ended: when none will come, or it is cut off.

    >>> read, write = os.pipe()
    >>> send(write, ["a clip", 3])
    >>> receive(read)
    ['a clip', 3]
    """
    return pickle.loads(_exactly(file, _SIZE.unpack(_exactly(file, _SIZE.size))[0]))


def _exactly(file: int, size: int) -> bytes:
    content = b""
    while len(content) < size:
        try:
            more = os.read(file, size - len(content))
        except OSError:
            more = b""
        if not more:
            raise Ended
        content += more
    return content
