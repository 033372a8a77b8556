"""Read one item of a survey: its frames, its digest, and whether it is as it was."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nlviz.clips.clip import Clip, read_clip
from nlviz.clips.inputs import digest_of_input
from nlviz.clips.sequences import picture_list
from nlviz.errors import UnreadableClip
from nlviz.families.reading.input_spec import InputSpec
from nlviz.files.local import digest_of
from nlviz.surveys.item import Item
from nlviz.surveys.listing.content import content_of, gone, refused
from nlviz.surveys.listing.paths import is_remote, path_of_uri
from nlviz.surveys.listing.remote import frames_of, system_of, told
from nlviz.surveys.listing.tars import holder_and_member
from nlviz.surveys.options import Sampling


def read_item(item: Item, sampling: Sampling, spec: InputSpec | None = None) -> Clip:
    """Read the frames of one clip of a survey.

    Args:
        item: which one.
        sampling: which frames; what it leaves open is as the network was trained.
        spec: how the network takes a clip, ``Model.input_spec``.

    Raises:
        MissingClip: when it is not there, or was deleted while it was read.
        UnreachableClip: when the storage or the network failed.
        UnreadableClip: when it is broken, too large, may not be read, or changed meanwhile.

    >>> from nlviz.surveys.listing.listed import listed
    >>> [item] = listed("bunny.mp4")
    >>> read_item(item, Sampling(frames=3)).shape[0]
    3
    """
    frames, stride = (spec or InputSpec()).completed(
        frames=sampling.frames, stride=sampling.stride, rate=sampling.rate
    )
    before = state_of(item)
    try:
        with content_of(item) as content:
            clip = read_clip(
                content,
                start=sampling.start,
                stride=stride,
                frames=frames,
                size=sampling.size,
                fps=sampling.fps,
                rate=sampling.rate,
                name=item.name,
            )
    except UnreadableClip:
        state_of(item)  # deleted while it was read: that is the reason
        raise
    _same(item, before)
    return clip


def digest_of_item(item: Item) -> str:
    """Return the sha256 of a clip's bytes, in hex: that of the same clip wherever it lies.

    Raises:
        MissingClip: when it is not there.
        UnreachableClip: when the storage or the network failed.
        UnreadableClip: when it cannot be read, or changed meanwhile.
    """
    before = state_of(item)
    try:
        with content_of(item) as content:
            if isinstance(content, Path):
                digest = digest_of_input(content)
            elif isinstance(content, bytes):
                digest = digest_of(content)
            else:
                pictures = picture_list(content)
                digest = "" if pictures is None else pictures.digest
    except UnreadableClip:
        state_of(item)
        raise
    except OSError as error:
        raise refused(item, error) from None
    _same(item, before)
    return digest


def state_of(item: Item) -> str:
    """Return what changes when a clip does: its size and when it was written, in a word.

    It costs no reading of the clip, so that a survey that goes on sees what is to be done again.
    Of a member it is that of its tar or table.

    Raises:
        MissingClip: when it is not there.
        UnreachableClip: when the storage or the network failed.
        UnreadableClip: when it is no file, or may not be looked at.
    """
    uri = holder_and_member(item.uri)[0] if item.kind == "member" else item.uri
    if is_remote(uri):
        return _remote_state(item, uri)
    path = path_of_uri(uri)
    try:
        found = path.stat()
        if stat.S_ISREG(found.st_mode):
            return f"{found.st_size}:{found.st_mtime_ns}"
        if not stat.S_ISDIR(found.st_mode):
            raise UnreadableClip(f"{item.name} is no file but a pipe, a socket or a device")
    except FileNotFoundError:
        if item.kind != "frames" or not path.parent.is_dir():
            raise gone(item) from None
    except OSError as error:
        raise refused(item, error) from None
    return _state_of_frames(item, path)


def _remote_state(item: Item, uri: str) -> str:
    if item.kind == "frames":
        found = list(frames_of(uri)[1].values())
        written = max((str(_when(one)) for one in found), default="")
        return f"{len(found)}:{sum(one.get('size') or 0 for one in found)}:{written}"
    system, path = system_of(uri)
    try:
        found = system.info(path)
    except Exception as error:
        raise told(error, item.name) from None
    if found.get("type") == "directory":
        raise UnreadableClip(f"{item.name} is a folder; name its clips, or put / behind it")
    return f"{found.get('size')}:{_when(found)}"


def _when(found: Mapping[str, Any]) -> Any:
    """Return what a file system says that changes with a file, whatever it calls it."""
    names = ("ETag", "etag", "mtime", "LastModified", "last_modified", "created", "xet_hash")
    return next((found[name] for name in names if found.get(name) is not None), "")


def _state_of_frames(item: Item, path: Path) -> str:
    """Return the state of a folder or pattern of frames: how many, how large, the latest."""
    try:
        frames = picture_list(path)
        found = [Path(str(frame)).stat() for frame in frames.items] if frames is not None else []
    except FileNotFoundError:
        raise gone(item) from None
    except OSError as error:
        raise refused(item, error) from None
    if frames is None:
        raise gone(item)
    latest = max(one.st_mtime_ns for one in found)
    return f"{len(found)}:{sum(one.st_size for one in found)}:{latest}"


def _same(item: Item, before: str) -> None:
    """See that a clip of this machine is as it was; storage hands out whole objects."""
    if not is_remote(item.uri) and state_of(item) != before:
        raise UnreadableClip(
            f"{item.name} changed while it was read; survey it again once it is whole"
        )
