"""The item that an address of the table of clips stands for, without listing anything."""

from __future__ import annotations

import os

from nlviz.surveys.item import Item
from nlviz.surveys.listing.kinds import name_kind
from nlviz.surveys.listing.paths import is_plain_file, is_remote, path_of_uri
from nlviz.surveys.listing.places import kind_of
from nlviz.surveys.listing.tars import holder_and_member


def item_of(uri: str, *, name: str | None = None, label: str = "") -> Item:
    """Return the item of an address, so that a clip of a survey can be read again.

    A member of a tar is looked for by its name, from the beginning of the tar.

    Args:
        uri: as ``Item.uri`` and the table of clips have it.
        name: what to call it; the end of the address by default.
        label: of its class.

    >>> item_of("s3://bucket/shard-000.tar#a/0001.mp4").kind, item_of("s3://bucket/a.mp4").kind
    ('member', 'remote')
    """
    called = uri.rstrip("/").rsplit("/", 1)[-1] if name is None else name
    if is_member(uri):
        return Item(uri, "member", called, label)
    if is_remote(uri):
        alone = name_kind(uri.split("?", 1)[0].rsplit("/", 1)[-1]) in ("film", "picture")
        return Item(uri, "remote" if alone else "frames", called, label)
    return Item(uri, kind_of(path_of_uri(uri)), called, label)


def is_member(uri: str) -> bool:
    """Return whether an address is of a clip in a tar or a table that is there."""
    holder, member = holder_and_member(uri)
    if not member:
        return False
    if is_remote(uri):
        return True
    return is_plain_file(path_of_uri(holder)) and not os.path.lexists(path_of_uri(uri))
