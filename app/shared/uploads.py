"""Uploaded files, kept on disk by their content while the server runs.

An address names an upload by its digest, so that it opens again after a reload or a look at the
other page. A network's tensors may be views of its file, so that it stays as long as there is room.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import nlviz

ROOM = 4 << 30  # bytes of uploads that are kept; those that were not used for longest go first
MARK = "upload:"
_LOCK = threading.Lock()
_sizes: OrderedDict[tuple[str, str], int] = OrderedDict()


@dataclass(frozen=True)
class Upload:
    """A visitor's file, or pictures that were dropped together and are one clip.

    Attributes:
        name: of the file; of several, of the first, and how many more.
        digest: sha256 of its bytes; of several, of their names and digests.
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
        """Return where its copy lies; of several, their folder.

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
    return _kept(upload, content)


def keep_all(files: Sequence[Any]) -> Upload:
    """Keep what was dropped at once: a file, or several, which ``nlviz.read_clip`` takes as a clip.

    Args:
        files: of Streamlit, each with a ``name`` and ``getvalue()``.
    """
    if len(files) == 1:
        return keep(files[0].name, files[0].getvalue())
    contents: dict[str, bytes] = {}
    for file in files:
        name = Path(_file_name(file.name))
        same = sum(Path(n).stem.partition(" again ")[0] == name.stem for n in contents)
        contents[f"{name.stem} again {same}{name.suffix}" if same else name.name] = file.getvalue()
    names = sorted(contents)
    text = "".join(f"{name}\n{nlviz.digest_of(contents[name])}\n" for name in names)
    upload = Upload(f"{names[0]} and {len(names) - 1} more", nlviz.digest_of(text.encode()))
    return _kept(upload, contents)


def _kept(upload: Upload, content: bytes | Mapping[str, bytes]) -> Upload:
    with _LOCK:
        path = _place(upload)
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            part = path.with_name(path.name + ".part")
            if isinstance(content, bytes):
                part.write_bytes(content)
            else:
                part.mkdir(exist_ok=True)
                for name, each in content.items():
                    (part / name).write_bytes(each)
            part.replace(path)
        whole = [content] if isinstance(content, bytes) else content.values()
        _sizes[upload.digest, upload.name] = sum(len(each) for each in whole)
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
