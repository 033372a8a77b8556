"""What a survey looks at: arguments of a user, as a stream of items in a fixed order."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from nlviz.errors import MissingClip, NlvizError, UnreadableClip, did_you_mean
from nlviz.resources import bundled_inputs
from nlviz.surveys.item import Item
from nlviz.surveys.listing.choosing import Seen
from nlviz.surveys.listing.folders import Walk
from nlviz.surveys.listing.globs import base_and_pattern, braces, is_pattern, matched
from nlviz.surveys.listing.kinds import TARS, name_kind
from nlviz.surveys.listing.known import is_member, item_of
from nlviz.surveys.listing.paths import (
    at_home,
    is_file_url,
    is_folder,
    is_plain_file,
    is_remote,
    legible,
    path_of_uri,
    path_of_url,
    shown,
    uri_of_path,
)
from nlviz.surveys.listing.places import Places
from nlviz.surveys.listing.remote import opened, remote_items
from nlviz.surveys.listing.rules import Labels, LeftOut, PicturesAre, Rules
from nlviz.surveys.listing.tables import items_of_table
from nlviz.surveys.listing.tars import TarListing

Argument = str | Path | Item

_CURE = (
    "give films, pictures, folders or patterns of them, a list (.txt, .csv, .parquet, .jsonl) or "
    "a WebDataset tar"
)


@dataclass(frozen=True)
class _Source:
    """What an argument stands for: a name for messages, and its clips."""

    name: str
    items: Callable[[LeftOut], Iterator[Item]]


class Listing:
    """The clips that arguments name, in a fixed order; each iteration lists them anew.

    Attributes:
        left_out: what the last iteration met that is no clip, and notes on how it was read.
    """

    def __init__(self, arguments: Sequence[Argument], rules: Rules) -> None:
        self._sources = _sources(arguments, rules)
        self.left_out = LeftOut()

    def __iter__(self) -> Iterator[Item]:
        """Yield each clip once.

        Raises:
            NlvizError: when an argument holds no clip, or a list cannot be read.
        """
        self.left_out = total = LeftOut()
        seen = Seen()
        for source in self._sources:
            left, some = LeftOut(), False
            for item in source.items(left):
                some = True
                item = _writable(item)
                if seen.add(item.uri):
                    yield item
            if not some:
                told = " ".join(left.sentences())
                told = f" {told}" if told else ""
                raise NlvizError(f"{source.name} holds no clip.{told} A cure: {_CURE}")
            total.add(left)


def listed(
    arguments: str | Path | Sequence[Argument],
    *,
    labels: Labels = "auto",
    pictures: PicturesAre = "auto",
    root: str | Path | None = None,
    path_column: str | None = None,
    label_column: str | None = None,
) -> Listing:
    """List the clips that arguments name: lazily, in a fixed order, each address once.

    Args:
        arguments: paths of films, pictures, folders, patterns (``**``, ``%04d``, ``{000..012}``),
            lists, tables, WebDataset tars, addresses of remote files, or names of bundled clips.
        labels: of clips in folders: ``auto``, ``folder`` or ``none``, see ``Rules``.
        pictures: whether pictures of a folder are ``frames`` or ``each`` is a clip, or ``auto``.
        root: folder that paths in lists and tables are relative to.
        path_column: name of the column with paths.
        label_column: name of the column with labels, or ``none``.

    Raises:
        MissingClip: when an argument names nothing that is there.
        NlvizError: when there is no argument, or a choice is not known.

    >>> [item.name for item in listed(["bunny.mp4", "composed-twins.mp4", "bunny.mp4"])]
    ['bunny.mp4', 'composed-twins.mp4']
    """
    given = [arguments] if isinstance(arguments, (str, Path)) else list(arguments)
    if not given:
        raise NlvizError(f"a survey looks at clips, and none was named; {_CURE}")
    where: Path | str | None = root
    if root is not None and not is_remote(str(root)):
        where = Path(at_home(str(root)))
        if not is_folder(where):
            raise MissingClip(f"the root {str(root)!r} is no folder; name one that is there")
    return Listing(given, Rules(labels, pictures, where, path_column, label_column))


def _sources(arguments: Sequence[Argument], rules: Rules) -> list[_Source]:
    """Return what each argument stands for; pictures of one folder that follow are one source."""
    sources: list[_Source] = []
    plain = [one for argument in arguments for one in _spelled_out(argument)]
    for folder, group in groupby(plain, _folder_of_picture):
        given = list(group)
        if folder is None:
            sources += [_source(argument, rules) for argument in given]
            continue
        names = [Path(str(path)).name for path in given]
        # One picture that is named by itself is a clip, whatever lies beside it.
        own = replace(rules, pictures="each") if len(names) == 1 else rules
        sources.append(_Source(shown(str(given[0])), partial(_files, folder, names, own)))
    return sources


def _spelled_out(argument: Argument) -> list[Argument]:
    """Return what braces stand for, paths of ``file://`` addresses and of bundled names."""
    if isinstance(argument, Item):
        return [argument]
    text = os.fspath(argument)
    if not text.strip() or "\0" in text:
        raise NlvizError(f"{text!r} is no path; {_CURE}")
    if is_file_url(text):
        return [path_of_url(text)]
    if is_remote(text):
        return [*braces(text)]
    text = at_home(text)
    if os.path.lexists(text):
        return [text]
    if text in bundled_inputs():
        return [str(bundled_inputs()[text])]
    return [*braces(text)]


def _folder_of_picture(argument: Argument) -> Path | None:
    """Return the folder of a picture file; None for other arguments."""
    if isinstance(argument, Item) or is_remote(str(argument)):
        return None
    path = Path(argument)
    return path.parent if name_kind(path.name) == "picture" and is_plain_file(path) else None


def _source(argument: Argument, rules: Rules) -> _Source:
    if isinstance(argument, Item):
        return _Source(argument.name, lambda left: iter([argument]))
    text, path = str(argument), Path(argument)
    name = shown(text)
    if is_member(text):
        uri = text if is_remote(text) else uri_of_path(path)
        return _Source(name, lambda left: iter([item_of(uri)]))
    if is_remote(text):
        return _Source(text, partial(_remote, text, rules))
    _may_be_seen(path, name)
    if is_folder(path):
        return _Source(name, partial(_folder, path, rules))
    if os.path.lexists(path):
        if name_kind(path.name) in ("list", "table"):
            return _Source(name, partial(_table, path, rules))
        return _Source(name, partial(_file, path, rules))
    if is_pattern(text):
        base, parts = base_and_pattern(text)
        if not is_folder(base):
            raise MissingClip(f"{name} looks in {shown(base)}, which is no folder{_near(base)}")
        return _Source(name, partial(_pattern, base, parts, rules))
    raise MissingClip(f"there is no {name!r}, nor a bundled clip of that name{_near(path)}")


def _may_be_seen(path: Path, name: str) -> None:
    """See that the system lets a path be looked at, whether it is there or not."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UnreadableClip(f"{name} cannot be looked at ({reason})") from None


def _near(path: Path) -> str:
    """Return the end of a sentence that offers names like that of a missing path."""
    folder, wanted = path.parent, path.name
    while not is_folder(folder) and folder != folder.parent:
        folder, wanted = folder.parent, folder.name
    try:
        names = [p.name for p in folder.iterdir() if not p.name.startswith(".")]
    except OSError:
        names = []
    here = folder == Path()
    known = {*map(shown, names), *(bundled_inputs() if here else ())}
    place = "the working folder" if here else shown(folder)
    return f" ({wanted!r} in {place}){did_you_mean(wanted, sorted(known))}"


def _folder(folder: Path, rules: Rules, left: LeftOut) -> Iterator[Item]:
    return Walk(folder, rules, left, partial(_members, rules)).items(folder)


def _files(folder: Path, names: list[str], rules: Rules, left: LeftOut) -> Iterator[Item]:
    walk = Walk(_base_of(folder, rules), rules, left, partial(_members, rules))
    return walk.files(folder, names, "")


def _file(path: Path, rules: Rules, left: LeftOut) -> Iterator[Item]:
    """Yield one file that was named itself: whatever its ending, it is meant as a clip."""
    walk = Walk(_base_of(path.parent, rules), rules, left, partial(_members, rules))
    if name_kind(path.name) == "tar":
        yield from walk.files(path.parent, [path.name])
    else:
        yield walk.item(path, "file")


def _pattern(base: Path, parts: list[str], rules: Rules, left: LeftOut) -> Iterator[Item]:
    walk = Walk(base, rules, left, partial(_members, rules))
    return matched(walk, base, parts, lambda path: _table(path, rules, left))


def _table(path: Path, rules: Rules, left: LeftOut) -> Iterator[Item]:
    name = shown(path.name)
    places = Places(path.parent, rules.root, left)
    try:
        yield from _of_table(lambda: path.open("rb"), uri_of_path(path), name, places, rules, left)
    except OSError as error:
        raise UnreadableClip(f"the list {name} cannot be read: {error.strerror}") from None


def _remote(url: str, rules: Rules, left: LeftOut) -> Iterator[Item]:
    name = url.rsplit("/", 1)[-1]
    if name_kind(name) not in ("list", "table"):
        return remote_items(url, rules, left, partial(_members, rules))
    folder = url[: -len(name)]
    places = Places(folder, rules.root, left)
    return _of_table(lambda: opened(url), url, name, places, rules, left)


def _of_table(
    opens: Callable[[], Any], uri: str, name: str, places: Places, rules: Rules, left: LeftOut
) -> Iterator[Item]:
    """Yield the clips of a list or a table, and those in the tars that it names."""
    for item in items_of_table(opens, uri, name, places, rules, left):
        if item.uri.endswith(TARS):
            tar = item.uri if item.kind == "remote" else path_of_uri(item.uri)
            yield from _members(rules, tar, item.name, item.label, left)
        else:
            yield item


def _members(rules: Rules, tar: Path | str, name: str, label: str, left: LeftOut) -> Iterator[Item]:
    if isinstance(tar, Path):
        path = tar
        uri = uri_of_path(path)
        try:
            yield from TarListing(lambda: path.open("rb"), uri, name, label, rules, left).items()
        except OSError:
            yield Item(uri, "member", name, label)  # it fails when it is read, and says why
        return
    url = tar
    yield from TarListing(lambda: opened(url), url, name, label, rules, left).items()


def _writable(item: Item) -> Item:
    """Return an item whose texts a table can hold: valid Unicode, labels on one line."""
    label = item.label
    if not (label.isascii() and label.isprintable()):
        label = " ".join(legible(label).split())
    if label is item.label and item.uri.isascii() and item.name.isascii():
        return item
    return replace(item, uri=legible(item.uri), name=legible(item.name), label=label)


def _base_of(folder: Path, rules: Rules) -> Path:
    """Return the folder that names of files are relative to; labels need the one above."""
    return folder.parent if rules.labels == "folder" else folder
