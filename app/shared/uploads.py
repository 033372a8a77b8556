"""Uploaded files, kept on disk by their content while the server runs.

An address names an upload by its digest, so that it opens again after a reload or a look at the
other page. A network's tensors may be views of its file, so that it stays as long as there is room.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import nlviz

ROOM = 4 << 30  # bytes of uploads that are kept; those that were not used for longest go first
MARK = "upload:"
_LOCK = threading.Lock()
_sizes: OrderedDict[tuple[str, str], int] = OrderedDict()


@dataclass(frozen=True)
class Upload:
    """A visitor's file.

    Attributes:
        name: of the file.
        digest: sha256 of its bytes.
    """

    name: str
    digest: str

    @property
    def text(self) -> str:
        """The upload as an address names it."""
        return f"{MARK}{self.digest}:{self.name}"

    @classmethod
    def parse(cls, text: str) -> Upload | None:
        """Return the upload that an address names, or None where it names none.

        >>> Upload.parse("upload:ab12:look.png")
        Upload(name='look.png', digest='ab12')
        """
        if not text.startswith(MARK):
            return None
        digest, _, name = text.removeprefix(MARK).partition(":")
        return cls(_file_name(name) or "upload", digest if digest.isalnum() else "none")

    def path(self) -> Path:
        """Return where its copy lies.

        Raises:
            NlvizError: when it is no longer kept, or was sent to another server.
        """
        with _LOCK:
            key = (self.digest, self.name)
            if key in _sizes:
                _sizes.move_to_end(key)
                return _place(self)
        raise nlviz.NlvizError(
            f"{self.name} is not on this server: uploads are kept while it runs, the latest "
            f"{ROOM >> 30} GiB of them, and their addresses open nowhere else; upload it again"
        )


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="nlviz-", ignore_cleanup_errors=True)


def keep(name: str, content: bytes) -> Upload:
    """Keep an upload and return it; the same content under the same name is kept once.

    Args:
        name: of the visitor's file.
        content: its bytes.
    """
    upload = Upload(_file_name(name), nlviz.digest_of(content))
    with _LOCK:
        path = _place(upload)
        if not path.is_file():
            path.parent.mkdir(exist_ok=True)
            part = path.with_name(path.name + ".part")
            part.write_bytes(content)
            part.replace(path)
        _sizes[upload.digest, upload.name] = len(content)
        _sizes.move_to_end((upload.digest, upload.name))
        while sum(_sizes.values()) > ROOM and len(_sizes) > 1:
            (digest, other), _ = _sizes.popitem(last=False)
            shutil.rmtree(_place(Upload(other, digest)).parent, ignore_errors=True)
    return upload


def _place(upload: Upload) -> Path:
    return Path(_folder().name) / f"{upload.digest[:32]}-{_short(upload.name)}" / upload.name


def _short(name: str) -> str:
    return nlviz.digest_of(name.encode())[:8]


def _file_name(name: str) -> str:
    return Path(name.replace("\\", "/")).name
