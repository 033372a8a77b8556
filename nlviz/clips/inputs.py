"""Find a clip by its path, its pattern or its bundled name, and tell whether it is the same one."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from nlviz.clips.clip import Clip, read_clip
from nlviz.clips.decoded import Times
from nlviz.clips.graph import is_graph, read_graph
from nlviz.clips.pictures.files import open_pictures
from nlviz.clips.pictures.many import times_of
from nlviz.clips.sequences import picture_list
from nlviz.clips.video_files import frame_times as times_of_film
from nlviz.errors import MissingClip, UnreadableClip, did_you_mean
from nlviz.files.local import digest_of
from nlviz.resources import bundled_graphs, bundled_inputs


def find_input(name: str) -> Path:
    """Return the path of a clip, given as a path, a pattern of pictures or a bundled name.

    Raises:
        UnreadableClip: when it is none of these.

    >>> find_input("coffee.jpg").name
    'coffee.jpg'
    """
    inputs = {**bundled_inputs(), **bundled_graphs()}
    if name in inputs and not Path(name).exists():
        return inputs[name]
    if not Path(name).exists() and not is_input(Path(name)):
        raise MissingClip(
            f"there is no file {name!r}, nor a bundled input of that name"
            f"{did_you_mean(name, inputs)}"
        )
    return Path(name)


def read_input(path: str | Path, *, name: str | None = None, **sampling: Any) -> Clip:
    """Read a clip, a picture or a graph, whichever a file holds.

    Args:
        path: the file.
        name: what to call it; the file's name by default.
        **sampling: as of ``read_clip``; a graph has nothing to sample.

    Raises:
        UnreadableClip: when it is none of these.

    >>> from nlviz.resources import asset
    >>> read_input(asset("graphs/lookup.json"))
    Graph('lookup.json', 14 nodes, 49 edges, 19 numbers each)
    """
    if is_graph(path):
        return read_graph(path, name=name)
    return read_clip(path, name=name, **sampling)


def is_input(path: Path) -> bool:
    """Return whether a path is a file, or a folder or pattern of pictures."""
    if path.is_file():
        return True
    try:
        return picture_list(path) is not None
    except UnreadableClip:
        return False


def digest_of_input(path: Path) -> str:
    """Return the digest of a clip's file, or of all pictures of a folder or pattern.

    Raises:
        UnreadableClip: when a picture cannot be read.
    """
    pictures = picture_list(path)
    return digest_of(path) if pictures is None else pictures.digest


def frame_times(source: str | Path | bytes) -> Times:
    """Return the (N,) times of a clip's frames in seconds from the first, without decoding films.

    Raises:
        UnreadableClip: when it is no clip, or has no frame.

    >>> from nlviz.resources import asset
    >>> len(frame_times(asset("clips/bunny.mp4"))) > 8
    True
    """
    pictures = picture_list(source)
    opened = None if pictures is None else pictures.opened()
    file = BytesIO(source) if isinstance(source, bytes) else Path(source)
    if opened is None and (isinstance(file, BytesIO) or file.is_file()):
        opened = open_pictures(file)
    if opened is None:
        return times_of_film(file)
    return np.asarray(times_of(opened), np.float64)
