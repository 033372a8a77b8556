"""Where the paths of a list or a table lie: beside it, under a root, or on another machine."""

from __future__ import annotations

import os
import re
from pathlib import Path

from nlviz.clips.sequences import has_pattern
from nlviz.surveys.item import Item, Kind
from nlviz.surveys.listing.kinds import name_kind
from nlviz.surveys.listing.paths import (
    absolute,
    at_home,
    is_file_url,
    is_folder,
    is_remote,
    path_of_url,
    shown,
    uri_of_path,
)
from nlviz.surveys.listing.rules import LeftOut

_BACK = "\\"
_WINDOWS = re.compile(r"[a-zA-Z]:[\\/]|\\\\")
_MISSES = 1000  # paths that are looked for
# What a path may hold that has to be looked at more closely; most of ten million hold none.
_ODD = re.compile(r"[^ -~]|[#%*?\[\\:]|//|\./|^~|[/.]$|^$")

# Folder and ending of clips that are named after an id.
_FORMS = tuple(
    (folder, kind)
    for kind in ("mp4", "webm", "mkv", "avi", "mov", "MP4", "AVI", "MOV")
    for folder in ("", "{label}", "{label_}", "{split}", "{split}/{label}", "{split}/{label_}")
)


class Places:
    """Finds the files that a list names.

    Relative paths are below ``root``, or beside the list; if the first of them that is found lies
    below the working folder instead, all are taken from there. Absolute paths that are not on this
    machine are looked for below ``root`` by their last parts. Once one was found, the others are
    taken to lie the same way, and no further file is looked at.

    Args:
        beside: folder of the list.
        root: that the user names; None for none.
        left: where it is noted that nothing was found.
    """

    def __init__(
        self, beside: Path | str, root: Path | str | None, left: LeftOut | None = None
    ) -> None:
        self._left, self._misses = left, 0
        where = beside if root is None else root
        self._remote = where.rstrip("/") if isinstance(where, str) else ""
        self._base = Path() if isinstance(where, str) else where
        self._root = None if isinstance(root, str) else root
        known = root is not None or bool(self._remote)
        self._tried = [self._base] if known else [self._base, Path()]
        self._settled = len(self._tried) == 1
        self._text = ""  # the base as addresses have it
        self._form = _FORMS[0]  # of the last clip that was found by its id
        self._elsewhere = ""  # beginning of absolute paths that stands for the root

    def item(self, written: str, label: str) -> Item:
        """Return the item of a path as it is written in a list."""
        written = written.strip()
        if self._settled and (plain := self._plain(written, label)):
            return plain
        if is_remote(written):
            return Item(written, "remote", remote_name(written), label)
        if self._remote and not is_file_url(written) and not written.startswith("/"):
            url = f"{self._remote}/{written.replace(_BACK, '/')}"
            return Item(url, "remote", shown(written), label)
        path = self.path(path_of_url(written) if is_file_url(written) else written)
        if name_kind(path.name) == "other" and not os.path.lexists(path):
            named = self._named(written, label, "")
            if named is not None:  # a name without its ending
                return named
        return Item(uri_of_path(path), kind_of(path), self._name(path), label)

    def _plain(self, written: str, label: str) -> Item | None:
        """Return the item of a path as most are, in a tenth of the time; None of any other."""
        if _ODD.search(written) or os.sep != "/" or self._remote:
            return None
        if name_kind(written.rpartition("/")[2]) not in ("film", "picture"):
            return None
        if not self._text:
            self._text = uri_of_path(self._base).rstrip("/") + "/"
        if is_file_url(self._text):  # no Unicode
            return None
        if written[0] != "/":
            return Item(self._text + written, "file", written, label)
        if self._root is not None:
            return None
        below = written.removeprefix(self._text)
        name = below if below != written else "/".join(written[1:].split("/")[-2:])
        return Item(written, "file", name, label)

    def item_of_id(self, written: str, label: str, split: str) -> Item:
        """Return the item of a clip whose file is named after its id.

        It is looked for beside the others, in a folder of its label, and in one of its split.
        """
        if name_kind(written) in ("film", "picture"):
            return self.item(written, label)
        if self._remote:
            return self.item(f"{written}.{self._form[1]}", label)
        named = self._named(written, label, split)
        return named or self.item(f"{written}.{self._form[1]}", label)

    def is_there(self, written: str) -> bool:
        """Return whether there is a file as it is written."""
        return not self._remote and os.path.lexists(self._base / written)

    def _named(self, written: str, label: str, split: str) -> Item | None:
        """Return the item of the file that is named so but for its ending; None without one."""
        if "\0" in written:
            return None
        for form in dict.fromkeys((self._form, *_FORMS)):
            folder = form[0].format(label=label, label_=label.replace(" ", "_"), split=split)
            path = self._base / folder / f"{written}.{form[1]}"
            if os.path.lexists(path):
                self._form = form
                return Item(uri_of_path(path), "file", self._name(path), label)
        return None

    def path(self, written: str) -> Path:
        """Return the path on this machine of one as it is written."""
        if _WINDOWS.match(written):
            return self._absolute(written.replace("\\", "/"))
        if os.sep == "/" and "\\" in written and "/" not in written and not Path(written).exists():
            written = written.replace("\\", "/")
        written = at_home(written)
        if written.startswith("/"):
            return self._absolute(written)
        if not self._settled:
            for base in self._tried:
                if os.path.lexists(base / written):
                    self._base, self._settled, self._text = base, True, ""
                    break
            else:
                self._missed()
        return self._base / written

    def _missed(self) -> None:
        """Stop to look for the base where nothing is found, and say so."""
        self._misses += 1
        if self._misses == _MISSES:
            self._settled = True
            if self._left is not None:
                self._left.note(
                    f"None of the first {_MISSES:,} relative paths is beside the list or below the "
                    "working folder; say root= where they lie."
                )

    def _absolute(self, written: str) -> Path:
        if self._root is None:
            return Path(written)
        if self._elsewhere and written.startswith(self._elsewhere):
            return self._root / written[len(self._elsewhere) :]
        if os.path.lexists(written):
            return Path(written)
        parts = written.split("/")
        for first in range(1, len(parts)):
            below = self._root.joinpath(*parts[first:])
            if parts[first] and os.path.lexists(below):
                self._elsewhere = "/".join(parts[:first]) + "/"
                return below
        return Path(written)

    def _name(self, path: Path) -> str:
        whole, base = Path(absolute(path)), Path(absolute(self._base))
        if whole.is_relative_to(base):
            return shown(whole.relative_to(base))
        return shown(Path(*whole.parts[1:][-2:]))


def remote_name(url: str) -> str:
    """Return what to call a remote file: its last folder and its name.

    >>> remote_name("https://host/films/a/b.mp4?token=x#t=3"), remote_name("s3://bucket/a.mp4")
    ('a/b.mp4', 'a.mp4')
    """
    path = re.split(r"[?]", url.split("://", 1)[-1].split("::", 1)[0])[0].split("#t=")[0]
    return "/".join(path.split("/")[1:][-2:]) or path


def kind_of(path: Path) -> Kind:
    """Return whether a path is that of a file, or of a folder or pattern of frames."""
    kind = name_kind(path.name)
    if kind != "film" and has_pattern(path.name) and not os.path.lexists(path):
        return "frames"
    if kind in ("film", "picture"):
        return "file"
    return "frames" if is_folder(path) else "file"
