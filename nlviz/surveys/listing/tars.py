"""Clips in tars: the samples of WebDataset, read where they lie.

A sample is what has the same name up to its first dot: ``a/0001.mp4`` beside ``a/0001.cls``,
``.json`` or ``.txt``. See https://github.com/webdataset/webdataset.
"""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from nlviz.surveys.item import Item
from nlviz.surveys.listing.choosing import Seen
from nlviz.surveys.listing.folders import label_above
from nlviz.surveys.listing.kinds import ending, is_hidden, name_kind
from nlviz.surveys.listing.paths import shown
from nlviz.surveys.listing.rules import LeftOut, Rules

Open = Callable[[], AbstractContextManager[Any]]

_SAMPLE = re.compile(r"((?:.*/)?[^./][^.]*)\.([^/]*)")
_LABELS = ("cls", "label", "json", "txt")  # best first
_IN_JSON = ("label", "class", "action", "category", "class_name", "cls", "target")
_MOST_LABEL, _LONGEST = 1 << 16, 100  # bytes of a file with a label; letters of a label
_HOLDER = re.compile(
    r"(.*?\.(?:tar|tgz|tbz2|txz|parquet|pq)(?:\.(?:gz|bz2|xz))?)#(.*)", re.IGNORECASE | re.DOTALL
)
BROKEN = (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError)


class _Info(tarfile.TarInfo):
    """A header of a tar; a broken one is an error, and not the end of the tar as in Python."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Info:
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if type(error).__name__ in ("InvalidHeaderError", "TruncatedHeaderError"):
                raise tarfile.ReadError(str(error)) from None
            raise


def holder_and_member(uri: str) -> tuple[str, str]:
    """Return the address of a tar or table, and the name of a member; empty where there is none.

    >>> holder_and_member("/a#1/b.tar.gz#c/d#2.mp4"), holder_and_member("/a/b.tar")
    (('/a#1/b.tar.gz', 'c/d#2.mp4'), ('/a/b.tar', ''))
    """
    found = _HOLDER.fullmatch(uri)
    return (found[1], found[2]) if found else (uri, "")


@contextmanager
def unpacked(file: Any) -> Iterator[tuple[Any, bool]]:
    """Yield a tar as it was before it was compressed, and whether it was."""
    head = file.read(6)
    file.seek(0)
    if head[:2] == b"\x1f\x8b":
        opened: Any = gzip.GzipFile(fileobj=file)
    elif head[:3] == b"BZh":
        opened = bz2.BZ2File(file)
    elif head == b"\xfd7zXZ\0":
        opened = lzma.LZMAFile(file)
    else:
        yield file, False
        return
    with opened:
        yield opened, True


def members_of(file: Any) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """Yield the tar and each of its members, from first to last, keeping none.

    Raises:
        TarError, EOFError, zlib.error: when it is broken.
    """
    with tarfile.open(fileobj=file, mode="r:", tarinfo=_Info, errorlevel=1) as tar:
        while (member := tar.next()) is not None:
            yield tar, member
            tar.members.clear()  # type: ignore[attr-defined]  # it would keep them all


class TarListing:
    """Lists the clips of a tar without unpacking it.

    Args:
        opens: opens the tar for reading bytes.
        uri: of the tar.
        name: what to call the tar.
        label: of clips that have none of their own.
        rules: whether labels are taken.
        left: where what is left out is counted.
    """

    def __init__(
        self, opens: Open, uri: str, name: str, label: str, rules: Rules, left: LeftOut
    ) -> None:
        self._opens, self._uri, self._name = opens, uri, name
        self._label, self._rules, self._left = label, rules, left

    def items(self) -> Iterator[Item]:
        """Yield the clips in their order; a tar that breaks off ends with an item that fails."""
        key, clips, labels = "", list[Item](), dict[str, str]()
        seen = Seen()
        try:
            with self._opens() as packed, unpacked(packed) as (file, is_packed):
                for tar, member in members_of(file):
                    if not self._is_wanted(member):
                        continue
                    sample = _SAMPLE.fullmatch(member.name)
                    own, last = (sample[1], sample[2].lower()) if sample else (member.name, "")
                    if own != key:
                        yield from self._labelled(clips, labels)
                        key, clips, labels = own, [], {}
                    kind = name_kind(member.name.rpartition("/")[2])
                    if kind in ("film", "picture") and not seen.add(shown(member.name)):
                        self._left.counts["member of a name that another has"] += 1
                    elif kind in ("film", "picture"):
                        clips.append(self._item(member, is_packed))
                        if kind == "picture":
                            self._left.note(
                                f"Each picture in {self._name} is a clip of one frame; frames of "
                                "a film are one clip in folders only."
                            )
                    elif last in _LABELS and member.size <= _MOST_LABEL:
                        content = tar.extractfile(member)
                        labels[last] = content.read().decode("utf-8", "replace") if content else ""
                    else:
                        end = ending(member.name)
                        self._left.counts[f".{end} member" if end else "other member"] += 1
        except BROKEN as error:
            yield from self._labelled(clips, labels)
            self._left.note(f"{self._name} is broken ({error}); its clips up to there are taken.")
            yield Item(self._uri, "member", self._name, self._label)
            return
        yield from self._labelled(clips, labels)

    def _is_wanted(self, member: tarfile.TarInfo) -> bool:
        if member.isdir():
            return False
        if any(is_hidden(part) for part in member.name.split("/") if part not in ("", ".", "..")):
            self._left.counts["hidden member"] += 1
            return False
        if not member.isreg() or member.issparse():
            self._left.counts["link or other member that is no plain file"] += 1
            return False
        return True

    def _item(self, member: tarfile.TarInfo, is_packed: bool) -> Item:
        name = shown(member.name.removeprefix("./"))
        return Item(
            f"{self._uri}#{name}", "member", f"{self._name}/{name}", "",
            -1 if is_packed else member.offset_data, member.size,
        )  # fmt: skip

    def _labelled(self, clips: list[Item], labels: dict[str, str]) -> Iterator[Item]:
        for item in clips:
            own = self._own_label(labels) or label_above(
                item.uri[len(self._uri) + 1 :], self._rules
            )
            label = "" if self._rules.labels == "none" else own or self._label
            yield Item(item.uri, item.kind, item.name, label, item.offset, item.size)

    def _own_label(self, labels: dict[str, str]) -> str:
        if self._rules.label_column == "none":
            return ""
        for last in _LABELS:
            text = labels.get(last, "").strip()
            if last == "json" and text:
                text = _label_in(text, self._rules.label_column)
            # A caption of many words is no class.
            if text and len(text) <= _LONGEST and "\n" not in text:
                return text
        return ""


def _label_in(text: str, column: str | None) -> str:
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    if isinstance(told, dict):
        names = _IN_JSON if column is None else (column,)
        told = next((told[name] for name in names if name in told), "")
    if isinstance(told, float) and told.is_integer():
        told = int(told)
    return str(told) if isinstance(told, (str, int)) else ""
