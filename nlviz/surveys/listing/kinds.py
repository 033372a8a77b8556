"""What a file is by its name alone: a film, a picture, a tar, a list, a table, or none of these."""

from __future__ import annotations

import re
from typing import Literal

from nlviz.clips.sequences import PICTURE_ENDINGS

NameKind = Literal["film", "picture", "tar", "list", "table", "hidden", "other"]

# Whatever FFmpeg reads under the names that people give it; a GIF is a film, too.
FILM_ENDINGS = frozenset(
    "mp4 mov mkv webm avi mpg mpeg mpe ts m2ts mts wmv flv f4v m4v mp4v m2v vob ogv ogm 3gp 3g2 "
    "asf divx mjpg mjpeg y4m h264 264 h265 265 hevc ivf mxf rm rmvb dv qt nut gif apng".split()
)
TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
LISTS = (".txt", ".lst", ".list")
TABLES = (".csv", ".tsv", ".parquet", ".pq", ".jsonl", ".ndjson", ".json")

# Folders and files that systems put beside what people keep.
_SYSTEM = frozenset(
    "__macosx thumbs.db ehthumbs.db desktop.ini @eadir $recycle.bin lost+found "
    "system volume information".split()
) | {"system volume information"}
# Folders that say how clips are stored, or of which part they are, and not what is seen.
_STORAGE = re.compile(
    r"train(ing|set)?|trn|val(id|idation|set)?|dev|eval|test(ing|set)?|split[-_ ]?\d*|videos?|"
    r"clips?|films?|frames?|rgb|images?|imgs?|jpegimages|raw|data(set)?|\d+p|full-resolution|"
    r"(chunk|part|shard|batch|file|set|trainset|fold)[-_ ]?\d+",
    re.IGNORECASE,
)


def ending(name: str) -> str:
    """Return the ending of a name in lower case, without the dot.

    >>> ending("A.B.MP4"), ending("README"), ending(".mp4")
    ('mp4', '', '')
    """
    stem, dot, last = name.rpartition(".")
    return last.lower() if dot and stem.strip(".") else ""


def name_kind(name: str) -> NameKind:
    """Return what a file, or a folder of pictures, is by its name.

    >>> [name_kind(n) for n in ("a.MP4", "0001.jpg", "shard-000.tar.gz", "._a.mp4", "notes.md")]
    ['film', 'picture', 'tar', 'hidden', 'other']
    """
    low = name.lower()
    if is_hidden(low):
        return "hidden"
    if low.endswith(TARS):
        return "tar"
    last = ending(low)
    if last in FILM_ENDINGS:
        return "film"
    if last in PICTURE_ENDINGS:
        return "picture"
    if low.endswith(LISTS):
        return "list"
    return "table" if low.endswith(TABLES) else "other"


def is_hidden(name: str) -> bool:
    """Return whether a name is one that people do not see, or that a system put there."""
    return name.startswith(".") or name.lower() in _SYSTEM


def says_a_class(folder: str) -> bool:
    """Return whether a folder's name may be a class, not how or where clips are stored.

    >>> [says_a_class(n) for n in ("ApplyEyeMakeup", "train", "480p", "chunk-000", "7")]
    [True, False, False, False, True]
    """
    return not _STORAGE.fullmatch(folder.strip())
